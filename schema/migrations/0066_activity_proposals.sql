-- What an activity proposes as an indicator's value of its unit. It becomes a value when who enters the unit's values confirms it, by the very rules of
-- entering one, and never in place of a figure that was entered otherwise.
SET search_path = tiendo, public;

-- Keeps what the body proposes: nothing said leaves it, null takes an open one back, figures replace an open one or make another.
CREATE FUNCTION activity_propose(a activity, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  g jsonb := nullif(body -> 'proposes', 'null');
  i indicator;
  p period;
  cat text := coalesce(g ->> 'category', '');
BEGIN
  IF NOT body ? 'proposes' THEN RETURN; END IF;
  DELETE FROM activity_proposal x WHERE x.activity_id = a.id AND x.state = 'proposed';
  IF g IS NULL THEN RETURN; END IF;
  SELECT * INTO i FROM indicator x WHERE x.id = (SELECT indicator_id(g ->> 'indicator')) AND x.programme_id = a.programme_id;
  SELECT * INTO p FROM period x WHERE x.id = (SELECT period_id(g ->> 'period'));
  PERFORM refuse(
    CASE WHEN i.id IS NULL THEN fault('#/proposes/indicator', 'unknown_reference', 'the campaign''s programme has no such indicator') END,
    CASE WHEN p.id IS NULL THEN value_fault('#/proposes/period', 'unknown_reference')
      WHEN i.id IS NOT NULL THEN value_fault('#/proposes/period', period_fault(i.frequency, i.programme_id, p.kind, p.programme_id, p.starts_on, today())) END);
  PERFORM refuse(
    CASE WHEN (assignment_of(i.id, a.scope_key, p.ends_on)).mode IS NULL THEN value_fault('#/proposes/indicator', 'not_assigned') END,
    value_fault('#/proposes/category', category_fault(i.categories, cat)),
    value_fault('#/proposes/numerator', numerator_fault(i.kind, 'reported', g ->> 'numerator')),
    value_fault('#/proposes/denominator', denominator_fault(i.kind, 'reported', g ->> 'numerator', g ->> 'denominator')),
    value_fault('#/proposes/number', number_fault(i.kind, 'reported', g ->> 'number')),
    value_fault('#/proposes/done_on', done_fault(i.kind, 'reported', NULL, g ->> 'done_on', p.ends_on, today())));
  INSERT INTO activity_proposal (id, activity_id, programme_id, organization_id, scope_key, indicator_id, period_id, category, numerator, denominator, number,
    done_on)
  VALUES (uuid_v7(), a.id, a.programme_id, a.organization_id, a.scope_key, i.id, p.id, cat, trim_scale((g ->> 'numerator')::numeric),
    trim_scale((g ->> 'denominator')::numeric), trim_scale((g ->> 'number')::numeric), (g ->> 'done_on')::date);
END $$;

-- Whoever decides writes the proposal, and the version of the activity that shows it.
CREATE POLICY service_decide ON activity_proposal FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'values:write'
  AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)));
CREATE POLICY service_decide ON activity FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'values:write'
  AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)));
GRANT INSERT, DELETE ON activity_proposal TO tiendo_service;
GRANT UPDATE (state, reason, value_id, value_version, decided_at, decided_by, version, updated_at) ON activity_proposal TO tiendo_service;
-- What a proposal carries of what it belongs to is what that says of itself.
CREATE FUNCTION activity_proposal_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM made m LEFT JOIN activity a ON a.id = m.activity_id AND a.programme_id = m.programme_id AND a.organization_id = m.organization_id
      AND a.scope_key = m.scope_key WHERE a.id IS NULL) THEN
    RAISE EXCEPTION 'a proposal is not what it says' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER activity_proposal_made AFTER INSERT ON activity_proposal REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION activity_proposal_made();

-- The open proposal of an activity for whoever may decide on it. In this order: 404, 403, 428, 412, 409.
CREATE FUNCTION activity_proposal_to_decide(a activity, if_match text) RETURNS activity_proposal LANGUAGE plpgsql STABLE AS $$
DECLARE
  p activity_proposal;
  i indicator;
  c campaign;
  mode_of record;
BEGIN
  IF a.id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  SELECT * INTO p FROM activity_proposal x WHERE x.activity_id = a.id AND x.state = 'proposed';
  SELECT * INTO i FROM indicator x WHERE x.id = p.indicator_id;
  SELECT * INTO mode_of FROM assignment_of(i.id, a.scope_key, (SELECT x.ends_on FROM period x WHERE x.id = p.period_id));
  IF NOT may_write(a.programme_id, a.scope_key)
      AND NOT (a.scope_key <@ behalf_scope() AND (p.id IS NULL OR mode_of.entered_by IS NOT DISTINCT FROM 'superior')) THEN
    PERFORM fail(403, 'forbidden', NULL, format('What is proposed for %s is decided on by whoever enters its values.', a.organization_code));
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  IF if_match <> '*' AND a.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  SELECT * INTO c FROM campaign x WHERE x.id = a.campaign_id;
  IF c.status <> 'active' THEN
    PERFORM fail(409, 'campaign_not_active', NULL, format('%s is not active: nothing is entered in it.', c.code));
  END IF;
  PERFORM campaign_open(c.id);
  IF p.id IS NULL THEN PERFORM fail(409, 'wrong_state', NULL, 'The activity proposes nothing that waits for a decision.'); END IF;
  RETURN p;
END $$;

-- A figure as one reads it.
CREATE FUNCTION figure_text(numerator numeric, denominator numeric, number numeric, done_on date) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(trim_scale(number)::text, trim_scale(numerator)::text || '/' || trim_scale(denominator)::text, to_char(done_on, 'YYYY-MM-DD'), '–') $$;

-- Writes the decision; the activity shows it, so it has another version.
CREATE FUNCTION activity_decided(a activity, p activity_proposal, p_state text, p_reason text, v value, was jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE activity_proposal x SET state = p_state, reason = p_reason, value_id = v.id, value_version = v.version, decided_at = clock_now(),
    decided_by = coalesce(me_account(), me_client()), version = x.version + 1, updated_at = clock_now()
  WHERE x.id = p.id AND x.state = 'proposed';
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  UPDATE activity x SET version = x.version + 1, updated_at = clock_now() WHERE x.id = a.id AND x.version = a.version RETURNING * INTO a;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := activity_json(a);
  PERFORM journal('update', 'activity', a.id, a.version, a.scope_key, was, body_out::jsonb, request_id, a.programme_id);
  RETURN QUERY SELECT 200, a.version::text, NULL::text, body_out;
END $$;

CREATE FUNCTION activity_proposal_confirm(ref text, new_id uuid, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a activity;
  p activity_proposal;
  v value;
  was jsonb;
BEGIN
  SELECT * INTO a FROM activity x WHERE x.id = ref::uuid;
  p := activity_proposal_to_decide(a, if_match);
  was := activity_json(a)::jsonb;
  SELECT * INTO v FROM value x WHERE x.indicator_id = p.indicator_id AND x.period_id = p.period_id AND x.scope_key = p.scope_key AND x.category = p.category;
  IF v.locked > 0 THEN
    PERFORM fail(409, 'locked', NULL, format('The figure %s stands in a submitted report; proposed is %s.',
      figure_text(v.numerator, v.denominator, v.number, v.done_on), figure_text(p.numerator, p.denominator, p.number, p.done_on)));
  END IF;
  -- Its own figure, which nobody touched since, it may say anew.
  IF v.id IS NOT NULL AND NOT EXISTS (SELECT FROM activity_proposal x WHERE x.activity_id = a.id AND x.state = 'confirmed' AND x.value_id = v.id
      AND x.value_version = v.version) THEN
    PERFORM fail(409, 'value_exists', NULL, format('%s of %s for %s is %s already; proposed is %s.', v.indicator_code, v.organization_code, v.period_code,
      figure_text(v.numerator, v.denominator, v.number, v.done_on), figure_text(p.numerator, p.denominator, p.number, p.done_on)));
  END IF;
  PERFORM value_put(p.indicator_id::text, p.organization_id::text, p.period_id::text, p.category,
    jsonb_strip_nulls(jsonb_build_object('numerator', p.numerator, 'denominator', p.denominator, 'number', p.number, 'done_on', p.done_on,
      'source', left(concat_ws(' – ', 'Hoạt động ' || coalesce(a.code, to_char(a.starts_on, 'DD/MM/YYYY')), a.title), 500),
      'evidence_url', CASE WHEN evidence_fault(a.evidence_url) IS NULL THEN a.evidence_url END)),
    v.version::text, CASE WHEN v.id IS NULL THEN '*' END, new_id, request_id);
  SELECT * INTO STRICT v FROM value x WHERE x.indicator_id = p.indicator_id AND x.period_id = p.period_id AND x.scope_key = p.scope_key
    AND x.category = p.category;
  RETURN QUERY SELECT * FROM activity_decided(a, p, 'confirmed', NULL, v, was, request_id);
END $$;

CREATE FUNCTION activity_proposal_decline(ref text, body jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  a activity;
  p activity_proposal;
BEGIN
  SELECT * INTO a FROM activity x WHERE x.id = ref::uuid;
  p := activity_proposal_to_decide(a, if_match);
  RETURN QUERY SELECT * FROM activity_decided(a, p, 'declined', body ->> 'reason', NULL, activity_json(a)::jsonb, request_id);
END $$;

GRANT EXECUTE ON FUNCTION activity_propose(activity, jsonb), activity_proposal_to_decide(activity, text), figure_text(numeric, numeric, numeric, date),
  activity_decided(activity, activity_proposal, text, text, value, jsonb, text), activity_proposal_confirm(text, uuid, text, text),
  activity_proposal_decline(text, jsonb, text, text) TO tiendo_service;
