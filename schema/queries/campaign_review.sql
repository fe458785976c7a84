-- Reviews of phases.

-- name: campaign_review_get :one
SELECT g.version, g.body FROM campaign_review_get(:campaign, :phase, :organization, :kind, :reviewed_on::date) g

-- name: campaign_review_put :one
SELECT p.status, p.version, p.location, p.body_out AS body
FROM campaign_review_put(:campaign, :phase, :organization, :kind, :reviewed_on::date, :body::jsonb, :if_match, :if_none_match, :new_id::uuid, :request_id) p

-- name: campaign_review_delete :none
SELECT campaign_review_delete(:campaign, :phase, :organization, :kind, :reviewed_on::date, :if_match, :request_id)

-- name: campaign_review_list :list
-- id: r.id
-- sort tree: r.scope_key
-- filter phase: r.phase_id = ANY ((SELECT filter_review_phases($, 'phase'))::uuid[])
-- filter kind: r.kind = $
-- filter organization: r.organization_id = (SELECT filter_organization($, 'organization'))
-- filter under: r.scope_key >= (SELECT filter_key($, 'under')) AND r.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter reviewed_on[gte]: r.reviewed_on >= $::date
-- filter reviewed_on[lte]: r.reviewed_on <= $::date
SELECT r.id, (SELECT c.code FROM campaign c WHERE c.id = r.campaign_id) AS campaign, (SELECT f.code FROM campaign_phase f WHERE f.id = r.phase_id) AS phase,
  r.organization_code AS organization, organization_ref(r.organization_id) ->> 'name' AS organization_name, r.kind, r.reviewed_on, r.on_behalf, r.version,
  tstz(r.created_at) AS created_at, tstz(r.updated_at) AS updated_at
FROM campaign_review r
WHERE r.campaign_id = (SELECT path_campaign(:campaign))
