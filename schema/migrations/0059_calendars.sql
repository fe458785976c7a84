-- The calendar a root keeps: its own days off, and the days it works, beside the country's.
SET search_path = tiendo, public;

-- By whoever defines over the whole root.
CREATE FUNCTION may_keep_calendar() RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN coalesce(me_permission() = 'duties:write' AND left(me_seat_key(), 6) <@ write_scope(), false);
END $$;
CREATE POLICY service_insert ON holiday FOR INSERT TO tiendo_service WITH CHECK (root_id = (SELECT me_root()) AND (SELECT may_keep_calendar()));
CREATE POLICY service_update ON holiday FOR UPDATE TO tiendo_service USING (root_id = (SELECT me_root()) AND (SELECT may_keep_calendar()));
CREATE POLICY service_delete ON holiday FOR DELETE TO tiendo_service USING (root_id = (SELECT me_root()) AND (SELECT may_keep_calendar()));
GRANT INSERT (id, root_id, day, name, working), UPDATE (name, working, version, updated_at), DELETE ON holiday TO tiendo_service;

CREATE FUNCTION holiday_json(h holiday) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (SELECT h.day, h.name, h.working, h.root_id IS NULL AS country, h.version,
    tstz(h.created_at) AS created_at, tstz(h.updated_at) AS updated_at) r);
END $$;
CREATE FUNCTION holiday_refuse() RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT may_keep_calendar() THEN
    PERFORM fail(403, 'forbidden', NULL, 'The calendar is kept by the managers of the root or by a mandate to define over all of it.');
  END IF;
END $$;
CREATE FUNCTION holiday_put(p_day date, body jsonb, if_match text, if_none_match text, new_id uuid, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  h holiday;
  was jsonb;
  off boolean := coalesce((body ->> 'working')::boolean, false);
BEGIN
  PERFORM holiday_refuse();
  SELECT * INTO h FROM holiday x WHERE x.root_id = me_root() AND x.day = p_day;
  IF NOT FOUND THEN
    IF if_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
    IF if_none_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
    INSERT INTO holiday (id, root_id, day, name, working) VALUES (new_id, me_root(), p_day, body ->> 'name', off) RETURNING * INTO h;
    body_out := holiday_json(h);
    PERFORM journal('create', 'holiday', h.id, h.version, left(me_seat_key(), 6), NULL, body_out::jsonb, request_id);
    RETURN QUERY SELECT 201, h.version::text, '/v1/holidays?day=' || h.day, body_out;
    RETURN;
  END IF;
  IF if_none_match IS NOT NULL THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := holiday_json(h)::jsonb;
  UPDATE holiday x SET name = body ->> 'name', working = off, version = x.version + 1, updated_at = clock_now()
  WHERE x.id = h.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO h;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := holiday_json(h);
  PERFORM journal('update', 'holiday', h.id, h.version, left(me_seat_key(), 6), was, body_out::jsonb, request_id);
  RETURN QUERY SELECT 200, h.version::text, NULL::text, body_out;
END $$;
-- Takes a line of one's own away; the country's then holds again.
CREATE FUNCTION holiday_delete(p_day date, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE h holiday;
BEGIN
  PERFORM holiday_refuse();
  SELECT * INTO h FROM holiday x WHERE x.root_id = me_root() AND x.day = p_day;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  DELETE FROM holiday x WHERE x.id = h.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')));
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'holiday', h.id, h.version + 1, left(me_seat_key(), 6), holiday_json(h)::jsonb, NULL, request_id);
END $$;

GRANT EXECUTE ON FUNCTION may_keep_calendar(), holiday_json(holiday), holiday_refuse(), holiday_put(date, jsonb, text, text, uuid, text),
  holiday_delete(date, text, text) TO tiendo_service;
