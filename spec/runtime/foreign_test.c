/* SPDX-License-Identifier: MIT
 * foreign_test.c -- a reactor inside another loop: here, poll() by hand. Whatever happens must
 * make the descriptor readable, or have been foretold by the time-out; nothing here looks twice. */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include "check.h"

static twl_reactor *foreign_reactor(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;

    config.backend = "epoll";
    config.alloc = counted_alloc;
    if (!CHECK_INT(0, twl_reactor_open(&config, &reactor))) exit(1);
    CHECK(twl_reactor_fd(reactor) >= 0);
    return reactor;
}

/* Wait as a host does; for ever would be the alarm of check.h. Returns whether it was woken before
 * the time-out. */
static bool wait_as_host(twl_reactor *reactor)
{
    struct pollfd fd = {.fd = twl_reactor_fd(reactor), .events = POLLIN};
    double timeout;
    int rc;

    CHECK_INT(0, twl_reactor_prepare(reactor));
    timeout = twl_reactor_timeout(reactor);
    rc = poll(&fd, 1, timeout < 0 ? -1 : (int)ceil(timeout * 1000));
    return rc > 0;
}

static void note(twl_watch *watch, int events)
{
    char bytes[16];

    *(int *)twl_watch_context(watch) |= events;
    if (events & TWL_READ && read(twl_watch_fd(watch), bytes, 16) < 0) return;
}

static void count(twl_timer *timer)
{
    ++*(int *)twl_timer_context(timer);
}

/* ---- What it tells ------------------------------------------------------------------------ */

static void tells_a_descriptor_that_stays(void)
{
    twl_reactor *reactor = foreign_reactor();
    int fd = twl_reactor_fd(reactor);

    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    twl_reactor_step(reactor, 0);
    CHECK_INT(fd, twl_reactor_fd(reactor));
    twl_reactor_close(reactor);
}

static void has_none_with_other_backends(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    static const char *const names[] = {"poll", "select"};

    for (int i = 0; i < 2; i++) {
        twl_reactor *reactor;
        config.backend = names[i];
        CHECK_INT(0, twl_reactor_open(&config, &reactor));
        CHECK_INT(TWL_ENOTSUP, twl_reactor_fd(reactor));
        CHECK_INT(TWL_ENOTSUP, twl_reactor_prepare(reactor));
        twl_reactor_close(reactor);
    }
}

static void tells_when_the_next_timer_is_due(void)
{
    twl_reactor *reactor = foreign_reactor();
    twl_timer *timer = malloc(twl_timer_size());
    int calls = 0;
    double wait;

    CHECK(twl_reactor_timeout(reactor) < 0);
    twl_timer_init(timer, reactor, count, &calls);
    twl_timer_start(timer, 100.);
    wait = twl_reactor_timeout(reactor);
    CHECK(wait > 99. && wait <= 100.);
    twl_timer_start(timer, 0.);
    CHECK(twl_reactor_timeout(reactor) == 0.);
    twl_reactor_step(reactor, 0);
    CHECK_INT(1, calls);
    CHECK(twl_reactor_timeout(reactor) < 0);
    twl_reactor_close(reactor);
    free(timer);
}

static void end_attempt(twl_connector *connector, int code, int fd,
                        bool binding)
{
    (void)connector, (void)code, (void)binding;
    twl_fd_close(fd);
}

/* A time-out that is no timer of the host's. */
static void tells_when_an_attempt_to_connect_times_out(void)
{
    twl_reactor *reactor = foreign_reactor();
    twl_connector *connector = malloc(twl_connector_size());
    twl_connector_config config = TWL_CONNECTOR_CONFIG_INIT;
    twl_address address;
    double wait;

    twl_address_parse(&address, "192.0.2.1", 9);
    config.address = &address;
    config.timeout = 50.;
    twl_connector_init(connector, reactor, end_attempt, NULL);
    if (twl_connector_start(connector, &config) == 0) {
        wait = twl_reactor_timeout(reactor);
        /* Without a route it has failed already. */
        CHECK(wait == 0. || (wait > 49. && wait <= 50.));
        twl_connector_cancel(connector);
        CHECK(twl_reactor_timeout(reactor) <= 0.);
    }
    twl_reactor_close(reactor);
    free(connector);
}

/* ---- What wakes it ------------------------------------------------------------------------ */

static void wakes_for_an_interest_that_came_since(void)
{
    twl_reactor *reactor = foreign_reactor();
    twl_watch *watch = malloc(twl_watch_size());
    int ends[2], events = 0;

    CHECK_INT(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    twl_reactor_step(reactor, 0);
    twl_watch_init(watch, reactor, ends[0], note, &events);
    twl_watch_set(watch, TWL_READ);
    CHECK_INT(1, write(ends[1], "x", 1));
    CHECK(wait_as_host(reactor));
    CHECK_INT(0, events); /* nothing is called before the step */
    twl_reactor_step(reactor, 0);
    CHECK_INT(TWL_READ, events);

    twl_watch_set(watch, TWL_READ | TWL_WRITE);
    CHECK(wait_as_host(reactor));
    twl_reactor_step(reactor, 0);
    CHECK_INT(TWL_READ | TWL_WRITE, events);

    twl_watch_set(watch, 0);
    twl_reactor_close(reactor);
    close(ends[0]);
    close(ends[1]);
    free(watch);
}

/* epoll does not take a regular file: libev calls for it in each turn, without the descriptor. */
static void does_not_sleep_with_a_regular_file(void)
{
    twl_reactor *reactor = foreign_reactor();
    twl_watch *watch = malloc(twl_watch_size());
    int fd = open("/proc/self/exe", O_RDONLY), events = 0;

    twl_watch_init(watch, reactor, fd, note, &events);
    twl_watch_set(watch, TWL_READ);
    wait_as_host(reactor);
    twl_reactor_step(reactor, 0);
    CHECK(events & TWL_READ);
    wait_as_host(reactor);
    twl_watch_set(watch, 0);
    twl_reactor_close(reactor);
    close(fd);
    free(watch);
}

static void set_flag(void *context)
{
    *(bool *)context = true;
}

struct poster {
    twl_reactor *reactor;
    bool arrived;
};

static void *post(void *context)
{
    struct poster *poster = context;

    twl_reactor_post(poster->reactor, set_flag, &poster->arrived);
    return NULL;
}

/* Whether the post comes before, during or after the wait: a hundred chances. */
static void wakes_for_posts_of_threads(void)
{
    twl_reactor *reactor = foreign_reactor();

    for (int i = 0; i < 100; i++) {
        struct poster poster = {reactor, false};
        pthread_t thread;

        twl_reactor_prepare(reactor);
        pthread_create(&thread, NULL, post, &poster);
        while (!poster.arrived) {
            wait_as_host(reactor);
            twl_reactor_step(reactor, 0);
        }
        pthread_join(thread, NULL);
    }
    twl_reactor_step(reactor, 0);
    twl_reactor_prepare(reactor);
    CHECK(twl_reactor_timeout(reactor) < 0); /* and sleeps again */
    twl_reactor_close(reactor);
}

static void note_signal(twl_signal *taken)
{
    ++*(int *)twl_signal_context(taken);
}

/* It comes between the preparation and the wait: libev alone would not tell. */
static void wakes_for_signals(void)
{
    twl_reactor *reactor = foreign_reactor();
    twl_signal *taken = malloc(twl_signal_size());
    struct pollfd fd = {.fd = twl_reactor_fd(reactor), .events = POLLIN};
    int signals = 0;

    twl_signal_init(taken, reactor, SIGUSR1, note_signal, &signals);
    CHECK_INT(0, twl_signal_start(taken));
    twl_reactor_step(reactor, 0);
    twl_reactor_prepare(reactor);
    CHECK(twl_reactor_timeout(reactor) < 0);
    raise(SIGUSR1);
    CHECK_INT(1, poll(&fd, 1, 5000));
    twl_reactor_step(reactor, 0);
    CHECK_INT(1, signals);
    twl_signal_stop(taken);
    twl_reactor_close(reactor);
    free(taken);
}

int main(void)
{
    check_begin();
    RUN(tells_a_descriptor_that_stays);
    RUN(has_none_with_other_backends);
    RUN(tells_when_the_next_timer_is_due);
    RUN(tells_when_an_attempt_to_connect_times_out);
    RUN(wakes_for_an_interest_that_came_since);
    RUN(does_not_sleep_with_a_regular_file);
    RUN(wakes_for_posts_of_threads);
    RUN(wakes_for_signals);
    return check_end();
}
