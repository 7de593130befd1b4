/* SPDX-License-Identifier: MIT
 * abi_test.c -- programs that were compiled with another version of the library. */
#include "abi.h"
#include "check.h"

/* What is known here, and as it was before, and as it will be. */
struct present {
    size_t size;
    int first, second;
};

struct future {
    struct present present;
    long third;
};

static const struct present DEFAULTS = {sizeof(struct present), 1, 2};

static void tells_its_version(void)
{
    char text[32];
    int number = twl_version_number();

    CHECK_TEXT(TWL_VERSION, twl_version());
    CHECK_INT(TWL_VERSION_NUMBER, number);
    snprintf(text, sizeof text, "%d.%d.%d", number / 1000000,
             number / 1000 % 1000, number % 1000);
    CHECK_TEXT(TWL_VERSION, text);
}

static void takes_what_is_set(void)
{
    struct present own = DEFAULTS, given = {sizeof given, 5, 6};

    CHECK_INT(0, twl__config_read(&own, NULL));
    CHECK_INT(1, own.first);
    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(6, own.second);
}

static void keeps_defaults_that_an_older_program_does_not_know(void)
{
    struct present own = DEFAULTS,
                   given = {offsetof(struct present, second), 5, 6};

    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(2, own.second);
    CHECK_INT(sizeof own, own.size);
}

static void takes_a_newer_program_that_sets_nothing_new(void)
{
    struct present own = DEFAULTS;
    struct future given = {{sizeof given, 5, 6}, 0};

    CHECK_INT(0, twl__config_read(&own, &given));
    CHECK_INT(5, own.first);
    CHECK_INT(sizeof own, own.size);
}

static void refuses_what_it_does_not_know(void)
{
    struct present own = DEFAULTS, given = {0, 5, 6};
    struct future newer = {{sizeof newer, 5, 6}, 7};

    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &newer));
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    given.size = sizeof given.size - 1;
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    given.size = (size_t)-1;
    CHECK_INT(TWL_EINVAL, twl__config_read(&own, &given));
    CHECK_INT(1, own.first);
}

/* ---- Every function that takes such a struct ---------------------------------------------- */

/* [config], as a newer program would hand it over that has set a field unknown here. */
static void *newer(const void *config)
{
    static union {
        max_align_t align;
        size_t size;
        char bytes[1024];
    } made;
    size_t size;

    memcpy(&size, config, sizeof size);
    memset(&made, 0, sizeof made);
    memcpy(&made, config, size);
    made.bytes[size] = 7;
    made.size = size + 1;
    return &made;
}

static void *room(size_t size)
{
    void *fresh = calloc(1, size);
    if (!fresh) exit(1);
    return fresh;
}

static void sockets_refuse_what_they_do_not_know(void)
{
    twl_listener_config listening = TWL_LISTENER_CONFIG_INIT;
    twl_connector_config connecting = TWL_CONNECTOR_CONFIG_INIT;
    twl_datagram_config receiving = TWL_DATAGRAM_CONFIG_INIT;
    twl_reactor *reactor = reactor_new();
    void *listener = room(twl_listener_size());
    void *connector = room(twl_connector_size());
    void *datagram = room(twl_datagram_size());
    twl_address here;

    CHECK_INT(0, twl_address_parse(&here, "127.0.0.1", 0));
    listening.address = connecting.address = receiving.address = &here;
    twl_listener_init(listener, reactor, NULL, NULL);
    twl_connector_init(connector, reactor, NULL, NULL);
    twl_datagram_init(datagram, reactor, NULL, NULL);
    CHECK_INT(TWL_EINVAL, twl_listener_open(listener, newer(&listening)));
    CHECK_INT(TWL_EINVAL, twl_connector_start(connector, newer(&connecting)));
    CHECK_INT(TWL_EINVAL, twl_datagram_open(datagram, newer(&receiving)));
    twl_reactor_close(reactor);
    free(listener);
    free(connector);
    free(datagram);
}

static void a_listener_has_defaults_for_an_older_program(void)
{
    twl_listener_config older = TWL_LISTENER_CONFIG_INIT;
    twl_reactor *reactor = reactor_new();
    void *listener = room(twl_listener_size());
    twl_address here;

    CHECK_INT(0, twl_address_parse(&here, "127.0.0.1", 0));
    older.address = &here;
    older.size = offsetof(twl_listener_config, backlog);
    older.backlog = -7; /* what lies behind it in that program's memory */
    twl_listener_init(listener, reactor, NULL, NULL);
    CHECK_INT(0, twl_listener_open(listener, &older));
    twl_reactor_close(reactor);
    free(listener);
}

static void names_refuse_what_they_do_not_know(void)
{
    twl_resolver_config resolving = TWL_RESOLVER_CONFIG_INIT;
    twl_lookup_config asking = TWL_LOOKUP_CONFIG_INIT;
    twl_reactor *reactor = reactor_new();
    void *lookup = room(twl_lookup_size());

    asking.name = "localhost";
    twl_lookup_init(lookup, reactor, NULL, NULL);
    CHECK_INT(TWL_EINVAL, twl_resolver_configure(reactor, newer(&resolving)));
    CHECK_INT(TWL_EINVAL, twl_lookup_start(lookup, newer(&asking)));
    twl_reactor_close(reactor);
    free(lookup);
}

static void processes_and_threads_refuse_what_they_do_not_know(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL};
    twl_process_config running = TWL_PROCESS_CONFIG_INIT;
    twl_workers_config working = TWL_WORKERS_CONFIG_INIT;
    twl_reactor *reactor = reactor_new();
    void *process = room(twl_process_size());
    void *workers = room(twl_workers_size());
    const char *step = NULL;

    running.executable = "/bin/true";
    running.arguments = arguments;
    twl_process_init(process, reactor, NULL, NULL);
    twl_workers_init(workers, reactor);
    CHECK_INT(TWL_EINVAL, twl_process_spawn(process, newer(&running), &step));
    CHECK_TEXT("config", step);
    CHECK_INT(TWL_EINVAL, twl_workers_open(workers, newer(&working)));
    twl_reactor_close(reactor);
    free(process);
    free(workers);
}

static void tls_refuses_what_it_does_not_know(void)
{
    twl_tls_config securing = TWL_TLS_CONFIG_INIT;
    twl_tls_start starting = TWL_TLS_START_INIT;
    twl_reactor *reactor = reactor_new();
    void *stream = room(twl_stream_size());
    twl_tls_context *context = NULL;
    char error[80] = "";
    int ends[2];

    securing.trust_system = false;
    CHECK_INT(TWL_EINVAL, twl_tls_context_open(newer(&securing), error,
                                               sizeof error, &context));
    CHECK_TEXT("the settings are of another version", error);
    CHECK_INT(0,
              twl_tls_context_open(&securing, error, sizeof error, &context));
    CHECK_INT(TWL_EINVAL, twl_tls_context_reload(context, newer(&securing),
                                                 error, sizeof error));
    CHECK_INT(0, twl_pipe_pair(TWL_READ, &ends[0], &ends[1]));
    starting.context = context;
    twl_stream_init(stream, reactor, ends[0], NULL, NULL, NULL);
    CHECK_INT(TWL_EINVAL, twl_stream_start_tls(stream, newer(&starting)));
    twl_stream_discard(stream);
    close(ends[1]);
    twl_tls_context_release(context);
    twl_reactor_close(reactor);
    free(stream);
}

static void parsers_and_coders_refuse_what_they_do_not_know(void)
{
    twl_http1_limits limits = TWL_HTTP1_LIMITS_INIT;
    twl_coder_config coding = TWL_CODER_CONFIG_INIT;
    twl_http1_chunks chunks = {0};
    twl_http1_line lines[4];
    twl_http1_head head;
    void *coder = room(twl_coder_size());
    size_t used, data;

    coding.coding = TWL_CODING_GZIP;
    CHECK_INT(TWL_EINVAL, twl_coder_init(coder, newer(&coding)));
    twl_http1_head_init(&head, lines, 4);
    CHECK_INT(TWL_EINVAL,
              twl_http1_parse_request("GET", 3, newer(&limits), &head));
    CHECK_INT(TWL_EINVAL,
              twl_http1_parse_response("HTTP", 4, 0, newer(&limits), &head));
    CHECK_INT(TWL_EINVAL,
              twl_http1_parse_trailers("a", 1, newer(&limits), &head));
    CHECK_INT(TWL_EINVAL, twl_http1_chunks_next(&chunks, "1", 1, newer(&limits),
                                                &used, &data));
    /* An older one knows of lines only. */
    limits.size = offsetof(twl_http1_limits, head);
    limits.line = 5;
    limits.head = 1;
    twl_http1_head_init(&head, lines, 4);
    CHECK_INT(TWL_EHTTP_LINE_SIZE,
              twl_http1_parse_request("GET /abc", 8, &limits, &head));
    free(coder);
}

static void reactors_refuse_what_they_do_not_know(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor;

    CHECK_INT(TWL_EINVAL, twl_reactor_open(newer(&config), &reactor));
}

int main(void)
{
    check_begin();
    RUN(tells_its_version);
    RUN(takes_what_is_set);
    RUN(keeps_defaults_that_an_older_program_does_not_know);
    RUN(takes_a_newer_program_that_sets_nothing_new);
    RUN(refuses_what_it_does_not_know);
    RUN(reactors_refuse_what_they_do_not_know);
    RUN(sockets_refuse_what_they_do_not_know);
    RUN(a_listener_has_defaults_for_an_older_program);
    RUN(names_refuse_what_they_do_not_know);
    RUN(processes_and_threads_refuse_what_they_do_not_know);
    RUN(tls_refuses_what_it_does_not_know);
    RUN(parsers_and_coders_refuse_what_they_do_not_know);
    return check_end();
}
