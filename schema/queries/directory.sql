-- The directory of the caller's root: code, name, kind and successors of every unit of it, and nothing more.

-- name: directory_list :list
-- id: d.code
-- sort code: d.code
-- filter kind: d.kind = $
-- filter kind[in]: d.kind = ANY($::text[])
-- filter code: d.code = $
-- filter code[in]: d.code = ANY($::text[])
-- filter code[prefix]: d.code >= $ AND d.code < $ || '~'
-- filter q: d.code = ANY ((SELECT directory_search($))::text[])
SELECT d.code, d.name, d.kind, to_json(d.successors) AS successors
FROM directory d
WHERE true

-- name: directory_list_on :list
-- id: d.code
-- sort code: d.code
-- filter kind: d.kind = $
-- filter kind[in]: d.kind = ANY($::text[])
-- filter code: d.code = $
-- filter code[in]: d.code = ANY($::text[])
-- filter code[prefix]: d.code >= $ AND d.code < $ || '~'
-- filter q: d.code = ANY ((SELECT directory_search($, :as_of::date))::text[])
SELECT d.code, d.name, d.kind, to_json(d.successors) AS successors
FROM directory_span d
WHERE d.validity @> :as_of::date
