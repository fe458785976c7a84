#include "fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int fetch_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

static size_t receive(char *p, size_t size, size_t n, void *userdata)
{
    struct buf *out = userdata;

    buf_add(out, p, size * n);
    return out->failed ? 0 : size * n; /* 0 ends the transfer */
}

static int watch(void *userdata, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const atomic_bool *stop = userdata;

    (void)down_total;
    (void)down;
    (void)up_total;
    (void)up;
    return stop != NULL && atomic_load(stop);
}

static void set_up(
    CURL *curl, const struct fetch_options *o, struct curl_slist *headers, struct buf *ret, char *message)
{
    curl_easy_setopt(curl, CURLOPT_URL, o->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, o->plain ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (o->ca_file != NULL && o->ca_file[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file);
    if (o->plain)
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->total_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)ret->max);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, o->agent);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)o->stop);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
}

static int perform(CURL *curl, const struct buf *ret, const char *message, char *reason, size_t reason_n)
{
    CURLcode code = curl_easy_perform(curl);
    long status = 0;

    if (code == CURLE_OUT_OF_MEMORY)
        return -ENOMEM;
    if (ret->failed || code == CURLE_FILESIZE_EXCEEDED) {
        (void)snprintf(reason, reason_n, "more than %zu bytes", ret->max);
        return -EIO;
    }
    if (code != CURLE_OK) {
        (void)snprintf(reason, reason_n, "%s", message[0] != '\0' ? message : curl_easy_strerror(code));
        return -EIO;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        (void)snprintf(reason, reason_n, "answered %ld", status);
        return -EIO;
    }
    return 0;
}

int fetch_get(const struct fetch_options *options, struct buf *ret, char *reason, size_t reason_n)
{
    char message[CURL_ERROR_SIZE] = "", accept[128];
    struct curl_slist *headers;
    CURL *curl = curl_easy_init();
    int r = -ENOMEM;

    reason[0] = '\0';
    (void)snprintf(accept, sizeof(accept), "Accept: %s", options->accept);
    headers = curl_slist_append(NULL, accept);
    if (curl != NULL && headers != NULL) {
        set_up(curl, options, headers, ret, message);
        r = perform(curl, ret, message, reason, reason_n);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return r;
}
