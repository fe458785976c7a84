-- The list of reports for those who have few: its first page is read in the order of the tree, and so has to know where the caller's reports begin and
-- end, those addressed to it among them. Without those bounds a cell with ten reports reads past those of the whole province.
SET search_path = tiendo, public;

CREATE INDEX report_recipient_tree ON report (recipient_id, scope_key);
-- A page of one duty's or one period's reports, in the order of the tree.
CREATE INDEX report_duty_tree ON report (duty_id, scope_key, id);
CREATE INDEX report_period_tree ON report (period_id, scope_key, id);

-- The units that were ever to get a copy: rows are only added, mostly none.
CREATE TABLE report_copied (organization_id uuid PRIMARY KEY);
ALTER TABLE report_copied ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_copied FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON report_copied TO tiendo_owner USING (true) WITH CHECK (true);
INSERT INTO report_copied SELECT DISTINCT c FROM report r, unnest(r.copy_ids) c;
CREATE FUNCTION report_copied_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_copied SELECT DISTINCT c FROM written w, unnest(w.copy_ids) c
  WHERE NOT EXISTS (SELECT FROM report_copied x WHERE x.organization_id = c) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER report_copied_made AFTER INSERT ON report REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION report_copied_note();
CREATE FUNCTION report_copied_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  INSERT INTO report_copied SELECT DISTINCT c FROM unnest(new.copy_ids) c ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER report_copied_changed AFTER UPDATE OF copy_ids ON report FOR EACH ROW WHEN (old.copy_ids <> new.copy_ids) EXECUTE FUNCTION report_copied_change();

-- From which key on, and before which, all reports lie that the caller may see: its scope's, those addressed to its seat; all, where it gets copies.
CREATE FUNCTION report_lo() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  lo text := scope_lo();
  seat uuid;
BEGIN
  FOREACH seat IN ARRAY me_seats() LOOP
    IF EXISTS (SELECT FROM report_copied c WHERE c.organization_id = seat) THEN RETURN ''; END IF;
    lo := least(lo, (SELECT r.scope_key FROM report r WHERE r.recipient_id = seat ORDER BY r.recipient_id, r.scope_key LIMIT 1));
  END LOOP;
  RETURN lo;
END $$;
CREATE FUNCTION report_hi() RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  hi text := scope_hi();
  seat uuid;
BEGIN
  FOREACH seat IN ARRAY me_seats() LOOP
    IF EXISTS (SELECT FROM report_copied c WHERE c.organization_id = seat) THEN RETURN '~'; END IF;
    hi := greatest(hi, (SELECT r.scope_key FROM report r WHERE r.recipient_id = seat ORDER BY r.recipient_id DESC, r.scope_key DESC LIMIT 1) || '~');
  END LOOP;
  RETURN hi;
END $$;
GRANT EXECUTE ON FUNCTION report_lo(), report_hi() TO tiendo_service;

-- What service_read and service_addressed said, as one. (coalesce: of what the planner knows nothing it takes half of the rows to pass, and keeps the order
-- of an index. Lists name the bounds themselves, so that a report read by its id does not pay for them.)
DROP POLICY service_read ON report;
DROP POLICY service_addressed ON report;
CREATE POLICY service_read ON report FOR SELECT TO tiendo_service USING (
  coalesce(scope_key >= (SELECT scope_lo()) AND scope_key < (SELECT scope_hi()) AND ((SELECT one_range()) OR scope_key <@ (SELECT scope())
      OR in_limited(programme_id, scope_key, (SELECT limited_programmes()), (SELECT limited_scopes())))
    OR recipient_id = ANY ((SELECT me_seats())::uuid[]) OR (shown IS NOT NULL AND copy_ids && (SELECT me_seats())), false));
