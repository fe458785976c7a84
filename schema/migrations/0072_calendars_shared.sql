-- What a unit's calendar holds, and the addresses under which people subscribe to one: a secret in the path, of which the database keeps a digest alone.
-- An address reads what its owner's grant reads, and ends with it.
SET search_path = tiendo, public;

CREATE TABLE calendar_subscription (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES account (id),
  -- in whose name it reads
  grant_id uuid NOT NULL REFERENCES access_grant (id),
  organization_id uuid NOT NULL REFERENCES organization (id),
  campaign_id uuid REFERENCES campaign (id),
  name text NOT NULL CONSTRAINT calendar_subscription_name_length CHECK (length(name) BETWEEN 1 AND 200),
  secret_hash bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
  -- the last day on which it is answered
  expires_on date NOT NULL,
  last_used_on date,
  revoked_at timestamptz,
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_now(),
  updated_at timestamptz NOT NULL DEFAULT clock_now()
);
COMMENT ON CONSTRAINT calendar_subscription_name_length ON calendar_subscription IS '422 too_long #/name';
CREATE INDEX calendar_subscription_account ON calendar_subscription (account_id, created_at, id);
ALTER TABLE calendar_subscription ENABLE ROW LEVEL SECURITY;
ALTER TABLE calendar_subscription FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_all ON calendar_subscription TO tiendo_owner USING (true) WITH CHECK (true);
-- One's own, by whichever of one's grants they were made.
CREATE POLICY service_read ON calendar_subscription FOR SELECT TO tiendo_service USING (account_id = (SELECT me_account()));
CREATE POLICY service_insert ON calendar_subscription FOR INSERT TO tiendo_service WITH CHECK ((SELECT me_permission()) = 'calendars:write'
  AND account_id = (SELECT me_account()) AND grant_id = (SELECT me_grant()) AND EXISTS (SELECT FROM organization o WHERE o.id = organization_id)
  AND (campaign_id IS NULL OR EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id)));
CREATE POLICY service_update ON calendar_subscription FOR UPDATE TO tiendo_service USING ((SELECT me_permission()) = 'calendars:write'
  AND account_id = (SELECT me_account()));
GRANT SELECT (id, account_id, grant_id, organization_id, campaign_id, name, expires_on, last_used_on, revoked_at, version, created_at, updated_at),
  INSERT (id, account_id, grant_id, organization_id, campaign_id, name, secret_hash, expires_on), UPDATE (revoked_at, version, updated_at)
  ON calendar_subscription TO tiendo_service;

-- Whose address it is is a matter of staff.
CREATE OR REPLACE FUNCTION about_staff(resource_type text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT resource_type IN ('account', 'client', 'grant', 'delegation', 'session', 'client_secret', 'activation', 'calendar_subscription') $$;

-- ---- what a calendar holds -------------------------------------------------------------------------------------
-- First a row with the calendar's name, then phases, activities and assignments of one unit, in one campaign or in all that it takes part in; of each kind
-- the latest 2,000. part, and what stands in an entry; changed_at and version tell a reader whether it has it already.
CREATE FUNCTION calendar_rows(p_unit uuid, p_campaign uuid, p_name text)
  RETURNS TABLE (part text, id uuid, title text, detail text, category text, starts_on date, ends_on date, status text, version bigint, changed_at text)
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  unit organization := (SELECT o FROM organization o WHERE o.id = p_unit);
BEGIN
  RETURN QUERY SELECT 'calendar', unit.id, coalesce(p_name, concat_ws(' – ', unit.name, (SELECT c.title FROM campaign c WHERE c.id = p_campaign))),
    NULL::text, NULL::text, NULL::date, NULL::date, NULL::text, NULL::bigint, NULL::text;
  RETURN QUERY
  WITH taken AS MATERIALIZED (
    SELECT c.id, c.title, c.version, c.updated_at FROM campaign c
    WHERE unit.scope_key ^@ c.scope_key AND (c.id = p_campaign OR (p_campaign IS NULL AND c.status <> 'draft'))
  ), phases AS MATERIALIZED (
    SELECT f.id, f.code, f.title, f.objective, f.starts_on, f.ends_on, concat_ws(', ', 'Giai đoạn ' || f.code, k.title) AS place, k.version, k.updated_at
    FROM campaign_phase f JOIN taken k ON k.id = f.campaign_id
  ), kinds AS MATERIALIZED (
    SELECT DISTINCT ON (t.code) t.code, t.name FROM campaign_term t WHERE t.list = 'activity_kind' ORDER BY t.code, t.root_id NULLS LAST
  ), words (of_status, said) AS (
    VALUES ('planned', 'đã lên kế hoạch'), ('under_way', 'đang thực hiện'), ('done', 'đã hoàn thành'), ('postponed', 'hoãn'), ('cancelled', 'hủy')
  ), activities AS (
    SELECT a.* FROM activity a WHERE a.organization_id = p_unit AND (p_campaign IS NULL OR a.campaign_id = p_campaign)
    ORDER BY a.starts_on DESC, a.id DESC LIMIT 2000
  ), assignments AS (
    SELECT s.* FROM campaign_assignment s WHERE s.organization_id = p_unit AND (p_campaign IS NULL OR s.campaign_id = p_campaign)
    ORDER BY s.due_on DESC, s.id DESC LIMIT 2000
  )
  SELECT e.* FROM (
    SELECT 'phase', f.id, concat(CASE WHEN f.starts_on IS NULL THEN 'Kết thúc giai đoạn ' ELSE 'Giai đoạn ' END,
        coalesce(regexp_replace(f.title, '^giai đoạn ', '', 'i'), f.code)),
      concat_ws(E'\n', f.place, f.objective), 'Giai đoạn', coalesce(f.starts_on, f.ends_on) AS first_on, f.ends_on, NULL::text, f.version, tstz(f.updated_at)
    FROM phases f
    UNION ALL
    SELECT 'activity', a.id, a.title, concat_ws(E'\n', f.place, format('Trạng thái: %s', w.said),
        format('Số lượng: kế hoạch %s, đã thực hiện %s', a.planned, a.done), 'Lý do: ' || a.reason, a.note),
      coalesce(k.name, a.kind), a.starts_on, a.ends_on, a.status, a.version, tstz(a.updated_at)
    FROM activities a JOIN phases f ON f.id = a.phase_id JOIN words w ON w.of_status = a.status LEFT JOIN kinds k ON k.code = a.kind
    UNION ALL
    SELECT 'assignment', s.id, format('Đến hạn: %s (%s)', coalesce(k.name, s.kind), s.quantity),
      concat_ws(E'\n', f.place, 'Lý do điều chỉnh: ' || s.reason, s.note), 'Chỉ tiêu giao', s.due_on, s.due_on, NULL, s.version, tstz(s.updated_at)
    FROM assignments s JOIN phases f ON f.id = s.phase_id LEFT JOIN kinds k ON k.code = s.kind
  ) e ORDER BY e.first_on, e.id;
END $$;
-- The same as a caller asks for it: of the seat's unit where none is named.
CREATE FUNCTION calendar_of(campaign_ref text, organization_ref text)
  RETURNS TABLE (part text, id uuid, title text, detail text, category text, starts_on date, ends_on date, status text, version bigint, changed_at text)
  LANGUAGE plpgsql STABLE AS $$
DECLARE
  cid uuid := CASE WHEN campaign_ref IS NOT NULL THEN path_campaign(campaign_ref) END;
  unit uuid := CASE WHEN organization_ref IS NULL THEN me_seat() ELSE filter_organization(organization_ref, 'organization') END;
BEGIN
  IF me_grant() IS NULL THEN RETURN; END IF;
  RETURN QUERY SELECT r.* FROM calendar_rows(unit, cid, NULL) r;
END $$;

-- ---- addresses -------------------------------------------------------------------------------------------------
CREATE FUNCTION calendar_subscription_json(s_id uuid) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT to_jsonb(r) FROM (SELECT s.id, s.name, organization_ref(s.organization_id) AS organization, c.code AS campaign, s.expires_on, s.last_used_on,
      tstz(s.revoked_at) AS revoked_at, s.revoked_at IS NULL AND s.expires_on >= today() AS valid, s.version, tstz(s.created_at) AS created_at
    FROM calendar_subscription s LEFT JOIN campaign c ON c.id = s.campaign_id WHERE s.id = s_id) r);
END $$;

CREATE FUNCTION calendar_subscription_create(new_id uuid, body jsonb, p_secret_hash bytea, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  unit uuid := organization_id(body ->> 'organization');
  cid uuid := CASE WHEN body ->> 'campaign' IS NOT NULL THEN campaign_id(body ->> 'campaign') END;
  until date := (body ->> 'expires_on')::date;
  answer jsonb;
BEGIN
  PERFORM refuse(
    CASE WHEN unit IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization') END,
    CASE WHEN cid IS NULL AND body ->> 'campaign' IS NOT NULL THEN fault('#/campaign', 'unknown_reference', 'no such campaign') END,
    CASE WHEN until < today() OR until > (today() + interval '1 year')::date
      THEN fault('#/expires_on', 'out_of_range', 'an address holds until today at the least and for a year at the most') END);
  IF (SELECT count(*) FROM calendar_subscription s WHERE s.account_id = me_account() AND s.revoked_at IS NULL AND s.expires_on >= today()) >= 50 THEN
    PERFORM fail(409, 'conflict', NULL, 'An account holds fifty calendar addresses at a time; revoke one that is not used any more.');
  END IF;
  INSERT INTO calendar_subscription (id, account_id, grant_id, organization_id, campaign_id, name, secret_hash, expires_on)
  VALUES (new_id, me_account(), me_grant(), unit, cid, body ->> 'name', p_secret_hash, until);
  answer := calendar_subscription_json(new_id);
  PERFORM journal('create', 'calendar_subscription', new_id, 1, (SELECT o.scope_key FROM organization o WHERE o.id = unit), NULL, answer, request_id);
  RETURN QUERY SELECT 201, '1', '/v1/calendar-subscriptions/' || new_id, answer::text;
END $$;

-- It stays as a row, so that its owner sees that it has ended.
CREATE FUNCTION calendar_subscription_end(ref uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  was jsonb := calendar_subscription_json(ref);
BEGIN
  IF was IS NULL THEN PERFORM fail(404, 'not_found'); END IF;
  PERFORM check_version((was ->> 'version')::bigint, if_match);
  IF was ->> 'revoked_at' IS NOT NULL THEN RETURN; END IF;
  UPDATE calendar_subscription s SET revoked_at = clock_now(), version = s.version + 1, updated_at = clock_now()
  WHERE s.id = ref AND s.version = (was ->> 'version')::bigint;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  -- (as whose seat it is journalled where the unit cannot be seen any more)
  PERFORM journal('end', 'calendar_subscription', ref, (was ->> 'version')::bigint + 1,
    coalesce((SELECT o.scope_key FROM organization o JOIN calendar_subscription s ON s.organization_id = o.id WHERE s.id = ref), me_seat_key()),
    was, calendar_subscription_json(ref), request_id);
END $$;

-- Enters as the grant an address was made by, to read and nothing else, where address, account, grant and role still hold; gives what it names. The one
-- thing that is written is that it was used today, once a day.
CREATE FUNCTION calendar_enter(p_secret_hash bytea, OUT unit uuid, OUT campaign uuid, OUT name text)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  s calendar_subscription;
  g access_grant;
BEGIN
  SELECT * INTO s FROM calendar_subscription x WHERE x.secret_hash = p_secret_hash AND x.revoked_at IS NULL AND x.expires_on >= today();
  IF NOT FOUND THEN RETURN; END IF;
  SELECT x.* INTO g FROM access_grant x JOIN account a ON a.id = x.account_id
    JOIN role_permission rp ON rp.role = x.role AND rp.permission = 'campaigns:read'
  WHERE x.id = s.grant_id AND a.status = 'active' AND x.revoked_at IS NULL AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today());
  IF g.id IS NULL OR (g.delegated_from IS NOT NULL AND NOT enter_delegated(g.delegated_from, g.scope_key)) THEN RETURN; END IF;
  PERFORM enter_scope(g.id, NULL, 'campaigns:read');
  IF s.last_used_on IS DISTINCT FROM today() THEN
    UPDATE calendar_subscription x SET last_used_on = today()
    WHERE x.id = (SELECT y.id FROM calendar_subscription y WHERE y.id = s.id FOR UPDATE SKIP LOCKED);
  END IF;
  unit := s.organization_id;
  campaign := s.campaign_id;
  name := s.name;
END $$;
-- What the address shows; no row where it shows nothing, for whatever reason: its unit or its campaign out of the grant's sight among them.
CREATE FUNCTION calendar_shared(p_secret_hash bytea)
  RETURNS TABLE (part text, id uuid, title text, detail text, category text, starts_on date, ends_on date, status text, version bigint, changed_at text)
  LANGUAGE plpgsql AS $$
DECLARE
  e record;
BEGIN
  SELECT * INTO e FROM calendar_enter(p_secret_hash);
  IF e.unit IS NULL OR NOT EXISTS (SELECT FROM organization o WHERE o.id = e.unit)
    OR (e.campaign IS NOT NULL AND NOT EXISTS (SELECT FROM campaign c WHERE c.id = e.campaign)) THEN
    RETURN;
  END IF;
  RETURN QUERY SELECT r.* FROM calendar_rows(e.unit, e.campaign, e.name) r;
END $$;

GRANT EXECUTE ON FUNCTION calendar_rows(uuid, uuid, text), calendar_of(text, text), calendar_subscription_json(uuid),
  calendar_subscription_create(uuid, jsonb, bytea, text), calendar_subscription_end(uuid, text, text), calendar_enter(bytea), calendar_shared(bytea)
  TO tiendo_service;
