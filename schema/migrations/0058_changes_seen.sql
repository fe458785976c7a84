-- Events after a place, as in 0040; each report's once, and that a unit left to those alone who see it no more.
SET search_path = tiendo, public;

CREATE OR REPLACE FUNCTION change_page(p_after bigint, p_mark text, p_most int, p_source text)
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
    FROM unnest(found) WITH ORDINALITY x(p, n) JOIN journal_seal s ON s.position = x.p
    -- (what the journal tells of a report at its unit and at its recipient is told once to who sees both)
    WHERE NOT (s.resource_type = 'report' AND EXISTS (SELECT FROM journal_seal t
        WHERE t.resource_id = s.resource_id AND t.position < s.position AND t.position >= s.position - 100 AND t.at = s.at)
      AND EXISTS (SELECT FROM report r WHERE r.id = s.resource_id AND (r.scope_key <@ scope()
        OR in_limited(r.programme_id, r.scope_key, limited_programmes(), limited_scopes()))))
      AND NOT (s.resource_type = 'organization' AND s.action = 'leave' AND EXISTS (SELECT FROM organization o WHERE o.id = s.resource_id))
    ORDER BY x.n;
  here := coalesce(until, head);
  RETURN QUERY SELECT NULL::text, lpad(here::text, 19, '0'), journal_mark(here), here < head;
END $$;
