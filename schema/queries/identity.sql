-- Logging in, tokens and keys (called from C, nobody entered), and the caller's own view of itself.

-- name: login_begin :call
-- takes: username, network, device, most, most_network, window_s
SELECT l.account_id, l.password_hash, l.wait_s, l.known
FROM login_begin(:username, :network, :device, :most::int, :most_network::int, :window_s::int) l

-- name: login_fail :call
-- takes: username, network, device, most, most_network, window_s
SELECT login_fail(:username, :network, :device, :most::int, :most_network::int, :window_s::int) AS throttled

-- name: login_finish :call
-- takes: username, network, device, most, most_network, window_s, account, hash, grant, unit, role, session, refresh, refresh_s
SELECT l.result, l.grant_id, l.scope, l.grants, k.kid, k.sealed
FROM login_finish(:username, :network, :device, :most::int, :most_network::int, :window_s::int, :account::uuid, :hash, :grant::uuid, :unit, :role,
  :session::uuid, :refresh::bytea, :refresh_s::int) l, signing_key_active() k

-- name: client_check :call
-- takes: client, secret
SELECT client_check(:client, :secret::bytea) AS client_id

-- name: client_session :call
-- takes: client, secret, session, asked, access_s
SELECT s.result, s.grant_id, s.subject, s.scope, k.kid, k.sealed
FROM client_session(:client, :secret::bytea, :session::uuid, string_to_array(:asked, ' '), :access_s::int) s,
  signing_key_active() k

-- name: refresh_use :call
-- takes: old, new, refresh_s, client, asked
SELECT u.result, u.session_id, u.grant_id, u.subject, u.scope, k.kid, k.sealed
FROM refresh_use(:old::bytea, :new::bytea, :refresh_s::int, :client::uuid, string_to_array(:asked, ' ')) u,
  signing_key_active() k

-- name: session_end :call
-- takes: session, refresh, client
SELECT session_end(:session::uuid, :refresh::bytea, :client::uuid)

-- name: signing_keys :call
-- takes:
SELECT k.kid, k.public_jwk FROM signing_keys() k

-- Nothing but enter(): asks whether the operation is permitted at all, before work that costs. No success to keep.
-- name: permitted :call
-- takes:
SELECT 0 AS status

-- name: me_get :call
-- takes: token_scopes
SELECT me_json(string_to_array(:token_scopes, ' ')) AS body

-- name: me_permissions :call
-- takes: kid, permission, operation, resource, in_token
SELECT p.allowed, p.reason, p.because, p.who, p.detail
FROM permission_explain(:kid, :permission, :operation, :resource, :in_token::boolean) p

-- name: client_create :call
-- takes: new_id, body, secret_hash, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM client_create(:new_id::uuid, :body::jsonb, :secret_hash::bytea, :request_id) c
