-- Imports: strategies, modes, every row's faults, the same rules as a single value.
BEGIN;
SELECT test_enter('DN-W1', 'reporter', 'values:write') \g /dev/null
SELECT test('import: creates', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"27","denominator":"30"},
  {"indicator":"DN-01","organization":"DN-W1","period":"2026-Q2","done_on":"2026-05-20"}]')), '200 2 0 0 0 0');
SELECT test('import: unchanged', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"27.0","denominator":"30"},
  {"indicator":"DN-01","organization":"DN-W1","period":"2026-Q2","done_on":"2026-05-20","version":"1"}]')), '200 0 0 2 0 0');
SELECT test('import: updates', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"20","denominator":"30","reason":"r"}]')),
  '200 0 1 0 0 0');
SELECT test('import: keeps revisions', string_agg(concat_ws(' ', r.version, r.numerator, r.reason), '; ' ORDER BY r.version), '1 27; 2 20 r')
FROM value_revision r WHERE r.organization_code = 'DN-W1-CB01';
SELECT test('import: atomic keeps nothing', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"2","denominator":"3"},
  {"indicator":"DN-06B","organization":"DN-W1-CB03","period":"2026-Q2","numerator":"x","denominator":"0"}]')), '422 0 0 0 0 1 2#/numerator:number');
SELECT test('import: really nothing', count(*)::text, '2') FROM value;
SELECT test('import: partial keeps the sound', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"2","denominator":"3"},
  {"indicator":"DN-06B","organization":"DN-W1-CB03","period":"2026-Q2","numerator":"5","denominator":"0"},
  {"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"2","denominator":"3"},
  {"indicator":"nix","organization":"DN-W2","period":"2026-Q9","numerator":"2","denominator":"3"},
  {"indicator":"DN-06B","organization":"DN-W1","period":"2026-Q2","numerator":"2","denominator":"3"},
  {"indicator":"DN-02","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"2","denominator":"3"},
  {"indicator":"DN-06B","organization":"DN-W1-CB04","period":"2026-Q4","numerator":"2","denominator":"3"}]', 'partial')),
  '200 1 0 0 0 6 2#/denominator:too_small,3#:repeated,4#/indicator:unknown_reference,4#/organization:unknown_reference,4#/period:unknown_reference,'
  || '5#/organization:not_assigned,6#/organization:forbidden,7#/period:period_not_begun');
SELECT test('import: what is wrong with a row''s form', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB05","period":"2026-Q2",
  "faults":[{"pointer":"#/numerator","code":"format","detail":"1,5"}]}]', 'partial')), '200 0 0 0 0 1 1#/numerator:format');
SELECT test('import: create refuses what exists', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"1","denominator":"3"}]',
  'atomic', 'create')), '422 0 0 0 0 1 1#:already_exists');
SELECT test('import: update refuses what does not', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB07","period":"2026-Q2","numerator":"1","denominator":"3"}]',
  'atomic', 'update')), '422 0 0 0 0 1 1#:not_found');
SELECT test('import: a stale version', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"1","denominator":"3","version":"1"}]')),
  '422 0 0 0 0 1 1#/version:version_conflict');
SELECT test('import: a dry run says what would be', test_counts(a) || ' ' || (a -> 'changes' -> 0 -> 'old' ->> 'numerator') || '→' || (a -> 'changes' -> 0 -> 'new' ->> 'numerator'),
  '200 0 1 0 0 0 20→1') FROM (SELECT test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB01","period":"2026-Q2","numerator":"1","denominator":"30","version":"2"}]',
  'atomic', 'upsert', true) AS a) x;
SELECT test('import: and keeps nothing', numerator::text, '20') FROM value WHERE organization_code = 'DN-W1-CB01';
SELECT test('import: blank rows of a sheet are passed over', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB08","period":"2026-Q2"}]')), '200 0 0 1 0 0');
SELECT test('import: but not by create', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB08","period":"2026-Q2"}]', 'atomic', 'create')),
  '422 0 0 0 0 1 1#/numerator:required,1#/denominator:required');
SELECT test('import: a milestone reported without a day', test_counts(test_import('[{"indicator":"DN-03","organization":"DN-W1","period":"2026-Q2","state":"reported"}]')), '200 1 0 0 0 0');
SELECT test('import: is not done', done::text, 'false') FROM value WHERE indicator_code = 'DN-03';
SELECT test('import: statistics code of the period''s day', test_counts(test_import('[{"indicator":"DN-05","organization":"26001","period":"2026-Q2","done":"false"},
  {"indicator":"DN-05","organization":"26001","period":"2025-Q2","done":"false"}]', 'partial', 'upsert', false, 'statistics')), '200 1 0 0 0 1 2#/organization:unknown_reference');
SELECT test('import: by id', test_counts(test_import(format('[{"indicator":"DN-05","organization":"%s","period":"2026-Q1","done":"false"}]', id), 'atomic', 'upsert', false, 'id')),
  '200 1 0 0 0 0') FROM organization WHERE code = 'DN-W1';
SELECT test('import: withdraws', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2"}]', 'atomic', 'delete')), '200 0 0 0 1 0');
SELECT test('import: and remembers', string_agg(r.version || ' ' || r.state, '; ' ORDER BY r.version), '1 reported; 2 deleted') FROM value_revision r WHERE r.organization_code = 'DN-W1-CB02';
SELECT test('import: again after that, with no version twice', test_counts(test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2","numerator":"1","denominator":"3"}]')), '200 1 0 0 0 0');
SELECT test('import: begins at the next version', version::text, '3') FROM value WHERE organization_code = 'DN-W1-CB02';
SELECT test_import('[{"indicator":"DN-06B","organization":"DN-W1-CB02","period":"2026-Q2"}]', 'atomic', 'delete') \g /dev/null
SELECT test('put: begins at the next version', test_put('DN-06B', 'DN-W1-CB02', '2026-Q2', '{"numerator":1,"denominator":2}'), '201 5');
SELECT test('import: a faulty row''s other names', test_counts(test_import('[{"indicator":"nix","period":"2026-Q2","faults":[{"pointer":"#/organization","code":"format","detail":"x"}]},
  {"indicator":"DN-06B","organization":" DN-W1-CB05 ","period":"2026-Q2","numerator":"1","denominator":"3"}]', 'partial')), '200 1 0 0 0 1 1#/organization:format,1#/indicator:unknown_reference');
-- A hundred thousand names that are none take no more than a few seconds.
SELECT clock_timestamp() AS began, test_import((SELECT json_agg(json_build_object('indicator', 'I' || n, 'organization', 'O' || n, 'period', 'P' || n, 'numerator', '2',
  'denominator', '3')) FROM generate_series(1, 100000) n)::text, 'partial', 'upsert', true) ->> 'failed' AS failed \gset
SELECT test('import: unknown names', :'failed', '100000');
SELECT test('import: unknown names in good time', (clock_timestamp() - :'began'::timestamptz < '20 seconds')::text, 'true');
SELECT test('import: the sums follow', test_rollup(), '0 sums, 0 marks');
ROLLBACK;
