-- The tasks of a person.

-- name: my_task_list :list
-- id: t.id COLLATE "C"
-- sort urgency asc: t.urgency COLLATE "C"
-- filter kind: t.kind = $
-- filter kind[in]: t.kind = ANY ($::text[])
-- filter unread: $::boolean = NOT t.read
-- filter late: $::boolean = t.late
SELECT t.id, t.kind, t.title, t.organization, t.organization_name, t.programme, t.duty, t.period, t.report, x.campaign, x.phase, t.due_on, t.late, t.missing,
  t.reason, t.reasons, tstz(t.since) AS since, t.read, json_build_object('open', t.open, 'read', '/v1/me/tasks/' || t.id || '/read') AS links
FROM all_tasks() x CROSS JOIN LATERAL (SELECT (x.t).*) t
WHERE true

-- name: my_task_read :none
SELECT task_mark(:task, true)

-- name: my_task_unread :none
SELECT task_mark(:task, false)
