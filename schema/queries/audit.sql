-- The audit trail. Its pages are made by audit_page(), in few steps however rare the caller's rows are; this list is what is exported.

-- name: audit_event_list :list
-- id: e.position
-- sort position: e.position
-- filter resource_type: e.resource_type = $
-- filter resource: e.resource_id = ANY ((SELECT filter_resource($, 'resource'))::uuid[])
-- filter organization: e.unit = (SELECT filter_unit($, 'organization'))
-- filter under: e.scope_key <@ ((SELECT filter_below($, 'under')))::keymultirange
-- filter account: e.account_id = (SELECT filter_account($, 'account'))
-- filter client: e.client_id = $::uuid
-- filter action: e.action = $
-- filter at[gte]: e.at >= $::timestamptz
-- filter at[lt]: e.at < $::timestamptz
-- filter position[gte]: e.position >= $::bigint
-- filter position[lt]: e.position < $::bigint
-- extra actor_kind: e.actor ->> 'kind'
-- extra actor_name: e.actor ->> 'name'
-- extra actor_role: e.actor ->> 'role'
-- extra actor_organization: e.actor ->> 'organization'
-- extra delegated_by: e.actor -> 'delegated_by' ->> 'username'
-- embed before: audit_before(e) AS before
-- embed after: audit_after(e) AS after
SELECT e.position, tstz(e.at) AS at, e.action, e.resource_type, e.resource_id,
  journal_reference(e.resource_type, e.resource_id, e.version) AS resource, e.version, journal_organization(e.unit) AS organization,
  e.on_behalf, e.reason, journal_by(e.actor) AS by, e.actor, e.request_id
FROM audit_event e
WHERE true

-- name: audit_page :call
-- takes: filter, place, down, most, embed
SELECT p.item, p.place, p.id FROM audit_page(:filter::jsonb, :place::bigint, :down::boolean, :most::int, :embed::text[]) p

-- Every revision of one value, whoever entered it, the withdrawn ones too.
-- name: value_history :list
-- id: r.value_id::text || ' ' || lpad(r.version::text, 19, '0')
-- sort at: r.at
-- extra actor_kind: a.actor ->> 'kind'
-- extra actor_name: a.actor ->> 'name'
-- extra actor_role: a.actor ->> 'role'
-- extra actor_organization: a.actor ->> 'organization'
-- extra delegated_by: a.actor -> 'delegated_by' ->> 'username'
SELECT r.version, CASE WHEN r.state = 'deleted' THEN 'delete'
    WHEN EXISTS (SELECT FROM value_revision w WHERE w.value_id = r.value_id AND w.version = r.version - 1 AND w.state <> 'deleted') THEN 'update'
    ELSE 'create' END AS action, tstz(r.at) AS at,
  nullif(r.state, 'deleted') AS state, r.numerator, r.denominator, r.number, percent(r.numerator, r.denominator) AS percent, r.done_on, r.note,
  r.evidence_url, r.source, r.reason, r.on_behalf, r.entered_by, journal_by(a.actor) AS by, a.actor
FROM value_revision r CROSS JOIN LATERAL (SELECT revision_actor(r.value_id, r.version) AS actor OFFSET 0) a
WHERE r.value_id = ANY ((SELECT path_value_history(:indicator, :organization, :period, :category))::uuid[])

-- name: journal_start :call
-- takes:
SELECT s.start_position FROM journal_start() s

-- name: journal_cut_at :call
-- takes: position, hash, checkpoint, days
SELECT journal_cut_at(:position::bigint, :hash, :checkpoint, :days::int)::int

-- name: journal_cut_step :call
-- takes: most
SELECT journal_cut_step(:most::int)
