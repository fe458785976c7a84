-- Reports: one for every unit, duty and period, made ahead when it comes to be due, and what has been written, submitted and said of it.
-- A report's row is seen with its unit, and by the unit it is addressed to; the draft by the unit that writes it alone; a submission by whoever
-- sees the row, and by those who get a copy.
SET search_path = tiendo, public;

CREATE TABLE report (
  id uuid PRIMARY KEY,
  duty_id uuid NOT NULL REFERENCES report_duty (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  recipient_id uuid NOT NULL REFERENCES organization (id),
  copy_ids uuid[] NOT NULL DEFAULT '{}',
  period_id uuid REFERENCES period (id),
  period_code text,
  state text NOT NULL DEFAULT 'expected'
    CHECK (state IN ('expected', 'draft', 'submitted', 'returned', 'received', 'approved', 'amending', 'waived', 'withdrawn')),
  acceptance text NOT NULL CHECK (acceptance IN ('receipt', 'approval', 'none')),
  entered_by text NOT NULL CHECK (entered_by IN ('self', 'superior')),
  data_from date,
  data_to date,
  due_on date,
  first_due_on date,
  -- nothing classified is kept here
  classification text NOT NULL DEFAULT 'unclassified' CHECK (classification = 'unclassified'),
  -- how often it has been submitted, and which submission others read; NULL: none
  submissions int NOT NULL DEFAULT 0,
  shown int,
  submitted_at timestamptz,
  first_submitted_at timestamptz,
  received_at timestamptz,
  approved_at timestamptz,
  returned_at timestamptz,
  return_requested text,
  return_requested_at timestamptz,
  waived_reason text,
  -- what it was before it was submitted, or waived: taken back, it is that again
  came_from text CHECK (came_from IN ('expected', 'draft', 'returned', 'amending')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT report_once UNIQUE NULLS NOT DISTINCT (duty_id, organization_id, period_id),
  CHECK (shown BETWEEN 1 AND submissions),
  CHECK ((state = 'waived') = (waived_reason IS NOT NULL))
);
CREATE INDEX report_tree ON report (scope_key, id);
CREATE INDEX report_recipient ON report (recipient_id, state);
CREATE INDEX report_copies ON report USING gin (copy_ids);
CREATE INDEX report_duty_period ON report (duty_id, period_id, scope_key);
CREATE INDEX report_unit ON report (organization_id, state);
CREATE INDEX report_due ON report (due_on, id);
CREATE INDEX report_updated ON report (updated_at, id);

-- Whether the caller is a connected system that may write reports.
CREATE FUNCTION me_writing_client() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN me_client() IS NOT NULL AND EXISTS (SELECT FROM client c WHERE c.id = me_client() AND 'reports:write' = ANY (c.scopes));
END $$;
-- Whether the entered caller writes this unit's reports, by its seat: its own, those of a unit it succeeded, those of units below that a superior
-- enters for; a connected system that may write them, those of its subtree.
CREATE FUNCTION report_is_mine(organization uuid, key text, entered_by text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT coalesce(organization = ANY (tiendo.me_seats())
    OR ((entered_by = 'superior' OR tiendo.me_writing_client()) AND key ^@ tiendo.me_seat_key()), false) $$;

-- What the journal keeps of a report: where it stands, not what it says.
CREATE FUNCTION report_brief(r report) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('id', r.id, 'duty', (SELECT d.code FROM tiendo.report_duty d WHERE d.id = r.duty_id), 'organization', r.organization_code,
    'period', r.period_code, 'state', r.state, 'recipient', r.recipient_id, 'copies', to_jsonb(r.copy_ids), 'acceptance', r.acceptance,
    'data_to', r.data_to, 'due_on', r.due_on, 'submissions', r.submissions,
    'waived', r.waived_reason, 'version', r.version));
END $$;

-- The draft: what stands in each section. gathered: what consolidation put there, [{report, organization, name, version, text}].
CREATE TABLE report_section (
  report_id uuid NOT NULL REFERENCES report (id),
  code text COLLATE "C" NOT NULL,
  text text,
  gathered jsonb,
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  PRIMARY KEY (report_id, code)
);
-- The draft's number and date of issue.
CREATE TABLE report_draft (
  report_id uuid PRIMARY KEY REFERENCES report (id),
  number text CONSTRAINT report_number_shape CHECK (number ~ '^[^[:cntrl:]]{1,60}$'),
  issued_on date
);
COMMENT ON CONSTRAINT report_number_shape ON report_draft IS '422 pattern #/number';
-- The draft's consolidated figures: what the reports received say together. reported of expected units; parts: which submissions.
CREATE TABLE report_total (
  report_id uuid NOT NULL REFERENCES report (id),
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  period_id uuid NOT NULL REFERENCES period (id),
  category text COLLATE "C" NOT NULL DEFAULT '',
  numerator numeric,
  denominator numeric,
  number numeric,
  reported_units int NOT NULL,
  expected_units int NOT NULL,
  parts jsonb NOT NULL,
  PRIMARY KEY (report_id, indicator_id, period_id, category)
);

-- One submission: its sections as [{code, title, required, max_length, text, gathered}], and who sent it, acting for whom.
CREATE TABLE report_version (
  report_id uuid NOT NULL REFERENCES report (id),
  n int NOT NULL CHECK (n > 0),
  submitted_at timestamptz NOT NULL,
  on_time boolean,
  sections jsonb NOT NULL,
  number text,
  issued_on date,
  -- the heading as it was: titles, names, to whom, of which days
  about jsonb NOT NULL DEFAULT '{}',
  on_behalf boolean NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  giver_id uuid,
  -- accepted: received or approved as it stands
  accepted_at timestamptz,
  accepted_as text CHECK (accepted_as IN ('received', 'approved')),
  withdrawn_at timestamptz,
  PRIMARY KEY (report_id, n)
);
-- The figures of a submission, as they stood then; the value of that revision is locked while the submission holds it.
CREATE TABLE report_figure (
  report_id uuid NOT NULL,
  n int NOT NULL,
  position int NOT NULL,
  indicator_id uuid NOT NULL,
  period_id uuid NOT NULL,
  category text COLLATE "C" NOT NULL,
  consolidated boolean NOT NULL DEFAULT false,
  indicator_code text NOT NULL,
  indicator_name text NOT NULL,
  unit text NOT NULL,
  kind text NOT NULL,
  period_code text NOT NULL,
  state text NOT NULL CHECK (state IN ('reported', 'not_applicable')),
  numerator numeric,
  denominator numeric,
  number numeric,
  done boolean,
  done_on date,
  note text,
  source text,
  value_id uuid,
  revision bigint,
  reported_units int,
  expected_units int,
  parts jsonb,
  PRIMARY KEY (report_id, n, indicator_id, period_id, category, consolidated),
  FOREIGN KEY (report_id, n) REFERENCES report_version (report_id, n)
);
-- The values that a report holds locked: those of its last submission, until it is recalled, returned or amended.
CREATE TABLE report_lock (
  report_id uuid NOT NULL REFERENCES report (id),
  value_id uuid NOT NULL,
  PRIMARY KEY (report_id, value_id)
);
CREATE INDEX report_lock_value ON report_lock (value_id);
-- What happened to a report, in order.
CREATE TABLE report_event (
  report_id uuid NOT NULL REFERENCES report (id),
  seq int NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_now(),
  action text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  n int,
  reason text,
  reasons jsonb,
  due_on date,
  seat_id uuid,
  account_id uuid,
  client_id uuid,
  PRIMARY KEY (report_id, seq)
);

-- ---- who sees ----------------------------------------------------------------------------------------------
DO $do$ BEGIN PERFORM protect('report', 'programme_id'); END $do$;
CREATE POLICY service_addressed ON report FOR SELECT TO tiendo_service USING (recipient_id = ANY ((SELECT me_seats())::uuid[])
  OR (shown IS NOT NULL AND copy_ids && (SELECT me_seats())));
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['report_section', 'report_draft', 'report_total', 'report_version', 'report_figure', 'report_lock', 'report_event'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
  END LOOP;
  FOREACH t IN ARRAY ARRAY['report_section', 'report_draft', 'report_total'] LOOP
    EXECUTE format('CREATE POLICY service_read ON %I FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM report r
      WHERE r.id = report_id AND report_is_mine(r.organization_id, r.scope_key, r.entered_by)))', t);
  END LOOP;
END $$;
GRANT SELECT ON report, report_section, report_draft, report_total TO tiendo_service;

-- ---- the state machine -------------------------------------------------------------------------------------
-- All there is: what may be done to a report in which state, with which acceptance, by whom, what it becomes ('before': what it
-- was before it was submitted or waived), and whether a reason is needed.
-- actor: author, who writes the unit's reports; recipient, who accepts them (the unit addressed, or the one directly above); addressee, the unit
-- addressed alone. A mandate to review stands for both. unlocks: the figures are free again.
CREATE TABLE report_transition (
  action text NOT NULL,
  from_state text NOT NULL,
  to_state text NOT NULL,
  acceptance text[] NOT NULL,
  actor text NOT NULL CHECK (actor IN ('author', 'recipient', 'addressee')),
  permission text NOT NULL REFERENCES permission (code),
  reason boolean NOT NULL,
  unlocks boolean NOT NULL DEFAULT false,
  PRIMARY KEY (action, from_state)
);
INSERT INTO report_transition (action, from_state, to_state, acceptance, actor, permission, reason, unlocks) VALUES
  ('edit', 'expected', 'draft', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('edit', 'draft', 'draft', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('edit', 'returned', 'returned', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('edit', 'amending', 'amending', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('consolidate', 'expected', 'draft', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('consolidate', 'draft', 'draft', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('consolidate', 'returned', 'returned', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('consolidate', 'amending', 'amending', '{receipt,approval,none}', 'author', 'reports:write', false, false),
  ('submit', 'expected', 'submitted', '{receipt,approval,none}', 'author', 'submissions:write', false, false),
  ('submit', 'draft', 'submitted', '{receipt,approval,none}', 'author', 'submissions:write', false, false),
  ('submit', 'returned', 'submitted', '{receipt,approval,none}', 'author', 'submissions:write', false, false),
  ('submit', 'amending', 'submitted', '{receipt,approval,none}', 'author', 'submissions:write', false, false),
  ('recall', 'submitted', 'before', '{receipt,approval}', 'author', 'submissions:write', false, true),
  ('request_return', 'submitted', 'submitted', '{receipt,approval}', 'author', 'submissions:write', true, false),
  ('request_return', 'received', 'received', '{receipt,approval}', 'author', 'submissions:write', true, false),
  ('request_return', 'approved', 'approved', '{approval}', 'author', 'submissions:write', true, false),
  ('receive', 'submitted', 'received', '{receipt,approval}', 'recipient', 'reviews:write', false, false),
  ('return', 'submitted', 'returned', '{receipt,approval}', 'recipient', 'reviews:write', true, true),
  ('return', 'received', 'returned', '{receipt,approval}', 'recipient', 'reviews:write', true, true),
  ('approve', 'submitted', 'approved', '{approval}', 'recipient', 'reviews:write', false, false),
  ('approve', 'received', 'approved', '{approval}', 'recipient', 'reviews:write', false, false),
  -- what was frozen is opened again by who froze it; where nobody accepts, by the author
  ('amend', 'approved', 'amending', '{approval}', 'recipient', 'reviews:write', true, true),
  ('amend', 'submitted', 'amending', '{none}', 'author', 'reviews:write', true, true),
  ('extend', 'expected', 'expected', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('extend', 'draft', 'draft', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('extend', 'returned', 'returned', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('extend', 'amending', 'amending', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('waive', 'expected', 'waived', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('waive', 'draft', 'waived', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('waive', 'returned', 'waived', '{receipt,approval,none}', 'addressee', 'reviews:write', true, false),
  ('reinstate', 'waived', 'before', '{receipt,approval,none}', 'addressee', 'reviews:write', false, false);
ALTER TABLE report_transition ENABLE ROW LEVEL SECURITY;
ALTER TABLE report_transition FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON report_transition TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON report_transition FOR SELECT TO tiendo_service USING ((SELECT me_grant()) IS NOT NULL);
GRANT SELECT ON report_transition TO tiendo_service;
GRANT EXECUTE ON FUNCTION me_writing_client(), report_is_mine(uuid, text, text) TO tiendo_service;
