-- Who reports what, through time; what counts; values that were there before.
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
SELECT test('by kind: every unit of it', count(*)::text, '80') FROM assignment_unit u JOIN indicator i ON i.id = u.indicator_id WHERE i.code = 'DN-06B';
SELECT test('by kind: not the attached', count(*)::text, '0') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id
WHERE o.attached AND u.indicator_id <> indicator_id('DN-04');
SELECT test('named: the attached', string_agg(o.code, ','), 'DN-MTTQ') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE u.indicator_id = indicator_id('DN-04');
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test_put('DN-06B', 'DN-W1-CB01', '2026-Q2', '{"numerator":10,"denominator":30}'), test_put('DN-06B', 'DN-W1-CB02', '2026-Q1', '{"numerator":7,"denominator":30}'),
  test_put('DN-06B', 'DN-W1-CB03', '2026-Q2', '{"numerator":5,"denominator":10}') \g /dev/null
SELECT test_enter('DN-TU', 'manager', 'indicators:write') \g /dev/null
-- From 2026-04-01 on the ward reports the total of its whole subtree: what its cells report no longer counts.
SELECT test('total above: defined', test_try($$SELECT assignment_create('DN-06B', test_id(), '{"organization":"DN-W1","mode":"total","valid_from":"2026-04-01"}', NULL)$$), 'ok');
SELECT test('total above: cells count before', string_agg(organization_code || ' ' || counted, ', ' ORDER BY organization_code), 'DN-W1-CB01 false, DN-W1-CB02 true, DN-W1-CB03 false') FROM value;
SELECT test('total above: split at its first day', string_agg(u.validity || ' ' || u.counted, ' ' ORDER BY u.validity), '[2025-05-07,2026-04-01) true [2026-04-01,) false')
FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE o.code = 'DN-W1-CB01' AND u.indicator_id = indicator_id('DN-06B');
SELECT test('total above: the sums follow', test_rollup(), '0 sums, 0 marks');
SELECT test('total above: the version of a value stays', max(version)::text, '1') FROM value;
SELECT test('total above: other wards'' cells count', bool_and(u.counted)::text, 'true') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id
WHERE o.code LIKE 'DN-W2-CB%' AND u.indicator_id = indicator_id('DN-06B');
SELECT id AS a_id FROM assignment WHERE mode = 'total' AND indicator_id = indicator_id('DN-06B') \gset
SELECT test('ended: it ends', (assignment_update('DN-06B', :'a_id', '{"valid_to":"2026-04-30"}', '1', NULL)).status::text, '200');
SELECT test('ended: the cells count again', bool_and(counted)::text, 'true') FROM value;
SELECT test('ended: the sums follow', test_rollup(), '0 sums, 0 marks');
SELECT test('ended: no earlier than it began', test_try(format($$SELECT assignment_update('DN-06B', %L, '{"valid_to":"2026-03-30"}', '2', NULL)$$, :'a_id')), 'TD422 invalid #/valid_to:ends_before_start');
-- One unit named beside its kind: the name goes first.
SELECT test('named beside its kind', test_try($$SELECT assignment_create('DN-06B', test_id(), '{"organization":"DN-W2-CB01","mode":"own","entered_by":"self","valid_from":"2026-01-01"}', NULL)$$), 'ok');
SELECT test('named beside its kind: from its first day', string_agg(u.validity || ' ' || u.entered_by, ' ' ORDER BY u.validity), '[2025-05-07,2026-01-01) superior [2026-01-01,) self')
FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE o.code = 'DN-W2-CB01' AND u.indicator_id = indicator_id('DN-06B');
SELECT test_enter('DN-W2', 'reporter', 'values:write') \g /dev/null
SELECT test('named beside its kind: the ward no longer enters', test_try($$SELECT test_put('DN-06B', 'DN-W2-CB01', '2026-Q2', '{"numerator":1,"denominator":3}')$$), 'TD403 forbidden');
SELECT test('named beside its kind: as it did before', test_put('DN-06B', 'DN-W2-CB01', '2025-Q4', '{"numerator":1,"denominator":3}'), '201 1');
-- A unit that comes later, and one that had another kind before.
SELECT test_enter('DN-TU', 'manager', 'organizations:write') \g /dev/null
SELECT organization_create(test_id(), '{"code":"DN-W3-CB21","name":"Chi bộ mới","kind":"party_cell","parent":"DN-W3-DB1","valid_from":"2026-05-01"}', NULL) \g /dev/null
SELECT test('later: assigned from its first day', string_agg(u.validity::text || u.counted, ''), '[2026-05-01,)true') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE o.code = 'DN-W3-CB21';
SELECT organization_create(test_id(), '{"code":"DN-W3-CB22","name":"Chi bộ đổi loại","kind":"party_cell","parent":"DN-W3-DB1","valid_from":"2025-01-01",
  "former":[{"name":"Chi bộ cơ sở","kind":"grassroots_party_cell","valid_to":"2025-12-31"}]}', NULL) \g /dev/null
SELECT test('kind changed: assigned since', string_agg(u.validity::text, ''), '[2026-01-01,)') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE o.code = 'DN-W3-CB22';
SELECT organization_create(test_id(), '{"code":"DN-W3-CB23","name":"Chi bộ gắn kèm","kind":"party_cell","parent":"DN-W3-DB1","valid_from":"2025-01-01","attached":true}', NULL) \g /dev/null
SELECT test('attached: not assigned by kind', count(*)::text, '0') FROM assignment_unit u JOIN organization o ON o.id = u.organization_id WHERE o.code = 'DN-W3-CB23';
ROLLBACK;
