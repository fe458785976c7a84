/* The frame of a unit test program: one suite, one case, the tests named in a list. */
#ifndef TIENDO_TEST_SUITE_H
#define TIENDO_TEST_SUITE_H

#include <check.h>
#include <stdlib.h>

static inline int run_tests(const char *name, SFun set_up, SFun tear_down, const TTest *const *tests, size_t n)
{
    Suite *suite = suite_create(name);
    TCase *all = tcase_create(name);
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < n; i++)
        tcase_add_test(all, tests[i]);
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_set_timeout(all, 200); /* for loaded machines; what hangs is all it is to end */
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* RUN_TESTS("name", first_test, second_test, …) is the program's main. */
#define RUN_TESTS(name, ...) RUN_TESTS_WITH(name, NULL, NULL, __VA_ARGS__)

/* The same with a function before and one after each test. */
#define RUN_TESTS_WITH(name, set_up, tear_down, ...) \
    int main(void) \
    { \
        const TTest *const tests[] = { __VA_ARGS__ }; \
        return run_tests(name, set_up, tear_down, tests, sizeof(tests) / sizeof(tests[0])); \
    }

#endif
