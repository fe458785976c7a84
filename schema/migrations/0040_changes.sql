-- The feed of changes: sealed rows of the journal in their order, each caller's own, in bounded steps.
SET search_path = tiendo, public;

-- Where a resource is read.
CREATE FUNCTION journal_subject(kind text, id uuid, version bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE told text;
BEGIN
  CASE kind
    WHEN 'value' THEN
      SELECT concat('/v1/values/', url_encode(i.code), '/', url_encode(r.organization_code), '/', url_encode(r.period_code),
        CASE WHEN r.category <> '' THEN '?category=' || url_encode(r.category) END) INTO told
      FROM value_revision r JOIN indicator i ON i.id = r.indicator_id WHERE r.value_id = $2 AND r.version = $3;
    WHEN 'assignment' THEN
      SELECT concat('/v1/indicators/', a.indicator_id, '/assignments/', a.id) INTO told FROM assignment a WHERE a.id = $2;
    WHEN 'target' THEN
      SELECT concat('/v1/indicators/', t.indicator_id, '/targets/', t.id) INTO told FROM target t WHERE t.id = $2;
    WHEN 'client_secret' THEN
      SELECT concat('/v1/clients/', c.client_id, '/secrets') INTO told FROM client_secret c WHERE c.id = $2;
    WHEN 'journal' THEN told := '/v1/audit-events';
    ELSE told := NULL;
  END CASE;
  RETURN coalesce(told, concat('/v1/', replace(kind, '_', '-'), 's/', id));
END $$;

-- A mark of the chain at a place, by which is told whether it is still the same chain; NULL where there is no such place.
CREATE FUNCTION journal_mark(p_position bigint) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE found text := (SELECT encode(s.hash, 'hex') FROM journal_seal s WHERE s.position = p_position);
BEGIN
  IF found IS NULL THEN SELECT s.start_hash INTO found FROM journal_start() s WHERE s.start_position = p_position; END IF;
  RETURN left(encode(sha256(convert_to('mark ' || found, 'UTF8')), 'hex'), 16);
END $$;

-- The events after a place (NULL: from the oldest kept; -1: from now on), at most so many; then a row without an item: the next
-- place, its mark, and whether there may be more already. A place that is not kept, or is of another chain, is 410.
CREATE FUNCTION change_page(p_after bigint, p_mark text, p_most int, p_source text)
  RETURNS TABLE (item text, place text, mark text, more boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
  start bigint := (SELECT s.start_position FROM journal_start() s);
  head bigint := (SELECT h.head_position FROM seal_head() h);
  here bigint := CASE p_after WHEN -1 THEN head ELSE coalesce(p_after, start) END;
  found bigint[];
  until bigint;
BEGIN
  IF p_mark IS NOT NULL AND (here < start OR here > head OR journal_mark(here) IS DISTINCT FROM p_mark) THEN
    PERFORM fail(410, 'cursor_expired');
  END IF;
  SELECT f.positions, f.until INTO found, until FROM journal_find('{}', here, false, p_most + 1, 20000) f;
  IF cardinality(found) > p_most THEN
    found := found[:p_most];
    until := found[p_most];
  END IF;
  RETURN QUERY SELECT json_build_object('specversion', '1.0', 'id', left(encode(s.hash, 'hex'), 32), 'source', p_source,
      'type', concat('tiendo.', s.resource_type, '.', s.action), 'time', tstz(s.at),
      'subject', journal_subject(s.resource_type, s.resource_id, s.version), 'datacontenttype', 'application/json',
      'data', json_build_object('resource_type', s.resource_type, 'resource_id', s.resource_id, 'action', s.action, 'version', s.version,
        'deleted', s.action = 'delete'))::text, NULL::text, NULL::text, NULL::boolean
    FROM unnest(found) WITH ORDINALITY x(p, n) JOIN journal_seal s ON s.position = x.p ORDER BY x.n;
  here := coalesce(until, head);
  RETURN QUERY SELECT NULL::text, lpad(here::text, 19, '0'), journal_mark(here), here < head;
END $$;

GRANT EXECUTE ON FUNCTION journal_subject(text, uuid, bigint), journal_mark(bigint), change_page(bigint, text, int, text) TO tiendo_service;
