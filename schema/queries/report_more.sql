-- What changed in reports, what they are put together from, and what is said about them.

-- name: report_changes :one
SELECT report_changes(:report, :since, :to) AS body

-- name: report_consolidate :one
SELECT c.status, c.version, c.body_out AS body FROM report_consolidate(:report, :body::jsonb, :if_match, :request_id) c

-- name: report_comment_list :list
-- id: c.id
-- sort at: c.at
SELECT c.id, tstz(c.at) AS at, c.text, c.section, c.indicator, c.period, c.category, c.side, c.internal, c.seat_code AS organization, c.n AS submission
FROM report_comment c
WHERE c.report_id = (SELECT path_report_dialogue(:report))

-- name: report_comment_create :one
SELECT c.status, c.body_out AS body FROM report_comment_create(:report, :new_id::uuid, :body::jsonb, :request_id) c
