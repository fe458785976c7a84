#include "suite.h"

#include <errno.h>
#include <string.h>

#include "problem.h"
#include "util.h"

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new(1 << 20);
    ck_assert_ptr_nonnull(arena);
}

static void tear_down(void)
{
    arena_free(arena);
}

START_TEST(table_is_whole)
{
    for (int i = 0; i < N_PROBLEMS; i++) {
        const struct problem_kind *k = &problem_kinds[i];

        ck_assert_int_eq(problem_find(k->code), i);
        ck_assert(k->status >= 400 && k->status <= 599);
        ck_assert(strlen(k->title[LANGUAGE_EN]) > 0 && strlen(k->title[LANGUAGE_VI]) > 0 &&
            strlen(k->explanation[LANGUAGE_EN]) > 0 && strlen(k->explanation[LANGUAGE_VI]) > 0);
        ck_assert_uint_eq(strspn(k->code, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(k->code));
    }
    ck_assert_int_eq(problem_find("no_such"), -ENOENT);
    ck_assert_int_eq(problem_status(P_PRECONDITION_REQUIRED), 428);
}
END_TEST

START_TEST(sentences_are_told_in_the_language)
{
    static const struct {
        const char *english, *vietnamese;
    } rows[] = {
        { "no such organization", "không có đơn vị này" },
        { "You do not enter AA-1 for DN-2.", "Bạn không nhập AA-1 cho DN-2." },
        { "X ended on 2025-06-30: it is read, and what it still owed is entered by its successors.",
            "X đã kết thúc ngày 30/06/2025: chỉ còn đọc được, phần còn nợ do đơn vị kế thừa nhập." },
        /* a part that is a sentence itself */
        { "the parent exists from 2025-01-01 to today and on",
            "đơn vị cấp trên tồn tại từ 01/01/2025 đến nay và về sau" },
        /* the one with most words of its own, though another fits too */
        { "Q is kept by the managers of its programme or by a mandate to define.",
            "Q do quản lý (manager) của chương trình cập nhật, hoặc theo ủy nhiệm có chức năng define." },
        { "A and B both hold statistics:26041", "A và B cùng mang mã statistics:26041" },
        /* not there: as they are */
        { "no such organization at all", "no such organization at all" },
        { "You do not enter AA-1 for DN-2", "You do not enter AA-1 for DN-2" },
        { "", "" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ck_assert_str_eq(sentence_in(arena, LANGUAGE_VI, rows[i].english), rows[i].vietnamese);
        ck_assert_str_eq(sentence_in(arena, LANGUAGE_EN, rows[i].english), rows[i].english);
    }
    ck_assert_ptr_null(sentence_in(arena, LANGUAGE_VI, NULL));
    ck_assert_str_eq(sentences_in_json(arena, LANGUAGE_VI,
                         STR("{\"note\": \"\\\"detail\\\": x\", \"e\": [{\"detail\" : \"too long\"}, "
                             "{\"detail\":null},{\"detail\":\"a\\\"b\"}]}"))
                         .p,
        "{\"note\": \"\\\"detail\\\": x\", \"e\": [{\"detail\" : \"quá dài\"}, "
        "{\"detail\":null},{\"detail\":\"a\\\"b\"}]}");
}
END_TEST

START_TEST(renders_in_both_languages)
{
    _cleanup_(buf_free) struct buf b;
    struct faults f;
    struct problem p = {
        .code = P_INVALID,
        .detail = "a \"b\"",
        .instance = "/v1/things",
        .trace_id = "abc",
        .faults = &f,
    };

    buf_init(&b, 4096);
    faults_init(&f, arena, LANGUAGE_VI);
    fault_add(&f, AT_POINTER, "#/name", FAULT_TOO_LONG, "64");
    fault_add_text(&f, AT_HEADER, "If-Match", "format", NULL);
    ck_assert_int_eq(problem_render(&b, &p), 0);
    ck_assert_str_eq(buf_cstr(&b),
        "{\"type\":\"/problems/invalid\",\"title\":\"Request is not valid\",\"status\":422,"
        "\"detail\":\"a \\\"b\\\"\",\"instance\":\"/v1/things\",\"code\":\"invalid\","
        "\"trace_id\":\"abc\",\"errors\":[{\"pointer\":\"#/name\",\"code\":\"too_long\","
        "\"detail\":\"Nhiều nhất 64 ký tự\"},{\"header\":\"If-Match\",\"code\":\"format\"}]}");
    buf_reset(&b);
    p = (struct problem){ .code = P_NOT_FOUND, .language = LANGUAGE_VI };
    ck_assert_int_eq(problem_render(&b, &p), 0);
    ck_assert_str_eq(buf_cstr(&b),
        "{\"type\":\"/problems/not_found\",\"title\":\"Không tìm "
        "thấy\",\"status\":404,\"detail\":\"Không có gì ở đây, hoặc không có gì bạn được xem: hai trường hợp được "
        "trả lời như nhau.\",\"code\":\"not_found\",\"errors\":[]}");
}
END_TEST

START_TEST(stops_at_the_buffer_s_end)
{
    _cleanup_(buf_free) struct buf b;
    const struct problem p = { .code = P_NOT_FOUND };

    buf_init(&b, 20);
    ck_assert_int_eq(problem_render(&b, &p), -ENOMEM);
}
END_TEST

START_TEST(keeps_a_hundred_and_counts_the_rest)
{
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    for (int i = 0; i < 250; i++)
        fault_add(&f, AT_PARAMETER, "x", FAULT_REQUIRED, NULL);
    ck_assert_uint_eq(f.n, 100);
    ck_assert_uint_eq(f.total, 250);
}
END_TEST

START_TEST(survives_an_arena_without_room)
{
    struct arena *small = arena_new(64);
    struct faults f;

    faults_init(&f, small, LANGUAGE_EN);
    fault_add(&f, AT_PARAMETER, "x", FAULT_REQUIRED, NULL);
    ck_assert_uint_eq(f.n, 0);
    ck_assert_uint_eq(f.total, 1);
    arena_free(small);
}
END_TEST

START_TEST(names_parameter_faults)
{
    struct faults f;

    faults_init(&f, arena, LANGUAGE_EN);
    ck_assert_int_eq(faults_problem(&f), P_BAD_PARAMETER);
    fault_add(&f, AT_PARAMETER, "a", FAULT_UNKNOWN_PARAMETER, NULL);
    fault_add(&f, AT_PARAMETER, "b", FAULT_UNKNOWN_PARAMETER, NULL);
    ck_assert_int_eq(faults_problem(&f), P_UNKNOWN_PARAMETER);
    fault_add(&f, AT_PARAMETER, "c", FAULT_REPEATED_PARAMETER, NULL);
    ck_assert_int_eq(faults_problem(&f), P_BAD_PARAMETER);
    faults_init(&f, arena, LANGUAGE_EN);
    fault_add(&f, AT_PARAMETER, "a", FAULT_TYPE, "integer");
    ck_assert_int_eq(faults_problem(&f), P_BAD_PARAMETER);
}
END_TEST

START_TEST(chooses_a_language)
{
    static const struct {
        const char *header;
        enum language language;
    } rows[] = {
        { NULL, LANGUAGE_EN },
        { "", LANGUAGE_EN },
        { "*", LANGUAGE_EN },
        { "vi", LANGUAGE_VI },
        { "VI-vn", LANGUAGE_VI },
        { "fr, vi;q=0.3", LANGUAGE_VI },
        { "en-GB,en;q=0.9,vi;q=0.8", LANGUAGE_EN },
        { "en;q=0.5, vi;q=0.8", LANGUAGE_VI },
        { "vi;q=0", LANGUAGE_EN },
        { "vi;q=0.000,en", LANGUAGE_EN },
        { "vi;q=nonsense", LANGUAGE_EN },
        { "vie", LANGUAGE_EN },
        { ",,;;q=1,vi", LANGUAGE_VI },
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(language_of(rows[i].header) == rows[i].language, "%s", rows[i].header);
}
END_TEST

RUN_TESTS_WITH("problem", set_up, tear_down, table_is_whole, sentences_are_told_in_the_language,
    renders_in_both_languages, stops_at_the_buffer_s_end, keeps_a_hundred_and_counts_the_rest,
    survives_an_arena_without_room, names_parameter_faults, chooses_a_language)
