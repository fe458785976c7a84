-- Attachments of activities: as those of reports (attachment.sql), whose chunks they share.

-- name: evidence_list :list
-- id: a.id
-- sort created_at: a.created_at
SELECT a.id, a.name, a.title, a.classification, a.type, a.size, encode(a.sha256, 'hex') AS sha256, a.version, tstz(a.created_at) AS created_at
FROM attachment a
WHERE a.activity_id = (SELECT path_activity(:activity))

-- name: evidence_get :call
-- takes: activity, attachment
SELECT a.id, a.version, a.name, a.type, a.size, encode(a.sha256, 'base64') AS sha256
FROM attachment a WHERE a.id = :attachment::uuid AND a.activity_id = :activity::uuid

-- name: evidence_admit :call
-- takes: activity, kind, size, request_id
SELECT evidence_admit(:activity, :kind, :size::bigint, :request_id)

-- name: evidence_create :call
-- takes: activity, new_id, kind, name, title, type, size, sha256, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM evidence_create(:activity, :new_id::uuid, :kind, :name, :title, :type, :size::bigint, :sha256, :request_id) c

-- name: evidence_delete :none
SELECT evidence_delete(:activity, :attachment, :if_match, :request_id)
