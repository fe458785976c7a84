#include "suite.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool.h"

static char directory[32];

static void set_up(void)
{
    snprintf(directory, sizeof(directory), "/tmp/tiendo-spool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    signal(SIGXFSZ, SIG_IGN);
}

static void tear_down(void)
{
    ck_assert_msg(rmdir(directory) == 0, "a file was left behind");
}

START_TEST(has_no_name)
{
    struct stat st;
    int fd;

    ck_assert_int_eq(spool_open(directory, 0, &fd), 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    close(fd);
}
END_TEST

START_TEST(comes_back_as_it_went)
{
    char back[16];
    int fd;

    ck_assert_int_eq(spool_open(directory, 100, &fd), 0);
    ck_assert_int_eq(spool_write(fd, "tiến ", strlen("tiến ")), 0);
    ck_assert_int_eq(spool_write(fd, "độ", strlen("độ")), 0);
    ck_assert_int_eq(spool_read(fd, 0, back, strlen("tiến độ")), (int)strlen("tiến độ"));
    ck_assert_mem_eq(back, "tiến độ", strlen("tiến độ"));
    ck_assert_int_eq(spool_read(fd, 1, back, 3), 3);
    ck_assert_mem_eq(back, "iế", 3);
    ck_assert_int_eq(spool_read(fd, 100, back, 5), 0);
    close(fd);
}
END_TEST

START_TEST(tells_that_there_is_no_room)
{
    struct rlimit limit = { 1000, 1000 };
    char zeros[600] = { 0 };
    int fd;

    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_msg(spool_open(directory, 1001, &fd) == -EFBIG, "before anything is written, where the size is known");
    ck_assert_int_eq(spool_open(directory, 0, &fd), 0);
    ck_assert_int_eq(spool_write(fd, zeros, sizeof(zeros)), 0);
    ck_assert_int_eq(spool_write(fd, zeros, sizeof(zeros)), -EFBIG);
    close(fd);
}
END_TEST

START_TEST(tells_that_there_is_no_directory)
{
    int fd;

    ck_assert_int_eq(spool_open("/nonexistent", 0, &fd), -ENOENT);
}
END_TEST

RUN_TESTS_WITH("spool", set_up, tear_down, has_no_name, comes_back_as_it_went, tells_that_there_is_no_room,
    tells_that_there_is_no_directory)
