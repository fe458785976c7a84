-- Report duties: who accounts for what to whom, how often and until when. A duty is a definition: it is seen where it holds, and by whom
-- it is addressed to. The reports it makes due stand in 0045.
SET search_path = tiendo, public;

INSERT INTO permission (code, grows, for_client) VALUES
  ('duties:read', 'read', true), ('duties:write', 'define', true), ('reports:read', 'read', true), ('reports:write', NULL, true),
  ('submissions:write', NULL, false), ('reviews:write', 'review', false), ('reminders:write', 'remind', false);
INSERT INTO role_permission (role, permission, grows)
SELECT r, p.code, p.grows
FROM permission p, unnest(ARRAY['viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector']) r
WHERE p.code IN ('duties:read', 'reports:read')
  OR (p.code = 'duties:write' AND r IN ('manager', 'connector'))
  OR (p.code = 'reports:write' AND r IN ('reporter', 'approver', 'manager', 'connector'))
  OR (p.code IN ('submissions:write', 'reviews:write') AND r = 'approver')
  OR (p.code = 'reminders:write' AND r IN ('reporter', 'approver', 'manager'));

-- ---- days off ----------------------------------------------------------------------------------------------
-- Public holidays, and the days worked in exchange for others. root_id NULL: the whole country's.
CREATE TABLE holiday (
  id uuid PRIMARY KEY,
  root_id uuid REFERENCES organization (id),
  day date NOT NULL,
  name text NOT NULL CONSTRAINT holiday_name_length CHECK (length(name) BETWEEN 1 AND 200),
  working boolean NOT NULL DEFAULT false,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT holiday_taken UNIQUE NULLS NOT DISTINCT (day, root_id)
);
COMMENT ON CONSTRAINT holiday_name_length ON holiday IS '422 too_long #/name';
COMMENT ON CONSTRAINT holiday_taken ON holiday IS '412 version_conflict';
ALTER TABLE holiday ENABLE ROW LEVEL SECURITY;
ALTER TABLE holiday FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON holiday TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON holiday FOR SELECT TO tiendo_service
  USING ((SELECT me_grant()) IS NOT NULL AND (root_id IS NULL OR root_id = (SELECT me_root())));
GRANT SELECT ON holiday TO tiendo_service;

-- ---- duties ------------------------------------------------------------------------------------------------
-- From whom: every unit of these kinds (NULL: of any kind) below a unit, and the units named in report_duty_organization; less those
-- excepted there. under_id NULL: only those named. To whom: a unit, or (to_parent) each unit's own parent.
CREATE TABLE report_duty (
  id uuid PRIMARY KEY,
  programme_id uuid NOT NULL REFERENCES programme (id),
  root_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  scope_id uuid NOT NULL REFERENCES organization (id),
  code code NOT NULL,
  title text NOT NULL CONSTRAINT report_duty_title_length CHECK (length(title) BETWEEN 1 AND 500),
  under_id uuid REFERENCES organization (id),
  kinds text[],
  to_id uuid REFERENCES organization (id),
  to_parent boolean NOT NULL DEFAULT false,
  copy_ids uuid[] NOT NULL DEFAULT '{}',
  copies_outside text[] NOT NULL DEFAULT '{}',
  acceptance text NOT NULL CHECK (acceptance IN ('receipt', 'approval', 'none')),
  cadence text NOT NULL CHECK (cadence IN ('week', 'month', 'quarter', 'half_year', 'nine_months', 'year', 'once')),
  -- decree_09_2019: data to the cut_off_day (14th) of the period's last month; period_end: to its last day
  cut_off_rule text NOT NULL DEFAULT 'decree_09_2019' CHECK (cut_off_rule IN ('decree_09_2019', 'period_end')),
  cut_off_day int NOT NULL DEFAULT 14 CHECK (cut_off_day BETWEEN 1 AND 28),
  deadline_days int NOT NULL DEFAULT 2 CHECK (deadline_days BETWEEN 0 AND 366),
  deadline_kind text NOT NULL DEFAULT 'working' CHECK (deadline_kind IN ('working', 'calendar')),
  due_on date,
  period_id uuid REFERENCES period (id),
  entered_by text NOT NULL DEFAULT 'self' CHECK (entered_by IN ('self', 'superior')),
  validity daterange NOT NULL CHECK (NOT isempty(validity)),
  document text CONSTRAINT report_duty_document_length CHECK (length(document) BETWEEN 1 AND 100),
  note text CONSTRAINT report_duty_note_length CHECK (length(note) <= 4000),
  campaign text CONSTRAINT report_duty_campaign_length CHECK (length(campaign) BETWEEN 1 AND 64),
  -- days before and after the deadline on which a reminder goes out by itself, and after which it goes to the unit above too
  remind_before int[] NOT NULL DEFAULT '{3}',
  remind_after int[] NOT NULL DEFAULT '{1,7}',
  escalate_after int DEFAULT 7 CHECK (escalate_after BETWEEN 1 AND 366),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT report_duty_code_taken UNIQUE (root_id, code),
  CONSTRAINT report_duty_to CHECK ((to_id IS NULL) = to_parent),
  CONSTRAINT report_duty_once CHECK (cadence = 'once' OR (due_on IS NULL AND period_id IS NULL))
);
COMMENT ON CONSTRAINT report_duty_code_taken ON report_duty IS '409 code_taken #/code';
COMMENT ON CONSTRAINT report_duty_to ON report_duty IS '422 one_of #/to';
COMMENT ON CONSTRAINT report_duty_once ON report_duty IS '422 not_expected #/due_on';
COMMENT ON CONSTRAINT report_duty_title_length ON report_duty IS '422 too_long #/title';
COMMENT ON CONSTRAINT report_duty_document_length ON report_duty IS '422 too_long #/document';
COMMENT ON CONSTRAINT report_duty_note_length ON report_duty IS '422 too_long #/note';
COMMENT ON CONSTRAINT report_duty_campaign_length ON report_duty IS '422 too_long #/campaign';
CREATE INDEX report_duty_code ON report_duty (code COLLATE "C", id);
CREATE INDEX report_duty_created ON report_duty (created_at, id);
CREATE INDEX report_duty_programme ON report_duty (programme_id);

CREATE TABLE report_duty_organization (
  duty_id uuid NOT NULL REFERENCES report_duty (id),
  organization_id uuid NOT NULL REFERENCES organization (id),
  excepted boolean NOT NULL,
  PRIMARY KEY (duty_id, organization_id)
);
CREATE INDEX report_duty_organization_unit ON report_duty_organization (organization_id);
CREATE TABLE report_duty_section (
  duty_id uuid NOT NULL REFERENCES report_duty (id),
  position int NOT NULL,
  code code NOT NULL,
  title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
  required boolean NOT NULL,
  max_length int NOT NULL CHECK (max_length BETWEEN 1 AND 100000),
  PRIMARY KEY (duty_id, code)
);
CREATE TABLE report_duty_indicator (
  duty_id uuid NOT NULL REFERENCES report_duty (id),
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  position int NOT NULL,
  PRIMARY KEY (duty_id, indicator_id)
);
CREATE INDEX report_duty_indicator_id ON report_duty_indicator (indicator_id);
-- The duty's report of a period is also that of another duty for the part named (the half-year's is also Q2's).
CREATE TABLE report_duty_stands_for (
  duty_id uuid NOT NULL REFERENCES report_duty (id),
  for_duty_id uuid NOT NULL REFERENCES report_duty (id),
  periods text[] NOT NULL CHECK (cardinality(periods) > 0),
  PRIMARY KEY (duty_id, for_duty_id),
  CHECK (duty_id <> for_duty_id)
);
CREATE INDEX report_duty_stands_for_other ON report_duty_stands_for (for_duty_id);

-- The units the caller stands for: its seat, and those that ended and left to it what they owed.
CREATE FUNCTION me_seats() RETURNS uuid[] LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  seat uuid := me_seat();
  owes text[] := (SELECT o.owes FROM organization o WHERE o.id = seat);
BEGIN
  IF seat IS NULL THEN RETURN '{}'; END IF;
  RETURN ARRAY[seat] || ARRAY(SELECT o.id FROM unnest(coalesce(owes, '{}')) k JOIN organization o ON o.scope_key = k);
END $$;

DO $do$ BEGIN PERFORM protect_definition('report_duty', 'programme_id', 'duties:write'); END $do$;
-- Also by the unit it is addressed to.
CREATE POLICY service_addressed ON report_duty FOR SELECT TO tiendo_service
  USING (to_id = ANY ((SELECT me_seats())::uuid[]) OR copy_ids && (SELECT me_seats()));
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['report_duty_organization', 'report_duty_section', 'report_duty_indicator', 'report_duty_stands_for'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
    EXECUTE format('CREATE POLICY service_read ON %I FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report_duty d WHERE d.id = duty_id))', t);
  END LOOP;
END $$;
GRANT SELECT ON report_duty, report_duty_organization, report_duty_section, report_duty_indicator, report_duty_stands_for TO tiendo_service;
GRANT EXECUTE ON FUNCTION me_seats() TO tiendo_service;

-- A duty lies with the unit it is set over: where its kinds stand, else its programme's scope.
CREATE FUNCTION report_duty_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.root_id, o.scope_key, o.id INTO STRICT new.root_id, new.scope_key, new.scope_id
  FROM programme p JOIN organization o ON o.id = coalesce(new.under_id, p.scope_id) WHERE p.id = new.programme_id;
  RETURN new;
END $$;
CREATE TRIGGER report_duty_place BEFORE INSERT ON report_duty FOR EACH ROW EXECUTE FUNCTION report_duty_place();

-- The visible duty a reference names, or NULL.
CREATE FUNCTION report_duty_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE ids uuid[];
BEGIN
  IF is_uuid(ref) THEN
    RETURN (SELECT d.id FROM report_duty d WHERE d.id = ref::uuid);
  END IF;
  ids := ARRAY(SELECT d.id FROM report_duty d WHERE d.root_id = me_root() AND d.code = ref);
  IF cardinality(ids) = 0 THEN
    ids := ARRAY(SELECT d.id FROM report_duty d WHERE d.code = ref);
  END IF;
  RETURN CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
END $$;
CREATE FUNCTION filter_report_duty(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := report_duty_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such report duty'));
  END IF;
  RETURN found_id;
END $$;
GRANT EXECUTE ON FUNCTION report_duty_id(text), filter_report_duty(text, text) TO tiendo_service;
