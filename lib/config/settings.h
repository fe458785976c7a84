/* A row of the table of settings, for this room alone. */
#ifndef TIENDO_CONFIG_SETTINGS_H
#define TIENDO_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TEXT,  /* const char * */
    CONFIG_LIST,  /* struct config_list, commas between */
    CONFIG_INT,   /* int64_t */
    CONFIG_BYTES, /* int64_t, a number with K, M or G behind it */
    CONFIG_BOOL,  /* bool, yes or no */
    CONFIG_LEVEL, /* int64_t holding an enum log_level */
};

struct config_setting {
    const char *name;
    enum config_type type;
    size_t offset; /* in its struct */
    const char *fallback;
    int64_t min, max; /* numbers: the value; texts and lists: their length in bytes */
    const char *help;
    bool secret;
    const char *group; /* begins a group of that name, else NULL */
};

extern const struct config_setting config_settings[];
extern const size_t config_settings_count;

/* The same for one outside issuer: offsets are in struct config_issuer, names come behind "issuer.<name>.". */
extern const struct config_setting config_issuer_settings[];
extern const size_t config_issuer_settings_count;

/* Tells every fault that no single row can say. */
struct config;
void config_issuers_check(
    const struct config *c, void (*tell)(void *userdata, const char *where, const char *what), void *userdata);

#endif
