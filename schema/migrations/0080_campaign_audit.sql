-- The audit trail tells of what units enter in campaigns as of values: whether another unit entered it, and which reason was given for this very change.
SET search_path = tiendo, public;

CREATE OR REPLACE VIEW audit_event WITH (security_invoker = true) AS
SELECT s.position, s.at, s.action, s.resource_type, s.resource_id, s.version, s.unit, s.scope_key, s.account_id, s.client_id, s.xid, s.seq,
  j.request_id,
  CASE
    WHEN s.resource_type IN ('activity', 'campaign_reach', 'product', 'product_reuse', 'campaign_review') AND j.action IN ('create', 'update') AND j.after IS NOT NULL
      THEN coalesce((j.after ->> 'on_behalf')::boolean, false)
    -- what is decided on, published and withdrawn is that unit's own word
    WHEN (s.resource_type IN ('activity', 'campaign_reach', 'product', 'product_reuse', 'campaign_review', 'recognition') AND j.action IN ('create', 'update', 'delete'))
      OR s.resource_type = 'campaign_assignment'
      THEN coalesce(a.actor ->> 'organization' NOT IN (coalesce(i.image ->> 'organization', i.image ->> 'organization_code'),
        CASE s.resource_type WHEN 'campaign_assignment' THEN i.image ->> 'set_by' ELSE '' END), false)
    ELSE coalesce(r.on_behalf, false) END AS on_behalf,
  CASE WHEN s.resource_type IN ('activity', 'campaign_assignment', 'product', 'recognition')
    THEN CASE WHEN j.after ->> 'reason' IS DISTINCT FROM j.before ->> 'reason' THEN j.after ->> 'reason' END ELSE r.reason END AS reason,
  j.before, j.after, a.actor
FROM journal_seal s JOIN journal j ON j.xid = s.xid AND j.seq = s.seq
  CROSS JOIN LATERAL (SELECT coalesce(j.after, j.before) AS image) i
  LEFT JOIN value_revision r ON s.resource_type = 'value' AND r.value_id = s.resource_id AND r.version = s.version
  -- once a row, though two columns tell of it
  CROSS JOIN LATERAL (SELECT journal_actor(s.position) AS actor OFFSET 0) a;
