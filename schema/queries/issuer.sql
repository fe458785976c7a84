-- Tokens of outside issuers (called from C, nobody entered).

-- name: outside_session :call
-- takes: issuer, iss, root, account, subject, grant, unit, roles, binding, new_session, expires
SELECT s.result, s.grant_id, s.session_id, s.subject
FROM outside_session(:issuer, :iss, :root, :account, :subject, :grant, :unit, :roles::text[], :binding::bytea, :new_session::uuid,
  to_timestamp(:expires::float8)) s
