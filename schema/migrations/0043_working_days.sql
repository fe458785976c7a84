-- Working days, what a duty's data run from and to, when its report is due, and who owes it. Read by whoever calls: the background
-- work sees every unit, a caller those in its sight.
SET search_path = tiendo, public;

-- Monday to Friday, unless the calendar says otherwise: the root's own line of a day goes before the country's.
CREATE FUNCTION working_day(root uuid, p_day date) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN coalesce((SELECT h.working FROM holiday h WHERE h.day = p_day AND (h.root_id = root OR h.root_id IS NULL)
    ORDER BY h.root_id NULLS LAST LIMIT 1), extract(isodow FROM p_day) < 6);
END $$;
-- The n-th working day after a day; for 0 the day itself, or the next working day when it is a day off.
CREATE FUNCTION add_working_days(root uuid, p_day date, n int) RETURNS date LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
  found_day date;
  span int := 2 * n + 30;
BEGIN
  IF n = 0 THEN
    IF working_day(root, p_day) THEN RETURN p_day; END IF;
    RETURN add_working_days(root, p_day, 1);
  END IF;
  -- 5 days of 7, and no more than 30 days off a year; a calendar that has hardly a working day is looked through for years, and then left
  LOOP
    SELECT x.day INTO found_day FROM (
      SELECT c.day, row_number() OVER (ORDER BY c.day) AS nth
      FROM (SELECT p_day + i AS day FROM generate_series(1, span) i) c
        LEFT JOIN LATERAL (SELECT h.working FROM holiday h WHERE h.day = c.day AND (h.root_id = root OR h.root_id IS NULL)
          ORDER BY h.root_id NULLS LAST LIMIT 1) h ON true
      WHERE coalesce(h.working, extract(isodow FROM c.day) < 6)) x
    WHERE x.nth = n;
    EXIT WHEN FOUND OR span > 5000;
    span := 4 * span;
  END LOOP;
  RETURN coalesce(found_day, p_day + span);
END $$;

-- The data a duty's report of a period covers, and the day it is due.
--   decree_09_2019 (Decree 09/2019/NĐ-CP, article 12): from the day after the cut-off day of the month before the period to the cut-off
--   day of its last month. A week and a phase, which the article does not know, are taken whole, as every period is by period_end.
--   Due so many working days after the data's last day; counted in calendar days, a deadline on a day off moves to the next working day.
--   A duty of one time alone is due on the day decided, as decided; else after its period, by rule; else not yet (NULL).
CREATE FUNCTION report_dates(d report_duty, starts date, ends date, kind text, OUT data_from date, OUT data_to date, OUT due_on date)
  LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  data_from := starts;
  data_to := ends;
  IF d.cut_off_rule = 'decree_09_2019' AND kind NOT IN ('week', 'phase') THEN
    data_from := (date_trunc('month', starts::timestamp) - interval '1 month')::date + d.cut_off_day;
    data_to := date_trunc('month', ends::timestamp)::date + d.cut_off_day - 1;
  END IF;
  due_on := d.due_on;
  IF due_on IS NULL AND data_to IS NOT NULL THEN
    due_on := CASE d.deadline_kind WHEN 'working' THEN add_working_days(d.root_id, data_to, d.deadline_days)
      ELSE add_working_days(d.root_id, data_to + d.deadline_days, 0) END;
  END IF;
END $$;

-- The day on whose tree a duty of one time alone is owed: its period's last, else the day it is due, else today, or as near to today as
-- the duty holds.
CREATE FUNCTION report_duty_day(d report_duty) RETURNS date LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN coalesce((SELECT p.ends_on FROM period p WHERE p.id = d.period_id), d.due_on,
    greatest(lower(d.validity), least(today(), upper(d.validity) - 1)));
END $$;

-- The part of a calendar period's code without its year: Q2 of 2026-Q2.
CREATE FUNCTION period_part(period_code text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT substr(period_code, 6) $$;
-- The period of a cadence that ends on a day, or NULL.
CREATE FUNCTION period_ending(cadence text, p_ends date) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT p.id FROM period p WHERE p.kind = cadence AND p.ends_on = p_ends AND p.programme_id IS NULL);
END $$;

-- The units that need not report on a duty for a period, because their report on another duty for a period ending the same day stands for
-- it: they owe both. units: these alone. by_duty, by_period: that other report, the one in the end where one stands for one that stands for it.
CREATE FUNCTION report_stood_for(d report_duty, p period, units uuid[] DEFAULT NULL) RETURNS TABLE (organization_id uuid, by_duty uuid, by_period uuid)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2000 AS $$
DECLARE other record;
BEGIN
  FOR other IN
    SELECT x AS duty, y AS period FROM report_duty_stands_for s JOIN report_duty x ON x.id = s.duty_id
      JOIN period y ON y.id = period_ending(x.cadence, p.ends_on)
    WHERE s.for_duty_id = d.id AND period_part(p.code) = ANY (s.periods) AND x.validity @> p.ends_on
    ORDER BY x.id
  LOOP
    RETURN QUERY
    SELECT o.organization_id, coalesce(h.by_duty, (other.duty).id), coalesce(h.by_period, (other.period).id)
    FROM report_duty_owes(other.duty, p.ends_on, units) o LEFT JOIN report_stood_for(other.duty, other.period, units) h USING (organization_id)
    WHERE o.organization_id IN (SELECT w.organization_id FROM report_duty_owes(d, p.ends_on, units) w);
  END LOOP;
END $$;
-- The other way: the duties and periods that a unit's report on this duty for this period is also the report for.
CREATE FUNCTION report_stands_for(d report_duty, p period, unit uuid) RETURNS TABLE (duty_id uuid, period_id uuid)
  LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2 AS $$
DECLARE other record;
BEGIN
  FOR other IN
    SELECT x AS duty, y AS period FROM report_duty_stands_for s JOIN report_duty x ON x.id = s.for_duty_id
      JOIN period y ON y.id = period_ending(x.cadence, p.ends_on)
    WHERE s.duty_id = d.id AND period_part(y.code) = ANY (s.periods) AND x.validity @> p.ends_on
    ORDER BY x.code
  LOOP
    IF EXISTS (SELECT FROM report_duty_owes(other.duty, p.ends_on, ARRAY[unit])) THEN
      RETURN QUERY SELECT (other.duty).id, (other.period).id UNION SELECT * FROM report_stands_for(other.duty, other.period, unit);
    END IF;
  END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION working_day(uuid, date), add_working_days(uuid, date, int), report_dates(report_duty, date, date, text),
  report_duty_day(report_duty), period_part(text), period_ending(text, date),
  report_stood_for(report_duty, period, uuid[]), report_stands_for(report_duty, period, uuid) TO tiendo_service;

-- ---- the country's days off, 2025 to 2027 ------------------------------------------------------------------
-- Labour Code (45/2019/QH14), articles 111 and 112; a holiday on a weekly day off is made up for on the next working day. By decision:
--   2025: letter 8726/VPCP-KGVX of 2024-11-26 (Tết from 27 to 31 January, 1 September, 2 May exchanged for 26 April);
--   2026: the Ministry of Home Affairs' notice 9441 of 2025-10-16 (Tết from 16 to 20 February, 1 September, 31 August exchanged for
--     22 August); letter 12729/VPCP-KGVX of 2025-12-25 (2 January exchanged for 10 January);
--   24 November from 2026 on: Resolution 80-NQ/TW, made law by Resolution 28/2026/QH16 (from 2026-07-01).
-- Not known when this was written, so not here: any exchange around 24 November 2026; for 2027 the fifth day of Tết (4 or 11 February: it is
-- decided whether one or two days go before the new year), the second day of 2 September (1 or 3), and exchanges. An installation adds
-- them to its calendar (PUT /v1/holidays/{day}).
INSERT INTO holiday (id, day, name, working)
SELECT period_uuid('holiday ' || x.day, x.day), x.day, x.name, x.working
FROM (VALUES
  ('2025-01-01'::date, 'Tết Dương lịch', false),
  ('2025-01-27', 'Tết Nguyên đán Ất Tỵ (28 tháng Chạp)', false),
  ('2025-01-28', 'Tết Nguyên đán Ất Tỵ (29 tháng Chạp)', false),
  ('2025-01-29', 'Tết Nguyên đán Ất Tỵ (mùng 1)', false),
  ('2025-01-30', 'Tết Nguyên đán Ất Tỵ (mùng 2)', false),
  ('2025-01-31', 'Tết Nguyên đán Ất Tỵ (mùng 3)', false),
  ('2025-04-07', 'Giỗ Tổ Hùng Vương', false),
  ('2025-04-26', 'Làm bù cho ngày 02/5/2025', true),
  ('2025-04-30', 'Ngày Chiến thắng', false),
  ('2025-05-01', 'Ngày Quốc tế Lao động', false),
  ('2025-05-02', 'Nghỉ hoán đổi, làm bù ngày 26/4/2025', false),
  ('2025-09-01', 'Quốc khánh (ngày liền kề)', false),
  ('2025-09-02', 'Quốc khánh', false),
  ('2026-01-01', 'Tết Dương lịch', false),
  ('2026-01-02', 'Nghỉ hoán đổi, làm bù ngày 10/01/2026', false),
  ('2026-01-10', 'Làm bù cho ngày 02/01/2026', true),
  ('2026-02-16', 'Tết Nguyên đán Bính Ngọ (29 tháng Chạp)', false),
  ('2026-02-17', 'Tết Nguyên đán Bính Ngọ (mùng 1)', false),
  ('2026-02-18', 'Tết Nguyên đán Bính Ngọ (mùng 2)', false),
  ('2026-02-19', 'Tết Nguyên đán Bính Ngọ (mùng 3)', false),
  ('2026-02-20', 'Tết Nguyên đán Bính Ngọ (mùng 4)', false),
  ('2026-04-26', 'Giỗ Tổ Hùng Vương', false),
  ('2026-04-27', 'Nghỉ bù Giỗ Tổ Hùng Vương', false),
  ('2026-04-30', 'Ngày Chiến thắng', false),
  ('2026-05-01', 'Ngày Quốc tế Lao động', false),
  ('2026-08-22', 'Làm bù cho ngày 31/8/2026', true),
  ('2026-08-31', 'Nghỉ hoán đổi, làm bù ngày 22/8/2026', false),
  ('2026-09-01', 'Quốc khánh (ngày liền kề)', false),
  ('2026-09-02', 'Quốc khánh', false),
  ('2026-11-24', 'Ngày Văn hóa Việt Nam', false),
  ('2027-01-01', 'Tết Dương lịch', false),
  ('2027-02-05', 'Tết Nguyên đán Đinh Mùi (29 tháng Chạp)', false),
  ('2027-02-06', 'Tết Nguyên đán Đinh Mùi (mùng 1)', false),
  ('2027-02-07', 'Tết Nguyên đán Đinh Mùi (mùng 2)', false),
  ('2027-02-08', 'Tết Nguyên đán Đinh Mùi (mùng 3)', false),
  ('2027-02-09', 'Tết Nguyên đán Đinh Mùi (mùng 4 hoặc nghỉ bù)', false),
  ('2027-02-10', 'Nghỉ bù Tết Nguyên đán Đinh Mùi', false),
  ('2027-04-16', 'Giỗ Tổ Hùng Vương', false),
  ('2027-04-30', 'Ngày Chiến thắng', false),
  ('2027-05-01', 'Ngày Quốc tế Lao động', false),
  ('2027-05-03', 'Nghỉ bù Ngày Quốc tế Lao động', false),
  ('2027-09-02', 'Quốc khánh', false),
  ('2027-11-24', 'Ngày Văn hóa Việt Nam', false)) x(day, name, working);
