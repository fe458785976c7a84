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
-- filter under: v.scope_key >= (SELECT filter_key($, 'under')) AND v.scope_key < (SELECT filter_key($, 'under')) || '~'
-- embed indicator: (SELECT json_build_object('code', i.code, 'name', i.name, 'unit', i.unit, 'kind', i.kind) FROM indicator i WHERE i.id = v.indicator_id) AS indicator_detail
-- embed organization: organization_ref(v.organization_id) AS organization_detail
SELECT v.id, v.indicator_code AS indicator, v.organization_code AS organization, v.period_code AS period,
  nullif(v.category, '') AS category, v.numerator, v.denominator, v.number, percent(v.numerator, v.denominator) AS percent,
  v.done_on, v.state, 'entered' AS status, v.note, v.evidence_url, v.source, v.version AS revision, v.on_behalf, v.entered_by,
  v.version, tstz(v.updated_at) AS updated_at
FROM value v
WHERE true
