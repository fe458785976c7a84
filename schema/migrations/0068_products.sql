-- Products: made by a unit, published to everybody who reads the campaign, used again by other units.
-- Order of refusal: 404, 422 for whose it is, 403, 422 for the rest, 428, 412, 409 for the state.
SET search_path = tiendo, public;

-- Who withdrew it: its unit, or the campaign's owner, whose word stands.
ALTER TABLE product ADD COLUMN withdrawn_seat_id uuid REFERENCES organization (id);

-- ---- who writes ----------------------------------------------------------------------------------------------
GRANT INSERT, DELETE ON product, product_reuse TO tiendo_service;
GRANT UPDATE (phase_id, activity_id, kind, title, summary, topic, duration_s, link, sha256, published_on, channels,
  on_behalf, entered_by, seat_id, account_id, client_id, version, updated_at) ON product TO tiendo_service;
GRANT UPDATE (used_on, channels, reach, link, note, on_behalf, entered_by, seat_id, account_id, client_id, version, updated_at) ON product_reuse
  TO tiendo_service;
-- The campaign's owner sees what was published once, also when it has been taken back.
CREATE POLICY service_campaign_owner ON product FOR SELECT TO tiendo_service USING (published_at IS NOT NULL
  AND EXISTS (SELECT FROM campaign c WHERE c.id = campaign_id AND c.owner_id = ANY ((SELECT me_seats())::uuid[])));
-- Whoever writes: what is shown to all stays as it was shown.
CREATE FUNCTION product_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF old.state = 'published' AND (new.kind, new.title, new.summary, new.topic, new.duration_s, new.link, new.sha256, new.published_on, new.channels)
      IS DISTINCT FROM (old.kind, old.title, old.summary, old.topic, old.duration_s, old.link, old.sha256, old.published_on, old.channels) THEN
    RAISE insufficient_privilege USING MESSAGE = 'a published product stays as it was shown';
  END IF;
  RETURN new;
END $$;
CREATE TRIGGER product_guard BEFORE UPDATE OF kind, title, summary, topic, duration_s, link, sha256, published_on, channels ON product
  FOR EACH ROW EXECUTE FUNCTION product_guard();

-- ---- rules that what units enter in a campaign has in common ---------------------------------------------------
-- The name of a unit that published something, as the directory of the caller's root tells it.
CREATE FUNCTION directory_name(unit uuid) RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT o.name FROM organization o WHERE o.id = unit AND (o.root_id = me_root() OR o.scope_key <@ area()));
END $$;
-- The campaign and the unit that a body names, and whether the caller enters for it: 422, 403.
CREATE FUNCTION campaign_entry(campaign_ref text, organization_ref text, day date) RETURNS TABLE (c campaign, o organization) LANGUAGE plpgsql STABLE ROWS 1 AS $$
BEGIN
  SELECT x.* INTO c FROM campaign x WHERE x.id = campaign_id(campaign_ref);
  SELECT x.* INTO o FROM organization x WHERE x.id = organization_id(organization_ref);
  PERFORM refuse(CASE WHEN c.id IS NULL THEN fault('#/campaign', 'unknown_reference', 'no such campaign') END,
    CASE WHEN o.id IS NULL THEN fault('#/organization', 'unknown_reference', 'no such organization')
      WHEN NOT o.scope_key ^@ c.scope_key THEN fault('#/organization', 'outside_scope', 'it lies outside of the campaign''s scope') END);
  IF NOT campaign_may_enter(c.id, c.programme_id, o.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('You do not enter %s for %s.', c.code, o.code));
  END IF;
  PERFORM refuse(CASE WHEN o.valid_from > day OR o.valid_to < day THEN fault('#/organization', 'out_of_range', format('%s does not exist on %s', o.code, day)) END);
  RETURN NEXT;
END $$;
-- Faults of a list of channels: had are those that may stay though nothing new takes them any more.
CREATE FUNCTION channel_faults(list jsonb, had text[], pointer text) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault(pointer || '/' || x.n - 1, 'unknown_reference', 'the list has no such channel')
    FROM jsonb_array_elements_text(coalesce(nullif(list, 'null'), '[]')) WITH ORDINALITY x(code, n)
    WHERE NOT campaign_term_offered('channel', x.code) AND x.code <> ALL (coalesce(had, '{}')) ORDER BY x.n);
END $$;
-- The phases of that code, of whichever campaign; 422 where there is none.
CREATE FUNCTION filter_phases(phase text) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE found_ids uuid[] := ARRAY(SELECT f.id FROM campaign_phase f WHERE f.code = phase);
BEGIN
  IF found_ids = '{}' THEN PERFORM refuse(fault_parameter('phase', 'unknown_reference', 'no campaign has such a phase')); END IF;
  RETURN found_ids;
END $$;

-- ---- reading ---------------------------------------------------------------------------------------------------
CREATE FUNCTION product_json(p product) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT p.id, coalesce((SELECT c.code FROM campaign c WHERE c.id = p.campaign_id), campaign_code_kept(p.campaign_id)) AS campaign,
      coalesce((SELECT f.code FROM campaign_phase f WHERE f.id = p.phase_id), campaign_phase_code_kept(p.phase_id)) AS phase, p.organization_code AS organization,
      directory_name(p.organization_id) AS organization_name, p.activity_id AS activity, p.kind, p.title, p.summary, p.topic, p.duration_s, p.link,
      p.sha256, p.published_on, p.channels,
      (SELECT coalesce(json_agg(json_build_object('channel', x.channel, 'total', x.total, 'read_on', x.read_on, 'source', x.source) ORDER BY x.channel), '[]')
         FROM product_reach x WHERE x.product_id = p.id) AS reach,
      (SELECT sum(x.total) FROM product_reach x WHERE x.product_id = p.id) AS reach_total,
      p.state, p.state_reason AS reason, unit_code(p.withdrawn_seat_id) AS withdrawn_by, tstz(p.published_at) AS published_at,
      (SELECT count(*) FROM product_reuse u WHERE u.product_id = p.id) AS reuses, p.on_behalf, p.entered_by, p.version, tstz(p.created_at) AS created_at,
      tstz(p.updated_at) AS updated_at) r);
END $$;
-- What is used again changes without the product: the tag tells the text apart too.
CREATE FUNCTION product_get(p_product uuid) RETURNS TABLE (version text, body text) LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT p.version || ';' || left(md5(j.body), 12), j.body FROM product p, LATERAL (SELECT product_json(p) AS body) j WHERE p.id = p_product;
END $$;
-- The visible product a path names.
CREATE FUNCTION path_product(p_product uuid) RETURNS product LANGUAGE plpgsql STABLE AS $$
DECLARE p product;
BEGIN
  SELECT * INTO p FROM product x WHERE x.id = p_product;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  RETURN p;
END $$;
CREATE FUNCTION path_product_id(p_product uuid) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (path_product(p_product)).id;
END $$;

-- ---- writing ---------------------------------------------------------------------------------------------------
-- What a body says applied to a product's row; names that are of nothing become NULL.
CREATE FUNCTION product_apply(p product, b jsonb) RETURNS product LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF b ? 'kind' THEN p.kind := b ->> 'kind'; END IF;
  IF b ? 'title' THEN p.title := b ->> 'title'; END IF;
  IF b ? 'summary' THEN p.summary := b ->> 'summary'; END IF;
  IF b ? 'topic' THEN p.topic := b ->> 'topic'; END IF;
  IF b ? 'duration_s' THEN p.duration_s := (b ->> 'duration_s')::int; END IF;
  IF b ? 'link' THEN p.link := b ->> 'link'; END IF;
  IF b ? 'sha256' THEN p.sha256 := b ->> 'sha256'; END IF;
  IF b ? 'published_on' THEN p.published_on := (b ->> 'published_on')::date; END IF;
  IF b ? 'channels' THEN p.channels := coalesce(text_list(b -> 'channels'), '{}'); END IF;
  IF b ? 'phase' THEN p.phase_id := campaign_phase_id(p.campaign_id, b ->> 'phase'); END IF;
  IF b ? 'activity' THEN
    p.activity_id := (SELECT a.id FROM activity a WHERE a.id = (b ->> 'activity')::uuid AND a.organization_id = p.organization_id AND a.campaign_id = p.campaign_id);
  END IF;
  p.on_behalf := p.organization_id <> me_seat(); p.entered_by := (SELECT o.code FROM organization o WHERE o.id = me_seat());
  p.seat_id := me_seat(); p.account_id := me_account(); p.client_id := me_client();
  RETURN p;
END $$;
-- Everything that is wrong with a body, and with the product it makes of what was there.
CREATE FUNCTION product_faults(was product, p product, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY[
    CASE WHEN p.kind IS DISTINCT FROM was.kind AND NOT campaign_term_offered('product_kind', p.kind)
      THEN fault('#/kind', 'unknown_reference', 'the list has no such kind of product') END,
    CASE WHEN b ->> 'phase' IS NOT NULL AND p.phase_id IS NULL THEN fault('#/phase', 'unknown_reference', 'the campaign has no such phase') END,
    CASE WHEN p.topic IS DISTINCT FROM was.topic AND p.topic IS NOT NULL AND NOT EXISTS (SELECT FROM campaign_topic t WHERE t.campaign_id = p.campaign_id AND t.code = p.topic)
      THEN fault('#/topic', 'unknown_reference', 'the campaign has no such topic') END,
    CASE WHEN b ->> 'activity' IS NOT NULL AND p.activity_id IS NULL
      THEN fault('#/activity', 'unknown_reference', 'the unit has no such activity in this campaign') END,
    CASE WHEN p.kind = 'short_video' AND p.duration_s IS NULL THEN fault('#/duration_s', 'required', 'a short video says how long it is') END,
    value_fault('#/link', evidence_fault(p.link)),
    CASE WHEN p.published_on > today() THEN fault('#/published_on', 'in_the_future', 'the day lies in the future') END]
    || channel_faults(b -> 'channels', was.channels, '#/channels') || product_reach_faults(was.id, b -> 'reach');
END $$;
CREATE FUNCTION product_reach_faults(product uuid, list jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT CASE
      WHEN x.nth > 1 THEN fault('#/reach/' || x.n - 1 || '/channel', 'repeated', format('%s is named twice', x.channel))
      WHEN NOT x.known THEN fault('#/reach/' || x.n - 1 || '/channel', 'unknown_reference', 'the list has no such channel')
      ELSE fault('#/reach/' || x.n - 1 || '/read_on', 'in_the_future', 'the day lies in the future') END
    FROM (SELECT r.n, r.item ->> 'channel' AS channel, (r.item ->> 'read_on')::date AS read_on,
        row_number() OVER (PARTITION BY r.item ->> 'channel' ORDER BY r.n) AS nth,
        campaign_term_offered('channel', r.item ->> 'channel')
          OR EXISTS (SELECT FROM product_reach h WHERE h.product_id = product AND h.channel = r.item ->> 'channel') AS known
      FROM jsonb_array_elements(coalesce(nullif(list, 'null'), '[]')) WITH ORDINALITY r(item, n)) x
    WHERE x.nth > 1 OR NOT x.known OR x.read_on > today() ORDER BY x.n);
END $$;
-- Makes a product's reach the one that a body gives.
CREATE FUNCTION product_set_reach(product uuid, list jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM product_reach x WHERE x.product_id = product;
  INSERT INTO product_reach (product_id, channel, total, read_on, source)
  SELECT product, r ->> 'channel', (r ->> 'total')::bigint, (r ->> 'read_on')::date, r ->> 'source'
  FROM jsonb_array_elements(coalesce(nullif(list, 'null'), '[]')) r;
END $$;

CREATE FUNCTION product_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  e record;
  p product;
  none product;
BEGIN
  SELECT * INTO e FROM campaign_entry(body ->> 'campaign', body ->> 'organization', coalesce((body ->> 'published_on')::date, today()));
  p.id := new_id; p.campaign_id := (e.c).id; p.programme_id := (e.c).programme_id; p.organization_id := (e.o).id; p.organization_code := (e.o).code;
  p.scope_key := (e.o).scope_key; p.channels := '{}'; p.state := 'draft';
  p := product_apply(p, body);
  PERFORM refuse(VARIADIC product_faults(none, p, body)), campaign_open(p.campaign_id);
  INSERT INTO product (id, campaign_id, phase_id, activity_id, programme_id, organization_id, organization_code, scope_key, kind, title, summary, topic,
    duration_s, link, sha256, published_on, channels, on_behalf, entered_by, seat_id, account_id, client_id)
  VALUES (p.id, p.campaign_id, p.phase_id, p.activity_id, p.programme_id, p.organization_id, p.organization_code, p.scope_key, p.kind, p.title, p.summary,
    p.topic, p.duration_s, p.link, p.sha256, p.published_on, p.channels, p.on_behalf, p.entered_by, p.seat_id, p.account_id, p.client_id)
  RETURNING * INTO p;
  PERFORM product_set_reach(p.id, body -> 'reach');
  body_out := product_json(p);
  PERFORM journal('create', 'product', p.id, p.version, p.scope_key, NULL, body_out::jsonb, request_id, p.programme_id);
  RETURN QUERY SELECT 201, p.version::text, '/v1/products/' || p.id, body_out;
END $$;
-- Refuses to write a product that the caller does not enter for.
CREATE FUNCTION product_may_write(p product) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT campaign_may_enter(p.campaign_id, p.programme_id, p.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('You do not enter for %s.', p.organization_code));
  END IF;
END $$;
CREATE FUNCTION product_update(p_product uuid, patch jsonb, if_match text, request_id text) RETURNS TABLE (status int, version text, body_out text)
  LANGUAGE plpgsql AS $$
DECLARE
  was product := path_product(p_product);
  p product;
  before jsonb := product_json(was);
BEGIN
  PERFORM product_may_write(was);
  p := product_apply(was, patch);
  PERFORM refuse(VARIADIC product_faults(was, p, patch)), check_version(was.version, if_match), campaign_open(p.campaign_id);
  IF was.state = 'published' AND patch - 'reach' <> '{}' THEN
    PERFORM fail(409, 'wrong_state', NULL, 'Of a published product only the reach is changed; withdraw it to change the rest.');
  END IF;
  UPDATE product x SET phase_id = p.phase_id, activity_id = p.activity_id, kind = p.kind, title = p.title, summary = p.summary, topic = p.topic,
    duration_s = p.duration_s, link = p.link, sha256 = p.sha256, published_on = p.published_on, channels = p.channels, on_behalf = p.on_behalf,
    entered_by = p.entered_by, seat_id = p.seat_id, account_id = p.account_id, client_id = p.client_id, version = x.version + 1, updated_at = clock_now()
  WHERE x.id = p.id AND x.version = was.version AND x.state = was.state RETURNING * INTO p;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  IF patch ? 'reach' THEN PERFORM product_set_reach(p.id, patch -> 'reach'); END IF;
  body_out := product_json(p);
  PERFORM journal('update', 'product', p.id, p.version, p.scope_key, before, body_out::jsonb, request_id, p.programme_id);
  status := 200; version := p.version;
  RETURN NEXT;
END $$;
CREATE FUNCTION product_delete(p_product uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p product := path_product(p_product);
  before jsonb := product_json(p);
BEGIN
  PERFORM product_may_write(p);
  PERFORM check_version(p.version, if_match), campaign_open(p.campaign_id);
  IF p.published_at IS NOT NULL THEN
    PERFORM fail(409, 'wrong_state', NULL, 'What was published once is not deleted; it is withdrawn.');
  END IF;
  DELETE FROM product x WHERE x.id = p.id AND x.version = p.version AND x.published_at IS NULL;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'product', p.id, p.version + 1, p.scope_key, before, NULL, request_id, p.programme_id);
END $$;
-- Who may: publish and withdraw, the unit whose product it is; withdraw, the campaign's owner too, wherever the unit lies, and what another than the
-- unit withdrew the owner alone publishes again.
CREATE FUNCTION product_turner(p product, p_action text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  owner boolean := p.published_at IS NOT NULL AND EXISTS (SELECT FROM campaign c WHERE c.id = p.campaign_id AND c.owner_id = ANY (me_seats()));
  held boolean := p.state = 'withdrawn' AND p.withdrawn_seat_id <> p.organization_id;
BEGIN
  RETURN coalesce(CASE WHEN p_action = 'publish' AND held THEN owner ELSE p.organization_id = ANY (me_seats()) OR (p_action = 'withdraw' AND owner) END, false);
END $$;
-- As the owner, so it looks itself who asks; who has nothing to do with the product learns nothing of it here.
CREATE FUNCTION product_turn(p_product uuid, p_action text, reason text, if_match text, request_id text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE
  p product := (SELECT x FROM product x WHERE x.id = p_product);
  before jsonb := product_json(p);
BEGIN
  IF me_permission() IS DISTINCT FROM 'publications:write' OR p.id IS NULL OR NOT product_turner(p, p_action) THEN
    PERFORM fail(404, 'not_found');
  END IF;
  PERFORM check_version(p.version, if_match);
  IF (p.state = 'published') <> (p_action = 'withdraw') THEN
    PERFORM fail(409, 'wrong_state', NULL, CASE WHEN p.state = 'published' THEN 'The product is published already.' ELSE 'The product is not published.' END);
  END IF;
  IF p_action = 'publish' THEN PERFORM campaign_open(p.campaign_id); END IF;
  UPDATE product x SET state = CASE p_action WHEN 'publish' THEN 'published' ELSE 'withdrawn' END, state_reason = reason,
    withdrawn_seat_id = CASE WHEN p_action = 'withdraw' THEN CASE WHEN x.organization_id = ANY (me_seats()) THEN x.organization_id ELSE me_seat() END END,
    published_at = CASE p_action WHEN 'publish' THEN clock_now() ELSE x.published_at END,
    published_on = CASE p_action WHEN 'publish' THEN coalesce(x.published_on, today()) ELSE x.published_on END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = p.id AND x.version = p.version RETURNING * INTO p;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal(p_action, 'product', p.id, p.version, p.scope_key, before, product_json(p)::jsonb, request_id, p.programme_id);
  RETURN p.version;
END $$;
CREATE FUNCTION product_step(p_product uuid, p_action text, body jsonb, if_match text, request_id text) RETURNS TABLE (status int, version text, body_out text)
  LANGUAGE plpgsql AS $$
DECLARE p product := path_product(p_product);
BEGIN
  IF NOT product_turner(p, p_action) THEN
    PERFORM fail(403, 'forbidden', NULL, CASE
      WHEN p_action = 'publish' AND p.state = 'withdrawn' AND p.withdrawn_seat_id <> p.organization_id THEN 'The owner of the campaign withdrew it; the owner alone publishes it again.'
      WHEN p_action = 'publish' THEN format('That is done by %s itself.', p.organization_code)
      ELSE format('That is done by %s itself, or by the owner of the campaign.', p.organization_code) END);
  END IF;
  version := product_turn(p.id, p_action, body ->> 'reason', if_match, request_id);
  status := 200; body_out := product_json((SELECT x FROM product x WHERE x.id = p.id));
  RETURN NEXT;
END $$;

-- ---- used again --------------------------------------------------------------------------------------------------
CREATE FUNCTION product_reuse_json(u product_reuse) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT u.id, u.product_id AS product, (SELECT p.title FROM product p WHERE p.id = u.product_id) AS product_title, u.organization_code AS organization,
      directory_name(u.organization_id) AS organization_name, u.used_on, u.channels, u.reach, u.link, u.note, u.on_behalf, u.entered_by, u.version,
      tstz(u.created_at) AS created_at, tstz(u.updated_at) AS updated_at) r);
END $$;
CREATE FUNCTION product_reuse_faults(was product_reuse, u product_reuse, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY[CASE WHEN u.used_on > today() THEN fault('#/used_on', 'in_the_future', 'the day lies in the future') END,
    value_fault('#/link', evidence_fault(u.link))] || channel_faults(b -> 'channels', was.channels, '#/channels');
END $$;
CREATE FUNCTION product_reuse_apply(u product_reuse, b jsonb) RETURNS product_reuse LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF b ? 'used_on' THEN u.used_on := (b ->> 'used_on')::date; END IF;
  IF b ? 'channels' THEN u.channels := coalesce(text_list(b -> 'channels'), '{}'); END IF;
  IF b ? 'reach' THEN u.reach := (b ->> 'reach')::bigint; END IF;
  IF b ? 'link' THEN u.link := b ->> 'link'; END IF;
  IF b ? 'note' THEN u.note := b ->> 'note'; END IF;
  u.on_behalf := u.organization_id <> me_seat(); u.entered_by := (SELECT o.code FROM organization o WHERE o.id = me_seat());
  u.seat_id := me_seat(); u.account_id := me_account(); u.client_id := me_client();
  RETURN u;
END $$;
CREATE FUNCTION product_must_be_published(product uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM product p WHERE p.id = product AND p.state = 'published') THEN
    PERFORM fail(409, 'wrong_state', NULL, 'The product is not published.');
  END IF;
END $$;
CREATE FUNCTION product_reuse_create(p_product uuid, new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p product := path_product(p_product);
  e record;
  u product_reuse;
  none product_reuse;
BEGIN
  SELECT * INTO e FROM campaign_entry(p.campaign_id::text, body ->> 'organization', (body ->> 'used_on')::date);
  u.organization_id := (e.o).id;
  u := product_reuse_apply(u, body);
  PERFORM refuse(VARIADIC product_reuse_faults(none, u, body)), campaign_open(p.campaign_id), product_must_be_published(p.id);
  INSERT INTO product_reuse (id, product_id, campaign_id, programme_id, organization_id, organization_code, scope_key, used_on, channels, reach, link, note,
    on_behalf, entered_by, seat_id, account_id, client_id)
  VALUES (new_id, p.id, p.campaign_id, p.programme_id, (e.o).id, (e.o).code, (e.o).scope_key, u.used_on, coalesce(u.channels, '{}'), u.reach, u.link, u.note,
    u.on_behalf, u.entered_by, u.seat_id, u.account_id, u.client_id)
  RETURNING * INTO u;
  body_out := product_reuse_json(u);
  PERFORM journal('create', 'product_reuse', u.id, u.version, u.scope_key, NULL, body_out::jsonb, request_id, u.programme_id);
  RETURN QUERY SELECT 201, u.version::text, '/v1/products/' || p.id || '/reuses/' || u.id, body_out;
END $$;
-- The visible use that a path names, for whoever enters for its unit: 404, 403.
CREATE FUNCTION path_product_reuse(p_product uuid, p_reuse uuid) RETURNS product_reuse LANGUAGE plpgsql STABLE AS $$
DECLARE u product_reuse;
BEGIN
  SELECT * INTO u FROM product_reuse x WHERE x.id = p_reuse AND x.product_id = p_product;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF NOT campaign_may_enter(u.campaign_id, u.programme_id, u.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('You do not enter for %s.', u.organization_code));
  END IF;
  RETURN u;
END $$;
CREATE FUNCTION product_reuse_update(p_product uuid, p_reuse uuid, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  was product_reuse := path_product_reuse(p_product, p_reuse);
  u product_reuse := product_reuse_apply(was, patch);
  before jsonb := product_reuse_json(was);
BEGIN
  PERFORM refuse(VARIADIC product_reuse_faults(was, u, patch)), check_version(was.version, if_match), campaign_open(u.campaign_id),
    product_must_be_published(u.product_id);
  UPDATE product_reuse x SET used_on = u.used_on, channels = u.channels, reach = u.reach, link = u.link, note = u.note, on_behalf = u.on_behalf,
    entered_by = u.entered_by, seat_id = u.seat_id, account_id = u.account_id, client_id = u.client_id, version = x.version + 1, updated_at = clock_now()
  WHERE x.id = u.id AND x.version = was.version RETURNING * INTO u;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := product_reuse_json(u);
  PERFORM journal('update', 'product_reuse', u.id, u.version, u.scope_key, before, body_out::jsonb, request_id, u.programme_id);
  status := 200; version := u.version;
  RETURN NEXT;
END $$;
CREATE FUNCTION product_reuse_delete(p_product uuid, p_reuse uuid, if_match text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  u product_reuse := path_product_reuse(p_product, p_reuse);
  before jsonb := product_reuse_json(u);
BEGIN
  PERFORM check_version(u.version, if_match), campaign_open(u.campaign_id);
  DELETE FROM product_reuse x WHERE x.id = u.id AND x.version = u.version;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  PERFORM journal('delete', 'product_reuse', u.id, u.version + 1, u.scope_key, before, NULL, request_id, u.programme_id);
END $$;

GRANT EXECUTE ON FUNCTION product_guard(), directory_name(uuid), campaign_entry(text, text, date),
  channel_faults(jsonb, text[], text), filter_phases(text), product_json(product), product_get(uuid), path_product(uuid), path_product_id(uuid),
  product_apply(product, jsonb), product_faults(product, product, jsonb), product_reach_faults(uuid, jsonb), product_set_reach(uuid, jsonb),
  product_create(uuid, jsonb, text), product_may_write(product), product_update(uuid, jsonb, text, text), product_delete(uuid, text, text),
  product_turner(product, text), product_turn(uuid, text, text, text, text), product_step(uuid, text, jsonb, text, text), product_reuse_json(product_reuse), product_reuse_faults(product_reuse, product_reuse, jsonb),
  product_reuse_apply(product_reuse, jsonb), product_must_be_published(uuid), product_reuse_create(uuid, uuid, jsonb, text),
  path_product_reuse(uuid, uuid), product_reuse_update(uuid, uuid, jsonb, text, text), product_reuse_delete(uuid, uuid, text, text) TO tiendo_service;
