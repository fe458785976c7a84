-- Setting campaigns: with their topics and phases, and the lists they take kinds and channels from.
SET search_path = tiendo, public;

COMMENT ON CONSTRAINT campaign_topic_pkey ON campaign_topic IS '422 repeated #/topics';
COMMENT ON CONSTRAINT campaign_reach_target_pkey ON campaign_reach_target IS '422 repeated #/phases';
-- A phase taken away while something was being entered in it.
COMMENT ON CONSTRAINT campaign_assignment_phase_id_fkey ON campaign_assignment IS '422 unknown_reference #/phase';
COMMENT ON CONSTRAINT activity_phase_id_fkey ON activity IS '422 unknown_reference #/phase';
COMMENT ON CONSTRAINT campaign_reach_phase_id_fkey ON campaign_reach IS '422 unknown_reference #/phase';
COMMENT ON CONSTRAINT product_phase_id_fkey ON product IS '422 unknown_reference #/phase';
COMMENT ON CONSTRAINT recognition_phase_id_fkey ON recognition IS '422 unknown_reference #/phase';
COMMENT ON CONSTRAINT campaign_review_phase_id_fkey ON campaign_review IS '422 unknown_reference #/phase';

-- ---- the lists ---------------------------------------------------------------------------------------------
-- What the service brings: named in the sources, the same for every installation.
INSERT INTO campaign_term (id, list, code, name, name_en, position)
SELECT ('0198c5a2-7d00-7' || substr(x.hash, 1, 3) || '-8' || substr(x.hash, 4, 3) || '-' || substr(x.hash, 7, 12))::uuid, x.list, x.code, x.name, x.name_en,
  10 * row_number() OVER (PARTITION BY x.list ORDER BY x.n)
FROM (SELECT t.*, row_number() OVER () AS n, md5(t.list || ' ' || t.code) AS hash FROM (VALUES
  -- what units do: meetings and teaching
  ('activity_kind', 'study_session', 'Học tập, quán triệt', 'Study session'),
  ('activity_kind', 'cell_meeting', 'Sinh hoạt chi bộ định kỳ', 'Regular cell meeting'),
  ('activity_kind', 'thematic_meeting', 'Sinh hoạt chuyên đề', 'Thematic meeting'),
  ('activity_kind', 'agency_meeting', 'Cuộc họp cơ quan, đoàn thể', 'Meeting of an agency or union'),
  ('activity_kind', 'conference', 'Hội nghị tuyên truyền', 'Conference'),
  ('activity_kind', 'speaker_conference', 'Hội nghị báo cáo viên', 'Conference of rapporteurs'),
  ('activity_kind', 'closing_conference', 'Hội nghị tổng kết', 'Closing conference'),
  ('activity_kind', 'training', 'Tập huấn', 'Training'),
  ('activity_kind', 'seminar', 'Tọa đàm', 'Seminar'),
  ('activity_kind', 'online_contest', 'Cuộc thi trực tuyến', 'Online contest'),
  ('activity_kind', 'information_briefing', 'Cung cấp thông tin phục vụ tuyên truyền', 'Information briefing'),
  ('activity_kind', 'current_affairs_briefing', 'Thông tin thời sự định kỳ', 'Current affairs briefing'),
  ('activity_kind', 'press_briefing', 'Giao ban báo chí', 'Press briefing'),
  ('activity_kind', 'exemplary_model_story', 'Giới thiệu mô hình hay, cách làm hiệu quả', 'Story of an exemplary model'),
  ('activity_kind', 'recognition', 'Biểu dương, khen thưởng', 'Recognition'),
  ('activity_kind', 'final_review', 'Tổng kết', 'Final review'),
  -- making and showing
  ('activity_kind', 'visual_identity', 'Bộ nhận diện', 'Visual identity'),
  ('activity_kind', 'infographic', 'Infographic', 'Infographic'),
  ('activity_kind', 'short_video', 'Video ngắn', 'Short video'),
  ('activity_kind', 'motion_graphic', 'Đồ họa chuyển động (motion graphic)', 'Motion graphic'),
  ('activity_kind', 'hashtag', 'Hashtag', 'Hashtag'),
  ('activity_kind', 'slogan', 'Khẩu hiệu', 'Slogan'),
  ('activity_kind', 'slide', 'Bài trình chiếu (slide)', 'Slides'),
  ('activity_kind', 'electronic_board', 'Bảng điện tử', 'Electronic board'),
  ('activity_kind', 'billboard', 'Pano', 'Billboard'),
  ('activity_kind', 'poster', 'Áp phích', 'Poster'),
  ('activity_kind', 'media_channel', 'Kênh truyền thông trên không gian mạng', 'Media channel'),
  ('activity_kind', 'social_media', 'Tuyên truyền trên mạng xã hội', 'Social media'),
  ('activity_kind', 'link', 'Đường dẫn', 'Link'),
  -- press, radio and television
  ('activity_kind', 'news_section', 'Chuyên trang, chuyên mục', 'News section'),
  ('activity_kind', 'article', 'Tin, bài', 'Article'),
  ('activity_kind', 'in_depth_article', 'Bài viết chuyên sâu', 'In-depth article'),
  ('activity_kind', 'how_to_article', 'Bài viết hướng dẫn', 'How-to article'),
  ('activity_kind', 'interview', 'Phỏng vấn', 'Interview'),
  ('activity_kind', 'reportage', 'Phóng sự', 'Reportage'),
  ('activity_kind', 'talkshow', 'Talkshow', 'Talk show'),
  ('activity_kind', 'documentary_film', 'Phim tài liệu', 'Documentary film'),
  ('activity_kind', 'yearbook', 'Kỷ yếu', 'Yearbook'),
  ('activity_kind', 'visual_report', 'Báo cáo trực quan', 'Visual report'),
  -- what comes of it
  ('product_kind', 'visual_identity', 'Bộ nhận diện', 'Visual identity'),
  ('product_kind', 'infographic', 'Infographic', 'Infographic'),
  ('product_kind', 'short_video', 'Video ngắn', 'Short video'),
  ('product_kind', 'motion_graphic', 'Đồ họa chuyển động (motion graphic)', 'Motion graphic'),
  ('product_kind', 'hashtag', 'Hashtag', 'Hashtag'),
  ('product_kind', 'slogan', 'Khẩu hiệu', 'Slogan'),
  ('product_kind', 'slide', 'Bài trình chiếu (slide)', 'Slides'),
  ('product_kind', 'electronic_board', 'Nội dung bảng điện tử', 'Electronic board'),
  ('product_kind', 'billboard', 'Pano', 'Billboard'),
  ('product_kind', 'poster', 'Áp phích', 'Poster'),
  ('product_kind', 'news_section', 'Chuyên trang, chuyên mục', 'News section'),
  ('product_kind', 'article', 'Tin, bài', 'Article'),
  ('product_kind', 'in_depth_article', 'Bài viết chuyên sâu', 'In-depth article'),
  ('product_kind', 'how_to_article', 'Bài viết hướng dẫn', 'How-to article'),
  ('product_kind', 'interview', 'Bài phỏng vấn', 'Interview'),
  ('product_kind', 'reportage', 'Phóng sự', 'Reportage'),
  ('product_kind', 'talkshow', 'Talkshow', 'Talk show'),
  ('product_kind', 'online_contest', 'Cuộc thi trực tuyến', 'Online contest'),
  ('product_kind', 'documentary_film', 'Phim tài liệu', 'Documentary film'),
  ('product_kind', 'yearbook', 'Kỷ yếu', 'Yearbook'),
  ('product_kind', 'visual_report', 'Báo cáo trực quan', 'Visual report'),
  -- by what it reaches people
  ('channel', 'newsletter', 'Bản tin', 'Newsletter'),
  ('channel', 'website', 'Trang thông tin điện tử', 'Website'),
  ('channel', 'zalo_oa', 'Zalo OA', 'Zalo OA'),
  ('channel', 'work_group', 'Nhóm công tác', 'Work group'),
  ('channel', 'press', 'Báo chí', 'Press'),
  ('channel', 'radio_television', 'Phát thanh, truyền hình', 'Radio and television'),
  ('channel', 'social_media', 'Mạng xã hội', 'Social media'),
  ('channel', 'electronic_board', 'Bảng điện tử', 'Electronic board')) t(list, code, name, name_en)) x;

CREATE FUNCTION campaign_term_json(t campaign_term) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (SELECT t.id, t.list, t.code, t.name, t.name_en, t.active, t.root_id IS NOT NULL AS own, t.position, t.version,
    tstz(t.created_at) AS created_at, tstz(t.updated_at) AS updated_at) r);
END $$;
-- What a code of a list is called.
CREATE FUNCTION campaign_term_name(p_list text, p_code text) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
  RETURN (SELECT t.name FROM campaign_term t WHERE t.list = p_list AND t.code = p_code ORDER BY t.root_id NULLS LAST LIMIT 1);
END $$;
-- The key of the caller's root, of whose managers its own terms are; anybody else is refused.
CREATE FUNCTION campaign_term_place() RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE key text := (SELECT o.scope_key FROM organization o WHERE o.id = me_root() AND o.scope_key <@ write_scope());
BEGIN
  IF key IS NULL THEN
    PERFORM fail(403, 'forbidden', NULL, 'The lists of campaigns are kept by the managers of the root or by a mandate to define over all of it.');
  END IF;
  RETURN key;
END $$;
CREATE FUNCTION campaign_term_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  key text := campaign_term_place();
  made campaign_term;
BEGIN
  IF EXISTS (SELECT FROM campaign_term t WHERE t.root_id IS NULL AND t.list = body ->> 'list' AND t.code = body ->> 'code') THEN
    PERFORM fail(409, 'code_taken', jsonb_build_array(fault('#/code', 'code_taken', 'the service brings a term of this code with it')));
  END IF;
  INSERT INTO campaign_term (id, root_id, list, code, name, name_en, active, position)
  VALUES (new_id, me_root(), body ->> 'list', body ->> 'code', body ->> 'name', body ->> 'name_en', coalesce((body ->> 'active')::boolean, true),
    coalesce((body ->> 'position')::int, 1000))
  RETURNING * INTO made;
  body_out := campaign_term_json(made);
  PERFORM journal('create', 'campaign_term', made.id, made.version, key, NULL, body_out::jsonb, request_id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/campaign-terms/' || made.id, body_out;
END $$;
CREATE FUNCTION campaign_term_update(term uuid, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  t campaign_term;
  key text;
  was jsonb;
BEGIN
  SELECT * INTO t FROM campaign_term x WHERE x.id = term;
  IF NOT FOUND THEN PERFORM fail(404, 'not_found'); END IF;
  IF t.root_id IS NULL THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s comes with the service and is the same for all; add a term of your own.', t.code));
  END IF;
  key := campaign_term_place();
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  was := campaign_term_json(t)::jsonb;
  UPDATE campaign_term x SET
    name = CASE WHEN patch ? 'name' THEN patch ->> 'name' ELSE x.name END,
    name_en = CASE WHEN patch ? 'name_en' THEN patch ->> 'name_en' ELSE x.name_en END,
    active = CASE WHEN patch ? 'active' THEN (patch ->> 'active')::boolean ELSE x.active END,
    position = CASE WHEN patch ? 'position' THEN (patch ->> 'position')::int ELSE x.position END,
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = t.id AND (if_match = '*' OR x.version::text = ANY (string_to_array(if_match, ',')))
  RETURNING * INTO t;
  IF NOT FOUND THEN PERFORM fail(412, 'version_conflict'); END IF;
  body_out := campaign_term_json(t);
  PERFORM journal('update', 'campaign_term', t.id, t.version, key, was, body_out::jsonb, request_id);
  RETURN QUERY SELECT 200, t.version::text, NULL::text, body_out;
END $$;

-- ---- campaigns: reading --------------------------------------------------------------------------------------
CREATE FUNCTION campaign_json(c campaign) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT row_to_json(r)::text FROM (
    SELECT c.id, c.code, c.title, (SELECT p.code FROM programme p WHERE p.id = c.programme_id) AS programme, unit_code(c.owner_id) AS owner,
      unit_code(c.scope_id) AS scope, c.implements, c.document, c.note, c.status, c.entered_by,
      (SELECT coalesce(json_agg(json_build_object('code', t.code, 'title', t.title) ORDER BY t.position), '[]')
         FROM campaign_topic t WHERE t.campaign_id = c.id) AS topics,
      (SELECT coalesce(json_agg(json_build_object('code', f.code, 'title', f.title, 'objective', f.objective, 'starts_on', f.starts_on, 'ends_on', f.ends_on,
           'kinds', f.kinds, 'reach_targets', (SELECT coalesce(json_agg(json_build_object('of', g.of, 'percent', g.percent,
               'indicator', (SELECT i.code FROM indicator i WHERE i.id = g.indicator_id)) ORDER BY g.of DESC), '[]')
             FROM campaign_reach_target g WHERE g.phase_id = f.id)) ORDER BY f.position), '[]')
         FROM campaign_phase f WHERE f.campaign_id = c.id) AS phases,
      c.version, tstz(c.created_at) AS created_at, tstz(c.updated_at) AS updated_at) r);
END $$;
-- Holds a campaign as it is until the end of the transaction, and refuses what is to be entered in one that is not active.
CREATE FUNCTION campaign_open(campaign uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
DECLARE state text;
BEGIN
  SELECT c.status INTO state FROM campaign c WHERE c.id = campaign FOR KEY SHARE;
  IF state <> 'active' THEN PERFORM fail(409, 'campaign_not_active'); END IF;
END $$;
-- Whoever looked before somebody closed the campaign, and writes after that, is refused all the same.
CREATE FUNCTION campaign_still_open() RETURNS trigger LANGUAGE plpgsql SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  PERFORM campaign_open(x.campaign_id) FROM (SELECT DISTINCT m.campaign_id FROM made m) x;
  RETURN NULL;
END $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['campaign_assignment', 'activity', 'campaign_reach', 'product', 'recognition', 'campaign_review'] LOOP
    EXECUTE format('CREATE TRIGGER z_campaign_open AFTER INSERT ON %I REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION campaign_still_open()', t);
  END LOOP;
END $$;

-- ---- campaigns: writing --------------------------------------------------------------------------------------
-- The faults of the topics given.
CREATE FUNCTION campaign_topic_faults(topics jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault('#/topics/' || x.n - 1 || '/code', 'repeated', format('%s is named twice', x.code))
    FROM (SELECT g.n, g.item ->> 'code' AS code, row_number() OVER (PARTITION BY g.item ->> 'code' ORDER BY g.n) AS nth
      FROM jsonb_array_elements(topics) WITH ORDINALITY g(item, n)) x
    WHERE x.nth > 1 ORDER BY x.n);
END $$;
-- The faults of the phases given: they follow one another, and the first alone may have begun before anybody wrote down when.
CREATE FUNCTION campaign_phase_faults(phases jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault('#/phases/' || x.n - 1 || y.pointer, y.code, y.detail)
    FROM (SELECT g.n, g.item ->> 'code' AS code, (g.item ->> 'starts_on')::date AS starts, (g.item ->> 'ends_on')::date AS ends,
        row_number() OVER (PARTITION BY g.item ->> 'code' ORDER BY g.n) AS nth, max((g.item ->> 'ends_on')::date) OVER earlier AS before
      FROM jsonb_array_elements(phases) WITH ORDINALITY g(item, n)
      WINDOW earlier AS (ORDER BY g.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) x,
      LATERAL (VALUES
        (1, x.nth > 1, '/code', 'repeated', format('%s is named twice', x.code)),
        (2, x.n > 1 AND x.starts IS NULL, '/starts_on', 'required', 'only the first phase may leave its start open'),
        (3, x.starts <= x.before, '/starts_on', 'overlap', format('it would begin before the one before it has ended, on %s', x.before)),
        (4, x.ends < x.starts, '/ends_on', 'ends_before_start', 'it would end before it starts'),
        (5, NOT day_ok(x.starts::text), '/starts_on', 'out_of_range', 'a day from 1900 to 2999'),
        (6, NOT day_ok(x.ends::text), '/ends_on', 'out_of_range', 'a day from 1900 to 2999')) y(k, bad, pointer, code, detail)
    WHERE y.bad ORDER BY x.n, y.k);
END $$;
-- The faults of what the phases name: kinds of the list, each offered or in the phase already; whom to reach, and the programme's indicators.
CREATE FUNCTION campaign_phase_named_faults(campaign uuid, programme uuid, phases jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN ARRAY(SELECT fault('#/phases/' || g.n - 1 || '/kinds/' || k.n - 1, 'unknown_reference', 'the list has no such kind, or offers it no longer')
      FROM jsonb_array_elements(phases) WITH ORDINALITY g(item, n),
        jsonb_array_elements_text(coalesce(nullif(g.item -> 'kinds', 'null'), '[]')) WITH ORDINALITY k(kind, n)
      WHERE NOT campaign_term_offered('activity_kind', k.kind)
        AND NOT EXISTS (SELECT FROM campaign_phase f WHERE f.campaign_id = campaign AND f.code = g.item ->> 'code' AND k.kind = ANY (f.kinds))
      ORDER BY g.n, k.n)
    || ARRAY(SELECT CASE WHEN x.nth > 1 THEN fault(x.pointer || '/of', 'repeated', format('%s is named twice', x.of))
        ELSE fault(x.pointer || '/indicator', 'unknown_reference', 'the programme has no such indicator') END
      FROM (SELECT g.n, t.n AS m, '#/phases/' || g.n - 1 || '/reach_targets/' || t.n - 1 AS pointer, t.item ->> 'of' AS of, t.item ->> 'indicator' AS ref,
          row_number() OVER (PARTITION BY g.n, t.item ->> 'of' ORDER BY t.n) AS nth
        FROM jsonb_array_elements(phases) WITH ORDINALITY g(item, n),
          jsonb_array_elements(coalesce(nullif(g.item -> 'reach_targets', 'null'), '[]')) WITH ORDINALITY t(item, n)) x
      WHERE x.nth > 1 OR (x.ref IS NOT NULL AND NOT EXISTS (SELECT FROM indicator i WHERE i.id = indicator_id(x.ref) AND i.programme_id = programme))
      ORDER BY x.n, x.m);
END $$;
-- What of a campaign cannot go because something was entered for it: phases and topics that are not among those kept.
CREATE FUNCTION campaign_used(campaign uuid, kept_phases text[], kept_topics text[]) RETURNS jsonb
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN (SELECT jsonb_agg(x.told ORDER BY x.part, x.position) FROM (
    SELECT 1 AS part, f.position, fault('#/phases', 'in_use', format('something has been entered for phase %s', f.code)) AS told
    FROM campaign_phase f
    WHERE f.campaign_id = campaign AND f.code <> ALL (kept_phases)
      AND (EXISTS (SELECT FROM campaign_assignment a WHERE a.phase_id = f.id) OR EXISTS (SELECT FROM activity a WHERE a.phase_id = f.id)
        OR EXISTS (SELECT FROM campaign_reach a WHERE a.phase_id = f.id) OR EXISTS (SELECT FROM product a WHERE a.campaign_id = campaign AND a.phase_id = f.id)
        OR EXISTS (SELECT FROM recognition a WHERE a.campaign_id = campaign AND a.phase_id = f.id)
        OR EXISTS (SELECT FROM campaign_review a WHERE a.phase_id = f.id))
    UNION ALL
    SELECT 2, t.position, fault('#/topics', 'in_use', format('something has been entered for topic %s', t.code))
    FROM campaign_topic t
    WHERE t.campaign_id = campaign AND t.code <> ALL (kept_topics)
      AND (EXISTS (SELECT FROM campaign_phase f JOIN activity a ON a.phase_id = f.id WHERE f.campaign_id = campaign AND a.topic = t.code)
        OR EXISTS (SELECT FROM product a WHERE a.campaign_id = campaign AND a.topic = t.code))) x);
END $$;
-- Whether anything at all has been entered in it.
CREATE FUNCTION campaign_entered(campaign uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = tiendo, public, pg_temp AS $$
BEGIN
  RETURN campaign_used(campaign, '{}', '{}') IS NOT NULL OR EXISTS (SELECT FROM product a WHERE a.campaign_id = campaign)
    OR EXISTS (SELECT FROM recognition a WHERE a.campaign_id = campaign);
END $$;
-- Makes topics and phases those that a body gives, each list where it is given; what keeps its code keeps what hangs on it.
CREATE FUNCTION campaign_set_parts(campaign uuid, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  topics jsonb := coalesce(nullif(body -> 'topics', 'null'), '[]');
  phases jsonb := coalesce(nullif(body -> 'phases', 'null'), '[]');
BEGIN
  IF body ? 'topics' THEN
    DELETE FROM campaign_topic x WHERE x.campaign_id = campaign AND NOT EXISTS (SELECT FROM jsonb_array_elements(topics) g WHERE g ->> 'code' = x.code);
    UPDATE campaign_topic x SET title = g.item ->> 'title', position = g.n
    FROM jsonb_array_elements(topics) WITH ORDINALITY g(item, n) WHERE x.campaign_id = campaign AND x.code = g.item ->> 'code';
    INSERT INTO campaign_topic (campaign_id, code, position, title)
    SELECT campaign, g.item ->> 'code', g.n, g.item ->> 'title' FROM jsonb_array_elements(topics) WITH ORDINALITY g(item, n)
    WHERE NOT EXISTS (SELECT FROM campaign_topic x WHERE x.campaign_id = campaign AND x.code = g.item ->> 'code');
  END IF;
  IF body ? 'phases' THEN
    DELETE FROM campaign_reach_target x USING campaign_phase f WHERE f.id = x.phase_id AND f.campaign_id = campaign;
    DELETE FROM campaign_phase x WHERE x.campaign_id = campaign AND NOT EXISTS (SELECT FROM jsonb_array_elements(phases) g WHERE g ->> 'code' = x.code);
    UPDATE campaign_phase x SET position = g.n, title = g.item ->> 'title', objective = g.item ->> 'objective', starts_on = (g.item ->> 'starts_on')::date,
      ends_on = (g.item ->> 'ends_on')::date, kinds = coalesce(text_list(g.item -> 'kinds'), '{}')
    FROM jsonb_array_elements(phases) WITH ORDINALITY g(item, n) WHERE x.campaign_id = campaign AND x.code = g.item ->> 'code';
    INSERT INTO campaign_phase (id, campaign_id, code, position, title, objective, starts_on, ends_on, kinds)
    SELECT uuid_v7(), campaign, g.item ->> 'code', g.n, g.item ->> 'title', g.item ->> 'objective', (g.item ->> 'starts_on')::date,
      (g.item ->> 'ends_on')::date, coalesce(text_list(g.item -> 'kinds'), '{}')
    FROM jsonb_array_elements(phases) WITH ORDINALITY g(item, n)
    WHERE NOT EXISTS (SELECT FROM campaign_phase x WHERE x.campaign_id = campaign AND x.code = g.item ->> 'code');
    INSERT INTO campaign_reach_target (phase_id, of, percent, indicator_id)
    SELECT f.id, t ->> 'of', (t ->> 'percent')::numeric, indicator_id(t ->> 'indicator')
    FROM jsonb_array_elements(phases) g JOIN campaign_phase f ON f.campaign_id = campaign AND f.code = g ->> 'code',
      jsonb_array_elements(coalesce(nullif(g -> 'reach_targets', 'null'), '[]')) t;
  END IF;
END $$;
-- All that is wrong with a campaign's lists as a body gives them; an active one has phases.
CREATE FUNCTION campaign_part_faults(campaign uuid, programme uuid, body jsonb, becomes text) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  topics jsonb := coalesce(nullif(body -> 'topics', 'null'), '[]');
  phases jsonb := coalesce(nullif(body -> 'phases', 'null'), '[]');
BEGIN
  RETURN campaign_topic_faults(topics) || campaign_phase_faults(phases) || campaign_phase_named_faults(campaign, programme, phases)
    || CASE WHEN becomes <> 'draft' AND phases = '[]' AND (body ? 'phases' OR NOT EXISTS (SELECT FROM campaign_phase f WHERE f.campaign_id = campaign))
      THEN fault('#/phases', 'required', 'a campaign that is no draft has phases') END;
END $$;

-- The owner decides on what is proposed in the campaign and takes back what is published, all over its scope. Who stands above the scope gives it to whom it
-- likes; by a mandate to define it is given to a unit alone that is above the scope or reviews all of it by mandate anyway.
CREATE FUNCTION campaign_owner_may(programme uuid, key text, unit uuid) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER
  SET search_path = tiendo, public, pg_temp AS $$
DECLARE u organization := (SELECT o FROM organization o WHERE o.id = unit);
BEGIN
  RETURN coalesce(key ^@ me_seat_key(), false) OR coalesce(key ^@ u.scope_key, false)
    OR EXISTS (SELECT FROM mandate x JOIN organization o ON o.id = coalesce(x.over_id, u.parent_id)
      WHERE (x.unit_id = u.id OR x.unit_kind = u.kind) AND o.scope_key ^@ x.scope_key AND key ^@ o.scope_key
        AND 'review' = ANY (x.functions) AND coalesce(x.programme_id = programme, true)
        AND x.valid_from <= today() AND (x.valid_to IS NULL OR x.valid_to >= today()));
END $$;
CREATE FUNCTION campaign_refuse_owner(programme uuid, key text, unit uuid) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT campaign_owner_may(programme, key, unit) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s becomes the owner only by who stands above the scope, unless it reviews all of it by mandate.', unit_code(unit)));
  END IF;
END $$;

CREATE FUNCTION campaign_create(new_id uuid, body jsonb, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  p programme;
  owner_unit uuid := organization_id(body ->> 'owner');
  scope_unit organization;
  becomes text := coalesce(body ->> 'status', 'draft');
  made campaign;
BEGIN
  SELECT * INTO p FROM programme x WHERE x.id = (SELECT programme_id(body ->> 'programme'));
  SELECT * INTO scope_unit FROM organization o WHERE o.id = (SELECT organization_id(body ->> 'scope'));
  PERFORM refuse(VARIADIC ARRAY[
    CASE WHEN p.id IS NULL THEN fault('#/programme', 'unknown_reference', 'no such programme') END,
    CASE WHEN owner_unit IS NULL THEN fault('#/owner', 'unknown_reference', 'no such organization') END,
    CASE WHEN scope_unit.id IS NULL THEN fault('#/scope', 'unknown_reference', 'no such organization')
      WHEN NOT scope_unit.scope_key ^@ p.scope_key THEN fault('#/scope', 'outside_scope', 'it lies outside of the programme''s scope') END]
    || campaign_part_faults(NULL, p.id, body, becomes));
  IF NOT may_write(p.id, scope_unit.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('Campaigns in %s are set by its own managers or by a mandate to define.', scope_unit.code));
  END IF;
  PERFORM campaign_refuse_owner(p.id, scope_unit.scope_key, owner_unit);
  INSERT INTO campaign (id, programme_id, scope_id, owner_id, code, title, implements, document, note, status, entered_by)
  VALUES (new_id, p.id, scope_unit.id, owner_unit, body ->> 'code', body ->> 'title', body ->> 'implements', body ->> 'document', body ->> 'note', becomes,
    coalesce(body ->> 'entered_by', 'superior'))
  RETURNING * INTO made;
  PERFORM campaign_set_parts(made.id, body);
  body_out := campaign_json(made);
  PERFORM journal('create', 'campaign', made.id, made.version, made.scope_key, NULL, body_out::jsonb, request_id, p.id);
  RETURN QUERY SELECT 201, made.version::text, '/v1/campaigns/' || made.id, body_out;
END $$;

-- Refuses what a change would take from under what was entered, and steps that there are not: a draft is opened before it is closed.
CREATE FUNCTION campaign_refuse_change(c campaign, patch jsonb, becomes text) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE used jsonb;
BEGIN
  IF c.status = 'draft' AND becomes = 'closed' THEN PERFORM fail(409, 'wrong_state', NULL, 'A draft is opened before it is closed.'); END IF;
  IF c.status <> 'draft' AND becomes = 'draft' AND campaign_entered(c.id) THEN
    PERFORM fail(409, 'in_use', jsonb_build_array(fault('#/status', 'in_use', 'something has been entered in the campaign')));
  END IF;
  IF patch ?| ARRAY['phases', 'topics'] THEN
    used := campaign_used(c.id,
      CASE WHEN patch ? 'phases' THEN ARRAY(SELECT g ->> 'code' FROM jsonb_array_elements(coalesce(nullif(patch -> 'phases', 'null'), '[]')) g)
        ELSE ARRAY(SELECT f.code::text FROM campaign_phase f WHERE f.campaign_id = c.id) END,
      CASE WHEN patch ? 'topics' THEN ARRAY(SELECT g ->> 'code' FROM jsonb_array_elements(coalesce(nullif(patch -> 'topics', 'null'), '[]')) g)
        ELSE ARRAY(SELECT t.code::text FROM campaign_topic t WHERE t.campaign_id = c.id) END);
    IF used IS NOT NULL THEN PERFORM fail(409, 'in_use', used); END IF;
  END IF;
END $$;
CREATE FUNCTION campaign_update(ref text, patch jsonb, if_match text, request_id text)
  RETURNS TABLE (status int, version text, location text, body_out text) LANGUAGE plpgsql AS $$
DECLARE
  c campaign;
  was jsonb;
  owner_unit uuid;
  becomes text;
BEGIN
  SELECT * INTO c FROM campaign x WHERE x.id = path_campaign(ref);
  IF NOT may_write(c.programme_id, c.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('%s is kept by the managers of %s or by a mandate to define.', c.code, unit_code(c.scope_id)));
  END IF;
  IF if_match IS NULL THEN PERFORM fail(428, 'precondition_required'); END IF;
  -- who enters something holds the campaign: one comes after the other
  SELECT * INTO c FROM campaign x WHERE x.id = c.id FOR UPDATE;
  IF if_match <> '*' AND c.version::text <> ALL (string_to_array(if_match, ',')) THEN PERFORM fail(412, 'version_conflict'); END IF;
  was := campaign_json(c)::jsonb;
  becomes := coalesce(patch ->> 'status', c.status);
  owner_unit := CASE WHEN patch ? 'owner' THEN organization_id(patch ->> 'owner') ELSE c.owner_id END;
  PERFORM refuse(VARIADIC ARRAY[CASE WHEN owner_unit IS NULL THEN fault('#/owner', 'unknown_reference', 'no such organization') END]
    || campaign_part_faults(c.id, c.programme_id, patch, becomes));
  IF owner_unit <> c.owner_id THEN PERFORM campaign_refuse_owner(c.programme_id, c.scope_key, owner_unit); END IF;
  PERFORM campaign_refuse_change(c, patch, becomes);
  UPDATE campaign x SET
    title = CASE WHEN patch ? 'title' THEN patch ->> 'title' ELSE x.title END,
    implements = CASE WHEN patch ? 'implements' THEN patch ->> 'implements' ELSE x.implements END,
    document = CASE WHEN patch ? 'document' THEN patch ->> 'document' ELSE x.document END,
    note = CASE WHEN patch ? 'note' THEN patch ->> 'note' ELSE x.note END,
    owner_id = owner_unit, status = becomes, entered_by = coalesce(patch ->> 'entered_by', x.entered_by),
    version = x.version + 1, updated_at = clock_now()
  WHERE x.id = c.id
  RETURNING * INTO c;
  PERFORM campaign_set_parts(c.id, patch);
  body_out := campaign_json(c);
  PERFORM journal('update', 'campaign', c.id, c.version, c.scope_key, was, body_out::jsonb, request_id, c.programme_id);
  RETURN QUERY SELECT 200, c.version::text, NULL::text, body_out;
END $$;

-- ---- duties that report on a campaign --------------------------------------------------------------------------
-- A duty names a campaign of its programme; one that it names already stays as it is.
CREATE FUNCTION report_duty_campaign_faults(d report_duty, b jsonb) RETURNS jsonb[] LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN b ->> 'campaign' IS NOT NULL AND NOT EXISTS (SELECT FROM campaign c WHERE c.programme_id = d.programme_id AND c.code = b ->> 'campaign')
      AND NOT EXISTS (SELECT FROM report_duty x WHERE x.id = d.id AND x.campaign = b ->> 'campaign')
    THEN ARRAY[fault('#/campaign', 'unknown_reference', 'the programme has no such campaign')] ELSE '{}' END;
END $$;
CREATE OR REPLACE FUNCTION report_duty_check(d report_duty, p programme, b jsonb, named uuid[], excepted_units uuid[], more jsonb) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE beyond text;
BEGIN
  PERFORM refuse(VARIADIC report_duty_who_faults(d, p, b, named, excepted_units) || report_duty_when_faults(d, b) || report_duty_what_faults(d, b)
    || report_duty_campaign_faults(d, b) || more);
  SELECT o.code INTO beyond FROM organization o
  WHERE (o.id = d.under_id OR o.id = ANY (named)) AND NOT may_write(p.id, o.scope_key) ORDER BY o.scope_key LIMIT 1;
  IF beyond IS NOT NULL THEN PERFORM fail(403, 'forbidden', NULL, format('%s lies outside of what you define.', beyond)); END IF;
  IF d.under_id IS NULL AND NOT may_write(p.id, p.scope_key) THEN
    PERFORM fail(403, 'forbidden', NULL, format('Report duties of %s are defined by the managers of %s or by a mandate to define.', p.code, p.scope_code));
  END IF;
END $$;

GRANT EXECUTE ON FUNCTION campaign_term_json(campaign_term), campaign_term_name(text, text), campaign_term_place(), campaign_term_create(uuid, jsonb, text),
  campaign_term_update(uuid, jsonb, text, text), campaign_json(campaign), campaign_open(uuid), campaign_topic_faults(jsonb), campaign_phase_faults(jsonb),
  campaign_phase_named_faults(uuid, uuid, jsonb), campaign_used(uuid, text[], text[]), campaign_entered(uuid), campaign_set_parts(uuid, jsonb),
  campaign_part_faults(uuid, uuid, jsonb, text), campaign_owner_may(uuid, text, uuid), campaign_refuse_owner(uuid, text, uuid), campaign_create(uuid, jsonb, text), campaign_refuse_change(campaign, jsonb, text),
  campaign_update(text, jsonb, text, text), report_duty_campaign_faults(report_duty, jsonb) TO tiendo_service;
