-- Where reports and duties are read, and how they are asked about: in the feed, the audit trail and the question of permissions.
SET search_path = tiendo, public;

-- As before (0040), with the resources whose address is not their name and an s.
CREATE OR REPLACE FUNCTION journal_subject(kind text, id uuid, version bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE told text;
BEGIN
  CASE kind
    WHEN 'value' THEN
      SELECT concat('/v1/values/', url_encode(i.code), '/', url_encode(r.organization_code), '/', url_encode(r.period_code),
        CASE WHEN r.category <> '' THEN '?category=' || url_encode(r.category) END) INTO told
      FROM value_revision r JOIN indicator i ON i.id = r.indicator_id WHERE r.value_id = $2 AND r.version = $3;
    WHEN 'assignment' THEN
      SELECT concat('/v1/indicators/', a.indicator_id, '/assignments/', a.id) INTO told FROM assignment a WHERE a.id = $2;
    WHEN 'target' THEN
      SELECT concat('/v1/indicators/', t.indicator_id, '/targets/', t.id) INTO told FROM target t WHERE t.id = $2;
    WHEN 'client_secret' THEN
      SELECT concat('/v1/clients/', c.client_id, '/secrets') INTO told FROM client_secret c WHERE c.id = $2;
    WHEN 'report_duty' THEN told := concat('/v1/report-duties/', $2);
    WHEN 'holiday' THEN told := coalesce((SELECT concat('/v1/holidays?day=', h.day) FROM holiday h WHERE h.id = $2), '/v1/holidays');
    WHEN 'journal' THEN told := '/v1/audit-events';
    ELSE told := NULL;
  END CASE;
  RETURN coalesce(told, concat('/v1/', replace(kind, '_', '-'), 's/', id));
END $$;

-- As before (0037, 0039): duties too are asked about, by name.
CREATE OR REPLACE FUNCTION permission_resource(p_resource text, OUT kind text, OUT ref text, OUT known boolean, OUT unit uuid, OUT key text,
    OUT programme uuid) LANGUAGE plpgsql STABLE AS $$
DECLARE parts text[];
BEGIN
  kind := split_part(p_resource, ':', 1);
  ref := substr(p_resource, length(kind) + 2);
  known := false;
  IF kind = 'organization' THEN
    SELECT true, o.id, o.scope_key INTO known, unit, key FROM organization o WHERE o.id = (SELECT organization_id(ref));
  ELSIF kind = 'programme' THEN
    SELECT true, p.scope_id, p.scope_key, p.id INTO known, unit, key, programme FROM programme p WHERE p.id = (SELECT programme_id(ref));
  ELSIF kind = 'indicator' THEN
    SELECT true, p.scope_id, i.scope_key, p.id INTO known, unit, key, programme
    FROM indicator i JOIN programme p ON p.id = i.programme_id WHERE i.id = (SELECT indicator_id(ref));
  ELSIF kind = 'report_duty' THEN
    SELECT true, d.scope_id, d.scope_key, d.programme_id INTO known, unit, key, programme
    FROM report_duty d WHERE d.id = (SELECT report_duty_id(ref));
  ELSIF kind = 'value' THEN
    parts := string_to_array(ref, '/');
    SELECT true, o.id, o.scope_key, i.programme_id INTO known, unit, key, programme
    FROM indicator i, organization o, period p
    WHERE cardinality(parts) = 3 AND i.id = (SELECT indicator_id(parts[1])) AND o.id = (SELECT organization_id(parts[2]))
      AND p.id = (SELECT period_id(parts[3]))
      AND (o.scope_key <@ scope() OR in_limited(i.programme_id, o.scope_key, limited_programmes(), limited_scopes()));
  ELSIF kind = 'account' THEN
    SELECT true, a.organization_id, a.scope_key INTO known, unit, key FROM account a
    WHERE a.username = lower(ref) OR (is_uuid(ref) AND a.id::text = lower(ref));
  ELSIF kind = 'grant' THEN
    SELECT true, g.organization_id, g.scope_key INTO known, unit, key FROM access_grant g WHERE is_uuid(ref) AND g.id = ref::uuid;
  ELSIF kind = 'client' THEN
    SELECT true, c.organization_id, c.scope_key INTO known, unit, key FROM client c WHERE is_uuid(ref) AND c.id = ref::uuid;
  ELSIF kind = 'mandate' THEN
    SELECT true, m.giver_id, m.scope_key INTO known, unit, key FROM mandate m WHERE is_uuid(ref) AND m.id = ref::uuid;
  END IF;
  known := coalesce(known, false);
END $$;
CREATE OR REPLACE FUNCTION permission_try(p_permission text, kind text, ref text, key text, OUT status int, OUT code text, OUT said text)
  LANGUAGE plpgsql AS $$
DECLARE
  parts text[];
  state text;
  faults text;
BEGIN
  status := 200;
  BEGIN
    CASE p_permission || ' ' || kind
      WHEN 'organizations:write organization' THEN PERFORM organization_update(ref, '{}', NULL, NULL);
      WHEN 'programmes:write programme' THEN PERFORM programme_update(ref, '{}', NULL, NULL);
      WHEN 'indicators:write indicator' THEN PERFORM indicator_update(ref, '{}', NULL, NULL);
      WHEN 'duties:write report_duty' THEN PERFORM report_duty_update(ref, '{}', NULL, NULL);
      WHEN 'accounts:write account' THEN PERFORM account_update(ref, '{}', NULL, NULL);
      WHEN 'grants:write grant' THEN PERFORM grant_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'clients:write client' THEN PERFORM client_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'mandates:write mandate' THEN PERFORM mandate_update(ref::uuid, '{}', NULL, NULL);
      WHEN 'values:write value' THEN
        parts := string_to_array(ref, '/');
        PERFORM value_put(parts[1], parts[2], parts[3], NULL, '{}', NULL, NULL, uuid_v7(), NULL);
      ELSE
        IF p_permission = 'grants:write' AND kind = 'account' AND EXISTS (SELECT FROM account a
            WHERE (a.username = lower(ref) OR a.id::text = lower(ref)) AND ones_own(a.id)) THEN
          PERFORM fail(403, 'forbidden', NULL, 'Nobody grants to their own account.');
        END IF;
        IF (CASE WHEN p_permission = 'delegations:write' THEN NOT key ^@ me_seat_key()
            WHEN p_permission = 'me:write' THEN false
            WHEN p_permission = 'values:write' THEN NOT (may_write(NULL, key)
              OR EXISTS (SELECT FROM unnest(limited_write_scopes()) s WHERE key <@ s::keymultirange))
            ELSE NOT key <@ write_scope() END) THEN
          PERFORM fail(403, 'forbidden', NULL, CASE WHEN p_permission = 'values:write' AND key <@ behalf_scope()
            THEN 'For units below your own you enter only what their assignment says is entered by the superior.'
            ELSE 'It lies outside of where you may do this.' END);
        END IF;
    END CASE;
  EXCEPTION WHEN SQLSTATE 'TD403' OR SQLSTATE 'TD404' OR SQLSTATE 'TD409' OR SQLSTATE 'TD412' OR SQLSTATE 'TD422' OR SQLSTATE 'TD428' THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, code = MESSAGE_TEXT, faults = PG_EXCEPTION_DETAIL, said = PG_EXCEPTION_HINT;
    status := substr(state, 3)::int;
    IF status = 422 THEN
      SELECT f ->> 'code', f ->> 'detail' INTO code, said FROM jsonb_array_elements(faults::jsonb) f
      WHERE f ->> 'code' IN ('not_assigned', 'wrong_period_kind', 'period_not_begun') LIMIT 1;
    END IF;
  END;
END $$;
CREATE OR REPLACE FUNCTION filter_resource(ref text, parameter text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  kind text := split_part(ref, ':', 1);
  named text := substr(ref, length(split_part(ref, ':', 1)) + 2);
  part text[] := string_to_array(substr(ref, length(split_part(ref, ':', 1)) + 2), '/');
  found uuid[];
BEGIN
  IF is_uuid(ref) THEN RETURN ARRAY[ref::uuid]; END IF;
  CASE kind
    WHEN 'value' THEN
      IF cardinality(part) IN (3, 4) THEN found := value_ids(part[1], part[2], part[3], part[4]); END IF;
    WHEN 'organization' THEN found := ARRAY(SELECT o.id FROM organization o WHERE o.id = organization_id(named));
    WHEN 'programme' THEN found := ARRAY(SELECT p.id FROM programme p WHERE p.code = named OR p.id::text = lower(named));
    WHEN 'indicator' THEN found := ARRAY(SELECT i.id FROM indicator i WHERE i.id = indicator_id(named));
    WHEN 'report_duty' THEN found := ARRAY(SELECT d.id FROM report_duty d WHERE d.id = report_duty_id(named));
    WHEN 'account' THEN found := ARRAY(SELECT a.id FROM account a WHERE lower(named) IN (a.username, a.id::text));
    ELSE found := CASE WHEN is_uuid(named) THEN ARRAY[named::uuid] END;
  END CASE;
  found := array_remove(found, NULL);
  IF coalesce(cardinality(found), 0) = 0 THEN
    PERFORM refuse(fault_parameter(parameter, 'unknown_reference', 'no such resource, or not visible'));
  END IF;
  RETURN found;
END $$;
