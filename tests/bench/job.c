/* Reading the load client's job. */
#include "job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job job = { .seconds = 5 };

void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "bad job");
    exit(2);
}

static size_t label_find(const char *name)
{
    for (size_t i = 0; i < job.n_labels; i++)
        if (strcmp(job.labels[i].name, name) == 0)
            return i;
    if (job.n_labels == LABELS_MAX)
        die("too many labels");
    snprintf(job.labels[job.n_labels].name, sizeof(job.labels[job.n_labels].name), "%s", name);
    return job.n_labels++;
}

static void template_add(struct template *t, struct piece piece)
{
    if (t->n == PIECES_MAX)
        die("too many pieces");
    t->pieces[t->n++] = piece;
}

/* The text is kept for as long as the process runs. */
static void template_parse(struct template *t, const char *given)
{
    const char *text = strdup(given), *p = text, *at;

    while ((at = strchr(p, '@')) != NULL && (at[1] == 'r' || at[1] == 'o') && at[2] == ':') {
        struct piece piece = { .kind = at[1] };
        char *end;

        template_add(t, (struct piece){ .text = p, .n = (size_t)(at - p) });
        piece.low = strtoull(at + 3, &end, 10);
        if (*end != ':')
            die("range");
        piece.high = strtoull(end + 1, &end, 10);
        if (*end != '@' || piece.high < piece.low)
            die("range");
        template_add(t, piece);
        p = end + 1;
    }
    template_add(t, (struct piece){ .text = p, .n = strlen(p) });
}

static void read_request(struct group *g, char *line)
{
    struct request *r = &g->requests[g->n];
    char label[32], method[16], head[OUT_MAX], *target, *rest, *field;
    int used = 0, n;

    if (g->n == REQUESTS_MAX || sscanf(line, "%31s %15s %n", label, method, &used) != 2)
        die("request");
    target = line + used;
    rest = strchr(target, '\t');
    if (rest != NULL)
        *rest++ = '\0';
    r->label = label_find(label);
    n = snprintf(
        head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s", method, target, job.port, job.common);
    while ((field = strsep(&rest, "\t")) != NULL) {
        if (field[0] == '=') {
            r->has_body = true;
            template_parse(&r->body, field + 1);
        } else {
            n += snprintf(head + n, sizeof(head) - (size_t)n, "%s\r\n", field);
        }
    }
    template_parse(&r->head, head);
    g->n++;
}

void job_read(void)
{
    static char line[65536];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "port %u", &job.port) == 1 || sscanf(line, "warm %lf", &job.warm) == 1 ||
            sscanf(line, "seconds %lf", &job.seconds) == 1)
            continue;
        if (strncmp(line, "header ", 7) == 0) {
            size_t n = strlen(job.common);

            if (snprintf(job.common + n, sizeof(job.common) - n, "%s\r\n", line + 7) >= (int)(sizeof(job.common) - n))
                die("too long a header");
        } else if (strncmp(line, "group ", 6) == 0 && job.n_groups < GROUPS_MAX) {
            struct group *g = &job.groups[job.n_groups++];

            if (sscanf(line, "group %u %lu", &g->connections, &g->rate) != 2)
                die("group");
        } else if (strncmp(line, "request ", 8) == 0 && job.n_groups > 0) {
            read_request(&job.groups[job.n_groups - 1], line + 8);
        } else if (line[0] != '\0') {
            die(line);
        }
    }
}
