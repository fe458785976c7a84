-- Days off, and days worked in exchange: the country's and those of the caller's root.

-- name: holiday_list :list
-- id: h.id
-- sort day: h.day
-- filter day: h.day = $::date
-- filter day[gte]: h.day >= $::date
-- filter day[lte]: h.day <= $::date
-- filter working: h.working = $::boolean
-- filter country: (h.root_id IS NULL) = $::boolean
SELECT h.day, h.name, h.working, h.root_id IS NULL AS country, h.version, tstz(h.created_at) AS created_at, tstz(h.updated_at) AS updated_at
FROM holiday h
WHERE true

-- name: holiday_put :one
SELECT p.status, p.version, p.location, p.body_out AS body
FROM holiday_put(:day::date, :body::jsonb, :if_match, :if_none_match, :new_id::uuid, :request_id) p

-- name: holiday_delete :none
SELECT holiday_delete(:day::date, :if_match, :request_id)
