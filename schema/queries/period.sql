-- Periods.

-- name: period_list :list
-- id: p.id
-- sort starts_on: p.starts_on
-- filter code: p.code = $
-- filter code[in]: p.code = ANY($::text[])
-- filter kind: p.kind = $
-- filter kind[in]: p.kind = ANY($::text[])
-- filter programme: p.programme_id = (SELECT filter_programme($, 'programme'))
-- filter starts_on[gte]: p.starts_on >= $::date
-- filter starts_on[lte]: p.starts_on <= $::date
-- filter ends_on[gte]: p.ends_on >= $::date
-- filter ends_on[lte]: p.ends_on <= $::date
SELECT p.id, p.code, p.kind, p.starts_on, p.ends_on, p.name,
  (SELECT g.code FROM programme g WHERE g.id = p.programme_id) AS programme
FROM period p
WHERE true
