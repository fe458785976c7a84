/* The only file that knows Ulfius: one catch-all endpoint over a thread per connection. */
#include "bridge.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <ulfius.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "util.h"

#define STREAM_BLOCK (32U * 1024U)
#define POLL_MS      10U

struct bridge {
    struct _u_instance instance; /* first: Ulfius hands it to its access handler */
    const struct bridge_sink *sink;
    size_t body_free;
    bool (*admit)(void *userdata, const char *authorization);
    bridge_fn fn;
    void *userdata;
    uint16_t port;
    atomic_uint in_flight;
};

struct stream {
    ssize_t (*fn)(void *userdata, char *p, size_t max);
    void (*done)(void *userdata);
    void *userdata;
};

/*
 * A connection has a thread of its own, so what belongs to the request at hand can stand here: Ulfius
 * joins repeated headers and cuts IPv6 addresses, libmicrohttpd's own connection tells them whole.
 */
static _Thread_local struct MHD_Connection *current_connection;
static _Thread_local struct bridge *current_bridge;
static _Thread_local struct bridge *reading_bridge; /* while the body comes */
static _Thread_local void *current_taken;           /* what takes the body */

static MHD_AccessHandlerCallback ulfius_access;

void *bridge_alloc(size_t n)
{
    return malloc(n > 0 ? n : 1);
}

static void log_mhd(void *cls, const char *fmt, va_list ap)
{
    char text[256];

    (void)cls;
    if (vsnprintf(text, sizeof(text), fmt, ap) > 0)
        log_debug("http_library", "message=%s", text);
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    current_connection = connection;
    reading_bridge = cls;
    return ulfius_uri_logger(cls, uri);
}

/*
 * Ulfius reads the whole body before it calls anybody, and has no call between headers and body; but it asks for memory for each
 * piece. So this is where a large body is held against its headers. Refused, the connection is closed: no answer can be given yet.
 */
static void *grow_body(void *p, size_t n)
{
    struct bridge *bridge = reading_bridge;

    if (bridge != NULL && bridge->admit != NULL && n > bridge->body_free) {
        if (!bridge->admit(
                bridge->userdata, MHD_lookup_connection_value(current_connection, MHD_HEADER_KIND, "Authorization"))) {
            free(p); /* Ulfius forgets it */
            return NULL;
        }
        reading_bridge = NULL; /* asked once */
    }
    return realloc(p, n);
}

static void on_completed(
    void *cls, struct MHD_Connection *connection, void **con_cls, enum MHD_RequestTerminationCode toe)
{
    mhd_request_completed(cls, connection, con_cls, toe);
    if (current_taken != NULL)
        current_bridge->sink->close(current_taken);
    current_taken = NULL;
    if (current_bridge != NULL)
        atomic_fetch_sub(&current_bridge->in_flight, 1);
    current_bridge = reading_bridge = NULL;
    current_connection = NULL;
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct bridge_request *req = cls;

    (void)kind;
    if (req->n_headers == ARRAY_SIZE(req->headers)) {
        req->too_many_headers = true;
        return MHD_NO;
    }
    req->headers[req->n_headers++] = (struct header){ name, value != NULL ? value : "" };
    return MHD_YES;
}

static void read_client(struct bridge_request *req)
{
    const union MHD_ConnectionInfo *info;
    const struct sockaddr *sa;

    info = MHD_get_connection_info(current_connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    sa = info != NULL ? info->client_addr : NULL;
    if (sa == NULL)
        return;
    if (sa->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, req->client, sizeof(req->client));
    else if (sa->sa_family == AF_INET6)
        inet_ntop(
            AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, req->client, sizeof(req->client));
}

static ssize_t on_stream(void *cls, uint64_t offset, char *p, size_t max)
{
    struct stream *stream = cls;
    ssize_t n;

    (void)offset;
    n = stream->fn(stream->userdata, p, max);
    if (n == 0)
        return U_STREAM_END;
    /* An error leaves the last chunk away: the reader sees that the body is not whole. */
    return n < 0 ? U_STREAM_ERROR : n;
}

static void on_stream_free(void *cls)
{
    struct stream *stream = cls;

    if (stream->done != NULL)
        stream->done(stream->userdata);
    free(stream);
}

static int send_stream(struct _u_response *response, const struct bridge_reply *reply)
{
    uint64_t size = reply->stream_n > 0 ? reply->stream_n : U_STREAM_SIZE_UNKNOWN;
    struct stream *stream;

    stream = malloc(sizeof(*stream));
    if (stream == NULL) {
        if (reply->done != NULL)
            reply->done(reply->userdata);
        return U_CALLBACK_ERROR;
    }
    *stream = (struct stream){ reply->stream, reply->done, reply->userdata };
    ulfius_set_stream_response(response, reply->status, on_stream, on_stream_free, size, STREAM_BLOCK, stream);
    return U_CALLBACK_CONTINUE;
}

/* From here on it is in flight. */
static void begin(struct bridge *bridge)
{
    if (current_bridge == NULL)
        atomic_fetch_add(&bridge->in_flight, 1);
    current_bridge = bridge;
}

static void read_head(struct bridge_request *req, const char *method, const char *target, const char *version)
{
    memset(req, 0, offsetof(struct bridge_request, headers));
    req->n_headers = 0;
    req->too_many_headers = false;
    req->body = NULL;
    req->body_n = 0;
    req->taken = NULL;
    req->client[0] = '\0';
    req->method = method;
    req->target = target;
    req->version = version;
    MHD_get_connection_values(current_connection, MHD_HEADER_KIND, add_header, req);
    read_client(req);
}

static int on_request(const struct _u_request *request, struct _u_response *response, void *userdata)
{
    struct bridge *bridge = userdata;
    struct bridge_request req;
    struct bridge_reply reply;

    begin(bridge);
    reading_bridge = NULL;
    read_head(&req, request->http_verb, request->http_url, request->http_protocol);
    req.body = request->binary_body;
    req.body_n = request->binary_body_length;
    req.taken = current_taken;

    memset(&reply, 0, sizeof(reply));
    bridge->fn(bridge->userdata, &req, &reply);
    for (size_t i = 0; i < reply.n_headers; i++)
        u_map_put(response->map_header, reply.headers[i].name, reply.headers[i].value);
    if (reply.release != NULL)
        reply.release(reply.lease);
    response->status = (long)reply.status;
    if (reply.stream != NULL)
        return send_stream(response, &reply);
    response->binary_body = reply.body;
    response->binary_body_length = reply.body_n;
    return U_CALLBACK_CONTINUE;
}

static bool has_body(struct MHD_Connection *connection)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length") != NULL ||
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
}

/* Whether the request is to be answered without its body. */
static bool open_sink(struct bridge *bridge, const char *method, const char *target, const char *version)
{
    struct bridge_request head;
    bool answer = false;

    read_head(&head, method, target, version);
    current_taken = bridge->sink->open(bridge->userdata, &head, &answer);
    if (current_taken != NULL)
        begin(bridge);
    return answer;
}

/*
 * Stands before Ulfius' own access handler, which keeps every body in memory and can answer none before it is whole: a body with a
 * sink goes there instead, and Ulfius handles the request as one without.
 */
static enum MHD_Result on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *p, size_t *n, void **con_cls)
{
    struct bridge *bridge = cls;
    const struct connection_info_struct *info = *con_cls;
    int r;

    if (current_taken != NULL && *n > 0) {
        r = bridge->sink->take(current_taken, p, *n);
        *n = 0;
        return r < 0 ? MHD_NO : MHD_YES;
    }
    if (bridge->sink != NULL && info != NULL && info->callback_first_iteration && has_body(connection) &&
        open_sink(bridge, method, info->request->http_url, version)) {
        if (ulfius_access(cls, connection, url, method, version, p, n, con_cls) != MHD_YES)
            return MHD_NO;
    }
    return ulfius_access(cls, connection, url, method, version, p, n, con_cls);
}

static_assert(offsetof(struct bridge, instance) == 0, "Ulfius' instance is the bridge");

/*
 * Ulfius starts the daemon with an access handler that cannot be set or reached otherwise. The program's own symbol goes before the
 * library's, and the library has the same function once more for a list of arguments.
 */
__attribute__((visibility("default"))) struct MHD_Daemon *MHD_start_daemon(unsigned flags, uint16_t port,
    MHD_AcceptPolicyCallback apc, void *apc_cls, MHD_AccessHandlerCallback dh, void *dh_cls, ...)
{
    struct MHD_Daemon *daemon;
    va_list ap;

    ulfius_access = dh;
    va_start(ap, dh_cls);
    daemon = MHD_start_daemon_va(flags, port, apc, apc_cls, on_access, dh_cls, ap);
    va_end(ap);
    return daemon;
}

static int listen_on(const struct bridge_options *options, uint16_t *ret_port)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM };
    struct addrinfo *ai = NULL;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } bound = { .v6 = { 0 } };
    socklen_t n = sizeof(bound);
    char port[8];
    int fd, one = 1, r = 0;

    snprintf(port, sizeof(port), "%u", (unsigned)options->port);
    if (getaddrinfo(options->address, port, &hints, &ai) != 0)
        return -EINVAL;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        freeaddrinfo(ai);
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
        listen(fd, 1024) < 0 || getsockname(fd, &bound.any, &n) < 0)
        r = -errno;
    freeaddrinfo(ai);
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_port = ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return fd;
}

/* Strictness stays at its default: what it would refuse (a missing Host) the dispatcher refuses with a problem. */
static int start_daemon(struct bridge *bridge, const struct bridge_options *options, int fd)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
        MHD_USE_ERROR_LOG;
    struct MHD_OptionItem items[] = {
        { MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_mhd, NULL },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, NULL },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_uri, bridge },
        { MHD_OPTION_LISTEN_SOCKET, fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, (intptr_t)options->connections, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->timeout_s, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)options->memory_limit, NULL },
        { MHD_OPTION_THREAD_STACK_SIZE, (intptr_t)options->stack_size, NULL },
        { MHD_OPTION_END, 0, NULL },
    };

    if (ulfius_start_framework_with_mhd_options(&bridge->instance, flags, items) != U_OK)
        return -EIO;
    return 0;
}

int bridge_start(const struct bridge_options *options, struct bridge **ret)
{
    struct bridge *bridge;
    int fd, r;

    bridge = calloc(1, sizeof(*bridge));
    if (bridge == NULL)
        return -ENOMEM;
    bridge->body_free = options->body_free;
    bridge->admit = options->admit;
    bridge->sink = options->sink;
    bridge->fn = options->fn;
    bridge->userdata = options->userdata;
    fd = listen_on(options, &bridge->port);
    if (fd < 0) {
        free(bridge);
        return fd;
    }
    if (ulfius_init_instance(&bridge->instance, bridge->port, NULL, NULL) != U_OK) {
        close(fd);
        free(bridge);
        return -ENOMEM;
    }
    /* All three: what is NULL is taken as it is, whatever the documentation says. */
    o_set_alloc_funcs(malloc, grow_body, free);
    /* One byte over the limit is kept, so that the caller can tell "too large" from a cut body. */
    bridge->instance.max_post_body_size = options->body_max + 1;
    bridge->instance.allowed_post_processor = U_POST_PROCESS_NONE;
    bridge->instance.check_utf8 = 0;
    ulfius_set_default_endpoint(&bridge->instance, on_request, bridge);
    r = start_daemon(bridge, options, fd);
    if (r == 0 && bridge->sink != NULL && ulfius_access == NULL) {
        log_error(
            "http_library", "message=bodies cannot be taken in pieces: MHD_start_daemon is not the program's own");
        ulfius_stop_framework(&bridge->instance);
        r = -EIO;
    }
    if (r < 0) {
        ulfius_clean_instance(&bridge->instance);
        close(fd);
        free(bridge);
        return r;
    }
    *ret = bridge;
    return 0;
}

uint16_t bridge_port(const struct bridge *bridge)
{
    return bridge->port;
}

unsigned bridge_connections(const struct bridge *bridge)
{
    const union MHD_DaemonInfo *info;

    info = MHD_get_daemon_info(bridge->instance.mhd_daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info != NULL ? info->num_connections : 0;
}

unsigned bridge_in_flight(const struct bridge *bridge)
{
    return atomic_load(&bridge->in_flight);
}

void bridge_stop(struct bridge *bridge, unsigned grace_ms)
{
    int fd;

    if (bridge == NULL)
        return;
    fd = MHD_quiesce_daemon(bridge->instance.mhd_daemon);
    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
        close(fd);
    }
    for (unsigned ms = 0; ms < grace_ms; ms += POLL_MS) {
        if (bridge_connections(bridge) == 0)
            break;
        /* Idle keep-alive connections get half a second to show that they want nothing more. */
        if (ms >= 500 && bridge_in_flight(bridge) == 0)
            break;
        usleep(POLL_MS * 1000);
    }
    ulfius_stop_framework(&bridge->instance);
    ulfius_clean_instance(&bridge->instance);
    free(bridge);
}
