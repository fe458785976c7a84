-- Entering values: who may, what is taken, what is kept.
\set put '{"numerator":27,"denominator":30}'
BEGIN;
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test('put: creates', test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', :'put'), '201 1');
SELECT test('put: the same again is unchanged', test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":27.0,"denominator":30}', '1'), '200 1');
SELECT test('put: replaces', test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":28.10,"denominator":30,"reason":"Nhầm"}', '1'), '200 2');
SELECT test('put: by ids', test_put((SELECT id::text FROM indicator WHERE code = 'DN-06B'), (SELECT id::text FROM organization WHERE code = 'DN-W1-CB01'),
  (SELECT id::text FROM period WHERE code = '2026-Q2'), '{"numerator":28,"denominator":30}', '*'), '200 3');
SELECT test('put: stale', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":1,"denominator":30}', '1')$$), 'TD412 version_conflict');
SELECT test('put: no precondition', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":1,"denominator":30}', NULL, NULL)$$),
  'TD428 precondition_required');
SELECT test('put: exists already', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":1,"denominator":30}')$$), 'TD412 version_conflict');
SELECT test('put: If-Match on nothing', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB02', '2026-Q2', '{"numerator":1,"denominator":30}', '1')$$),
  'TD412 version_conflict');
SELECT test('put: nothing and no precondition', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB02', '2026-Q2', '{"numerator":1,"denominator":30}', NULL, NULL)$$),
  'TD428 precondition_required');
SELECT test('revisions: all kept, exactly', string_agg(concat_ws(' ', r.version, r.numerator, r.reason, r.entered_by, r.on_behalf), '; ' ORDER BY r.version),
  '1 27 DN-W1 t; 2 28.1 Nhầm DN-W1 t; 3 28 DN-W1 t') FROM value_revision r WHERE r.organization_code = 'DN-W1-CB01';
SELECT test('put: every fault at once', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB02', '2026-Q4', '{"number":1,"denominator":-30,"evidence_url":"x"}')$$),
  'TD422 invalid period:period_not_begun,#/numerator:required,#/denominator:too_small,#/number:not_expected,#/evidence_url:uri');
SELECT test('put: 0 of 0 is taken', test_put('DN-06B', 'DN-W1-CB03', '2026-Q2', '{"numerator":0,"denominator":0}'), '201 1');
SELECT test('put: 1 of 0 is not', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB04', '2026-Q2', '{"numerator":1,"denominator":0}')$$),
  'TD422 invalid #/denominator:too_small');
SELECT test('put: not applicable', test_put('DN-06B', 'DN-W1-CB04', '2026-Q2', '{"state":"not_applicable","note":"Chưa có đảng viên"}'), '201 1');
SELECT test('put: not applicable takes no figure', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB05', '2026-Q2', '{"state":"not_applicable","numerator":1}')$$),
  'TD422 invalid #/numerator:not_expected');
SELECT test('put: a milestone', test_put('DN-01', 'DN-W1', '2026-Q2', '{"done_on":"2026-05-20"}'), '201 1');
SELECT test('put: a milestone not reached', test_put('DN-03', 'DN-W1', '2026-Q2', '{"done":false}'), '201 1');
SELECT test('put: a milestone after its period', test_try($$SELECT test_put('DN-05', 'DN-W1', '2026-Q1', '{"done_on":"2026-05-20"}')$$), 'TD422 invalid #/done_on:after_period');
SELECT test('put: a milestone in the future', test_try($$SELECT test_put('DN-05', 'DN-W1', '2026-Q3', '{"done_on":"2026-09-20"}')$$), 'TD422 invalid #/done_on:in_the_future');
SELECT test('put: another kind of period', test_try($$SELECT test_put('DN-05', 'DN-W1', '2026-M05', '{"done":false}')$$), 'TD422 invalid period:wrong_period_kind');
SELECT test('put: a category where there are none', test_try($$SELECT test_put('DN-05', 'DN-W1', '2026-Q2', '{"done":false}', NULL, '*', 'x')$$),
  'TD422 invalid category:not_expected');
SELECT test('put: before the assignment', test_try($$SELECT test_put('DN-05', 'DN-W1', '2025-Q1', '{"done":false}')$$), 'TD422 invalid organization:not_assigned');
SELECT test('put: not assigned', test_try($$SELECT test_put('DN-06B', 'DN-W1', '2026-Q2', '{"numerator":1,"denominator":3}')$$), 'TD422 invalid organization:not_assigned');
SELECT test('put: a unit below that enters for itself', test_try($$SELECT test_put('DN-02', 'DN-W1-CB01', '2026-Q2', '{"numerator":1,"denominator":3}')$$), 'TD403 forbidden');
SELECT test('put: a sibling is not found', test_try($$SELECT test_put('DN-01', 'DN-W2', '2026-Q2', '{"done":false}')$$), 'TD404 not_found');
SELECT test('put: the superior is not found', test_try($$SELECT test_put('DN-01', 'DN-TU', '2026-Q2', '{"done":false}')$$), 'TD404 not_found');
SELECT test_enter('DN-W1-CB02', 'reporter', 'values:write') \g /dev/null
SELECT test('put: beneath a total', test_put('DN-02', 'DN-W1-CB02', '2026-Q2', '{"numerator":1,"denominator":3}'), '201 1');
SELECT test('put: which does not count', counted::text, 'false') FROM value WHERE organization_code = 'DN-W1-CB02' AND indicator_code = 'DN-02';
SELECT test('put: for oneself is not on behalf', on_behalf::text, 'false') FROM value WHERE organization_code = 'DN-W1-CB02' AND indicator_code = 'DN-02';
SELECT test_enter('DN-W1-BXD', 'reporter', 'values:write') \g /dev/null
SELECT test('put: by mandate over the parent', test_put('DN-05', 'DN-W1', '2026-Q2', '{"done":false}'), '201 1');
SELECT test_enter('DN-VPTU', 'manager', 'values:write') \g /dev/null
SELECT test('put: by mandate over the province', test_put('DN-05', 'DN-W2', '2026-Q2', '{"done":false}'), '201 1');
SELECT test_enter('DN-BTGDV', 'reporter', 'values:write') \g /dev/null
SELECT test('put: a mandate without enter', test_try($$SELECT test_put('DN-05', 'DN-W3', '2026-Q2', '{"done":false}')$$), 'TD403 forbidden');
SELECT test('see: a mandate for one programme', count(*)::text, '8') FROM value;
SELECT test_enter('DN-UBKT', 'inspector', 'values:read') \g /dev/null
SELECT test('see: the inspectors', count(*)::text, '8') FROM value;
SELECT test_enter('DN-W2', 'viewer', 'values:read') \g /dev/null
SELECT test('see: a ward its own', string_agg(organization_code, ','), 'DN-W2') FROM value;
SELECT test('see: and its own revisions', count(*)::text, '1') FROM value_revision;
SELECT test('see: and the definitions above it', count(*)::text, '8') FROM indicator;
SELECT test('get: another ward''s', count(*)::text, '0') FROM value_at('DN-01', 'DN-W1', '2026-Q2', NULL);
SELECT test('write: without the permission', left(test_try($$INSERT INTO value SELECT v.* FROM value v$$), 5), '42501');
ROLLBACK;

BEGIN;
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT test_try(format($$SELECT indicator_create(test_id(), '{"code":"KTS-02","programme":"DN-464","name":"Doanh nghiệp số","unit":"enterprises","kind":"number",
  "direction":"increase","aggregation":"sum","frequency":"quarter","categories":["a","b"],"source_required":true}', NULL)$$)) \g /dev/null
SELECT test('define: a total', test_try($$SELECT assignment_create('KTS-02', test_id(), '{"organization":"DN-W1","mode":"total","valid_from":"2025-01-01"}', NULL)$$), 'ok');
SELECT test('define: assigned twice', left(test_try($$SELECT assignment_create('KTS-02', test_id(), '{"organization":"DN-W1","mode":"own"}', NULL)$$), 5), '23P01');
SELECT test('define: neither unit nor kind', test_try($$SELECT assignment_create('KTS-02', test_id(), '{"mode":"own"}', NULL)$$), 'TD422 invalid #/organization:one_of');
SELECT test('define: a kind without under', test_try($$SELECT assignment_create('KTS-02', test_id(), '{"mode":"own","kind":"party_cell"}', NULL)$$), 'TD422 invalid #/under:required');
SELECT test('define: an unknown client', test_try($$SELECT assignment_create('KTS-02', test_id(), '{"organization":"DN-W2","mode":"own","source":"client","client":"0198c5a2-7d20-7c3e-9a41-5b8e0f6a1c11"}', NULL)$$),
  'TD422 invalid #/client:unknown_reference');
SELECT test('define: a target', test_try($$SELECT target_create('KTS-02', test_id(), '{"organization":"DN-TU","comparator":"ge","value":300}', NULL)$$), 'ok');
SELECT test('define: a target twice', test_try($$SELECT target_create('KTS-02', test_id(), '{"organization":"DN-TU","comparator":"ge","value":400}', NULL)$$), 'TD409 target_taken');
SELECT test('define: a target of the wrong kind', test_try($$SELECT target_create('KTS-02', test_id(), '{"organization":"DN-TU","comparator":"milestone"}', NULL)$$),
  'TD422 invalid #/comparator:not_for_this_kind');
SELECT test_enter('DN-W1', 'manager', 'indicators:write') \g /dev/null
SELECT test('define: not the superior''s indicators', test_try($$SELECT target_create('KTS-02', test_id(), '{"organization":"DN-W1","comparator":"ge","value":1}', NULL)$$), 'TD403 forbidden');
SELECT test_enter('DN-BTGDV', 'manager', 'indicators:write') \g /dev/null
SELECT test('define: by a mandate for the programme', test_try($$SELECT target_create('KTS-02', test_id(), '{"organization":"DN-W1","comparator":"ge","value":3}', NULL)$$), 'ok');
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test('put: a category is needed, and a source', test_try($$SELECT test_put('KTS-02', 'DN-W1', '2026-Q2', '{"number":3}')$$), 'TD422 invalid category:required,#/source:required');
SELECT test('put: an unknown category', test_try($$SELECT test_put('KTS-02', 'DN-W1', '2026-Q2', '{"number":3,"source":"s"}', NULL, '*', 'c')$$), 'TD422 invalid category:enum');
SELECT test('put: one category', test_put('KTS-02', 'DN-W1', '2026-Q2', '{"number":3,"source":"s"}', NULL, '*', 'a'), '201 1');
SELECT test('put: and the other', test_put('KTS-02', 'DN-W1', '2026-Q2', '{"number":4,"source":"s"}', NULL, '*', 'b'), '201 1');
SELECT test_enter('DN-TU', 'viewer', 'progress:read') \g /dev/null
SELECT test('progress: categories are added up', concat_ws(' ', i ->> 'value', i -> 'coverage' ->> 'expected', i -> 'coverage' ->> 'reporting', i ->> 'status'), '7 2 2 not_assessable')
FROM jsonb_array_elements(progress('DN-TU', '2026-Q2', 'KTS-02', NULL, NULL)::jsonb -> 'items') i;
SELECT test('progress: the nearest target holds', concat_ws(' ', i -> 'target' ->> 'organization', i ->> 'achievement', i ->> 'status'), 'DN-W1 2.333333 achieved')
FROM jsonb_array_elements(progress('DN-W1', '2026-Q2', 'KTS-02', NULL, NULL)::jsonb -> 'items') i;
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT test('define: a category in use stays', test_try($$SELECT indicator_update('KTS-02', '{"categories":["a"]}', '1', NULL)$$), 'TD409 category_in_use');
SELECT test('define: the frequency of values stays', test_try($$SELECT indicator_update('KTS-02', '{"frequency":"month"}', '1', NULL)$$), 'TD409 indicator_in_use');
ROLLBACK;

-- Values that come from one connected system.
BEGIN;
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT me_client() AS client \gset
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT a.id AS a_id, a.version AS a_version FROM assignment a JOIN indicator i ON i.id = a.indicator_id WHERE i.code = 'DN-01' \gset
SELECT test('define: the source', (assignment_update('DN-01', :'a_id', jsonb_build_object('source', 'client', 'client', :'client'), '1', NULL)).status::text, '200');
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test('put: by hand where a system reports', test_try($$SELECT test_put('DN-01', 'DN-W1', '2026-Q2', '{"done":false}')$$), 'TD403 source_is_client');
SELECT test_enter('DN-W1', 'connector', 'values:write') \g /dev/null
SELECT test('put: by another system', test_try($$SELECT test_put('DN-01', 'DN-W1', '2026-Q2', '{"done":false}')$$), 'TD403 source_is_client');
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test('put: by the system', test_put('DN-01', 'DN-W1', '2026-Q2', '{"done":false}'), '201 1');
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT test('define: by hand', (assignment_update('DN-01', :'a_id', '{"source":"hand"}', '2', NULL)).status::text, '200');
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test('put: by a system where people report', test_try($$SELECT test_put('DN-01', 'DN-W2', '2026-Q2', '{"done":false}')$$), 'TD403 source_is_hand');
ROLLBACK;

-- What an indicator's targets do not go with.
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT test('define: a direction its targets contradict', test_try($$SELECT indicator_update('DN-02', '{"direction":"decrease"}', '1', NULL)$$), 'TD422 invalid #/direction:contradiction');
SELECT test('define: a kind its targets contradict', test_try($$SELECT indicator_update('DN-02', '{"kind":"milestone","direction":null,"aggregation":"count_done"}', '1', NULL)$$), 'TD422 invalid #/kind:contradiction');
SELECT test('define: the same again', (indicator_update('DN-02', '{"kind":"ratio","direction":"increase"}', '1', NULL)).status::text, '200');
ROLLBACK;

-- Units that have ended, or were not yet there.
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'organizations:write') \g /dev/null
SELECT organization_create(test_id(), '{"code":"DN-W1-CB31","name":"Chi bộ đã giải thể","kind":"party_cell","parent":"DN-W1-DB1","valid_from":"2025-01-01","valid_to":"2026-05-31"}', NULL) \g /dev/null
SELECT test_enter('DN-TU', 'connector', 'values:write') \g /dev/null
SELECT test('ended: what it still reports', test_put('DN-06B', 'DN-W1-CB31', '2026-Q1', '{"numerator":1,"denominator":2}'), '201 1');
SELECT test('ended: not for a period it did not see the end of', test_try($$SELECT test_put('DN-06B', 'DN-W1-CB31', '2026-Q2', '{"numerator":1,"denominator":2}')$$), 'TD422 invalid organization:not_assigned');
SELECT test('ended: nor beneath a total', test_try($$SELECT test_put('DN-02', 'DN-W1-CB31', '2026-Q2', '{"numerator":1,"denominator":2}')$$), 'TD422 invalid organization:not_assigned');
SELECT test('ended: nor by import', test_counts(test_import('[{"indicator":"DN-02","organization":"DN-W1-CB31","period":"2026-Q2","numerator":"1","denominator":"2"},
  {"indicator":"DN-02","organization":"DN-W1-CB31","period":"2026-Q1","numerator":"1","denominator":"2"}]', 'partial')), '200 1 0 0 0 1 1#/organization:not_assigned');
ROLLBACK;

-- A caller that writes the tables itself writes as itself, and what is so.
BEGIN;
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":1,"denominator":2}') \g /dev/null
CREATE FUNCTION pg_temp.insert_as(changed jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT split_part(test_try(format('INSERT INTO value SELECT (jsonb_populate_record(v, %L)).* FROM value v WHERE v.organization_code = ''DN-W1-CB01''',
    jsonb_build_object('id', test_id(), 'version', 1, 'period_id', p.id, 'period_code', p.code) || changed)), ' ', 1) FROM period p WHERE p.code = '2026-Q1' $$;
SELECT test('direct: ' || what, pg_temp.insert_as(changed), '42501') FROM (VALUES ('another''s grant', jsonb_build_object('grant_id', test_id())),
  ('another''s account', jsonb_build_object('account_id', test_id())), ('another seat', jsonb_build_object('seat_id', test_id())),
  ('another''s name', '{"entered_by":"DN-TU"}'), ('not on behalf', '{"on_behalf":false}'), ('another unit', jsonb_build_object('organization_id', test_id())),
  ('another unit''s code', '{"organization_code":"DN-TU"}'), ('another programme', jsonb_build_object('programme_id', test_id()))) x(what, changed);
SELECT test('direct: nothing changed', pg_temp.insert_as('{}'), 'ok');
SELECT test('direct: another''s name, afterwards', split_part(test_try($$UPDATE value SET entered_by = 'DN-TU'$$), ' ', 1), '42501');
SELECT test('direct: another''s session, afterwards', split_part(test_try($$UPDATE value SET session_id = test_id()$$), ' ', 1), '42501');
SELECT test('percent: 15 digits', string_agg(percent(n, d)::text, ' '), '3333333333333330 33.3333 0 33333333333.3333 100000000000')
FROM (VALUES (1e14, 3), (1, 3), (0, 3), (1e9, 3), (1e9, 1)) x(n, d);
ROLLBACK;
BEGIN;
SELECT test_enter('DN-W1', 'manager', 'programmes:write') \g /dev/null
SELECT test('direct: a pillar of another''s programme', split_part(test_try(format($$INSERT INTO programme_pillar SELECT %L, %L, 'x', 'x', 9$$, (SELECT id FROM programme), me_seat_key())), ' ', 1), '42501');
ROLLBACK;
