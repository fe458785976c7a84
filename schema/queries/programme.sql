-- Programmes.

-- name: programme_get :one
SELECT p.version::text AS version, programme_json(p) AS body
FROM programme p WHERE p.id = (SELECT programme_id(:programme))

-- name: programme_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM programme_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: programme_update :one
SELECT u.status, u.version, u.body_out AS body
FROM programme_update(:programme, :body::jsonb, :if_match, :request_id) u

-- name: programme_list :list
-- id: p.id
-- sort code: p.code COLLATE "C"
-- sort created_at: p.created_at
-- filter code: p.code = $
-- filter code[in]: p.code = ANY($::text[])
-- filter code[prefix]: p.code COLLATE "C" >= $ AND p.code COLLATE "C" < $ || '~'
-- filter owner: p.owner_id = (SELECT filter_organization($, 'owner'))
-- filter title[contains]: strpos(p.title, $) > 0
SELECT p.id, p.code, p.title, p.document, p.document_on, p.owner_code AS owner, p.scope_code AS scope, p.starts_on, p.ends_on, p.version
FROM programme p
WHERE true
