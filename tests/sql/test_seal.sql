-- The sealer after a dump and restore into a cluster whose transaction numbers are far behind those of the rows.
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'organizations:write') \g /dev/null
SELECT organization_create(test_id(), '{"code":"DN-W1-CB31","name":"Chi bộ 31","kind":"party_cell","parent":"DN-W1-DB1"}', NULL) \g /dev/null
COMMIT;
SELECT sealed FROM seal_step(100) \g /dev/null
SELECT test('seal: what is committed', test_unsealed()::text, '0');
SELECT test_restored(5, '1000000000') \g /dev/null
SELECT test('restore: so many a step', sealed::text, '3') FROM seal_step(3);
SELECT test('restore: the rest', sealed::text, '2') FROM seal_step(3);
SELECT test('restore: nothing left out', test_unsealed()::text, '0');
SELECT test('restore: nothing twice', sealed || ' ' || head_position, '0 6') FROM seal_step(3);
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'organizations:write') \g /dev/null
SELECT organization_create(test_id(), '{"code":"DN-W1-CB32","name":"Chi bộ 32","kind":"party_cell","parent":"DN-W1-DB1"}', NULL) \g /dev/null
COMMIT;
SELECT test('restore: and goes on', sealed || ' ' || head_position, '1 7') FROM seal_step(3);
SELECT test_restored(1, '2000000000') \g /dev/null
SELECT test('restore: once more', sealed || ' ' || head_position, '1 8') FROM seal_step(3);
BEGIN;
SELECT test_enter('DN-TU', 'manager', 'organizations:write') \g /dev/null
SELECT organization_create(test_id(), jsonb_build_object('code', 'DN-W1-CB4' || n, 'name', 'Chi bộ 4' || n, 'kind', 'party_cell', 'parent', 'DN-W1-DB1'), NULL)
FROM generate_series(1, 5) n \g /dev/null
COMMIT;
SELECT test('a long transaction: a step ends inside it', sealed || ' ' || head_position, '2 10') FROM seal_step(2);
SELECT test('a long transaction: the next goes on there', sealed || ' ' || head_position, '2 12') FROM seal_step(2);
SELECT test('a long transaction: to its end', sealed || ' ' || head_position, '1 13') FROM seal_step(2);
SELECT test('a long transaction: nothing left out', test_unsealed()::text, '0');
