-- Attachments of reports. A file goes in and out in chunks, one statement each.

-- name: attachment_list :list
-- id: a.id
-- sort created_at: a.created_at
SELECT a.id, a.name, a.title, a.kind, a.classification, a.type, a.size, encode(a.sha256, 'hex') AS sha256, a.added_in, a.removed_in, a.version,
  tstz(a.created_at) AS created_at
FROM attachment a
WHERE a.report_id = (SELECT path_report(:report)) AND a.added_in <= (SELECT attachment_view(:report, :version::int))
  AND (a.removed_in IS NULL OR a.removed_in > (SELECT attachment_view(:report, :version::int)))

-- name: attachment_get :call
-- takes: report, attachment
SELECT a.id, a.version, a.name, a.type, a.size, encode(a.sha256, 'base64') AS sha256
FROM attachment a WHERE a.id = :attachment::uuid AND a.report_id = :report::uuid

-- name: attachment_chunk :call
-- takes: attachment, n
SELECT c.data FROM attachment_chunk c WHERE c.attachment_id = :attachment::uuid AND c.n = :n::int

-- name: attachment_admit :call
-- takes: report, kind, size, request_id
SELECT attachment_admit(:report, :kind, :size::bigint, :request_id)

-- name: attachment_put :call
-- takes: attachment, n, data
SELECT attachment_put(:attachment::uuid, :n::int, :data::bytea)

-- name: attachment_create :call
-- takes: report, new_id, kind, name, title, type, size, sha256, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM attachment_create(:report, :new_id::uuid, :kind, :name, :title, :type, :size::bigint, :sha256, :request_id) c

-- name: attachment_delete :none
SELECT attachment_delete(:report, :attachment, :if_match, :request_id)
