/* Migrations: applied in order, once, whole or not at all, and refused where the database does not fit the program. */

#include <pthread.h>

#include "db_fixture.h"
#include "migrate.h"

/* Checksums are compared as texts: short ones serve here. */
static const struct migration three[] = {
    { 1, "one", "a1", "CREATE SCHEMA app; CREATE TABLE app.t (id int); SET search_path = app;" },
    { 2, "two", "b2", "INSERT INTO app.t VALUES (1);\nINSERT INTO app.t VALUES (2); -- no newline at the end" },
    { 5, "three", "c3",
        "DO $$ BEGIN IF current_user <> 'tiendo_owner' OR current_schema() <> 'public' THEN"
        " RAISE EXCEPTION 'wrong session'; END IF; END $$; INSERT INTO app.t VALUES (3)" },
};
static char *told;
static size_t told_size;

static int migrate(const struct migration *table, size_t n)
{
    FILE *out;
    int r;

    free(told);
    out = open_memstream(&told, &told_size);
    r = migrate_run_table("user=tiendo_migrator dbname=migrated", table, n, out);
    ck_assert_int_eq(fclose(out), 0);
    return r;
}

static long count(const char *sql)
{
    struct db_pool_options options = { .name = "count", .conninfo = "dbname=migrated", .size = 1 };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;

    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    return fixture_number(conn, sql);
}

static void setup(void)
{
    log_init(2, LOG_LEVEL_ERROR);
    fixture_run("DROP DATABASE IF EXISTS migrated");
    fixture_run("CREATE DATABASE migrated");
    ck_assert_int_eq(system("psql -qX -d migrated -f \"$(dirname \"$TEST_POSTGRES\")/../../deploy/roles.sql\""), 0);
}

START_TEST(migrations_are_applied_once_and_in_order)
{
    ck_assert_int_eq(migrate(three, 2), 0);
    ck_assert_ptr_nonnull(strstr(told, "0001_one"));
    ck_assert_int_eq(count("SELECT count(*) FROM app.t"), 2);
    ck_assert_int_eq(migrate(three, 3), 0);
    ck_assert_str_eq(told, "migrate: 0005_three\nmigrate: 1 applied, the database is at 0005_three\n");
    ck_assert_int_eq(count("SELECT sum(id) FROM app.t"), 6);
    ck_assert_int_eq(migrate(three, 3), 0);
    ck_assert_str_eq(told, "migrate: 0 applied, the database is at 0005_three\n");
    ck_assert_int_eq(count("SELECT count(*) FROM tiendo_migration.migration WHERE applied_at <= clock_timestamp()"), 3);
    ck_assert_int_eq(count("SELECT count(*) FROM pg_tables WHERE tableowner = 'tiendo_owner'"), 2);
}
END_TEST

START_TEST(a_migration_that_fails_leaves_nothing_behind)
{
    const struct migration table[] = { three[0], three[1],
        { 3, "broken", "x", "CREATE TABLE app.gone (id int); INSERT INTO app.nothing VALUES (1)" } };

    ck_assert_int_eq(migrate(table, 3), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(told, "0003_broken: relation \"app.nothing\" does not exist (42P01)"));
    ck_assert_int_eq(count("SELECT count(*) FROM pg_tables WHERE tablename = 'gone'"), 0);
    ck_assert_int_eq(count("SELECT max(version) FROM tiendo_migration.migration"), 2);
    ck_assert_int_eq(migrate(three, 3), 0);
}
END_TEST

START_TEST(a_database_that_does_not_fit_is_refused)
{
    const struct migration changed[] = { three[0], { 2, "two", "other", "SELECT 1" }, three[2] };
    const struct migration filled[] = { three[0], three[1], { 4, "late", "d4", "SELECT 1" }, three[2] };

    ck_assert_int_eq(migrate(three, 3), 0);
    ck_assert_int_eq(migrate(three, 2), -EPERM);
    ck_assert_ptr_nonnull(strstr(told, "0005_three is in the database but not in this program"));
    ck_assert_int_eq(migrate(changed, 3), -EPERM);
    ck_assert_ptr_nonnull(strstr(told, "0002_two was changed after it was applied"));
    ck_assert_int_eq(migrate(filled, 4), -EPERM);
    ck_assert_ptr_nonnull(strstr(told, "0004_late was not applied, but a later one was"));
    ck_assert_int_eq(count("SELECT count(*) FROM tiendo_migration.migration"), 3);
}
END_TEST

static void *migrate_beside(void *ret)
{
    FILE *out = fopen("/dev/null", "w");

    *(int *)ret = migrate_run_table("user=tiendo_migrator dbname=migrated", three, 3, out);
    (void)fclose(out);
    return NULL;
}

START_TEST(two_that_migrate_at_once_do_it_once)
{
    pthread_t threads[4];
    int results[4];

    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, migrate_beside, &results[i]), 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(results[i], 0);
    }
    ck_assert_int_eq(count("SELECT count(*) FROM app.t"), 3);
}
END_TEST

START_TEST(without_database_or_right_it_says_so)
{
    FILE *out;

    out = open_memstream(&told, &told_size);
    ck_assert_int_eq(migrate_run_table("host=/nowhere", three, 3, out), -ENOTCONN);
    ck_assert_int_eq(migrate_run_table("user=tiendo_service dbname=migrated", three, 3, out), -EBADMSG);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_ptr_nonnull(strstr(told, "/nowhere"));
    ck_assert_ptr_nonnull(strstr(told, "permission denied to set role \"tiendo_owner\""));
}
END_TEST

/* The program's own migrations, and what the serving role learns of them. */
START_TEST(the_programs_own_migrations_apply)
{
    struct db_pool_options options = { .name = "status", .conninfo = "user=tiendo_service dbname=migrated", .size = 1 };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    enum migrate_state state;
    size_t pending;
    FILE *out;
    int r;

    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    ck_assert_int_eq(migrate_status(conn, &state, &pending), -EBADMSG);
    for (int i = 0; i < 2; i++) {
        free(told);
        out = open_memstream(&told, &told_size);
        r = migrate_run("user=tiendo_migrator dbname=migrated", out);
        ck_assert_int_eq(fclose(out), 0);
        ck_assert_msg(r == 0, "%s", told);
    }
    ck_assert_int_eq(migrate_status(conn, &state, &pending), 0);
    ck_assert_int_eq(state, MIGRATE_CURRENT);
    ck_assert_uint_eq(pending, 0);
}
END_TEST

START_TEST(the_serving_role_learns_what_is_pending)
{
    struct db_pool_options options = { .name = "status", .conninfo = "user=tiendo_service dbname=migrated", .size = 1 };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    struct migration first = migrations[0];
    enum migrate_state state;
    size_t pending;

    ck_assert_int_eq(migrate(&first, 1), 0);
    ck_assert_int_eq(db_open(&options, NULL, 0, &conn), 0);
    ck_assert_int_eq(migrate_status(conn, &state, &pending), 0);
    ck_assert_int_eq(state, n_migrations > 1 ? MIGRATE_PENDING : MIGRATE_CURRENT);
    ck_assert_uint_eq(pending, n_migrations - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrate");
    TCase *tc = tcase_create("migrate");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, migrations_are_applied_once_and_in_order);
    tcase_add_test(tc, a_migration_that_fails_leaves_nothing_behind);
    tcase_add_test(tc, a_database_that_does_not_fit_is_refused);
    tcase_add_test(tc, two_that_migrate_at_once_do_it_once);
    tcase_add_test(tc, without_database_or_right_it_says_so);
    tcase_add_test(tc, the_programs_own_migrations_apply);
    tcase_add_test(tc, the_serving_role_learns_what_is_pending);
    suite_add_tcase(suite, tc);
    return fixture_main(suite);
}
