-- The stored sums of activities against a recount, through a thousand random writes, whole sets of them, moves between phases and folds.
BEGIN;
SELECT setseed(0.465) \g /dev/null
SELECT test_prepare($p$
  INSERT INTO campaign (id, programme_id, root_id, scope_key, scope_id, owner_id, code, title, status)
  SELECT test_id(), p.id, o.root_id, o.scope_key, o.id, o.id, x.code, 'Tuyên truyền', 'active' FROM programme p, organization o, (VALUES ('DN-TT'), ('DN-TT2')) x(code)
  WHERE p.code = 'DN-464' AND o.code = 'DN-TU';
  INSERT INTO campaign_phase (id, campaign_id, code, position, starts_on, ends_on)
  SELECT test_id(), c.id, x.code, x.n, x.starts_on, x.ends_on FROM campaign c,
    (VALUES ('GD1', 1, NULL, date '2026-06-30'), ('GD2', 2, date '2026-07-01', date '2028-12-31')) x(code, n, starts_on, ends_on);
  CREATE FUNCTION test_recount() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = tiendo, public AS
    $f$ SELECT count(*) || ' differ' FROM activity_recount() $f$;
  GRANT EXECUTE ON FUNCTION test_recount() TO tiendo_service;
$p$) \g /dev/null
-- A random activity of a unit, as a body.
CREATE FUNCTION pg_temp.random_activity() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  s text := (ARRAY['planned', 'under_way', 'done', 'postponed', 'cancelled'])[1 + floor(random() * 5)];
  first boolean := random() < 0.5;
BEGIN
  RETURN jsonb_strip_nulls(jsonb_build_object('phase', CASE WHEN first THEN 'GD1' ELSE 'GD2' END,
    'kind', (ARRAY['conference', 'seminar', 'poster'])[1 + floor(random() * 3)], 'title', 'Hội nghị', 'status', s,
    'starts_on', CASE WHEN first THEN '2026-03-01' ELSE '2026-07-02' END, 'ends_on', CASE WHEN first THEN '2026-03-05' ELSE '2026-07-05' END,
    'planned', floor(random() * 9)::int,
    'done', CASE WHEN s = 'done' THEN 1 + floor(random() * 9)::int WHEN s IN ('planned', 'cancelled') THEN 0 ELSE floor(random() * 3)::int END,
    'reason', CASE WHEN s IN ('postponed', 'cancelled') THEN 'Mưa lớn' END,
    'contacts_planned', CASE WHEN random() < 0.5 THEN floor(random() * 500)::int END, 'contacts_reached', CASE WHEN random() < 0.5 THEN floor(random() * 500)::int END));
END $$;
DO $$
DECLARE
  step int;
  one uuid;
  body jsonb;
BEGIN
  FOR step IN 1..1000 LOOP
    PERFORM test_enter('DN-TU', 'connector', 'activities:write');
    SELECT a.id INTO one FROM activity a ORDER BY a.id OFFSET floor(random() * (SELECT count(*) FROM activity)) LIMIT 1;
    body := pg_temp.random_activity();
    IF one IS NULL OR random() < 0.45 THEN
      PERFORM activity_create(test_id(), body || jsonb_build_object('campaign', 'DN-TT', 'organization',
        'DN-W' || (1 + floor(random() * 4))::int || CASE WHEN random() < 0.7 THEN '-CB0' || (1 + floor(random() * 5))::int ELSE '' END), NULL);
    ELSIF random() < 0.6 THEN
      -- what it does not say is to go, as far as it may
      PERFORM activity_update(one::text, '{"done_on": null, "contacts_planned": null, "contacts_reached": null}' || body, '*', NULL);
    ELSIF random() < 0.3 THEN
      UPDATE activity a SET planned = a.planned + 1, title = 'Nhiều', version = a.version + 1 WHERE a.scope_key IN (SELECT x.scope_key FROM activity x ORDER BY x.id LIMIT 3);
    ELSE
      PERFORM activity_delete(one::text, '*', NULL);
    END IF;
    IF step % 37 = 0 THEN PERFORM activity_fold(1 + floor(random() * 60)::int); END IF;
    IF step % 100 = 0 AND test_recount() <> '0 differ' THEN RAISE EXCEPTION 'after step %: %', step, test_recount(); END IF;
  END LOOP;
END $$;
SELECT test('random: there is something to compare', (count(*) > 100)::text, 'true') FROM activity;
SELECT test('random: of every status', count(DISTINCT status)::text, '5') FROM activity;
SELECT test('random: with deltas', test_recount(), '0 differ');
CREATE TEMP TABLE shown AS SELECT phase_id, scope_key, kind, sum(n_done) AS n_done, sum(planned) AS planned, sum(done) AS done, sum(contacts_reached) AS reached
FROM (SELECT * FROM activity_sum UNION ALL SELECT * FROM activity_delta) x GROUP BY 1, 2, 3;
SELECT test('random: everything folds', (activity_fold(1000000) > 0)::text, 'true');
SELECT test('random: nothing is left', count(*)::text, '0') FROM activity_delta;
SELECT test('random: folded', test_recount(), '0 differ');
SELECT test('random: figures are the same before and after folding', count(*)::text, '0')
FROM shown s JOIN activity_sum x USING (phase_id, scope_key, kind) WHERE (s.n_done, s.planned, s.done, s.reached) <> (x.n_done, x.planned, x.done, x.contacts_reached);
SELECT test('a change of words leaves no delta', count(*)::text, '0') FROM activity_delta;
UPDATE activity SET title = 'Tên khác';
SELECT test('a change of words leaves no delta, of all at once', count(*)::text, '0') FROM activity_delta;
-- An activity is what it says, whoever writes it; and only the owner moves one without a trace.
SELECT test('of another unit''s key', test_try($q$INSERT INTO activity (id, campaign_id, phase_id, programme_id, organization_id, organization_code, scope_key, kind,
    title, starts_on, ends_on, on_behalf, entered_by, seat_id, grant_id)
  SELECT test_id(), a.campaign_id, a.phase_id, a.programme_id, a.organization_id, a.organization_code, (SELECT o.scope_key FROM organization o WHERE o.code = 'DN-TU'),
    a.kind, a.title, a.starts_on, a.ends_on, false, a.entered_by, a.seat_id, a.grant_id FROM activity a LIMIT 1$q$), '42501 an activity is not what it says');
SELECT test('of another campaign''s phase', test_try($q$UPDATE activity SET phase_id = (SELECT f.id FROM campaign_phase f JOIN campaign c ON c.id = f.campaign_id WHERE c.code = 'DN-TT2' LIMIT 1) WHERE id = (SELECT x.id FROM activity x LIMIT 1)$q$),
  '42501 an activity is not what it says');
SELECT set_config('tiendo.recount', 'rekey x', true) \g /dev/null
SELECT test('moved without the owner''s word', test_try('UPDATE activity SET done = 9 WHERE status = ''done'''), '42501 only the owner moves activities without a trace');
SELECT set_config('tiendo.recount', '', true) \g /dev/null

-- What is meant by the rules, one by one: what is given, and what comes of it.
SELECT test('rule ' || what, coalesce(got, 'right'), wanted) FROM (VALUES
  ('code', activity_code_fault(repeat('x', 65)), 'pattern'), ('code, none', activity_code_fault(NULL), 'right'),
  ('title', activity_title_fault(''), 'required'), ('title, long', activity_title_fault(repeat('x', 501)), 'too_long'),
  ('kind, none', activity_kind_fault(NULL, true, '{}'), 'required'), ('kind, unknown', activity_kind_fault('a', false, '{}'), 'unknown_reference'),
  ('kind of the phase', activity_kind_fault('a', true, '{a,b}'), 'right'), ('kind not of it', activity_kind_fault('c', true, '{a,b}'), 'not_in_phase'),
  ('kind of any', activity_kind_fault('c', true, '{}'), 'right'), ('topic', activity_topic_fault('x', '{y}'), 'unknown_reference'),
  ('topic, none of none', activity_topic_fault(NULL, '{}'), 'right'),
  ('channels', activity_channels_fault('{a,b}', '{a}'), 'unknown_reference'), ('channels, none', activity_channels_fault('{}', NULL), 'right'),
  ('status', activity_status_fault('late'), 'enum'),
  ('start before an open one', activity_starts_on_fault('2020-01-01', NULL, '2026-06-30'), 'right'),
  ('start before', activity_starts_on_fault('2026-06-30', '2026-07-01', '2028-12-31'), 'out_of_range'),
  ('start on the last day', activity_starts_on_fault('2028-12-31', '2026-07-01', '2028-12-31'), 'right'),
  ('start that is no day', activity_starts_on_fault('2026-02-30', NULL, '2026-06-30'), 'date'),
  ('end before start', activity_ends_on_fault('2026-01-01', '2026-01-02', 'planned', '2026-06-30'), 'ends_before_start'),
  ('end after the phase', activity_ends_on_fault('2026-07-01', '2026-01-02', 'postponed', '2026-06-30'), 'out_of_range'),
  ('end after the phase, done', activity_ends_on_fault('2026-07-01', '2026-01-02', 'done', '2026-06-30'), 'right'),
  ('done without a day', activity_done_on_fault(NULL, 'done', '2026-01-01', '2026-07-10'), 'required'),
  ('not done, with a day', activity_done_on_fault('2026-01-01', 'planned', '2026-01-01', '2026-07-10'), 'contradiction'),
  ('done tomorrow', activity_done_on_fault('2026-07-11', 'done', '2026-01-01', '2026-07-10'), 'in_the_future'),
  ('done before it starts', activity_done_on_fault('2025-12-31', 'done', '2026-01-01', '2026-07-10'), 'before_start'),
  ('quantity', activity_quantity_fault('1000000'), 'right'), ('quantity, more', activity_quantity_fault('1000001'), 'out_of_range'),
  ('quantity, broken', activity_quantity_fault('1.5'), 'integer'), ('quantity, below', activity_quantity_fault('-1'), 'integer'),
  ('done nothing', activity_done_fault('0', 'done'), 'contradiction'), ('done nothing, unsaid', activity_done_fault(NULL, 'done'), 'contradiction'),
  ('planned, done', activity_done_fault('1', 'planned'), 'contradiction'), ('under way, done', activity_done_fault('1', 'under_way'), 'right'),
  ('contacts', activity_contacts_fault('100000000'), 'right'), ('contacts, more', activity_contacts_fault('100000001'), 'out_of_range'),
  ('put off without a reason', activity_reason_fault(' ', 'postponed'), 'required'), ('planned without one', activity_reason_fault(NULL, 'planned'), 'right'),
  ('note', activity_note_fault(repeat('x', 2001)), 'too_long'), ('classified', activity_classification_fault('secret'), 'enum'),
  ('unit outside', activity_unit_fault('000001', '000002', '2020-01-01', NULL, '2026-01-01'), 'outside_scope'),
  ('unit that had ended', activity_unit_fault('000002000001', '000002', '2020-01-01', '2025-12-31', '2026-01-01'), 'not_there'),
  ('unit that is there', activity_unit_fault('000002000001', '000002', '2020-01-01', NULL, '2026-01-01'), 'right')) r(what, got, wanted);
ROLLBACK;
