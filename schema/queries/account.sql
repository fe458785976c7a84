-- Accounts, their sessions and passwords. Those called from C are run by handlers, which make hashes and codes.

-- name: account_list :list
-- id: a.id
-- sort tree: a.scope_key
-- filter username: a.username = lower($)
-- filter organization: a.organization_id = (SELECT filter_organization($, 'organization'))
-- filter under: a.scope_key >= (SELECT filter_key($, 'under')) AND a.scope_key < (SELECT filter_key($, 'under') || '~')
-- filter status: a.status = $
-- filter activated: a.activated = $::boolean
-- filter role: a.id IN (SELECT g.account_id FROM access_grant g WHERE g.role = $ AND grant_today(g))
-- filter q: a.id = ANY ((SELECT account_search($))::uuid[])
-- extra organization_code: (SELECT o.code FROM organization o WHERE o.id = a.organization_id)
SELECT a.id, a.username, a.display_name, organization_ref(a.organization_id) AS organization, a.status, a.activated,
  tstz(a.password_changed_at) AS password_changed_at, a.version, tstz(a.created_at) AS created_at, tstz(a.updated_at) AS updated_at
FROM account a
WHERE true

-- name: account_get :one
SELECT a.version::text AS version, account_json(a.id)::text AS body
FROM account a WHERE a.id = (SELECT account_id(:account))

-- name: account_update :one
SELECT u.status, u.version, u.body_out AS body
FROM account_update(:account, :body::jsonb, :if_match, :request_id) u

-- name: account_create :call
-- takes: new_id, body, password_hash, proof, hours, request_id
SELECT c.status, c.version, c.location, c.body_out AS body
FROM account_create(:new_id::uuid, :body::jsonb, :password_hash, :proof::bytea, :hours::int, :request_id) c

-- Before the code is made; status 0: no success to keep.
-- name: account_username :call
-- takes: account
SELECT a.username, 0 AS status FROM account a WHERE a.id = (SELECT path_account(:account))

-- name: account_reset :call
-- takes: account, proof, hours, if_match, request_id
SELECT r.status, r.version, r.body_out AS body
FROM account_reset(:account, :proof::bytea, :hours::int, :if_match, :request_id) r

-- name: account_session_list :list
-- id: s.id
-- sort created_at: s.created_at
SELECT s.id, s.acts_as, tstz(s.created_at) AS created_at, tstz(s.last_used_at) AS last_used_at, tstz(s.expires_at) AS expires_at, s.current
FROM sessions_of((SELECT path_account(:account))) s
WHERE true

-- name: account_session_end :none
SELECT account_sessions_end(:account, :request_id)

-- name: my_session_list :list
-- id: s.id
-- sort created_at: s.created_at
SELECT s.id, s.acts_as, tstz(s.created_at) AS created_at, tstz(s.last_used_at) AS last_used_at, tstz(s.expires_at) AS expires_at, s.current
FROM sessions_of(me_account()) s
WHERE true

-- name: my_session_end :none
SELECT my_session_end(:session::uuid)

-- name: my_password :call
-- takes: most, window_s
SELECT p.username, p.display_name, p.unit, p.password_hash, p.wait_s FROM my_password(:most::int, :window_s::int) p

-- name: my_password_wrong :call
-- takes: window_s
SELECT my_password_wrong(:window_s::int) AS failures

-- name: my_password_set :call
-- takes: old_hash, new_hash, most, window_s, request_id
SELECT my_password_set(:old_hash, :new_hash, :most::int, :window_s::int, :request_id) AS status

-- name: activation_begin :call
-- takes: username, network, proof, most, most_network, window_s
SELECT b.wait_s, b.account_id, b.display_name, b.unit
FROM activation_begin(:username, :network, :proof::bytea, :most::int, :most_network::int, :window_s::int) b

-- name: activation_fail :call
-- takes: username, network, window_s
SELECT activation_fail(:username, :network, :window_s::int)

-- name: activation_finish :call
-- takes: username, network, proof, password_hash, request_id
SELECT activation_finish(:username, :network, :proof::bytea, :password_hash, :request_id) AS done
