-- Values.

-- name: value_get :one
SELECT v.version::text AS version, value_json(v) AS body
FROM value_at(:indicator, :organization, :period, :category) v

-- name: value_put :one
SELECT p.status, p.version, p.location, p.body_out AS body
FROM value_put(:indicator, :organization, :period, :category, :body::jsonb, :if_match, :if_none_match, :new_id::uuid, :request_id) p

-- name: value_list :list
-- id: v.id
-- sort tree: v.scope_key
-- sort updated_at: v.updated_at
-- filter indicator: v.indicator_id = (SELECT filter_indicator($, 'indicator'))
-- filter indicator[in]: v.indicator_id = ANY ((SELECT filter_indicators($::text[], 'indicator[in]'))::uuid[])
-- filter organization: v.scope_key = (SELECT filter_key($, 'organization'))
-- filter period: v.period_id = (SELECT filter_period($, 'period'))
-- filter period[in]: v.period_id = ANY ((SELECT filter_periods($::text[], 'period[in]'))::uuid[])
-- filter programme: v.programme_id = (SELECT filter_programme($, 'programme'))
-- filter category: v.category = $
-- filter state: v.state = $
-- filter on_behalf: v.on_behalf = $::boolean
-- filter updated_at[gte]: v.updated_at >= $::timestamptz
-- filter under: v.scope_key >= (SELECT filter_key($, 'under')) AND v.scope_key < (SELECT filter_key($, 'under') || '~')
-- embed indicator: (SELECT json_build_object('code', i.code, 'name', i.name, 'unit', i.unit, 'kind', i.kind) FROM indicator i WHERE i.id = v.indicator_id) AS indicator_detail
-- embed organization: organization_ref(v.organization_id) AS organization_detail
SELECT v.id, v.indicator_code AS indicator, v.organization_code AS organization, v.period_code AS period,
  nullif(v.category, '') AS category, v.numerator, v.denominator, v.number, percent(v.numerator, v.denominator) AS percent,
  v.done_on, v.state, CASE WHEN v.locked > 0 THEN 'locked' ELSE 'entered' END AS status, v.note, v.evidence_url, v.source, v.version AS revision, v.on_behalf, v.entered_by,
  v.version, tstz(v.updated_at) AS updated_at
FROM value v
WHERE true

-- The unit's own rows, and those of the units below it that a superior enters for. The rows of a sheet have no id of their own:
-- within a unit the indicator and the category tell them apart. A programme that ended before the period asks for nothing any more.
-- name: value_sheet :list
-- id: i.code || ' ' || c.category
-- sort tree: u.scope_key
-- filter indicator: i.id = (SELECT filter_indicator($, 'indicator'))
-- filter programme: i.programme_id = (SELECT filter_programme($, 'programme'))
SELECT o.code AS organization, o.name AS organization_name, i.code AS indicator, i.name AS indicator_name, i.kind, i.unit, p.code AS period,
  nullif(c.category, '') AS category, u.mode, u.scope_key <> (SELECT filter_key(:organization, 'organization')) AS on_behalf,
  v.numerator, v.denominator, v.number, v.done_on, v.done, v.state, v.note, v.evidence_url, v.source, v.version,
  w.period_code AS last_period, value_figure(i, w.numerator, w.denominator, w.number, w.done) AS last_value
FROM assignment_unit u
  JOIN indicator i ON i.id = u.indicator_id
  JOIN period p ON p.id = (SELECT filter_period(:period, 'period')) AND p.kind = i.frequency
    AND (p.programme_id IS NULL OR p.programme_id = i.programme_id) AND u.validity @> p.ends_on
  JOIN programme g ON g.id = i.programme_id AND coalesce(g.ends_on >= p.starts_on, true)
  JOIN organization o ON o.id = u.organization_id
  CROSS JOIN unnest(coalesce(i.categories, '{""}')) c(category)
  LEFT JOIN value v ON v.indicator_id = i.id AND v.period_id = p.id AND v.scope_key = u.scope_key AND v.category = c.category
  LEFT JOIN LATERAL (SELECT y.period_code, y.numerator, y.denominator, y.number, y.done FROM value y JOIN period q ON q.id = y.period_id
    WHERE y.scope_key = u.scope_key AND y.indicator_id = i.id AND y.category = c.category AND y.state = 'reported' AND q.ends_on < p.starts_on
    ORDER BY q.ends_on DESC LIMIT 1) w ON true
WHERE u.scope_key >= (SELECT filter_key(:organization, 'organization')) AND u.scope_key < (SELECT filter_key(:organization, 'organization') || '~')
  AND (u.entered_by = 'superior' OR u.scope_key = (SELECT filter_key(:organization, 'organization')))
