-- Campaigns: how a programme is carried to people. A campaign has phases, topics, kinds of activity for each phase, and a reach to attain; it holds
-- for the units below one (its scope), which read it. What the units do in it stands in 0062.
SET search_path = tiendo, public;

-- campaigns:write sets campaigns, lists and what units are to do; activities:write enters what a unit does (activities, products, reuse, its people
-- reached, its reviews, what it proposes); publications:write shows a product to all; recognitions:write decides on what was proposed below;
-- calendars:write makes and ends one's own calendar addresses.
INSERT INTO permission (code, grows, for_client) VALUES
  ('campaigns:read', 'read', true), ('campaigns:write', 'define', true), ('activities:write', 'enter', true),
  ('publications:write', NULL, false), ('recognitions:write', 'review', false), ('calendars:write', NULL, false);
INSERT INTO role_permission (role, permission, grows)
SELECT r, p.code, p.grows
FROM permission p, unnest(ARRAY['viewer', 'reporter', 'approver', 'manager', 'administrator', 'inspector', 'connector']) r
WHERE p.code = 'campaigns:read'
  OR (p.code = 'campaigns:write' AND r IN ('manager', 'connector'))
  OR (p.code = 'activities:write' AND r IN ('reporter', 'approver', 'manager', 'connector'))
  OR (p.code = 'publications:write' AND r IN ('approver', 'manager'))
  OR (p.code = 'recognitions:write' AND r = 'approver')
  OR (p.code = 'calendars:write' AND r <> 'connector');

-- ---- managed lists -------------------------------------------------------------------------------------------
-- Kinds of activity, kinds of product, channels: those that the service brings (root_id NULL), and those a root adds for itself. What is not active is
-- not offered for anything new.
CREATE TABLE campaign_term (
  id uuid PRIMARY KEY,
  root_id uuid REFERENCES organization (id),
  list text NOT NULL CHECK (list IN ('activity_kind', 'product_kind', 'channel')),
  code text COLLATE "C" NOT NULL CONSTRAINT campaign_term_code CHECK (code ~ '^[a-z][a-z0-9_]{0,63}$'),
  name text NOT NULL CONSTRAINT campaign_term_name_length CHECK (length(name) BETWEEN 1 AND 200),
  name_en text CONSTRAINT campaign_term_name_en_length CHECK (length(name_en) BETWEEN 1 AND 200),
  active boolean NOT NULL DEFAULT true,
  position int NOT NULL DEFAULT 1000 CHECK (position BETWEEN 0 AND 100000),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  CONSTRAINT campaign_term_taken UNIQUE NULLS NOT DISTINCT (list, code, root_id)
);
COMMENT ON CONSTRAINT campaign_term_taken ON campaign_term IS '409 code_taken #/code';
COMMENT ON CONSTRAINT campaign_term_code ON campaign_term IS '422 pattern #/code';
COMMENT ON CONSTRAINT campaign_term_name_length ON campaign_term IS '422 too_long #/name';
COMMENT ON CONSTRAINT campaign_term_name_en_length ON campaign_term IS '422 too_long #/name_en';
ALTER TABLE campaign_term ENABLE ROW LEVEL SECURITY;
ALTER TABLE campaign_term FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON campaign_term TO tiendo_owner USING (true) WITH CHECK (true);
CREATE POLICY service_read ON campaign_term FOR SELECT TO tiendo_service
  USING ((SELECT me_grant()) IS NOT NULL AND (root_id IS NULL OR root_id = (SELECT me_root())));
CREATE POLICY service_insert ON campaign_term FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = 'campaigns:write'
  AND root_id = (SELECT me_root()) AND EXISTS (SELECT FROM organization o WHERE o.id = root_id AND o.scope_key <@ (SELECT write_scope())));
CREATE POLICY service_update ON campaign_term FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'campaigns:write'
  AND root_id = (SELECT me_root()) AND EXISTS (SELECT FROM organization o WHERE o.id = root_id AND o.scope_key <@ (SELECT write_scope())));
GRANT SELECT, INSERT ON campaign_term TO tiendo_service;
GRANT UPDATE (name, name_en, active, position, version, updated_at) ON campaign_term TO tiendo_service;

-- ---- campaigns -----------------------------------------------------------------------------------------------
CREATE TABLE campaign (
  id uuid PRIMARY KEY,
  programme_id uuid NOT NULL REFERENCES programme (id),
  root_id uuid NOT NULL,
  scope_key text COLLATE "C" NOT NULL,
  -- the units below this one take part and read it
  scope_id uuid NOT NULL REFERENCES organization (id),
  owner_id uuid NOT NULL REFERENCES organization (id),
  code code NOT NULL,
  title text NOT NULL CONSTRAINT campaign_title_length CHECK (length(title) BETWEEN 1 AND 500),
  -- the plan it carries out, the paper that sets it
  implements text CONSTRAINT campaign_implements_length CHECK (length(implements) BETWEEN 1 AND 100),
  document text CONSTRAINT campaign_document_length CHECK (length(document) BETWEEN 1 AND 100),
  note text CONSTRAINT campaign_note_length CHECK (length(note) <= 4000),
  -- a draft is seen by those who set it alone; nothing is entered in one that is not active
  status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'closed')),
  -- superior: the units above may enter for those below too
  entered_by text NOT NULL DEFAULT 'superior' CHECK (entered_by IN ('self', 'superior')),
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now(),
  search text GENERATED ALWAYS AS (fold(title || ' ' || code)) STORED,
  CONSTRAINT campaign_code_taken UNIQUE (root_id, code)
);
COMMENT ON CONSTRAINT campaign_code_taken ON campaign IS '409 code_taken #/code';
COMMENT ON CONSTRAINT campaign_title_length ON campaign IS '422 too_long #/title';
COMMENT ON CONSTRAINT campaign_implements_length ON campaign IS '422 too_long #/implements';
COMMENT ON CONSTRAINT campaign_document_length ON campaign IS '422 too_long #/document';
COMMENT ON CONSTRAINT campaign_note_length ON campaign IS '422 too_long #/note';
CREATE INDEX campaign_code ON campaign (code COLLATE "C", id);
CREATE INDEX campaign_created ON campaign (created_at, id);
CREATE INDEX campaign_programme ON campaign (programme_id);

DO $do$ BEGIN PERFORM protect_definition('campaign', 'programme_id', 'campaigns:write'); END $do$;
-- As written there, but for drafts, which the units below do not see.
DROP POLICY service_read ON campaign;
CREATE POLICY service_read ON campaign FOR SELECT TO tiendo_service USING (scope_key <@ (SELECT scope())
  OR (status <> 'draft' AND (SELECT me_seat_key()) ^@ scope_key)
  OR in_limited(programme_id, scope_key, (SELECT limited_programmes()), (SELECT limited_scopes())));
GRANT SELECT, INSERT ON campaign TO tiendo_service;
GRANT UPDATE (title, implements, document, note, owner_id, status, entered_by, version, updated_at) ON campaign TO tiendo_service;
CREATE FUNCTION campaign_place() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  SELECT o.root_id, o.scope_key INTO STRICT new.root_id, new.scope_key FROM organization o WHERE o.id = new.scope_id;
  RETURN new;
END $$;
CREATE TRIGGER campaign_place BEFORE INSERT ON campaign FOR EACH ROW EXECUTE FUNCTION campaign_place();

CREATE TABLE campaign_topic (
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  code code NOT NULL,
  position int NOT NULL,
  title text NOT NULL CONSTRAINT campaign_topic_title_length CHECK (length(title) BETWEEN 1 AND 500),
  PRIMARY KEY (campaign_id, code)
);
COMMENT ON CONSTRAINT campaign_topic_title_length ON campaign_topic IS '422 too_long #/topics';
-- starts_on NULL: the source leaves the start open. kinds: the kinds of activity that belong to the phase.
CREATE TABLE campaign_phase (
  id uuid PRIMARY KEY,
  campaign_id uuid NOT NULL REFERENCES campaign (id),
  code code NOT NULL,
  position int NOT NULL,
  title text CONSTRAINT campaign_phase_title_length CHECK (length(title) BETWEEN 1 AND 500),
  objective text CONSTRAINT campaign_phase_objective_length CHECK (length(objective) BETWEEN 1 AND 4000),
  starts_on date,
  ends_on date NOT NULL,
  kinds text[] NOT NULL DEFAULT '{}',
  CONSTRAINT campaign_phase_taken UNIQUE (campaign_id, code),
  CONSTRAINT campaign_phase_dates CHECK (ends_on >= starts_on)
);
COMMENT ON CONSTRAINT campaign_phase_taken ON campaign_phase IS '422 repeated #/phases';
COMMENT ON CONSTRAINT campaign_phase_dates ON campaign_phase IS '422 ends_before_start #/phases';
COMMENT ON CONSTRAINT campaign_phase_title_length ON campaign_phase IS '422 too_long #/phases';
COMMENT ON CONSTRAINT campaign_phase_objective_length ON campaign_phase IS '422 too_long #/phases';
-- How much of whom a phase is to reach; indicator: the one that says the same, where there is one.
CREATE TABLE campaign_reach_target (
  phase_id uuid NOT NULL REFERENCES campaign_phase (id) ON DELETE CASCADE,
  of text NOT NULL CHECK (of IN ('party_organizations', 'cadres_and_members', 'core_force')),
  percent numeric NOT NULL CONSTRAINT campaign_reach_target_percent CHECK (percent > 0 AND percent <= 100),
  indicator_id uuid REFERENCES indicator (id),
  PRIMARY KEY (phase_id, of)
);
COMMENT ON CONSTRAINT campaign_reach_target_percent ON campaign_reach_target IS '422 out_of_range #/phases';
CREATE INDEX campaign_reach_target_indicator ON campaign_reach_target (indicator_id);

-- The parts of a campaign: seen, and set, with it.
DO $$
DECLARE
  t text;
  whose text;
BEGIN
  FOREACH t IN ARRAY ARRAY['campaign_topic', 'campaign_phase', 'campaign_reach_target'] LOOP
    whose := CASE t WHEN 'campaign_reach_target' THEN 'EXISTS (SELECT FROM campaign_phase f JOIN campaign c ON c.id = f.campaign_id WHERE f.id = phase_id%s)'
      ELSE 'EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id%s)' END;
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY owner_all ON %I TO tiendo_owner USING (true) WITH CHECK (true)', t);
    EXECUTE format('CREATE POLICY service_read ON %I FOR SELECT TO tiendo_service USING (' || format(whose, '') || ')', t);
    whose := '(SELECT me_permission()) = ''campaigns:write'' AND ' || format(whose, ' AND may_write(c.programme_id, c.scope_key)');
    EXECUTE format('CREATE POLICY service_insert ON %I FOR INSERT TO tiendo_service WITH CHECK (%s)', t, whose);
    EXECUTE format('CREATE POLICY service_update ON %I FOR UPDATE TO tiendo_service USING (%s)', t, whose);
    EXECUTE format('CREATE POLICY service_delete ON %I FOR DELETE TO tiendo_service USING (%s)', t, whose);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I TO tiendo_service', t);
  END LOOP;
END $$;
GRANT UPDATE (position, title) ON campaign_topic TO tiendo_service;
GRANT UPDATE (position, title, objective, starts_on, ends_on, kinds) ON campaign_phase TO tiendo_service;

-- ---- references ----------------------------------------------------------------------------------------------
-- The visible campaign a reference (id or code) names, or NULL; as a path (404) and as a parameter (422).
CREATE FUNCTION campaign_id(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE ids uuid[];
BEGIN
  IF is_uuid(ref) THEN
    RETURN (SELECT c.id FROM campaign c WHERE c.id = ref::uuid);
  END IF;
  ids := ARRAY(SELECT c.id FROM campaign c WHERE c.root_id = me_root() AND c.code = ref);
  IF cardinality(ids) = 0 THEN
    ids := ARRAY(SELECT c.id FROM campaign c WHERE c.code = ref);
  END IF;
  RETURN CASE WHEN cardinality(ids) = 1 THEN ids[1] END;
END $$;
CREATE FUNCTION path_campaign(ref text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := campaign_id(ref);
BEGIN
  IF found_id IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN found_id;
END $$;
CREATE FUNCTION filter_campaign(ref text, parameter text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE found_id uuid := campaign_id(ref);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such campaign'));
  END IF;
  RETURN found_id;
END $$;
-- The phase of this code in a campaign, or NULL.
CREATE FUNCTION campaign_phase_id(campaign uuid, phase text) RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT f.id FROM campaign_phase f WHERE f.campaign_id = campaign AND f.code = phase);
END $$;
-- Whether a list has this code for anything new; whether it has it at all.
CREATE FUNCTION campaign_term_offered(p_list text, p_code text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN EXISTS (SELECT FROM campaign_term t WHERE t.list = p_list AND t.code = p_code AND t.active);
END $$;
-- Whether the caller enters for this unit in this campaign: its own, by mandate, or, where the campaign lets superiors, one below.
CREATE FUNCTION campaign_may_enter(campaign uuid, programme uuid, key text) RETURNS boolean LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN may_write(programme, key)
    OR (coalesce(key <@ behalf_scope(), false) AND EXISTS (SELECT FROM campaign c WHERE c.id = campaign AND c.entered_by = 'superior'));
END $$;
GRANT EXECUTE ON FUNCTION campaign_id(text), path_campaign(text), filter_campaign(text, text), campaign_phase_id(uuid, text),
  campaign_term_offered(text, text), campaign_may_enter(uuid, uuid, text) TO tiendo_service;
