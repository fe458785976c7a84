/* What a job of the load client is made of. */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUESTS_MAX 64
#define PIECES_MAX   32
#define GROUPS_MAX   8
#define LABELS_MAX   16
#define HEAD_MAX     16384
#define OUT_MAX      16384

struct piece {
    char kind; /* 0 for text, else as written */
    const char *text;
    size_t n;
    uint64_t low, high;
};

struct template
{
    struct piece pieces[PIECES_MAX];
    size_t n;
};

struct label {
    char name[32];
    uint32_t *latencies; /* microseconds */
    size_t n, cap;
    uint64_t bytes, good, refused, bad; /* 2xx and 3xx; 503 and 429; all else */
    int last_bad;
};

struct request {
    struct template head, body;
    bool has_body;
    size_t label;
};

struct group {
    unsigned connections;
    uint64_t rate;
    struct request requests[REQUESTS_MAX];
    size_t n;
};

struct job {
    struct group groups[GROUPS_MAX];
    size_t n_groups;
    struct label labels[LABELS_MAX];
    size_t n_labels;
    char common[8192]; /* headers of every request */
    unsigned port;
    double warm, seconds;
};

extern struct job job;

void die(const char *what);

/* Reads the job from standard input, or ends the process. */
void job_read(void);

#endif
