-- Calendars of units, and the addresses under which people subscribe to them. The text is made by their handlers, and so is the secret of an address.

-- name: calendar :call
-- takes: campaign, organization
SELECT c.part, c.id, c.title, c.detail, c.category, c.starts_on, c.ends_on, c.status, c.version, c.changed_at
FROM calendar_of(:campaign, :organization) c

-- name: calendar_shared :call
-- takes: secret_hash
SELECT c.part, c.id, c.title, c.detail, c.category, c.starts_on, c.ends_on, c.status, c.version, c.changed_at
FROM calendar_shared(:secret_hash::bytea) c

-- name: calendar_subscription_list :list
-- id: s.id
-- sort created_at: s.created_at
-- filter valid: (s.revoked_at IS NULL AND s.expires_on >= (SELECT today())) = $::boolean
SELECT s.id, s.name, organization_ref(s.organization_id) AS organization, (SELECT c.code FROM campaign c WHERE c.id = s.campaign_id) AS campaign, s.expires_on,
  s.last_used_on, tstz(s.revoked_at) AS revoked_at, s.revoked_at IS NULL AND s.expires_on >= today() AS valid, s.version, tstz(s.created_at) AS created_at
FROM calendar_subscription s
WHERE true

-- name: calendar_subscription_get :one
SELECT s.version::text AS version, calendar_subscription_json(s.id)::text AS body
FROM calendar_subscription s WHERE s.id = :subscription::uuid

-- name: calendar_subscription_create :call
-- takes: new_id, body, secret_hash, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM calendar_subscription_create(:new_id::uuid, :body::jsonb, :secret_hash::bytea, :request_id) c

-- name: calendar_subscription_end :none
SELECT calendar_subscription_end(:subscription::uuid, :if_match, :request_id)
