-- A duty that names a campaign: its reports tell how the campaign stands for the unit's line, live in the draft, frozen with each submission; what
-- the unit reviewed becomes sections, which it writes where it reviews; consolidation gathers those of the reports received.
SET search_path = tiendo, public;

ALTER TABLE report_version ADD COLUMN campaign jsonb;

-- ---- how a campaign stands ---------------------------------------------------------------------------------
-- What the units of a line were to do, planned and did in a phase, by unit and kind, as far as it had come by a day: the sums as they stand, less what was
-- done later (which was written later too: no day that something is done on lies in the future), and what was to end by then and was not done is late; what
-- is done or under way and begins later was planned.
-- A day that is still going on has not passed.
CREATE FUNCTION campaign_standing_pairs(p_phase uuid, p_key text, p_until date) RETURNS TABLE (scope_key text, kind text, assigned bigint, due bigint,
    planned bigint, done bigint, n_planned bigint, n_under_way bigint, n_done bigint, n_postponed bigint, n_cancelled bigint, late bigint,
    contacts_planned bigint, contacts_reached bigint) LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp
  SET work_mem = '32MB' ROWS 1000 AS $$
#variable_conflict use_column
DECLARE
  on_day date := today();
  passed date := least(p_until, on_day - 1);
  later timestamptz := (p_until + 1)::timestamp AT TIME ZONE 'Asia/Ho_Chi_Minh';
BEGIN
  RETURN QUERY
  SELECT t.scope_key, t.kind, sum(t.assigned)::bigint, sum(t.due)::bigint, sum(t.planned)::bigint, sum(t.done)::bigint, sum(t.n_planned)::bigint,
    sum(t.n_under_way)::bigint, sum(t.n_done)::bigint, sum(t.n_postponed)::bigint, sum(t.n_cancelled)::bigint, sum(t.late)::bigint,
    sum(t.contacts_planned)::bigint, sum(t.contacts_reached)::bigint
  FROM (
    SELECT s.scope_key, s.kind, 0 AS assigned, 0 AS due, s.planned, s.done, s.n_planned, s.n_under_way, s.n_done, s.n_postponed, s.n_cancelled, 0 AS late,
      s.contacts_planned, s.contacts_reached
    FROM activity_sum s WHERE s.phase_id = p_phase AND s.scope_key >= p_key AND s.scope_key < p_key || '~'
    UNION ALL
    SELECT d.scope_key, d.kind, 0, 0, d.planned, d.done, d.n_planned, d.n_under_way, d.n_done, d.n_postponed, d.n_cancelled, 0, d.contacts_planned, d.contacts_reached
    FROM activity_delta d WHERE d.phase_id = p_phase AND d.scope_key >= p_key AND d.scope_key < p_key || '~'
    UNION ALL
    SELECT a.scope_key, a.kind, a.quantity, CASE WHEN a.due_on <= passed THEN a.quantity ELSE 0 END, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM campaign_assignment a WHERE a.phase_id = p_phase AND a.scope_key >= p_key AND a.scope_key < p_key || '~' AND a.handed_with IS NULL
    UNION ALL
    SELECT a.scope_key, a.kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0
    FROM activity a WHERE a.phase_id = p_phase AND a.scope_key >= p_key AND a.scope_key < p_key || '~'
      AND a.status IN ('planned', 'under_way', 'postponed') AND a.ends_on <= passed
    UNION ALL
    SELECT a.scope_key, a.kind, 0, 0, 0, -a.done, (a.starts_on > p_until AND a.status <> 'postponed')::int,
      (a.status = 'done')::int - (a.starts_on > p_until AND a.status <> 'postponed')::int, -(a.status = 'done')::int, 0, 0,
      (a.status = 'done' AND a.ends_on <= passed)::int, 0,
      -coalesce(a.contacts_reached, 0)
    FROM activity a WHERE p_until < on_day AND a.updated_at >= later AND a.phase_id = p_phase AND a.scope_key >= p_key AND a.scope_key < p_key || '~'
      AND CASE a.status WHEN 'done' THEN a.done_on > p_until WHEN 'under_way' THEN a.starts_on > p_until WHEN 'postponed' THEN a.done > 0 AND a.starts_on > p_until END) t
  GROUP BY t.scope_key, t.kind;
END $$;

-- People declared as reached, of each group that is declared or to be reached, each as it stood by the day: one figure a branch, the uppermost that covers all below it, or
-- that of the unit which the one that declared went over into, counted since. declared: of the units to be reached those whose people a declaration counts.
-- Bodies that are not among those to be reached stand apart.
CREATE FUNCTION campaign_standing_people(p_phase uuid, p_key text, p_until date) RETURNS jsonb LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp SET enable_nestloop = off AS $$
  WITH heirs AS MATERIALIZED (
    SELECT * FROM campaign_heirs(p_key)
  ), said AS MATERIALIZED (
    SELECT DISTINCT ON (s.reach_id) s.scope_key, s.of, s.covers, s.reached, s.base, s.counted_on
    FROM campaign_reach_said s JOIN organization o ON o.id = s.organization_id AND NOT o.attached
      JOIN organization_kind k ON k.code = o.kind AND k.party_organization
    WHERE s.phase_id = p_phase AND s.scope_key >= p_key AND s.scope_key < p_key || '~' AND s.counted_on <= p_until
    ORDER BY s.reach_id, s.version DESC
  ), line AS MATERIALIZED (
    SELECT s.of, s.scope_key, a COLLATE "C" AS above FROM said s CROSS JOIN LATERAL unnest(ancestor_keys(s.scope_key)) a
  ), beneath AS (
    SELECT DISTINCT s.of, s.scope_key
    FROM line s JOIN said t ON t.of = s.of AND t.scope_key = s.above
      LEFT JOIN heirs h ON h.scope_key = s.scope_key AND h.heir = t.scope_key
    WHERE t.covers = 'subtree' OR t.counted_on > h.ended_on
  ), expected AS MATERIALIZED (
    SELECT e.scope_key FROM campaign_phase f CROSS JOIN LATERAL campaign_expected(p_key, least(greatest(p_until, f.starts_on), f.ends_on)) e WHERE f.id = p_phase
  ), upward AS MATERIALIZED (
    SELECT e.scope_key, a COLLATE "C" AS above FROM expected e CROSS JOIN LATERAL unnest(ancestor_keys(e.scope_key) || e.scope_key) a
  ), answered AS MATERIALIZED (
    SELECT s.of, count(DISTINCT e.scope_key) AS units
    FROM upward e JOIN said s ON s.scope_key = e.above AND (s.covers = 'subtree' OR s.scope_key = e.scope_key)
    GROUP BY s.of
  )
  SELECT coalesce(jsonb_agg(jsonb_build_object('of', g.of, 'reached', g.reached, 'base', g.base, 'percent', percent(g.reached, g.base),
    'target', g.target, 'declared_units', g.units, 'declared', g.declared, 'expected', g.expected) ORDER BY g.of), '[]')
  FROM (
    SELECT w.of, sum(r.reached) AS reached, sum(r.base) AS base, count(r.scope_key) AS units,
      (SELECT t.percent FROM campaign_reach_target t WHERE t.phase_id = p_phase AND t.of = w.of) AS target,
      coalesce((SELECT a.units FROM answered a WHERE a.of = w.of), 0) AS declared, (SELECT count(*) FROM expected) AS expected
    FROM unnest(ARRAY['cadres_and_members', 'core_force']) w(of)
      LEFT JOIN (SELECT s.* FROM said s LEFT JOIN beneath b ON b.of = s.of AND b.scope_key = s.scope_key WHERE b.of IS NULL) r ON r.of = w.of
    GROUP BY w.of) g
  WHERE g.units > 0 OR g.target IS NOT NULL $$;

-- What of the line was published, used again and recognised in the phase by the day; what names no phase goes by its day.
CREATE FUNCTION campaign_standing_works(p_campaign uuid, p_phase uuid, p_key text, p_until date, OUT products bigint, OUT reuses bigint, OUT recognitions bigint)
  LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  f campaign_phase := (SELECT x FROM campaign_phase x WHERE x.id = p_phase);
  days daterange := daterange(f.starts_on, f.ends_on, '[]') * daterange(NULL, p_until, '[]');
BEGIN
  products := (SELECT count(*) FROM product p WHERE p.campaign_id = p_campaign AND p.scope_key >= p_key AND p.scope_key < p_key || '~'
    AND p.state = 'published' AND (p.published_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date <= p_until
    AND (p.phase_id = p_phase OR (p.phase_id IS NULL AND days @> (p.published_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date)));
  reuses := (SELECT count(*) FROM product p JOIN product_reuse u ON u.product_id = p.id
    WHERE p.campaign_id = p_campaign AND u.scope_key >= p_key AND u.scope_key < p_key || '~' AND days @> u.used_on);
  recognitions := (SELECT count(*) FROM recognition g WHERE g.campaign_id = p_campaign AND g.scope_key >= p_key AND g.scope_key < p_key || '~'
    AND g.state IN ('confirmed', 'published') AND g.decision_on <= p_until
    AND (g.phase_id = p_phase OR (g.phase_id IS NULL AND days @> g.decision_on)));
END $$;

-- All of it together. fulfilled: of what was assigned how much was done, unit by unit and kind by kind, so that what one does beyond its own stands for
-- nothing elsewhere.
CREATE FUNCTION campaign_standing_json(p_campaign uuid, p_phase uuid, p_key text, p_until date) RETURNS jsonb LANGUAGE plpgsql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE day date := (SELECT least(greatest(p_until, f.starts_on), f.ends_on) FROM campaign_phase f WHERE f.id = p_phase);
BEGIN
  RETURN (WITH pair AS MATERIALIZED (
    SELECT * FROM campaign_standing_pairs(p_phase, p_key, p_until)
  ), did AS MATERIALIZED (
    SELECT p.scope_key FROM pair p WHERE p.done > 0
    UNION
    SELECT h.heir FROM campaign_heirs(p_key) h JOIN pair p ON p.scope_key = h.scope_key WHERE p.done > 0 AND h.ended_on < day
  ) SELECT jsonb_build_object('assigned', k.assigned, 'due', k.due, 'planned', k.planned, 'done', k.done, 'fulfilled', k.fulfilled, 'percent', percent(k.fulfilled, k.assigned),
      'by_kind', k.by_kind, 'activities', jsonb_build_object('planned', k.n_planned, 'under_way', k.n_under_way, 'done', k.n_done,
        'postponed', k.n_postponed, 'cancelled', k.n_cancelled), 'late', k.late,
      'contacts', jsonb_build_object('planned', k.contacts_planned, 'reached', k.contacts_reached),
      'units', jsonb_build_object('reached', u.reached, 'expected', u.expected, 'percent', percent(u.reached, u.expected),
        'target', (SELECT t.percent FROM campaign_reach_target t WHERE t.phase_id = p_phase AND t.of = 'party_organizations')),
      'people', campaign_standing_people(p_phase, p_key, p_until), 'products', w.products, 'reuses', w.reuses, 'recognitions', w.recognitions)
    FROM (SELECT coalesce(sum(x.assigned), 0) AS assigned, coalesce(sum(x.due), 0) AS due, coalesce(sum(x.planned), 0) AS planned, coalesce(sum(x.done), 0) AS done,
        coalesce(sum(x.fulfilled), 0) AS fulfilled, coalesce(sum(x.n_planned), 0) AS n_planned, coalesce(sum(x.n_under_way), 0) AS n_under_way,
        coalesce(sum(x.n_done), 0) AS n_done, coalesce(sum(x.n_postponed), 0) AS n_postponed, coalesce(sum(x.n_cancelled), 0) AS n_cancelled,
        coalesce(sum(x.late), 0) AS late, coalesce(sum(x.contacts_planned), 0) AS contacts_planned, coalesce(sum(x.contacts_reached), 0) AS contacts_reached,
        coalesce(jsonb_agg(jsonb_build_object('kind', x.kind, 'name', coalesce((SELECT t.name FROM campaign_term t WHERE t.list = 'activity_kind'
            AND t.code = x.kind AND (t.root_id IS NULL OR t.root_id = (SELECT c.root_id FROM campaign c WHERE c.id = p_campaign))
            ORDER BY t.root_id NULLS LAST LIMIT 1), x.kind), 'assigned', x.assigned, 'due', x.due, 'planned', x.planned, 'done', x.done,
          'fulfilled', x.fulfilled, 'percent', percent(x.fulfilled, x.assigned)) ORDER BY x.kind), '[]') AS by_kind
      FROM (SELECT p.kind, sum(p.assigned) AS assigned, sum(p.due) AS due, sum(least(p.assigned, p.done)) AS fulfilled, sum(p.planned) AS planned,
          sum(p.done) AS done, sum(p.n_planned) AS n_planned, sum(p.n_under_way) AS n_under_way, sum(p.n_done) AS n_done, sum(p.n_postponed) AS n_postponed,
          sum(p.n_cancelled) AS n_cancelled, sum(p.late) AS late, sum(p.contacts_planned) AS contacts_planned, sum(p.contacts_reached) AS contacts_reached
        FROM pair p GROUP BY p.kind
        -- of what was moved to another kind, or taken away, nothing is left
        HAVING sum(p.assigned) <> 0 OR sum(p.n_planned + p.n_under_way + p.n_done + p.n_postponed + p.n_cancelled) <> 0) x) k,
      -- the units that the phase is to reach, and those of them that did something in it by then
      (SELECT count(*) AS expected, count(d.scope_key) AS reached
        FROM campaign_expected(p_key, day) e LEFT JOIN did d ON d.scope_key = e.scope_key) u,
      campaign_standing_works(p_campaign, p_phase, p_key, p_until) w);
END $$;
-- The same for whoever sees the units of the line.
CREATE FUNCTION campaign_standing(campaign uuid, phase uuid, key text, until date) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE programme uuid := (SELECT c.programme_id FROM campaign c JOIN campaign_phase f ON f.campaign_id = c.id WHERE c.id = campaign AND f.id = phase);
BEGIN
  IF programme IS NULL OR NOT coalesce(report_in_dialogue(programme, key, NULL), false) THEN RETURN NULL; END IF;
  RETURN campaign_standing_json(campaign, phase, key, until);
END $$;

-- ---- a report's campaign -----------------------------------------------------------------------------------
-- The campaign that a report's duty names, the phase its last day of data falls in (before the first: that one; between two: the earlier), whose line
-- it tells of and until when. The unit that leads a campaign accounts for all who take part, as far as it sees them.
CREATE FUNCTION report_campaign_of(r report, OUT c campaign, OUT f campaign_phase, OUT key text, OUT line text, OUT as_of date) LANGUAGE plpgsql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  d report_duty := (SELECT x FROM report_duty x WHERE x.id = r.duty_id);
  day date := coalesce(r.data_to, r.first_due_on, today());
BEGIN
  c := (SELECT x FROM campaign x WHERE x.programme_id = d.programme_id AND x.root_id = d.root_id AND x.code = d.campaign AND x.status <> 'draft');
  f := (SELECT x FROM campaign_phase x WHERE x.id = campaign_phase_at(c.id, day));
  key := CASE WHEN r.organization_id = c.owner_id AND report_in_dialogue(c.programme_id, c.scope_key, NULL) THEN c.scope_key ELSE r.scope_key END;
  line := (SELECT o.code FROM organization o WHERE o.scope_key = key);
  as_of := least(day, today());
END $$;

CREATE FUNCTION campaign_review_code(phase text, kind text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT 'review-' || phase || '-' || kind $$;
CREATE FUNCTION campaign_review_title(phase text, kind text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE kind WHEN 'interim' THEN 'Sơ kết giai đoạn ' ELSE 'Tổng kết giai đoạn ' END || regexp_replace(phase, '^giai đoạn ', '', 'i') $$;
-- What was reviewed, as one text under the headings that papers have.
CREATE FUNCTION campaign_review_text(r campaign_review) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT nullif(concat_ws(E'\n', r.results, 'Khó khăn, hạn chế:' || E'\n' || nullif(r.difficulties, ''), 'Bài học kinh nghiệm:' || E'\n' || nullif(r.lessons, ''),
    'Đề xuất, kiến nghị:' || E'\n' || nullif(r.proposals, '')), '') $$;

-- The sections that reviews can become in a report: one a phase of its campaign and kind. Where the duty has a section of that code, that is the one.
CREATE FUNCTION report_review_codes(r report) RETURNS TABLE ("position" int, code text, title text, campaign_id uuid, phase_id uuid, phase text, kind text)
  LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT (row_number() OVER (ORDER BY f.position, k.n))::int, campaign_review_code(f.code, k.kind), campaign_review_title(coalesce(f.title, f.code), k.kind),
    f.campaign_id, f.id, f.code::text, k.kind
  FROM report_campaign_of(r) x JOIN campaign_phase f ON f.campaign_id = (x.c).id, unnest(ARRAY['interim', 'final']) WITH ORDINALITY k(kind, n)
  WHERE NOT EXISTS (SELECT FROM report_duty_section s WHERE s.duty_id = r.duty_id AND s.code = campaign_review_code(f.code, k.kind)) $$;
-- The unit's reviews that a report tells of: those held in the days of its data; where it has no first day, those of its phase.
CREATE FUNCTION report_reviews(r report) RETURNS TABLE ("position" int, code text, review campaign_review, phase text) LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT s.position, s.code, w, s.phase
  FROM report_campaign_of(r) x, report_review_codes(r) s
    JOIN campaign_review w ON w.phase_id = s.phase_id AND w.kind = s.kind AND w.organization_id = r.organization_id
  WHERE w.reviewed_on <= coalesce(r.data_to, r.first_due_on, w.reviewed_on) AND coalesce(w.reviewed_on >= r.data_from, s.phase_id = (x.f).id) $$;
-- What a section says: of a single review its text, of several each under its day.
CREATE FUNCTION report_review_text(r report, p_code text) RETURNS text LANGUAGE sql STABLE SET search_path = tiendo, public, pg_temp AS $$
  SELECT string_agg(CASE WHEN w.of > 1 THEN 'Ngày ' || to_char(w.held, 'DD/MM/YYYY') || ':' || E'\n' ELSE '' END || w.text, E'\n' ORDER BY w.held)
  FROM (SELECT (x.review).reviewed_on AS held, campaign_review_text(x.review) AS text, count(*) OVER () AS of FROM report_reviews(r) x WHERE x.code = p_code) w $$;

-- The draft's sections that are reviews: what the unit reviewed, and what consolidation gathered there. For whoever writes the report.
CREATE FUNCTION report_review_sections(p_report uuid) RETURNS TABLE ("position" int, code text, title text, text text, gathered jsonb)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 2 AS $$
#variable_conflict use_column
DECLARE r report := (SELECT x FROM report x WHERE x.id = p_report);
BEGIN
  IF r.id IS NULL OR NOT report_is_mine(r.organization_id, r.scope_key, r.entered_by)
      OR NOT EXISTS (SELECT FROM report_duty d WHERE d.id = r.duty_id AND d.campaign IS NOT NULL) THEN RETURN; END IF;
  RETURN QUERY SELECT s.position, s.code, s.title, w.text, coalesce(t.gathered, '[]')
    FROM report_review_codes(r) s CROSS JOIN LATERAL (SELECT report_review_text(r, s.code) AS text) w
      LEFT JOIN report_section t ON t.report_id = r.id AND t.code = s.code AND t.gathered IS NOT NULL
    WHERE w.text IS NOT NULL OR t.code IS NOT NULL;
END $$;
-- How the report's campaign stands now, for whoever writes the report. NULL: its duty names none.
CREATE FUNCTION report_campaign(p_report uuid) RETURNS jsonb LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  r report := (SELECT x FROM report x WHERE x.id = p_report);
  x record;
BEGIN
  IF r.id IS NULL OR NOT report_is_mine(r.organization_id, r.scope_key, r.entered_by)
      OR NOT EXISTS (SELECT FROM report_duty d WHERE d.id = r.duty_id AND d.campaign IS NOT NULL) THEN RETURN NULL; END IF;
  SELECT * INTO x FROM report_campaign_of(r);
  IF (x.f).id IS NULL THEN RETURN NULL; END IF;
  RETURN jsonb_build_object('code', (x.c).code, 'title', (x.c).title, 'organization', x.line, 'phase', (x.f).code, 'phase_title', (x.f).title,
    'as_of', x.as_of, 'standing', campaign_standing_json((x.c).id, (x.f).id, x.key, x.as_of),
    'reviews', (SELECT coalesce(jsonb_agg(jsonb_build_object('phase', w.phase, 'kind', (w.review).kind, 'reviewed_on', (w.review).reviewed_on,
      'section', w.code, 'version', (w.review).version) ORDER BY w.position, (w.review).reviewed_on), '[]') FROM report_reviews(r) w));
END $$;

-- ---- what changed ------------------------------------------------------------------------------------------
-- Each single figure or word of a campaign's standing, by its path; of a list's entries by what they are of.
CREATE FUNCTION campaign_leaves(standing jsonb) RETURNS TABLE (path text, leaf jsonb) LANGUAGE sql IMMUTABLE AS $$
  WITH RECURSIVE node AS (
    SELECT NULL::text AS path, standing - 'reviews' - 'title' - 'phase_title' AS item
    UNION ALL
    SELECT concat_ws('/', n.path, x.name), x.item
    FROM node n CROSS JOIN LATERAL (
      SELECT e.key AS name, e.value AS item FROM jsonb_each(CASE jsonb_typeof(n.item) WHEN 'object' THEN n.item END) e
      UNION ALL
      SELECT coalesce(e ->> 'kind', e ->> 'of'), e - 'kind' - 'of' - 'name'
      FROM jsonb_array_elements(CASE jsonb_typeof(n.item) WHEN 'array' THEN n.item END) e) x)
  SELECT n.path, n.item FROM node n WHERE n.path IS NOT NULL AND jsonb_typeof(n.item) NOT IN ('object', 'array', 'null') $$;
CREATE FUNCTION campaign_changes(was jsonb, now_is jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('path', coalesce(n.path, o.path), 'old', o.leaf, 'new', n.leaf) ORDER BY coalesce(n.path, o.path) COLLATE "C"), '[]')
  FROM tiendo.campaign_leaves(was) o FULL JOIN tiendo.campaign_leaves(now_is) n ON n.path = o.path
  WHERE o.leaf IS DISTINCT FROM n.leaf $$;

-- ---- as before, with the campaign --------------------------------------------------------------------------
CREATE OR REPLACE FUNCTION report_draft_sections(r report) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(json_agg(x.section ORDER BY x.part, x.n), '[]') FROM (
    SELECT 1 AS part, s.position AS n, json_build_object('code', s.code, 'title', s.title, 'required', s.required, 'max_length', s.max_length,
      'text', t.text, 'gathered', coalesce(t.gathered, '[]')) AS section
    FROM tiendo.report_duty_section s LEFT JOIN tiendo.report_section t ON t.report_id = r.id AND t.code = s.code WHERE s.duty_id = r.duty_id
    UNION ALL
    SELECT 2, s.position, json_build_object('code', s.code, 'title', s.title, 'required', false, 'max_length', 400100, 'text', s.text,
      'gathered', s.gathered, 'review', true)
    FROM tiendo.report_review_sections(r.id) s) x);
END $$;

-- (0050)
CREATE OR REPLACE FUNCTION report_json(p_report uuid, p_n int, p_view text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  r report;
  seen text;
  about jsonb;
  v report_version;
  w report_draft;
  at_n int;
BEGIN
  SELECT * INTO r FROM report x WHERE x.id = p_report;
  seen := report_view(r, p_n, p_view);
  IF r.id IS NULL OR seen IS NULL THEN RETURN NULL; END IF;
  about := report_about(r.id);
  IF r.shown IS NOT NULL OR p_n IS NOT NULL THEN
    SELECT * INTO v FROM report_version x WHERE x.report_id = r.id AND x.n = coalesce(p_n, r.shown);
  END IF;
  -- a submission's heading is what it was
  IF seen = 'submitted' THEN about := about || v.about; END IF;
  IF seen = 'draft' THEN SELECT * INTO w FROM report_draft x WHERE x.report_id = r.id; END IF;
  at_n := CASE seen WHEN 'draft' THEN r.submissions + 1 WHEN 'submitted' THEN v.n ELSE 0 END;
  RETURN (SELECT row_to_json(a)::text FROM (SELECT r.id, about ->> 'duty' AS duty, about ->> 'duty_title' AS duty_title, about ->> 'programme' AS programme,
    r.organization_code AS organization, about ->> 'organization_name' AS organization_name, about ->> 'organization_kind' AS organization_kind,
    about -> 'above' AS above, about -> 'recipient' AS recipient, about -> 'copies' AS copies, about -> 'copies_outside' AS copies_outside,
    r.period_code AS period, about ->> 'period_name' AS period_name, r.state, report_late(r.state, r.due_on) AS late, about ->> 'acceptance' AS acceptance,
    about ->> 'data_from' AS data_from, about ->> 'data_to' AS data_to, r.due_on, r.first_due_on, r.due_on IS DISTINCT FROM r.first_due_on AS extended,
    CASE seen WHEN 'submitted' THEN v.number WHEN 'draft' THEN w.number END AS number,
    CASE seen WHEN 'submitted' THEN v.issued_on WHEN 'draft' THEN w.issued_on END AS issued_on,
    r.classification, seen AS view,
    CASE WHEN v.n IS NOT NULL THEN json_build_object('n', v.n, 'submitted_at', tstz(v.submitted_at), 'submitted_by', report_seat(r.id, v.seat_id),
      'on_behalf', v.on_behalf, 'on_time', v.on_time, 'accepted_at', tstz(v.accepted_at), 'accepted_as', v.accepted_as,
      'recalled_at', tstz(v.withdrawn_at)) END AS submission,
    r.submissions,
    CASE seen WHEN 'draft' THEN report_draft_sections(r) WHEN 'submitted' THEN v.sections::json ELSE '[]' END AS sections,
    CASE seen WHEN 'draft' THEN report_draft_figures(r) WHEN 'submitted' THEN report_version_figures(r.id, v.n) ELSE '[]' END AS figures,
    CASE seen WHEN 'draft' THEN report_campaign(r.id) WHEN 'submitted' THEN v.campaign END AS campaign,
    about -> 'returned' AS returned,
    CASE WHEN r.return_requested IS NOT NULL AND report_in_dialogue(r.programme_id, r.scope_key, r.recipient_id) THEN json_build_object('at', tstz(r.return_requested_at), 'reason', r.return_requested) END AS return_requested,
    r.waived_reason AS waived, report_actions(r) AS actions, about -> 'stands_for' AS stands_for,
    (SELECT count(*) FROM attachment a WHERE a.report_id = r.id AND a.added_in <= at_n AND (a.removed_in IS NULL OR a.removed_in > at_n)) AS attachments,
    (SELECT count(*) FROM report_comment c WHERE c.report_id = r.id) AS comments, r.version, tstz(r.created_at) AS created_at,
    tstz(r.updated_at) AS updated_at) a);
END $$;

-- (0049) Sections and campaign are read by one statement, so that they are of one moment.
CREATE OR REPLACE FUNCTION report_freeze(r report, p_n int) RETURNS void LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  at timestamptz := clock_now();
  faults jsonb;
BEGIN
  PERFORM FROM value v WHERE v.id IN (SELECT c.value_id FROM report_cells(r.id) c) ORDER BY v.indicator_id, v.period_id, v.scope_key, v.category FOR UPDATE;
  faults := report_faults(r.id);
  IF faults IS NOT NULL THEN PERFORM fail(422, 'report_incomplete', faults); END IF;
  INSERT INTO report_version (report_id, n, submitted_at, on_time, sections, number, issued_on, about, on_behalf, seat_id, account_id, giver_id,
    campaign)
  SELECT r.id, p_n, at, report_on_time(at, r.due_on), report_draft_sections(r)::jsonb,
    (SELECT w.number FROM report_draft w WHERE w.report_id = r.id), (SELECT w.issued_on FROM report_draft w WHERE w.report_id = r.id),
    report_about(r.id) - 'returned' - 'stands_for', r.organization_id <> me_seat(), me_seat(), me_account(), me_giver(),
    report_campaign(r.id);
  INSERT INTO report_figure (report_id, n, position, indicator_id, period_id, category, indicator_code, indicator_name, unit, kind, period_code,
    state, numerator, denominator, number, done, done_on, note, source, value_id, revision)
  SELECT r.id, p_n, c.position, c.indicator_id, c.period_id, c.category, c.indicator_code, c.indicator_name, c.unit, c.kind, c.period_code,
    c.state, c.numerator, c.denominator, c.number, c.done, c.done_on, c.note, c.source, c.value_id, c.revision
  FROM report_cells(r.id) c;
  INSERT INTO report_figure (report_id, n, position, indicator_id, period_id, category, consolidated, indicator_code, indicator_name, unit, kind,
    period_code, state, numerator, denominator, number, reported_units, expected_units, parts)
  SELECT r.id, p_n, 100000 + row_number() OVER (ORDER BY di.position, p.ends_on, t.category), t.indicator_id, t.period_id, t.category, true, i.code, i.name, i.unit, i.kind, p.code,
    'reported', t.numerator, t.denominator, t.number, t.reported_units, t.expected_units, t.parts
  FROM report_total t JOIN indicator i ON i.id = t.indicator_id JOIN period p ON p.id = t.period_id
    LEFT JOIN report_duty_indicator di ON di.duty_id = r.duty_id AND di.indicator_id = t.indicator_id
  WHERE t.report_id = r.id;
  PERFORM report_lock_values(r.id, ARRAY(SELECT f.value_id FROM report_figure f WHERE f.report_id = r.id AND f.n = p_n AND f.value_id IS NOT NULL));
  -- (a value that came to be only now was not locked before it was read)
  IF EXISTS (SELECT FROM report_figure f LEFT JOIN value v ON v.id = f.value_id
      WHERE f.report_id = r.id AND f.n = p_n AND f.value_id IS NOT NULL AND v.version IS DISTINCT FROM f.revision) THEN
    PERFORM fail(409, 'concurrent_change', NULL, 'Some of the values changed meanwhile.');
  END IF;
END $$;

-- (0049)
CREATE OR REPLACE FUNCTION report_body_faults(r report, p_action text, body jsonb) RETURNS jsonb LANGUAGE plpgsql STABLE SET search_path = tiendo, public, pg_temp AS $$
DECLARE given jsonb := coalesce(nullif(body -> CASE p_action WHEN 'edit' THEN 'sections' ELSE 'reasons' END, 'null'), '[]');
BEGIN
  RETURN (SELECT jsonb_agg(x.fault ORDER BY x.n) FROM (
    SELECT g.n, CASE WHEN EXISTS (SELECT FROM report_review_sections(r.id) s WHERE s.code = g.item ->> 'code')
      THEN fault('#/sections/' || g.n - 1 || '/code', 'read_only', 'the section is the unit''s review of a phase and is written there')
      ELSE fault('#/sections/' || g.n - 1 || '/code', 'unknown_reference', 'the report has no such section') END AS fault
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'edit' AND NOT EXISTS (SELECT FROM report_duty_section s WHERE s.duty_id = r.duty_id AND s.code = g.item ->> 'code')
    UNION ALL
    SELECT max(g.n), fault('#/sections/' || max(g.n) - 1 || '/code', 'repeated', 'the section is named twice')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n) WHERE p_action = 'edit' GROUP BY g.item ->> 'code' HAVING count(*) > 1
    UNION ALL
    SELECT g.n, fault('#/sections/' || g.n - 1 || '/text', 'too_long', format('the section "%s" takes %s characters', s.title, s.max_length))
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n) JOIN report_duty_section s ON s.duty_id = r.duty_id AND s.code = g.item ->> 'code'
    WHERE p_action = 'edit' AND length(g.item ->> 'text') > s.max_length
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1, 'one_of', 'either section, or indicator with period')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND (g.item ->> 'section' IS NULL) = (g.item ->> 'indicator' IS NULL)
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1 || '/section', 'unknown_reference', 'the report has no such section')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND g.item ->> 'section' IS NOT NULL AND NOT EXISTS (SELECT FROM report_version v, jsonb_array_elements(v.sections) s
      WHERE v.report_id = r.id AND v.n = r.shown AND s ->> 'code' = g.item ->> 'section')
    UNION ALL
    SELECT g.n, fault('#/reasons/' || g.n - 1 || '/indicator', 'unknown_reference', 'the report has no such figure')
    FROM jsonb_array_elements(given) WITH ORDINALITY g(item, n)
    WHERE p_action = 'return' AND g.item ->> 'indicator' IS NOT NULL AND NOT EXISTS (SELECT FROM report_figure f
      WHERE f.report_id = r.id AND f.n = r.shown AND f.indicator_code = g.item ->> 'indicator'
        AND f.period_code = coalesce(g.item ->> 'period', f.period_code) AND f.category = coalesce(g.item ->> 'category', f.category))
    UNION ALL
    SELECT 0, fault('#/sections', 'too_long', 'the sections of a report take 1,000,000 characters together')
    WHERE p_action = 'edit' AND 1000000 < (SELECT coalesce(sum(length(g ->> 'text')), 0) FROM jsonb_array_elements(given) g)
      + (SELECT coalesce(sum(length(t.text)), 0) FROM report_section t WHERE t.report_id = r.id
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(given) g WHERE g ->> 'code' = t.code))
    UNION ALL
    SELECT 0, fault('#/due_on', 'too_early', 'the deadline is put off to a day after the present one, and not into the past')
    WHERE p_action = 'extend' AND ((body ->> 'due_on')::date <= r.due_on OR (body ->> 'due_on')::date < today())
    LIMIT 100) x);
END $$;

-- (0051)
CREATE OR REPLACE FUNCTION report_changes(ref text, since text, until text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
  r report := (SELECT x FROM report x WHERE x.id = path_report(ref));
  seen text := report_view(r, NULL, NULL);
  last_n int;
  first_n int;
  v report_version;
  w report_version;
BEGIN
  IF until IS NULL THEN
    PERFORM refuse(CASE WHEN seen = 'none' THEN fault_parameter('since', 'nothing_to_compare', 'the report has not been submitted yet') END);
    until := CASE seen WHEN 'draft' THEN 'draft' ELSE r.shown::text END;
  END IF;
  IF until = 'draft' THEN
    -- a draft is not there for anyone but who writes it, nor while the report is out of their hands
    IF seen <> 'draft' THEN PERFORM fail(404, 'not_found'); END IF;
  ELSE
    last_n := until::int;
    SELECT * INTO w FROM report_version x WHERE x.report_id = r.id AND x.n = last_n;
    PERFORM refuse(CASE WHEN w.n IS NULL THEN fault_parameter('to', 'unknown_reference', 'the report has no such submission') END);
  END IF;
  first_n := report_compared_with(r, since, last_n);
  SELECT * INTO v FROM report_version x WHERE x.report_id = r.id AND x.n = first_n;
  IF last_n IS NULL THEN
    w.sections := report_draft_sections(r)::jsonb;
    w.campaign := report_campaign(r.id);
    SELECT d.number, d.issued_on INTO w.number, w.issued_on FROM report_draft d WHERE d.report_id = r.id;
  END IF;
  RETURN json_build_object('from', json_build_object('n', first_n, 'at', tstz(v.submitted_at)),
    'to', json_build_object('draft', last_n IS NULL, 'n', last_n, 'at', tstz(w.submitted_at)),
    'sections', section_changes(v.sections, w.sections),
    'figures', figure_changes(ARRAY(SELECT f FROM report_figure f WHERE f.report_id = r.id AND f.n = first_n),
      CASE WHEN last_n IS NULL THEN ARRAY(SELECT f FROM report_figures_now(r) f)
        ELSE ARRAY(SELECT f FROM report_figure f WHERE f.report_id = r.id AND f.n = last_n) END),
    'campaign', campaign_changes(v.campaign, w.campaign),
    'number', CASE WHEN v.number IS DISTINCT FROM w.number THEN json_build_object('old', v.number, 'new', w.number) END,
    'issued_on', CASE WHEN v.issued_on IS DISTINCT FROM w.issued_on THEN json_build_object('old', v.issued_on, 'new', w.issued_on) END)::text;
END $$;

-- (0051) Of reviews those of the same campaign.
CREATE OR REPLACE FUNCTION report_gathered(t report, taken uuid[]) RETURNS TABLE (code text, gathered jsonb) LANGUAGE sql STABLE
  SET search_path = tiendo, public, pg_temp AS $$
  SELECT d.code, jsonb_agg(jsonb_build_object('report', s.id, 'organization', s.organization_code, 'name', o.name, 'version', s.shown, 'text', e.value ->> 'text')
    ORDER BY x.at)
  FROM unnest(taken) WITH ORDINALITY x(id, at) JOIN report s ON s.id = x.id JOIN organization o ON o.id = s.organization_id
    JOIN report_version v ON v.report_id = s.id AND v.n = s.shown CROSS JOIN LATERAL jsonb_array_elements(v.sections) e
    JOIN (SELECT y.code::text AS code, NULL::text AS campaign FROM report_duty_section y WHERE y.duty_id = t.duty_id
      UNION ALL
      SELECT y.code, c.code FROM report_review_codes(t) y JOIN campaign c ON c.id = y.campaign_id) d
      ON d.code = e.value ->> 'code' AND (d.campaign IS NOT NULL) = (e.value ? 'review') AND coalesce(d.campaign = v.campaign ->> 'code', true)
  WHERE coalesce(btrim(e.value ->> 'text', E' \t\r\n'), '') <> ''
  GROUP BY d.code $$;

-- (0051)
CREATE OR REPLACE FUNCTION report_consolidate_step(p_report uuid, body jsonb, if_match text, request_id text, OUT version bigint, OUT told text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  t report := report_enter_step(p_report, 'consolidate');
  was report := t;
  step report_transition;
  faults jsonb := report_consolidation_faults(t, body);
  dry boolean := coalesce((body ->> 'dry_run')::boolean, false);
  duties uuid[] := CASE WHEN body ->> 'duties' IS NOT NULL THEN ARRAY(SELECT d.id FROM report_duty d
    WHERE d.programme_id = t.programme_id AND body -> 'duties' ? d.code) END;
  states text[] := ARRAY(SELECT jsonb_array_elements_text(coalesce(nullif(body -> 'states', 'null'), '["received", "approved"]')));
  owing uuid[];
  taken uuid[];
  missing jsonb;
  sections jsonb;
  old_totals report_total[] := ARRAY(SELECT x FROM report_total x WHERE x.report_id = t.id ORDER BY x.indicator_id, x.period_id, x.category);
  totals report_total[];
  changed boolean;
BEGIN
  IF faults IS NOT NULL THEN PERFORM fail(422, 'invalid', faults); END IF;
  step := report_transit(t, 'consolidate', if_match);
  SELECT coalesce(array_agg(s.id ORDER BY s.at), '{}'), coalesce(array_agg(s.id ORDER BY s.at) FILTER (WHERE s.taken), '{}'),
      coalesce(jsonb_agg(jsonb_build_object('report', s.id, 'duty', d.code, 'period', r.period_code, 'due_on', r.due_on, 'organization', s.code,
        'name', s.name, 'state', s.state) ORDER BY s.at)
        FILTER (WHERE NOT s.taken), '[]')
    INTO owing, taken, missing
    FROM (SELECT x.*, row_number() OVER () AS at FROM report_sources(t, duties, states) x) s JOIN report r ON r.id = s.id JOIN report_duty d ON d.id = r.duty_id;
  sections := (SELECT coalesce(jsonb_agg(jsonb_build_object('code', d.code, 'title', d.title, 'change', CASE
        WHEN w.gathered IS NOT DISTINCT FROM g.gathered THEN 'unchanged' ELSE change_of(w.gathered IS NOT NULL, g.gathered IS NOT NULL) END,
        'old', CASE WHEN w.gathered IS DISTINCT FROM g.gathered THEN coalesce(w.gathered, '[]') END, 'new', coalesce(g.gathered, '[]')) ORDER BY d.position), '[]')
    FROM (SELECT s.code::text AS code, s.title, s.position, false AS review FROM report_duty_section s WHERE s.duty_id = t.duty_id
        UNION ALL SELECT s.code, s.title, 100000 + s.position, true FROM report_review_codes(t) s) d
      LEFT JOIN report_gathered(t, taken) g ON g.code = d.code
      LEFT JOIN report_section w ON w.report_id = t.id AND w.code = d.code
    WHERE (body ->> 'sections' IS NULL OR body -> 'sections' ? d.code)
      AND (NOT d.review OR w.gathered IS NOT NULL OR g.gathered IS NOT NULL));
  totals := ARRAY(SELECT x FROM report_aggregate(t, owing, taken) x ORDER BY x.indicator_id, x.period_id, x.category);
  changed := totals <> old_totals OR EXISTS (SELECT FROM jsonb_array_elements(sections) s WHERE s ->> 'change' <> 'unchanged');
  IF changed AND NOT dry THEN
    INSERT INTO report_section AS s (report_id, code, gathered)
    SELECT t.id, x ->> 'code', nullif(x -> 'new', '[]') FROM jsonb_array_elements(sections) x WHERE x ->> 'change' <> 'unchanged'
    ON CONFLICT (report_id, code) DO UPDATE SET gathered = excluded.gathered, updated_at = clock_now();
    DELETE FROM report_total x WHERE x.report_id = t.id;
    INSERT INTO report_total SELECT x.* FROM unnest(totals) x;
    UPDATE report x SET state = step.to_state, version = x.version + 1, updated_at = clock_now() WHERE x.id = t.id RETURNING * INTO t;
    PERFORM report_tell(was, t, 'consolidate', body, request_id);
  END IF;
  version := t.version;
  told := json_build_object('report', t.id, 'version', t.version, 'state', t.state, 'dry_run', dry, 'changed', changed,
    'completeness', json_build_object('received', cardinality(taken), 'expected', cardinality(owing), 'missing', missing),
    'sections', sections, 'figures', report_totals_changes(t, old_totals, totals));
END $$;

GRANT EXECUTE ON FUNCTION campaign_standing(uuid, uuid, text, date), report_review_sections(uuid), report_campaign(uuid), campaign_leaves(jsonb),
  campaign_changes(jsonb, jsonb) TO tiendo_service;
