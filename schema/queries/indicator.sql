-- Indicators.

-- name: indicator_get :one
SELECT i.version::text AS version, indicator_json(i) AS body
FROM indicator i WHERE i.id = (SELECT indicator_id(:indicator))

-- name: indicator_create :one
SELECT c.status, c.version, c.location, c.body_out AS body
FROM indicator_create(:new_id::uuid, :body::jsonb, :request_id) c

-- name: indicator_update :one
SELECT u.status, u.version, u.body_out AS body
FROM indicator_update(:indicator, :body::jsonb, :if_match, :request_id) u

-- name: indicator_list :list
-- id: i.id
-- sort code: i.code COLLATE "C"
-- sort created_at: i.created_at
-- filter code: i.code = $
-- filter code[in]: i.code = ANY($::text[])
-- filter code[prefix]: i.code COLLATE "C" >= $ AND i.code COLLATE "C" < $ || '~'
-- filter programme: i.programme_id = (SELECT filter_programme($, 'programme'))
-- filter pillar: i.pillar = $
-- filter kind: i.kind = $
-- filter kind[in]: i.kind = ANY($::text[])
-- filter name[contains]: strpos(i.name, $) > 0
-- filter frequency: i.frequency = $
-- filter q: strpos(i.search, fold($)) > 0
SELECT i.id, i.code, (SELECT p.code FROM programme p WHERE p.id = i.programme_id) AS programme, i.pillar, i.name, i.unit, i.kind,
  i.direction, i.aggregation, i.time_aggregation, i.frequency, i.source_required, i.version
FROM indicator i
WHERE true
