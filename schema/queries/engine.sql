-- What the engine itself runs beside the named query of an operation.

-- name: enter :call
-- takes: grant, session, kid, permission
SELECT enter(:grant::uuid, :session::uuid, :kid, :permission)

-- name: idempotency_claim :call
-- takes: key, fingerprint, hours
SELECT c.status, c.version, c.location, c.body FROM idempotency_claim(:key, :fingerprint::bytea, :hours::int) c

-- name: idempotency_store :call
-- takes: key, fingerprint, status, version, location, body
SELECT idempotency_store(:key, :fingerprint::bytea, :status::int, :version, :location, :body)

-- name: seal_step :call
-- takes: most
SELECT s.sealed, s.head_position, s.head_hash FROM seal_step(:most::int) s

-- name: rollup_fold :call
-- takes: most
SELECT rollup_fold(:most::int)

-- name: activity_fold :call
-- takes: most
SELECT activity_fold(:most::int)

-- name: campaign_standing_fold :call
-- takes: most
SELECT campaign_standing_fold(:most::int)

-- name: seal_head :call
-- takes:
SELECT h.head_position, h.head_hash FROM seal_head() h

-- name: housekeeping :call
-- takes: hours
SELECT housekeeping(:hours::int)

-- name: tree_turn :call
-- takes:
SELECT tree_turn()

-- name: report_expect :call
-- takes: most
SELECT report_expect(:most::int)
