/* SPDX-License-Identifier: MIT
 * memory_test.c -- one scripted session with everything open, cut short after each turn and
 * with each request for memory refused in its time: nothing leaks, nothing crashes.
 * check.h counts bytes, blocks and descriptors around each test. */
#include <signal.h>
#include <sys/socket.h>

#include "check.h"

enum { TIMERS = 200, WRITES = 40, HELD = 8, TURNS = 400 };

static const char BLOCK[30000];

static struct session {
    twl_reactor *reactor;
    twl_listener *listener;
    twl_connector *connector;
    twl_stream *client, *server; /* NULL until connected, and once closed */
    twl_timer *timers[TIMERS];
    twl_watch *watch;
    twl_signal *taken;
    twl_job job;
    int pipe[2];
    int rung, held, released, refused;
    size_t written, echoed;
} session;

static int note_refusal(int rc)
{
    CHECK(rc == 0 || rc == TWL_ENOMEM);
    session.refused += rc < 0;
    return rc;
}

static void count_release(void *context, void *token)
{
    (void)context;
    (void)token;
    session.released++;
}

/* ---- Streams ------------------------------------------------------------------------------------ */

static void echo(twl_stream *stream, const char *bytes, size_t length)
{
    if (note_refusal(twl_stream_write(stream, bytes, length)) < 0)
        twl_stream_abort(stream, TWL_ECONNABORTED);
}

static void count_echo(twl_stream *stream, const char *bytes, size_t length)
{
    (void)bytes;
    session.echoed += length;
    if (session.echoed == session.written) twl_stream_close(stream);
}

static void forget(twl_stream *stream, int reason)
{
    session.refused += reason == TWL_ENOMEM; /* the memory to read into */
    if (stream == session.client) session.client = NULL;
    if (stream == session.server) session.server = NULL;
    free(stream);
}

static const twl_stream_events SERVER = {.on_read = echo, .on_closed = forget};
static const twl_stream_events CLIENT = {.on_read = count_echo,
                                         .on_closed = forget};

static twl_stream *stream_on(int fd, const twl_stream_events *events)
{
    twl_stream *stream = malloc(twl_stream_size());

    twl_stream_init(stream, session.reactor, fd, NULL, events, NULL);
    twl_stream_resume(stream);
    return stream;
}

static void write_much(twl_stream *stream)
{
    for (int i = 0; i < WRITES; i++) {
        size_t length = (size_t)(i * 517 % 9000 + 1);
        if (note_refusal(twl_stream_write(stream, BLOCK, length)) == 0)
            session.written += length;
        if (i % (WRITES / HELD) != 0) continue;
        session.held++;
        if (note_refusal(twl_stream_write_held(stream, BLOCK, sizeof BLOCK,
                                               count_release, NULL)) == 0)
            session.written += sizeof BLOCK;
    }
}

static void accepted(twl_listener *listener, int fd, const twl_address *peer)
{
    (void)listener;
    (void)peer;
    session.server = stream_on(fd, &SERVER);
}

static void connected(twl_connector *connector, int code, int fd, bool binding)
{
    (void)connector;
    (void)binding;
    if (!CHECK_INT(0, code)) return;
    session.client = stream_on(fd, &CLIENT);
    write_much(session.client);
}

/* ---- The rest of it ------------------------------------------------------------------------------- */

static void ring(twl_timer *timer)
{
    (void)timer;
    session.rung++;
}

static void ignore_post(void *context)
{
    (void)context;
}

static void stop_watch(twl_watch *watch, int events)
{
    (void)events;
    twl_watch_set(watch, 0);
}

static void ignore_signal(twl_signal *taken)
{
    (void)taken;
}

static void ask_again(twl_job *job)
{
    twl_reactor_soon(session.reactor, job);
}

static void start_timers(void)
{
    for (int i = 0; i < TIMERS; i++) {
        twl_timer *timer = malloc(twl_timer_size());
        session.timers[i] = timer;
        twl_timer_init(timer, session.reactor, ring, NULL);
        int rc = note_refusal(twl_timer_start(timer, i % 2 ? 0. : 3600.));
        CHECK_INT(rc == 0, twl_timer_active(timer));
    }
}

static void start_the_rest(void)
{
    static const twl_listener_events events = {accepted, NULL};
    twl_connector_config to = TWL_CONNECTOR_CONFIG_INIT;
    twl_listener_config at = TWL_LISTENER_CONFIG_INIT;
    twl_address address;

    session.listener = malloc(twl_listener_size());
    session.connector = malloc(twl_connector_size());
    session.watch = malloc(twl_watch_size());
    session.taken = malloc(twl_signal_size());
    twl_listener_init(session.listener, session.reactor, &events, NULL);
    twl_address_parse(&address, "127.0.0.1", 0);
    at.address = &address;
    CHECK_INT(0, twl_listener_open(session.listener, &at));
    CHECK_INT(0, twl_listener_local(session.listener, &address));
    twl_connector_init(session.connector, session.reactor, connected, NULL);
    to.address = &address;
    CHECK_INT(0, twl_connector_start(session.connector, &to));
    if (pipe(session.pipe) < 0) exit(1);
    twl_watch_init(session.watch, session.reactor, session.pipe[1], stop_watch,
                   NULL);
    CHECK_INT(0, twl_watch_set(session.watch, TWL_WRITE));
    twl_signal_init(session.taken, session.reactor, SIGUSR1, ignore_signal,
                    NULL);
    CHECK_INT(0, twl_signal_start(session.taken));
    session.job = (twl_job){{NULL, NULL}, ask_again};
    twl_reactor_soon(session.reactor, &session.job);
    twl_reactor_post(session.reactor, ignore_post, NULL);
}

/* False if there was no memory for a reactor. */
static bool session_begin(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;

    memset(&session, 0, sizeof session);
    config.backend = check.backend;
    config.alloc = counted_alloc;
    if (note_refusal(twl_reactor_open(&config, &session.reactor)) < 0)
        return false;
    start_timers();
    start_the_rest();
    return true;
}

static bool is_over(void)
{
    return session.written > 0 && !session.client && !session.server;
}

/* The reactor goes first: whatever is open then is open for good. */
static void session_end(void)
{
    twl_reactor_close(session.reactor);
    CHECK_INT(session.held, session.released);
    for (int i = 0; i < TIMERS; i++) free(session.timers[i]);
    free(session.listener), free(session.connector), free(session.watch);
    free(session.taken), free(session.client), free(session.server);
    close(session.pipe[0]), close(session.pipe[1]);
}

/* ---- The tests ------------------------------------------------------------------------------------- */

static void does_all_its_work_with_enough_memory(void)
{
    CHECK(session_begin());
    TURN_UNTIL(session.reactor, is_over() && session.rung == TIMERS / 2);
    CHECK_INT(session.written, session.echoed);
    CHECK(session.written > HELD * sizeof BLOCK);
    CHECK_INT(HELD, session.released);
    CHECK_INT(0, session.refused);
    session_end();
}

static void gives_everything_back_when_closed_after_any_turn(void)
{
    int turns = 0;

    for (bool over = false; !over && turns < TURNS; turns++) {
        CHECK(session_begin());
        for (int i = 0; i < turns; i++) twl_reactor_step(session.reactor, 0.);
        over = is_over();
        session_end();
        CHECK_INT(0, memory.bytes);
        CHECK_INT(0, memory.blocks);
    }
    CHECK(turns > 3);
    CHECK(turns < TURNS);
}

static void survives_the_refusal_of_each_request_for_memory(void)
{
    size_t request = 0, refused;

    do {
        memory.requests = 0;
        memory.fail_at = ++request;
        if (session_begin()) {
            for (int i = 0; i < TURNS && !is_over(); i++)
                twl_reactor_step(session.reactor, 0.);
            refused = (size_t)session.refused;
            session_end();
        } else {
            refused = 1;
        }
        CHECK_INT(0, memory.bytes);
        CHECK_INT(0, memory.blocks);
        /* Each refusal is told, once. */
        CHECK_INT(memory.requests >= request, refused);
    } while (refused > 0);
    CHECK(request > 20);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(does_all_its_work_with_enough_memory);
    RUN_EVERYWHERE(gives_everything_back_when_closed_after_any_turn);
    RUN_EVERYWHERE(survives_the_refusal_of_each_request_for_memory);
    return check_end();
}
