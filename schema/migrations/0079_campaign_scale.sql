-- What 200,000 activities of a province ask of indexes: as 0041 did for units and values, a page in an order other than the tree's is read from that order's
-- own index, which holds the key last, and the planner is told nothing of how keys lie.
SET search_path = tiendo, public;

DROP INDEX activity_starts;
CREATE INDEX activity_starts ON activity (starts_on, id, scope_key);
DROP INDEX activity_updated;
CREATE INDEX activity_updated ON activity (updated_at, id, scope_key);
DROP INDEX campaign_assignment_due;
CREATE INDEX campaign_assignment_due ON campaign_assignment (due_on, id, scope_key);
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['activity', 'campaign_assignment', 'activity_proposal', 'campaign_reach', 'campaign_review', 'product', 'product_reuse', 'recognition'] LOOP
    EXECUTE format('ALTER TABLE %I ALTER COLUMN scope_key SET STATISTICS 0', t);
  END LOOP;
END $$;
