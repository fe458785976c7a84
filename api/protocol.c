#include "protocol.h"

#include <string.h>
#include <strings.h>

/* Headers whose repetition is one list (RFC 9110, 5.3); any other repeated one could be read in two ways. */
static const char *const list_headers[] = {
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Connection",
    "Cookie",
    "Forwarded",
    "Prefer",
    "TE",
    "Trailer",
    "Via",
    "Warning",
    "X-Forwarded-For",
};

static const char *const method_names[N_METHODS] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };

int protocol_method(const char *name)
{
    for (int i = 0; i < N_METHODS; i++)
        if (strcmp(method_names[i], name) == 0)
            return i;
    return -1;
}

const char *protocol_method_name(enum http_method method)
{
    return method_names[method];
}

const char *protocol_allow(struct arena *a, unsigned methods)
{
    char *text = arena_strdup(a, "");

    for (unsigned i = 0; i < N_METHODS && text != NULL; i++)
        if ((methods & (1U << i)) != 0)
            text = arena_printf(a, "%s%s%s", text, text[0] != '\0' ? ", " : "", method_names[i]);
    return text;
}

static bool is_token(const char *s)
{
    return s[0] != '\0' &&
        s[strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static bool value_valid(const char *s)
{
    for (; *s != '\0'; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return false;
    return true;
}

static bool is_list(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(list_headers); i++)
        if (strcasecmp(list_headers[i], name) == 0)
            return true;
    return false;
}

/* Whether header i repeats an earlier one; a list grows by it and it is taken out. */
static int join(struct arena *a, struct bridge_request *req, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        char *joined;

        if (strcasecmp(req->headers[k].name, req->headers[i].name) != 0)
            continue;
        if (!is_list(req->headers[i].name))
            return -1;
        joined = arena_printf(a, "%s, %s", req->headers[k].value, req->headers[i].value);
        if (joined == NULL)
            return -1;
        req->headers[k].value = joined;
        memmove(&req->headers[i], &req->headers[i + 1], (req->n_headers - i - 1) * sizeof(req->headers[0]));
        req->n_headers--;
        return 1;
    }
    return 0;
}

int protocol_check(struct arena *a, struct bridge_request *req, const char **ret_header)
{
    const char *host;

    if (req->too_many_headers)
        return P_HEADERS_TOO_LARGE;
    for (size_t i = 0; i < req->n_headers;) {
        int joined;

        *ret_header = req->headers[i].name;
        if (!is_token(req->headers[i].name) || !value_valid(req->headers[i].value))
            return P_BAD_HEADER;
        joined = join(a, req, i);
        if (joined < 0)
            return P_BAD_HEADER;
        i += joined == 0;
    }
    host = header_find(req->headers, req->n_headers, "Host");
    *ret_header = "Host";
    if (host == NULL ? strcmp(req->version, "HTTP/1.0") != 0 : host[0] == '\0' || strpbrk(host, " ,/@\\") != NULL)
        return P_BAD_HEADER;
    *ret_header = "Content-Length";
    if (header_find(req->headers, req->n_headers, "Transfer-Encoding") != NULL &&
        header_find(req->headers, req->n_headers, "Content-Length") != NULL)
        return P_BAD_HEADER;
    *ret_header = NULL;
    return 0;
}
