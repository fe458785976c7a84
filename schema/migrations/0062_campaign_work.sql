-- What units do in a campaign: what they are to do, activities, products and their reuse, people reached, reviews of a phase, what is recognised.
-- Every row belongs to a unit and is seen with it; what is published is seen by all who read the campaign. All of it is totals of organisations:
-- there is no place here for a person, a post, an account, an opinion, or a count of them.
SET search_path = tiendo, public;

-- What a unit is to do: so much of a kind by a day. set_quantity and set_due_on stand as they were set from above; quantity and due_on are what
-- the unit made of it (the same, where it changed nothing), with its reason. starts_on: where it is one of a row of weeks or months.
CREATE TABLE campaign_assignment (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid NOT NULL REFERENCES campaign_phase (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  every text CHECK (every IN ('week', 'month', 'quarter')),
  starts_on date,
  set_quantity int NOT NULL CHECK (set_quantity BETWEEN 1 AND 1000000),
  set_due_on date NOT NULL,
  quantity int NOT NULL CONSTRAINT campaign_assignment_quantity CHECK (quantity BETWEEN 0 AND 1000000),
  due_on date NOT NULL,
  reason text CONSTRAINT campaign_assignment_reason_length CHECK (length(reason) BETWEEN 1 AND 2000),
  note text CONSTRAINT campaign_assignment_note_length CHECK (length(note) <= 2000),
  -- who set it; the unit itself, for its own plan
  setter_id uuid NOT NULL REFERENCES organization (id),
  -- the one it was copied down from
  copied_from uuid REFERENCES campaign_assignment (id) ON DELETE SET NULL,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT campaign_assignment_taken UNIQUE (phase_id, organization_id, kind, set_due_on)
);
COMMENT ON CONSTRAINT campaign_assignment_taken ON campaign_assignment IS '409 already_exists';
COMMENT ON CONSTRAINT campaign_assignment_quantity ON campaign_assignment IS '422 out_of_range #/quantity';
COMMENT ON CONSTRAINT campaign_assignment_reason_length ON campaign_assignment IS '422 too_long #/reason';
COMMENT ON CONSTRAINT campaign_assignment_note_length ON campaign_assignment IS '422 too_long #/note';
CREATE INDEX campaign_assignment_tree ON campaign_assignment (scope_key, due_on, id);
CREATE INDEX campaign_assignment_campaign ON campaign_assignment (campaign_id, scope_key, due_on, id);
CREATE INDEX campaign_assignment_phase ON campaign_assignment (phase_id, scope_key, kind);
CREATE INDEX campaign_assignment_due ON campaign_assignment (due_on, id);
CREATE INDEX campaign_assignment_unit ON campaign_assignment (organization_id);
CREATE INDEX campaign_assignment_copied ON campaign_assignment (copied_from) WHERE copied_from IS NOT NULL;

-- An activity. code: the sender's own name for it, by which an import finds it again. contacts: how many were met, as a total, one as often as met;
-- never coverage. reason: why it was put off or cancelled.
CREATE TABLE activity (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid NOT NULL REFERENCES campaign_phase (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  code text COLLATE "C" CONSTRAINT activity_code_shape CHECK (code ~ '^[^[:cntrl:]]{1,64}$'),
  kind text COLLATE "C" NOT NULL,
  topic text COLLATE "C",
  title text NOT NULL CONSTRAINT activity_title_length CHECK (length(title) BETWEEN 1 AND 500),
  starts_on date NOT NULL,
  ends_on date NOT NULL,
  done_on date,
  planned int NOT NULL DEFAULT 1 CONSTRAINT activity_planned CHECK (planned BETWEEN 0 AND 1000000),
  done int NOT NULL DEFAULT 0 CONSTRAINT activity_done CHECK (done BETWEEN 0 AND 1000000),
  contacts_planned int CONSTRAINT activity_contacts_planned CHECK (contacts_planned BETWEEN 0 AND 100000000),
  contacts_reached int CONSTRAINT activity_contacts_reached CHECK (contacts_reached BETWEEN 0 AND 100000000),
  channels text[] NOT NULL DEFAULT '{}' CONSTRAINT activity_channels CHECK (cardinality(channels) <= 50),
  status text NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'under_way', 'done', 'postponed', 'cancelled')),
  reason text CONSTRAINT activity_reason_length CHECK (length(reason) BETWEEN 1 AND 2000),
  evidence_url text CONSTRAINT activity_evidence_length CHECK (length(evidence_url) BETWEEN 1 AND 2000),
  note text CONSTRAINT activity_note_length CHECK (length(note) <= 2000),
  -- nothing classified is kept here
  classification text NOT NULL DEFAULT 'unclassified' CHECK (classification = 'unclassified'),
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  grant_id uuid NOT NULL,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  search text GENERATED ALWAYS AS (fold(title)) STORED,
  CONSTRAINT activity_code_taken UNIQUE (organization_id, campaign_id, code),
  CONSTRAINT activity_dates CHECK (ends_on >= starts_on),
  CONSTRAINT activity_done_status CHECK ((status = 'done') = (done_on IS NOT NULL)),
  CONSTRAINT activity_done_some CHECK (status <> 'done' OR done > 0),
  CONSTRAINT activity_not_done CHECK (status NOT IN ('planned', 'cancelled') OR done = 0),
  CONSTRAINT activity_reason CHECK ((status IN ('postponed', 'cancelled')) <= (reason IS NOT NULL))
);
COMMENT ON CONSTRAINT activity_code_taken ON activity IS '409 code_taken #/code';
COMMENT ON CONSTRAINT activity_code_shape ON activity IS '422 pattern #/code';
COMMENT ON CONSTRAINT activity_title_length ON activity IS '422 too_long #/title';
COMMENT ON CONSTRAINT activity_planned ON activity IS '422 out_of_range #/planned';
COMMENT ON CONSTRAINT activity_done ON activity IS '422 out_of_range #/done';
COMMENT ON CONSTRAINT activity_contacts_planned ON activity IS '422 out_of_range #/contacts_planned';
COMMENT ON CONSTRAINT activity_contacts_reached ON activity IS '422 out_of_range #/contacts_reached';
COMMENT ON CONSTRAINT activity_channels ON activity IS '422 out_of_range #/channels';
COMMENT ON CONSTRAINT activity_reason_length ON activity IS '422 too_long #/reason';
COMMENT ON CONSTRAINT activity_evidence_length ON activity IS '422 too_long #/evidence_url';
COMMENT ON CONSTRAINT activity_note_length ON activity IS '422 too_long #/note';
COMMENT ON CONSTRAINT activity_dates ON activity IS '422 ends_before_start #/ends_on';
COMMENT ON CONSTRAINT activity_done_status ON activity IS '422 contradiction #/done_on';
COMMENT ON CONSTRAINT activity_done_some ON activity IS '422 contradiction #/done';
COMMENT ON CONSTRAINT activity_not_done ON activity IS '422 contradiction #/done';
COMMENT ON CONSTRAINT activity_reason ON activity IS '422 required #/reason';
CREATE INDEX activity_tree ON activity (scope_key, starts_on, id);
CREATE INDEX activity_starts ON activity (starts_on, id);
CREATE INDEX activity_updated ON activity (updated_at, id);
CREATE INDEX activity_phase ON activity (phase_id, scope_key, kind);
-- what is still to be done, by its day: late when that day has passed
CREATE INDEX activity_open ON activity (phase_id, ends_on, scope_key) WHERE status IN ('planned', 'under_way', 'postponed');
CREATE INDEX activity_unit ON activity (organization_id, starts_on, id);

-- What each unit did in a phase, by kind, added up: activity_sum, and activity_delta, what is not yet added there. Writers append deltas
-- alone; the background folds them. Readers add both. n_*: how many activities of which status.
CREATE TABLE activity_sum (
  campaign_id uuid NOT NULL,
  phase_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  n_planned bigint NOT NULL DEFAULT 0,
  n_under_way bigint NOT NULL DEFAULT 0,
  n_done bigint NOT NULL DEFAULT 0,
  n_postponed bigint NOT NULL DEFAULT 0,
  n_cancelled bigint NOT NULL DEFAULT 0,
  -- quantities: planned of what was not cancelled; done of all
  planned bigint NOT NULL DEFAULT 0,
  done bigint NOT NULL DEFAULT 0,
  contacts_planned bigint NOT NULL DEFAULT 0,
  contacts_reached bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (phase_id, scope_key, kind)
);
CREATE TABLE activity_delta (LIKE activity_sum);
CREATE INDEX activity_delta_phase ON activity_delta (phase_id, scope_key);
ALTER TABLE activity_delta SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What an activity proposes as an indicator's value of its unit: at most one open for an activity. It becomes a value only when the unit confirms it.
CREATE TABLE activity_proposal (
  id uuid PRIMARY KEY,
  activity_id uuid NOT NULL REFERENCES activity (id) ON DELETE CASCADE,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  scope_key text COLLATE "C" NOT NULL,
  indicator_id uuid NOT NULL REFERENCES indicator (id),
  period_id uuid NOT NULL REFERENCES period (id),
  category text COLLATE "C" NOT NULL DEFAULT '',
  numerator numeric,
  denominator numeric,
  number numeric,
  done_on date,
  state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'confirmed', 'declined')),
  reason text CONSTRAINT activity_proposal_reason_length CHECK (length(reason) BETWEEN 1 AND 2000),
  -- the value it was confirmed as, and which revision of it
  value_id uuid,
  value_version bigint,
  decided_at timestamptz,
  decided_by uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now()
);
COMMENT ON CONSTRAINT activity_proposal_reason_length ON activity_proposal IS '422 too_long #/reason';
CREATE UNIQUE INDEX activity_proposal_open ON activity_proposal (activity_id) WHERE state = 'proposed';
CREATE INDEX activity_proposal_activity ON activity_proposal (activity_id);
CREATE INDEX activity_proposal_tree ON activity_proposal (scope_key, id);
CREATE INDEX activity_proposal_value ON activity_proposal (value_id) WHERE value_id IS NOT NULL;

-- People reached: one distinct figure that a unit declares for a phase, of whom, out of how many by which source. covers: the unit's own, or all below it too
-- (what is declared below one of all is shown with the difference, and never added).
CREATE TABLE campaign_reach (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid NOT NULL REFERENCES campaign_phase (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  of text NOT NULL CHECK (of IN ('cadres_and_members', 'core_force')),
  covers text NOT NULL DEFAULT 'own' CHECK (covers IN ('own', 'subtree')),
  reached int NOT NULL CONSTRAINT campaign_reach_reached CHECK (reached BETWEEN 0 AND 100000000),
  base int NOT NULL CONSTRAINT campaign_reach_base CHECK (base BETWEEN 1 AND 100000000),
  base_source text NOT NULL CONSTRAINT campaign_reach_base_source_length CHECK (length(base_source) BETWEEN 1 AND 500),
  base_on date NOT NULL,
  counted_on date NOT NULL,
  note text CONSTRAINT campaign_reach_note_length CHECK (length(note) <= 2000),
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT campaign_reach_taken UNIQUE (phase_id, organization_id, of),
  CONSTRAINT campaign_reach_within CHECK (reached <= base)
);
COMMENT ON CONSTRAINT campaign_reach_taken ON campaign_reach IS '412 version_conflict';
COMMENT ON CONSTRAINT campaign_reach_within ON campaign_reach IS '422 out_of_range #/reached';
COMMENT ON CONSTRAINT campaign_reach_reached ON campaign_reach IS '422 out_of_range #/reached';
COMMENT ON CONSTRAINT campaign_reach_base ON campaign_reach IS '422 out_of_range #/base';
COMMENT ON CONSTRAINT campaign_reach_base_source_length ON campaign_reach IS '422 too_long #/base_source';
COMMENT ON CONSTRAINT campaign_reach_note_length ON campaign_reach IS '422 too_long #/note';
CREATE INDEX campaign_reach_phase ON campaign_reach (phase_id, scope_key);
CREATE INDEX campaign_reach_tree ON campaign_reach (scope_key, id);

-- A product of a unit. Published, it is seen by everybody who reads the campaign, who record where they used it again.
CREATE TABLE product (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid REFERENCES campaign_phase (id),
  activity_id uuid REFERENCES activity (id) ON DELETE SET NULL,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  title text NOT NULL CONSTRAINT product_title_length CHECK (length(title) BETWEEN 1 AND 500),
  summary text CONSTRAINT product_summary_length CHECK (length(summary) <= 2000),
  topic text COLLATE "C",
  duration_s int CONSTRAINT product_duration CHECK (duration_s BETWEEN 1 AND 86400),
  link text CONSTRAINT product_link_length CHECK (length(link) BETWEEN 1 AND 2000),
  -- of the file behind the link, so that who uses it again knows it for the same
  sha256 text CONSTRAINT product_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  published_on date,
  channels text[] NOT NULL DEFAULT '{}' CONSTRAINT product_channels CHECK (cardinality(channels) <= 50),
  state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'published', 'withdrawn')),
  state_reason text CONSTRAINT product_reason_length CHECK (length(state_reason) BETWEEN 1 AND 2000),
  published_at timestamptz,
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  search text GENERATED ALWAYS AS (fold(title || ' ' || coalesce(summary, ''))) STORED
);
COMMENT ON CONSTRAINT product_title_length ON product IS '422 too_long #/title';
COMMENT ON CONSTRAINT product_summary_length ON product IS '422 too_long #/summary';
COMMENT ON CONSTRAINT product_duration ON product IS '422 out_of_range #/duration_s';
COMMENT ON CONSTRAINT product_link_length ON product IS '422 too_long #/link';
COMMENT ON CONSTRAINT product_sha256 ON product IS '422 pattern #/sha256';
COMMENT ON CONSTRAINT product_channels ON product IS '422 out_of_range #/channels';
COMMENT ON CONSTRAINT product_reason_length ON product IS '422 too_long #/reason';
CREATE INDEX product_tree ON product (scope_key, id);
CREATE INDEX product_campaign ON product (campaign_id, scope_key, id);
CREATE INDEX product_gallery ON product (published_at, id) WHERE state = 'published';
CREATE INDEX product_updated ON product (updated_at, id);
CREATE INDEX product_activity ON product (activity_id) WHERE activity_id IS NOT NULL;
-- How often it was seen, as a total of each channel: as published, on the day it was read off, and by which source.
CREATE TABLE product_reach (
  product_id uuid NOT NULL REFERENCES product (id) ON DELETE CASCADE,
  channel text COLLATE "C" NOT NULL,
  total bigint NOT NULL CONSTRAINT product_reach_total CHECK (total BETWEEN 0 AND 1000000000000),
  read_on date NOT NULL,
  source text CONSTRAINT product_reach_source_length CHECK (length(source) BETWEEN 1 AND 500),
  PRIMARY KEY (product_id, channel)
);
COMMENT ON CONSTRAINT product_reach_total ON product_reach IS '422 out_of_range #/reach';
COMMENT ON CONSTRAINT product_reach_source_length ON product_reach IS '422 too_long #/reach';
-- Where a unit used a published product again.
CREATE TABLE product_reuse (
  id uuid PRIMARY KEY,
  product_id uuid NOT NULL REFERENCES product (id) ON DELETE CASCADE,
  campaign_id uuid NOT NULL,
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  used_on date NOT NULL,
  channels text[] NOT NULL DEFAULT '{}' CONSTRAINT product_reuse_channels CHECK (cardinality(channels) <= 50),
  reach bigint CONSTRAINT product_reuse_reach CHECK (reach BETWEEN 0 AND 1000000000000),
  link text CONSTRAINT product_reuse_link_length CHECK (length(link) BETWEEN 1 AND 2000),
  note text CONSTRAINT product_reuse_note_length CHECK (length(note) <= 2000),
  on_behalf boolean NOT NULL,
  entered_by text NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now()
);
COMMENT ON CONSTRAINT product_reuse_channels ON product_reuse IS '422 out_of_range #/channels';
COMMENT ON CONSTRAINT product_reuse_reach ON product_reuse IS '422 out_of_range #/reach';
COMMENT ON CONSTRAINT product_reuse_link_length ON product_reuse IS '422 too_long #/link';
COMMENT ON CONSTRAINT product_reuse_note_length ON product_reuse IS '422 too_long #/note';
CREATE INDEX product_reuse_product ON product_reuse (product_id, scope_key, id);
CREATE INDEX product_reuse_tree ON product_reuse (scope_key, id);

-- An exemplary model or a commended collective: a decision, referred to. A unit proposes, the one above confirms, what is confirmed is published.
CREATE TABLE recognition (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid REFERENCES campaign_phase (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('exemplary_model', 'commended_collective')),
  title text NOT NULL CONSTRAINT recognition_title_length CHECK (length(title) BETWEEN 1 AND 500),
  summary text CONSTRAINT recognition_summary_length CHECK (length(summary) <= 4000),
  decision_number text CONSTRAINT recognition_decision_number CHECK (decision_number ~ '^[^[:cntrl:]]{1,60}$'),
  decision_on date,
  decided_by text CONSTRAINT recognition_decided_by_length CHECK (length(decided_by) BETWEEN 1 AND 300),
  state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'returned', 'confirmed', 'published', 'withdrawn')),
  reason text CONSTRAINT recognition_reason_length CHECK (length(reason) BETWEEN 1 AND 2000),
  proposed_seat_id uuid NOT NULL,
  proposed_account_id uuid,
  decided_seat_id uuid,
  decided_account_id uuid,
  published_at timestamptz,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT recognition_decision CHECK (state NOT IN ('confirmed', 'published') OR (decision_number IS NOT NULL AND decision_on IS NOT NULL))
);
COMMENT ON CONSTRAINT recognition_title_length ON recognition IS '422 too_long #/title';
COMMENT ON CONSTRAINT recognition_summary_length ON recognition IS '422 too_long #/summary';
COMMENT ON CONSTRAINT recognition_decision_number ON recognition IS '422 pattern #/decision_number';
COMMENT ON CONSTRAINT recognition_decided_by_length ON recognition IS '422 too_long #/decided_by';
COMMENT ON CONSTRAINT recognition_reason_length ON recognition IS '422 too_long #/reason';
COMMENT ON CONSTRAINT recognition_decision ON recognition IS '422 required #/decision_number';
CREATE INDEX recognition_tree ON recognition (scope_key, id);
CREATE INDEX recognition_campaign ON recognition (campaign_id, scope_key, id);
CREATE INDEX recognition_published ON recognition (published_at, id) WHERE state = 'published';
CREATE INDEX recognition_updated ON recognition (updated_at, id);

-- A unit's review of a phase: one interim, one final; what it writes becomes a section of its report on the campaign.
CREATE TABLE campaign_review (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  phase_id uuid NOT NULL REFERENCES campaign_phase (id),
  programme_id uuid NOT NULL,
  organization_id uuid NOT NULL REFERENCES organization (id),
  organization_code text NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('interim', 'final')),
  reviewed_on date NOT NULL,
  results text CONSTRAINT campaign_review_results_length CHECK (length(results) <= 100000),
  difficulties text CONSTRAINT campaign_review_difficulties_length CHECK (length(difficulties) <= 100000),
  lessons text CONSTRAINT campaign_review_lessons_length CHECK (length(lessons) <= 100000),
  proposals text CONSTRAINT campaign_review_proposals_length CHECK (length(proposals) <= 100000),
  on_behalf boolean NOT NULL,
  seat_id uuid NOT NULL,
  account_id uuid,
  client_id uuid,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT campaign_review_taken UNIQUE (phase_id, organization_id, kind)
);
COMMENT ON CONSTRAINT campaign_review_taken ON campaign_review IS '412 version_conflict';
COMMENT ON CONSTRAINT campaign_review_results_length ON campaign_review IS '422 too_long #/results';
COMMENT ON CONSTRAINT campaign_review_difficulties_length ON campaign_review IS '422 too_long #/difficulties';
COMMENT ON CONSTRAINT campaign_review_lessons_length ON campaign_review IS '422 too_long #/lessons';
COMMENT ON CONSTRAINT campaign_review_proposals_length ON campaign_review IS '422 too_long #/proposals';
CREATE INDEX campaign_review_tree ON campaign_review (scope_key, id);

-- ---- who sees ------------------------------------------------------------------------------------------------
DO $do$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['campaign_assignment', 'activity', 'activity_sum', 'activity_delta', 'activity_proposal', 'campaign_reach', 'product',
      'product_reuse', 'recognition', 'campaign_review'] LOOP
    PERFORM protect(t::regclass, 'programme_id');
    EXECUTE format('GRANT SELECT ON %I TO tiendo_service', t);
  END LOOP;
  -- written as values are: by the unit itself, by mandate to enter, by a superior below itself (whether the campaign lets it, the functions ask)
  FOREACH t IN ARRAY ARRAY['activity', 'activity_proposal', 'campaign_reach', 'product', 'product_reuse', 'recognition', 'campaign_review'] LOOP
    EXECUTE format('CREATE POLICY service_insert ON %I FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = ''activities:write''
      AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)))', t);
    EXECUTE format('CREATE POLICY service_update ON %I FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = ''activities:write''
      AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)))', t);
    EXECUTE format('CREATE POLICY service_delete ON %I FOR DELETE TO tiendo_service USING ((SELECT me_permission()) = ''activities:write''
      AND (scope_key <@ (SELECT write_scope()) OR scope_key <@ (SELECT behalf_scope()) OR may_enter(programme_id, scope_key)))', t);
  END LOOP;
END $do$;
-- What is published is seen by whoever reads its campaign.
CREATE POLICY service_published ON product FOR SELECT TO tiendo_service
  USING (state = 'published' AND EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id));
CREATE POLICY service_published ON recognition FOR SELECT TO tiendo_service
  USING (state = 'published' AND EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id));
-- Where its product was used again, its owner sees.
CREATE POLICY service_owner ON product_reuse FOR SELECT TO tiendo_service
  USING (EXISTS (SELECT FROM product p WHERE p.id = product_id AND p.scope_key <@ (SELECT scope())));
ALTER TABLE product_reach ENABLE ROW LEVEL SECURITY;
ALTER TABLE product_reach FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON product_reach TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON product_reach FOR SELECT TO tiendo_service USING (EXISTS (SELECT FROM product p WHERE p.id = product_id));
CREATE POLICY service_insert ON product_reach FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = 'activities:write'
  AND EXISTS (SELECT FROM product p WHERE p.id = product_id AND campaign_may_enter(p.campaign_id, p.programme_id, p.scope_key)));
CREATE POLICY service_delete ON product_reach FOR DELETE TO tiendo_service USING ((SELECT me_permission()) = 'activities:write'
  AND EXISTS (SELECT FROM product p WHERE p.id = product_id AND campaign_may_enter(p.campaign_id, p.programme_id, p.scope_key)));
GRANT SELECT, INSERT, DELETE ON product_reach TO tiendo_service;
