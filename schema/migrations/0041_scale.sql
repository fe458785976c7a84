-- What the country's 265,000 units ask of indexes and of search. A page in an order other than the tree's is read from that order's
-- index, and units out of the caller's scope are passed over inside it: so each such index holds the key, last.
SET search_path = tiendo, public;

DROP INDEX organization_code;
CREATE INDEX organization_code ON organization (code COLLATE "C", id, scope_key);
DROP INDEX organization_created;
CREATE INDEX organization_created ON organization (created_at, id, scope_key);
DROP INDEX value_updated;
CREATE INDEX value_updated ON value (updated_at, id, scope_key);
-- The planner is told nothing of how units' keys lie on disk: knowing it, it would read the whole scope, expecting a two-hundredth of it,
-- and sort that, where fifty rows from the order's own index are the page.
ALTER TABLE organization ALTER COLUMN scope_key SET STATISTICS 0;
-- A page is sorted by its id too. Planned for the few rows that policies make the planner expect, it would be sorted after all rows were
-- read, were the id not in the index: 4,111 rows for the 50 of an indicator and period.
CREATE INDEX organization_tree ON organization (scope_key, id);
DROP INDEX value_range;
CREATE INDEX value_range ON value (indicator_id, period_id, scope_key, id);
-- What few units are, found in tree order.
CREATE INDEX organization_attached ON organization (attached, scope_key);
CREATE INDEX organization_ended ON organization ((valid_to IS NULL), scope_key);
-- The indexes of the constraints against overlaps are slow to look up a unit by (their pages overlap).
CREATE INDEX organization_span_unit ON organization_span (organization_id);
CREATE INDEX organization_closure_unit ON organization_closure (descendant_id, ancestor_id);
CREATE INDEX organization_identifier_unit ON organization_identifier (organization_id);

-- ---- search ------------------------------------------------------------------------------------------------
-- A search that finds few units is answered by their ids. One that finds very many (a word such as "chi bộ" stands in nearly every
-- name) is answered by its patterns: who reads in order meets enough of them at once. One of the two is empty.
CREATE TYPE found_units AS (ids uuid[], patterns text[]);

-- In tree order, some units of the caller's area are looked at. Where that is all of it, what was found is the answer; where one in
-- two hundred is found, they are many, for a page of them is met soon; else they are looked up by trigrams.
CREATE FUNCTION filter_units(q text) RETURNS found_units LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  patterns text[] := search_patterns(q);
  most constant int := 4000;
  found uuid[];
  looked int;
BEGIN
  IF area() IS NULL OR patterns IS NULL THEN RETURN ('{}', '{}')::found_units; END IF;
  SELECT count(*), array_agg(w.id) FILTER (WHERE w.search LIKE ALL (patterns)) INTO looked, found
  FROM (SELECT o.id, o.search FROM organization o WHERE o.scope_key >= scope_lo() AND o.scope_key < scope_hi() ORDER BY o.scope_key LIMIT most) w;
  IF looked < most THEN RETURN (coalesce(found, '{}'), '{}')::found_units; END IF;
  IF cardinality(found) < most / 200 OR found IS NULL THEN
    found := organization_search(q);
    IF cardinality(found) < 10000 THEN RETURN (found, '{}')::found_units; END IF;
  END IF;
  RETURN ('{}', patterns)::found_units;
END $$;
GRANT USAGE ON TYPE found_units TO tiendo_service;
GRANT EXECUTE ON FUNCTION filter_units(text) TO tiendo_service;
