/*
 * tiendo bootstrap: a root organization, its first administrator and the first signing key. What is there already stays
 * as it is, so that it may be run again. A password that is not given is made, and shown once.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "commands.h"
#include "owner.h"
#include "nfc.h"
#include "password_rules.h"
#include "rotate.h"
#include "secret.h"
#include "text.h"
#include "uuid.h"

#define GENERATED_CHARS 20
#define DISPLAY_NAME    "Quản trị hệ thống"
#define FORMER_MAX      16

static const char usage[] =
    "Usage: tiendo bootstrap --code CODE --name NAME --kind KIND --username USERNAME [options]\n"
    "Makes a root organization, its first administrator and the first signing key, where they are missing.\n"
    "The administrator's password is read from standard input; where that is empty or a terminal, one is made.\n"
    "  --display-name NAME         name shown of the administrator\n"
    "  --valid-from DATE           the root's first day (default 1900-01-01)\n"
    "  --former NAME KIND DATE     a name and kind the root had until that day; may be given several times\n"
    "  --password-file FILE        write a made password to this new file (0600) instead of standard output\n";

#define RULES_MEMORY ((size_t)1 << 20)

struct former {
    const char *name, *kind, *valid_to;
};

struct plan {
    const char *code, *name, *kind, *username, *display_name, *valid_from, *password_file;
    struct former former[FORMER_MAX];
    size_t n_former;
    char password[PASSWORD_MAX * 4 + 2];
    bool made_password;
};

/* ---- options ---- */

static int take_former(struct plan *plan, int argc, char **argv)
{
    if (plan->n_former == FORMER_MAX || optind + 2 > argc || !date_valid(argv[optind + 1], strlen(argv[optind + 1])))
        return -EINVAL;
    plan->former[plan->n_former++] = (struct former){ optarg, argv[optind], argv[optind + 1] };
    optind += 2;
    return 0;
}

/* 0; 1 when help was asked for; -EINVAL. */
static int read_options(struct plan *plan, int argc, char **argv)
{
    static const struct option options[] = { { "code", required_argument, NULL, 'c' },
        { "name", required_argument, NULL, 'n' }, { "kind", required_argument, NULL, 'k' },
        { "username", required_argument, NULL, 'u' }, { "display-name", required_argument, NULL, 'd' },
        { "valid-from", required_argument, NULL, 'v' }, { "former", required_argument, NULL, 'f' },
        { "password-file", required_argument, NULL, 'p' }, { "help", no_argument, NULL, 'h' }, { 0 } };
    int c;

    argc++; /* getopt skips the name of what it reads for */
    argv--;

    optind = 1;
    while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        switch (c) {
        case 'c': plan->code = optarg; break;
        case 'n': plan->name = optarg; break;
        case 'k': plan->kind = optarg; break;
        case 'u': plan->username = optarg; break;
        case 'd': plan->display_name = optarg; break;
        case 'v': plan->valid_from = optarg; break;
        case 'p': plan->password_file = optarg; break;
        case 'f':
            if (take_former(plan, argc, argv) < 0)
                return -EINVAL;
            break;
        case 'h': return 1;
        default: return -EINVAL;
        }
    }
    if (optind != argc || !plan->code || !plan->name || !plan->kind || !plan->username)
        return -EINVAL;
    return date_valid(plan->valid_from, strlen(plan->valid_from)) ? 0 : -EINVAL;
}

/* ---- the password ---- */

static int refuse_password(void)
{
    fprintf(stderr,
        "tiendo: the password is not taken: at least %d characters, not the username or the unit's code, not common "
        "words\n",
        PASSWORD_MIN);
    return -EINVAL;
}

/* In form C, as log-ins send it. */
static int take_password(struct plan *plan)
{
    const struct person person = { .username = plan->username, .unit = plan->code };
    _cleanup_(arena_freep) struct arena *a = arena_new(RULES_MEMORY);
    struct str normal;
    int r;

    if (a == NULL)
        return -ENOMEM;
    r = nfc_normalize(a, plan->password, strlen(plan->password), &normal);
    if (r == 0)
        r = password_faults(a, normal.p, &person);
    if (r != 0)
        return r == -ENOMEM ? r : refuse_password();
    memmove(plan->password, normal.p, normal.n);
    plan->password[normal.n] = '\0';
    return 0;
}

static int read_password(struct plan *plan)
{
    size_t n = 0;
    ssize_t got = 0;

    if (!isatty(STDIN_FILENO))
        while (n < sizeof(plan->password) - 1 &&
            (got = read(STDIN_FILENO, plan->password + n, sizeof(plan->password) - 1 - n)) > 0)
            n += (size_t)got;
    if (got < 0 && errno != EBADF)
        return -errno;
    while (n > 0 && (plan->password[n - 1] == '\n' || plan->password[n - 1] == '\r'))
        n--;
    plan->password[n] = '\0';
    if (n == 0) {
        secret_password_generate(plan->password, GENERATED_CHARS);
        plan->made_password = true;
        return 0;
    }
    return strlen(plan->password) == n ? take_password(plan) : refuse_password();
}

static int show_password(const struct plan *plan)
{
    FILE *out;
    int fd;

    if (!plan->password_file) {
        printf("password of %s: %s\n", plan->username, plan->password);
        return 0;
    }
    fd = open(plan->password_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out || fprintf(out, "%s\n", plan->password) < 0 || fclose(out) != 0) {
        fprintf(stderr, "tiendo: %s: %s\n", plan->password_file, strerror(errno));
        printf("password of %s: %s\n", plan->username, plan->password);
        return -EIO;
    }
    printf("password of %s: written to %s\n", plan->username, plan->password_file);
    return 0;
}

/* ---- the rows ---- */

static void add_member(struct buf *b, const char *name, const char *value)
{
    buf_addf(b, "%s\"%s\":", b->p && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[' ? "," : "", name);
    buf_json_cstr(b, value);
}

static void describe(const struct plan *plan, struct buf *b)
{
    buf_adds(b, "{");
    add_member(b, "code", plan->code);
    add_member(b, "name", plan->name);
    add_member(b, "kind", plan->kind);
    add_member(b, "valid_from", plan->valid_from);
    add_member(b, "username", plan->username);
    add_member(b, "display_name", plan->display_name);
    buf_adds(b, ",\"former\":[");
    for (size_t i = 0; i < plan->n_former; i++) {
        buf_adds(b, i > 0 ? ",{" : "{");
        add_member(b, "name", plan->former[i].name);
        add_member(b, "kind", plan->former[i].kind);
        add_member(b, "valid_to", plan->former[i].valid_to);
        buf_adds(b, "}");
    }
    buf_adds(b, "]}");
}

static int make_rows(const struct plan *plan, struct db_conn *conn)
{
    char ids[3][UUID_TEXT], hash[SECRET_HASH_MAX];
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    _cleanup_(buf_free) struct buf body;
    int r;

    buf_init(&body, 65536);
    describe(plan, &body);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        uuid_v7(ids[i]);
    r = body.failed ? -ENOMEM : secret_password_hash(plan->password, strlen(plan->password), hash);
    if (r < 0)
        return r;
    r = owner_run(conn,
        "SELECT array_to_string(m, ', '), 'account' = ANY (m) FROM bootstrap($1::uuid, $2::uuid, $3::uuid, $4::jsonb, "
        "$5) m",
        5, (const char *const[]){ ids[0], ids[1], ids[2], body.p, hash }, &rows);
    if (r < 0)
        return r;
    printf("%s: %s\n", plan->code, db_len(rows, 0, 0) > 0 ? db_value(rows, 0, 0) : "nothing was missing");
    if (plan->made_password && strcmp(db_value(rows, 0, 1), "t") == 0)
        return show_password(plan);
    return 0;
}

static int first_key(const struct config *config, struct db_conn *conn)
{
    _cleanup_(db_result_freep) struct db_result *rows = NULL;
    int r;

    r = owner_run(conn, "SELECT kid FROM signing_key_active() WHERE kid IS NOT NULL", 0, NULL, &rows);
    if (r < 0 || db_rows(rows) > 0)
        return r;
    return keys_rotate(config, conn);
}

int command_bootstrap(const struct config *config, int argc, char **argv)
{
    struct plan plan = { .display_name = DISPLAY_NAME, .valid_from = "1900-01-01" };
    _cleanup_(db_pool_givep) struct db_conn *conn = NULL;
    int r;

    r = read_options(&plan, argc, argv);
    if (r != 0) {
        fputs(usage, r > 0 ? stdout : stderr);
        return r > 0 ? EXIT_SUCCESS : 2;
    }
    r = secret_init();
    if (r == 0)
        r = read_password(&plan);
    if (r == 0)
        r = owner_open(config, &conn);
    if (r == 0)
        r = first_key(config, conn);
    if (r == 0)
        r = make_rows(&plan, conn);
    secret_wipe(plan.password, sizeof(plan.password));
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
