-- The tasks of a person: what there is to do for the seat it acts for, worked out from what stands, and what of it the account has read.
-- A task is named by what it is about and how that stands, so that a report returned again is another task, unread.
SET search_path = tiendo, public;

-- thing: the report, reminder or unit that a task is about.
CREATE TABLE task_read (
  account_id uuid NOT NULL REFERENCES account (id),
  task text COLLATE "C" NOT NULL,
  thing_id uuid NOT NULL,
  read_at timestamptz NOT NULL DEFAULT clock_now(),
  PRIMARY KEY (account_id, task)
);
CREATE INDEX task_read_thing ON task_read (thing_id);
ALTER TABLE task_read ENABLE ROW LEVEL SECURITY;
ALTER TABLE task_read FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON task_read TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_own ON task_read FOR SELECT TO tiendo_service USING (account_id = (SELECT me_account()));
GRANT SELECT ON task_read TO tiendo_service;

-- Whether the caller's account has read a reminder.
CREATE FUNCTION reminder_read(reminder_id uuid) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM task_read t WHERE t.account_id = (SELECT me_account()) AND t.task = 'reminder.' || reminder_id);
END $$;

-- A filter's yes or no, each by a condition of its own: the reminders to the caller's unit that its account has not read; or all others wanted.
CREATE TYPE unread_choice AS (ids uuid[], rest boolean);
CREATE FUNCTION filter_unread(unread boolean) RETURNS unread_choice LANGUAGE plpgsql STABLE AS $$
DECLARE seats uuid[] := me_seats();
BEGIN
  RETURN ROW(CASE WHEN unread THEN ARRAY(SELECT m.id FROM reminder m WHERE m.to_id = ANY (seats) AND NOT EXISTS (SELECT FROM task_read t
    WHERE t.account_id = me_account() AND t.task = 'reminder.' || m.id)) ELSE '{}' END, NOT unread)::unread_choice;
END $$;

-- The tasks that a report makes as it stands: to write it, to write it again, to accept it, to answer who wants it back.
-- (stable, as what it calls is: so it is written into the query that calls it)
CREATE FUNCTION report_task(kind text, r report) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat_ws('.', kind, r.id, CASE kind WHEN 'due' THEN coalesce(to_char(r.due_on, 'YYYYMMDD'), '0')
    WHEN 'return_requested' THEN r.submissions || '-' || extract(epoch FROM r.return_requested_at)::bigint ELSE r.submissions::text END) $$;
CREATE FUNCTION report_tasks(r report) RETURNS text[] LANGUAGE sql STABLE AS $$
  SELECT ARRAY[CASE WHEN r.state IN ('expected', 'draft') THEN tiendo.report_task('due', r) WHEN r.state = 'returned' THEN tiendo.report_task('returned', r)
      WHEN r.state = 'amending' THEN tiendo.report_task('amend', r) WHEN r.state = 'submitted' THEN tiendo.report_task('review', r) ELSE '' END,
    CASE WHEN r.return_requested_at IS NOT NULL THEN tiendo.report_task('return_requested', r) ELSE '' END] $$;

-- That a task was read is forgotten with what it was about.
CREATE FUNCTION task_read_over() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    DELETE FROM task_read t WHERE t.thing_id = old.id;
  ELSE
    DELETE FROM task_read t WHERE t.thing_id = new.id AND t.task <> ALL (report_tasks(new));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER task_read_over AFTER UPDATE OF state, due_on, submissions, return_requested_at ON report FOR EACH ROW
  WHEN ((old.state, old.due_on, old.submissions, old.return_requested_at) IS DISTINCT FROM (new.state, new.due_on, new.submissions, new.return_requested_at))
  EXECUTE FUNCTION task_read_over();
CREATE TRIGGER task_read_gone AFTER DELETE ON report FOR EACH ROW EXECUTE FUNCTION task_read_over();
CREATE TRIGGER task_read_gone AFTER DELETE ON organization FOR EACH ROW EXECUTE FUNCTION task_read_over();

-- ---- whose task --------------------------------------------------------------------------------------------
-- What the caller's role may do, while its unit stands.
CREATE FUNCTION task_may(p_permission text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN me_account() IS NOT NULL AND EXISTS (SELECT FROM role_permission p WHERE p.role = me_role() AND p.permission = p_permission)
    AND unit_stands(me_seat());
END $$;
-- The places below the seat where what a superior enters falls to it: those with no unit between that has somebody to do it.
CREATE FUNCTION task_below() RETURNS keymultirange LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE key text := me_seat_key();
BEGIN
  RETURN keymultirange(keyrange(key || '0', key || '~')) - coalesce((SELECT range_agg(keyrange(g.scope_key || '0', g.scope_key || '~'))
    FROM access_grant g
    WHERE g.scope_key > key AND g.scope_key < key || '~' AND g.role IN ('reporter', 'approver', 'manager') AND g.revoked_at IS NULL
      AND g.valid_from <= today() AND (g.valid_to IS NULL OR g.valid_to >= today())), '{}');
END $$;
CREATE INDEX report_behalf ON report (scope_key) WHERE entered_by = 'superior' AND state IN ('expected', 'draft', 'returned', 'amending');
CREATE INDEX report_mine ON report (organization_id) WHERE state IN ('expected', 'draft', 'returned', 'amending');

-- The open reports that fall to the seat to write.
CREATE FUNCTION task_open_reports() RETURNS SETOF report LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
DECLARE seats uuid[] := me_seats();
BEGIN
  RETURN QUERY
  SELECT r.* FROM report r WHERE r.organization_id = ANY (seats) AND r.state IN ('expected', 'draft', 'returned', 'amending')
  UNION ALL
  SELECT r.* FROM unnest(task_below()) a JOIN report r ON r.scope_key >= lower(a) AND r.scope_key < upper(a)
  WHERE r.entered_by = 'superior' AND r.state IN ('expected', 'draft', 'returned', 'amending') AND r.organization_id <> ALL (seats);
END $$;
-- The submitted reports that are addressed to the seat, or to a unit that a mandate lets it review for.
CREATE FUNCTION task_submitted_reports() RETURNS SETOF report LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 100 AS $$
DECLARE
  seats uuid[] := me_seats();
  m record;
BEGIN
  RETURN QUERY SELECT r.* FROM report r WHERE r.recipient_id = ANY (seats) AND r.acceptance <> 'none'
    AND (r.state = 'submitted' OR (r.state IN ('received', 'approved') AND r.return_requested_at IS NOT NULL));
  FOR m IN
    SELECT o.id, o.scope_key, array_agg(x.programme_id) AS programmes, bool_or(x.programme_id IS NULL) AS every
    FROM organization seat JOIN mandate x ON x.unit_id = seat.id OR (x.unit_kind = seat.kind AND seat.parent_id IS NOT NULL)
      JOIN organization o ON o.id = coalesce(x.over_id, seat.parent_id) AND o.scope_key ^@ x.scope_key
    WHERE seat.id = me_seat() AND 'review' = ANY (x.functions) AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today())
      AND o.id <> ALL (seats)
    GROUP BY o.id
  LOOP
    RETURN QUERY SELECT r.* FROM report r WHERE r.recipient_id = m.id AND r.acceptance <> 'none' AND r.scope_key ^@ m.scope_key
      AND (m.every OR r.programme_id = ANY (m.programmes)) AND r.organization_id <> ALL (seats)
      AND (r.state = 'submitted' OR (r.state IN ('received', 'approved') AND r.return_requested_at IS NOT NULL));
  END LOOP;
END $$;

-- ---- the list ----------------------------------------------------------------------------------------------
-- urgency: the day a task falls on, what it is, and since when: earlier is more urgent. open: where its thing is read.
CREATE TYPE task AS (
  id text, kind text, title text, organization text, organization_name text, programme text, duty text, period text, report uuid, due_on date,
  late boolean, missing int, reason text, reasons jsonb, since timestamptz, read boolean, urgency text, open text
);
CREATE FUNCTION task_urgency(day date, rank int, since timestamptz, code text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT concat_ws(' ', coalesce(to_char(day, 'YYYY-MM-DD'), '9999-12-31'), rank, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'), code) $$;

-- What is to be written: reports due (from a month before their deadline on, or begun), returned, opened again.
CREATE FUNCTION task_write() RETURNS SETOF task LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
BEGIN
  IF NOT task_may('reports:write') THEN RETURN; END IF;
  RETURN QUERY
  SELECT k.id, k.kind, d.title, r.organization_code, o.name, g.code::text, d.code::text, r.period_code, r.id, r.due_on, report_late(r.state, r.due_on),
    NULL::int, e.reason, e.reasons, coalesce(e.at, r.created_at), t.task IS NOT NULL,
    task_urgency(r.due_on, k.rank, coalesce(e.at, r.created_at), r.organization_code), '/v1/reports/' || r.id
  FROM task_open_reports() r
    CROSS JOIN LATERAL (SELECT c.kind, c.rank, report_task(c.kind, r) AS id FROM (SELECT CASE r.state WHEN 'returned' THEN 'returned'
      WHEN 'amending' THEN 'amend' ELSE 'due' END AS kind, CASE r.state WHEN 'returned' THEN 1 WHEN 'amending' THEN 2 ELSE 3 END AS rank) c) k
    JOIN report_duty d ON d.id = r.duty_id JOIN programme g ON g.id = r.programme_id JOIN organization o ON o.id = r.organization_id
    LEFT JOIN LATERAL (SELECT x.at, x.reason, x.reasons FROM report_event x WHERE x.report_id = r.id AND x.action = CASE r.state
      WHEN 'returned' THEN 'return' WHEN 'amending' THEN 'amend' END ORDER BY x.seq DESC LIMIT 1) e ON true
    LEFT JOIN task_read t ON t.account_id = me_account() AND t.task = k.id
  WHERE r.state <> 'expected' OR r.due_on IS NULL OR r.due_on <= today() + 31;
END $$;

-- What is to be accepted, and who wants a report back; nobody accepts what the account itself submitted.
CREATE FUNCTION task_review() RETURNS SETOF task LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 100 AS $$
DECLARE mine uuid[] := ARRAY[me_account(), me_giver()];
BEGIN
  IF NOT task_may('reviews:write') THEN RETURN; END IF;
  RETURN QUERY
  SELECT k.id, k.kind, d.title, r.organization_code, o.name, g.code::text, d.code::text, r.period_code, r.id, r.due_on,
    NOT coalesce(report_on_time(r.first_submitted_at, r.due_on), true), NULL::int,
    CASE k.kind WHEN 'return_requested' THEN r.return_requested END, NULL::jsonb, k.since, t.task IS NOT NULL,
    task_urgency((k.since AT TIME ZONE 'Asia/Ho_Chi_Minh')::date, k.rank, k.since, r.organization_code), '/v1/reports/' || r.id
  FROM task_submitted_reports() r
    CROSS JOIN LATERAL (
      SELECT 'review' AS kind, report_task('review', r) AS id, 5 AS rank, r.submitted_at AS since WHERE r.state = 'submitted'
      UNION ALL SELECT 'return_requested', report_task('return_requested', r), 4, r.return_requested_at WHERE r.return_requested_at IS NOT NULL) k
    JOIN report_duty d ON d.id = r.duty_id JOIN programme g ON g.id = r.programme_id JOIN organization o ON o.id = r.organization_id
    LEFT JOIN task_read t ON t.account_id = me_account() AND t.task = k.id
  -- (as report_submitted_by_me() has it)
  WHERE NOT EXISTS (SELECT FROM (SELECT v.account_id, v.giver_id FROM report_version v WHERE v.report_id = r.id AND v.withdrawn_at IS NULL
    ORDER BY v.n DESC LIMIT 1) v WHERE v.account_id = ANY (mine) OR v.giver_id = ANY (mine));
END $$;

-- The latest reminder of each open report to each unit the seat stands for. (What is read is no task any more; it stands among the reminders.)
CREATE FUNCTION task_remind() RETURNS SETOF task LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
DECLARE seats uuid[] := me_seats();
BEGIN
  IF me_account() IS NULL THEN RETURN; END IF;
  RETURN QUERY
  SELECT 'reminder.' || m.id, 'reminder', d.title, r.organization_code, o.name, g.code::text, d.code::text, r.period_code, r.id, r.due_on,
    report_late(r.state, r.due_on), NULL::int, m.message, NULL::jsonb, m.sent_at, t.task IS NOT NULL,
    task_urgency(r.due_on, 6, m.sent_at, r.organization_code), '/v1/reminders/' || m.id
  FROM (SELECT DISTINCT ON (x.report_id, x.to_id) x.* FROM reminder x WHERE x.to_id = ANY (seats) ORDER BY x.report_id, x.to_id, x.sent_at DESC, x.id DESC) m
    JOIN report r ON r.id = m.report_id AND report_open(r.state)
    JOIN report_duty d ON d.id = r.duty_id JOIN programme g ON g.id = r.programme_id JOIN organization o ON o.id = r.organization_id
    LEFT JOIN task_read t ON t.account_id = me_account() AND t.task = 'reminder.' || m.id;
END $$;

-- The periods whose figures are wanted by now: of each kind, and of each programme's phases, the latest that ends within a week or has ended.
CREATE FUNCTION task_periods() RETURNS SETOF period LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 10 AS $$
BEGIN
  RETURN QUERY SELECT p.* FROM unnest(ARRAY['week', 'month', 'quarter', 'half_year', 'nine_months', 'year']) k,
    LATERAL (SELECT x.* FROM period x WHERE x.kind = k AND x.ends_on <= today() + 7 AND x.starts_on > today() - 800 ORDER BY x.starts_on DESC LIMIT 1) p;
  RETURN QUERY SELECT DISTINCT ON (x.programme_id) x.* FROM period x WHERE x.kind = 'phase' AND x.ends_on <= today() + 7
    ORDER BY x.programme_id, x.ends_on DESC, x.id;
END $$;

-- Values still missing, a unit, period and programme each: of the indicators assigned, for the periods wanted by now, and of those attached to
-- an open report whose data end within a week or have ended. What a connected system enters is nobody's task.
CREATE FUNCTION task_enter() RETURNS SETOF task LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp ROWS 20 AS $$
DECLARE seats uuid[] := me_seats();
BEGIN
  IF NOT task_may('values:write') THEN RETURN; END IF;
  RETURN QUERY
  WITH unit AS MATERIALIZED (
    SELECT u.organization_id, u.scope_key, u.indicator_id, u.validity
    FROM organization o JOIN assignment_unit u ON u.scope_key = o.scope_key
    WHERE o.id = ANY (seats) AND u.source <> 'client'
    UNION ALL
    SELECT u.organization_id, u.scope_key, u.indicator_id, u.validity
    FROM unnest(task_below()) a JOIN assignment_unit u ON u.scope_key >= lower(a) AND u.scope_key < upper(a)
    WHERE u.entered_by = 'superior' AND u.source <> 'client' AND u.organization_id <> ALL (seats)
  ), attached AS MATERIALIZED (
    SELECT r.organization_id, i.id AS indicator_id, p.id AS period_id, r.due_on
    FROM task_open_reports() r JOIN report_duty_indicator x ON x.duty_id = r.duty_id JOIN indicator i ON i.id = x.indicator_id
      JOIN period q ON q.id = r.period_id
      JOIN period p ON p.kind = i.frequency AND p.ends_on BETWEEN q.starts_on AND q.ends_on AND (p.programme_id IS NULL OR p.programme_id = i.programme_id)
    WHERE r.data_to <= today() + 7
  ), wanted AS (
    SELECT u.organization_id, u.scope_key, i.id AS indicator_id, i.programme_id, i.categories, p.id AS period_id, p.code AS period_code,
      p.ends_on
    FROM unit u JOIN indicator i ON i.id = u.indicator_id
      JOIN task_periods() p ON p.kind = i.frequency AND (p.programme_id IS NULL OR p.programme_id = i.programme_id) AND u.validity @> p.ends_on
      JOIN programme g ON g.id = i.programme_id AND coalesce(g.ends_on >= p.starts_on, true)
    UNION
    SELECT u.organization_id, u.scope_key, i.id, i.programme_id, i.categories, p.id, p.code, p.ends_on
    FROM attached a JOIN unit u ON u.organization_id = a.organization_id AND u.indicator_id = a.indicator_id
      JOIN indicator i ON i.id = u.indicator_id JOIN period p ON p.id = a.period_id AND u.validity @> p.ends_on
  ), lacking AS (
    SELECT w.organization_id, w.period_id, w.period_code, w.programme_id, count(*)::int AS missing, max(w.ends_on) AS ends_on
    FROM wanted w CROSS JOIN unnest(coalesce(w.categories, '{""}')) c(category)
    WHERE NOT EXISTS (SELECT FROM value v WHERE v.scope_key = w.scope_key AND v.indicator_id = w.indicator_id AND v.period_id = w.period_id
      AND v.category = c.category)
    GROUP BY 1, 2, 3, 4
  ), dated AS (
    SELECT l.*, concat_ws('.', 'enter', l.organization_id, l.period_id, l.programme_id) AS id,
      (SELECT min(a.due_on) FROM attached a JOIN indicator i ON i.id = a.indicator_id
        WHERE a.organization_id = l.organization_id AND a.period_id = l.period_id AND i.programme_id = l.programme_id) AS due_on
    FROM lacking l
  )
  SELECT x.id, 'enter', g.title, o.code::text, o.name, g.code::text, NULL::text, x.period_code, NULL::uuid, x.due_on, coalesce(x.due_on < today(), false),
    x.missing, NULL::text, NULL::jsonb, NULL::timestamptz, t.task IS NOT NULL,
    task_urgency(coalesce(x.due_on, x.ends_on), 0, NULL, o.code), concat('/v1/values/sheet?organization=', url_encode(o.code), '&period=',
      url_encode(x.period_code), '&programme=', url_encode(g.code))
  FROM dated x JOIN programme g ON g.id = x.programme_id JOIN organization o ON o.id = x.organization_id
    LEFT JOIN task_read t ON t.account_id = me_account() AND t.task = x.id;
END $$;

CREATE FUNCTION my_tasks() RETURNS SETOF task LANGUAGE plpgsql STABLE ROWS 50 AS $$
BEGIN
  RETURN QUERY SELECT * FROM task_write();
  RETURN QUERY SELECT * FROM task_review();
  RETURN QUERY SELECT * FROM task_enter();
  RETURN QUERY SELECT * FROM task_remind() t WHERE NOT t.read;
END $$;

-- Marks a task of the caller as read (or not): 404 when it has no such task. Marks of what is no longer missing below the seat go with it.
CREATE FUNCTION task_mark(task_id text, as_read boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  kind text := split_part(task_id, '.', 1);
  mine text[];
BEGIN
  mine := CASE kind WHEN 'enter' THEN ARRAY(SELECT t.id FROM task_enter() t)
    WHEN 'review' THEN ARRAY(SELECT t.id FROM task_review() t) WHEN 'return_requested' THEN ARRAY(SELECT t.id FROM task_review() t)
    WHEN 'reminder' THEN ARRAY(SELECT 'reminder.' || m.id FROM reminder m WHERE m.to_id = ANY (me_seats()) AND 'reminder.' || m.id = task_id)
    ELSE ARRAY(SELECT t.id FROM task_write() t) END;
  IF me_account() IS NULL OR task_id <> ALL (mine) THEN PERFORM fail(404, 'not_found'); END IF;
  IF kind = 'enter' THEN
    DELETE FROM task_read t USING organization o
    WHERE t.account_id = me_account() AND t.task LIKE 'enter.%' AND t.task <> ALL (mine) AND o.id = t.thing_id AND o.scope_key ^@ me_seat_key();
  END IF;
  IF as_read THEN
    INSERT INTO task_read (account_id, task, thing_id) VALUES (me_account(), task_id, split_part(task_id, '.', 2)::uuid) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM task_read t WHERE t.account_id = me_account() AND t.task = task_id;
  END IF;
END $$;

GRANT EXECUTE ON FUNCTION reminder_read(uuid), filter_unread(boolean), task_may(text), task_below(), task_write(), task_review(), task_remind(), task_enter(), my_tasks(),
  task_mark(text, boolean) TO tiendo_service;
