-- Things, for the generator's tests.

-- name: thing_list :list
-- id: t.id
-- sort tree asc: t.scope_key
-- sort code: t.code
-- filter kind: t.kind = $
-- filter kind[in]: t.kind = ANY($::text[])
-- filter live: t.live = $::boolean AND ($::boolean OR t.code <> '$;:no, FROM')
-- filter weight: t.weight > $::numeric
-- embed owner: (SELECT json_build_object('code', o.code) FROM owner o WHERE o.id = t.owner_id) AS owner
SELECT t.id, t.code, coalesce(t.name, 'a, b') AS name,
  CASE WHEN t.kind IS DISTINCT FROM 'x' THEN t.kind END AS kind
FROM thing t -- every thing
WHERE true;

-- name: thing_create :one
SELECT status, version, body FROM thing_create(:new_id::uuid, :body::jsonb, '12:30 :no', :request_id)

-- name: thing_update :one
SELECT status, version, body FROM thing_update(:thing, :body::jsonb, :if_match, :body)

-- name: part_get :one
SELECT p.version, p.body FROM part p WHERE p.thing = :thing AND p.id = :part::uuid AND p.day = coalesce(:on::date, today())

-- name: thing_help :call
-- takes: level, word
SELECT help(:word, :level::int);
