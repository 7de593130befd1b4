/* SPDX-License-Identifier: MIT
 * reactor.c -- the loop: opening a backend, turns, jobs, closing.
 * Invariant: the idle watcher is active at the wait exactly when jobs are waiting. */
#include "reactor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#include "buffer.h"
#include "socket.h"
#include "tls.h"

static const struct backend {
    const char *name;
    unsigned flag;
} BACKENDS[] = {
    {"epoll", EVBACKEND_EPOLL},   {"kqueue", EVBACKEND_KQUEUE},
    {"port", EVBACKEND_PORT},     {"poll", EVBACKEND_POLL},
    {"select", EVBACKEND_SELECT},
};

enum { BACKEND_COUNT = sizeof BACKENDS / sizeof BACKENDS[0] };

void *twl__default_alloc(void *context, void *block, size_t old_size,
                         size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

void *twl__realloc(twl_reactor *reactor, void *block, size_t old_size,
                   size_t new_size)
{
    return reactor->alloc(reactor->alloc_context, block, old_size, new_size);
}

void *twl__alloc(twl_reactor *reactor, size_t size)
{
    return twl__realloc(reactor, NULL, 0, size);
}

void twl__free(twl_reactor *reactor, void *block, size_t size)
{
    if (block) twl__realloc(reactor, block, size, 0);
}

/* [flag] of a backend that this libev has, or 0. */
static unsigned usable(const struct backend *backend)
{
    return backend->flag & ev_supported_backends();
}

const char *const *twl_reactor_backends(void)
{
    /* A constant table for each kind of system: nothing is written, any thread may ask. */
    static const char *const linux_names[] = {"epoll", "poll", "select", NULL};
    static const char *const bsd_names[] = {"kqueue", "poll", "select", NULL};
    static const char *const posix_names[] = {"poll", "select", NULL};
    unsigned supported = ev_supported_backends();

    if (supported & EVBACKEND_EPOLL) return linux_names;
    if (supported & EVBACKEND_KQUEUE) return bsd_names;
    return posix_names;
}

const char *twl_libev_version(void)
{
    /* libev tells its version as numbers only; the header's is the one compiled for. */
#define TEXT(x) #x
#define VERSION(major, minor) TEXT(major) "." TEXT(minor)
    return VERSION(EV_VERSION_MAJOR, EV_VERSION_MINOR);
#undef VERSION
#undef TEXT
}

static int open_loop(const char *name, struct ev_loop **out)
{
    unsigned flags = EVFLAG_AUTO;

    if (name) {
        flags = 0;
        for (int i = 0; i < BACKEND_COUNT; i++) {
            if (strcmp(BACKENDS[i].name, name) == 0)
                flags = usable(&BACKENDS[i]);
        }
        if (!flags) return TWL_EBACKEND;
    }
    *out = ev_loop_new(flags | EVFLAG_NOENV);
    return *out ? 0 : TWL_EBACKEND;
}

/* libev takes up to two descriptors for its wake-ups and aborts where there are none. */
static int check_descriptors(void)
{
    int first = twl__reserve_open(), second = twl__reserve_open();
    int rc = second < 0 ? -EMFILE : 0;

    twl_fd_close(first);
    twl_fd_close(second);
    return rc;
}

char *twl__read_buffer(twl_reactor *reactor)
{
    if (!reactor->read_buffer)
        reactor->read_buffer = twl__alloc(reactor, TWL__READ_SIZE);
    return reactor->read_buffer;
}

bool twl__reactor_is_late(const twl_reactor *reactor)
{
    return reactor->deadline > 0. &&
           twl_reactor_seconds(NULL) >= reactor->deadline;
}

/* A job may turn the host's loop, and so come here again: then that runs what is left. */
static void run_jobs(twl_reactor *reactor)
{
    twl__list_append_all(&reactor->jobs, &reactor->running_jobs);
    while (!twl__list_empty(&reactor->running_jobs)) {
        struct twl__link *link = reactor->running_jobs.next;
        twl_job *job = TWL__CONTAINER(twl_job, link, link);
        twl__unlink(link);
        job->run(job);
        if (twl__reactor_is_late(reactor))
            twl__list_prepend_all(&reactor->running_jobs, &reactor->jobs);
    }
}

/* The loop that turns us was to be left, maybe by somebody who was in a loop inside that. */
static void leave_loop(twl_reactor *reactor)
{
    if (reactor->running && ev_depth(reactor->loop) == reactor->depth)
        ev_break(reactor->loop, EVBREAK_ONE);
}

static void before_wait(struct ev_loop *loop, ev_prepare *prepare, int events)
{
    twl_reactor *reactor = prepare->data;
    void (*at_wait)(void *context) = reactor->at_wait;
    (void)events;

    run_jobs(reactor);
    twl__watches_check(reactor);
    twl__timers_arm(reactor);
    if (reactor->broken) leave_loop(reactor);
    if (twl__list_empty(&reactor->jobs) && !reactor->at_wait)
        ev_idle_stop(loop, &reactor->busy);
    else
        ev_idle_start(loop, &reactor->busy);
    if (at_wait)
        at_wait(reactor->at_wait_context); /* the reactor may be gone */
}

static void do_nothing(struct ev_loop *loop, ev_idle *idle, int events)
{
    (void)loop;
    (void)idle;
    (void)events;
}

static int complete(twl_reactor *reactor, const twl_reactor_config *config)
{
    int rc;

    twl__list_init(&reactor->jobs);
    twl__list_init(&reactor->running_jobs);
    twl__list_init(&reactor->alarms);
    atomic_init(&reactor->wake_fd, -1);
    twl__list_init(&reactor->streams);
    twl__list_init(&reactor->listeners);
    twl__list_init(&reactor->connectors);
    twl__list_init(&reactor->datagrams);
    twl__list_init(&reactor->watches);
    twl__list_init(&reactor->signals);
    twl__list_init(&reactor->workers);
    twl__list_init(&reactor->channel_ends);
    twl__list_init(&reactor->pipes);
    twl__list_init(&reactor->processes);
    reactor->reserve_fd = -1;
    reactor->loop = config->loop;
    if (config->loop) return check_descriptors();
    reactor->owns_loop = true;
    if ((rc = open_loop(config->backend, &reactor->loop)) < 0) return rc;
    if ((rc = check_descriptors()) < 0) ev_loop_destroy(reactor->loop);
    return rc;
}

int twl_reactor_open(const twl_reactor_config *config, twl_reactor **out)
{
    twl_reactor_config own = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor;
    int rc;

    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    twl_alloc_fn alloc = own.alloc ? own.alloc : twl__default_alloc;
    reactor = alloc(own.alloc_context, NULL, 0, sizeof *reactor);
    if (!reactor) return TWL_ENOMEM;
    memset(reactor, 0, sizeof *reactor);
    reactor->alloc = alloc;
    reactor->alloc_context = own.alloc_context;
    if ((rc = complete(reactor, &own)) < 0) {
        alloc(own.alloc_context, reactor, sizeof *reactor, 0);
        return rc;
    }
    ev_prepare_init(&reactor->before_wait, before_wait);
    reactor->before_wait.data = reactor;
    ev_prepare_start(reactor->loop, &reactor->before_wait);
    ev_unref(reactor->loop); /* a host's loop may end while we are idle */
    ev_idle_init(&reactor->busy, do_nothing);
    twl__timers_open(reactor);
    twl__wakeup_open(reactor);
    *out = reactor;
    return 0;
}

/* The host may cancel its jobs also when the reactor is gone. */
static void forget_jobs(struct twl__link *jobs)
{
    while (!twl__list_empty(jobs)) twl__unlink(jobs->next);
}

/* What objects may be in once more after the reactor was retired, too. */
static void close_objects(twl_reactor *reactor)
{
    twl__workers_close(reactor); /* what they call still finds the rest */
    twl__channel_ends_close(reactor);
    twl__streams_close(reactor);
    twl__listeners_close(reactor);
    twl__connectors_close(reactor);
    twl__datagrams_close(reactor);
    twl__watches_close(reactor);
    twl__processes_close(reactor);
    twl__pipes_close(reactor);
    twl__signals_close(reactor);
    twl__resolver_close(reactor);
    twl__timers_close(reactor);
    twl__segments_close(reactor);
    forget_jobs(&reactor->jobs);
    forget_jobs(&reactor->running_jobs);
    ev_idle_stop(reactor->loop, &reactor->busy);
}

/* Close all but the memory. */
static void shut(twl_reactor *reactor)
{
    twl__wakeup_await_posters(reactor);
    twl__reactor_run_posts(reactor);
    close_objects(reactor);
    twl__foreign_close(reactor);
    twl__wakeup_close(reactor);
    ev_ref(reactor->loop);
    ev_prepare_stop(reactor->loop, &reactor->before_wait);
    if (reactor->owns_loop) ev_loop_destroy(reactor->loop);
    twl_fd_close(reactor->reserve_fd);
    reactor->reserve_fd = -1;
    twl__free(reactor, reactor->read_buffer, TWL__READ_SIZE);
    reactor->read_buffer = NULL;
}

void twl__reactor_retire(twl_reactor *reactor)
{
    shut(reactor);
    /* Watchers that are started by mistake are in a loop that nobody runs. */
    reactor->loop = ev_loop_new(EVBACKEND_SELECT | EVFLAG_NOENV);
    reactor->owns_loop = true;
    reactor->retired = true;
}

void twl_reactor_close(twl_reactor *reactor)
{
    if (!reactor) return;
    if (reactor->retired) {
        close_objects(reactor);
        ev_loop_destroy(reactor->loop);
    } else {
        shut(reactor);
    }
    twl__tls_close_reactor(reactor); /* sessions may have outlived the rest */
    reactor->alloc(reactor->alloc_context, reactor, sizeof *reactor, 0);
}

static int begin(twl_reactor *reactor)
{
    if (reactor->running) return TWL_EBUSY;
    reactor->running = true;
    reactor->broken = false;
    reactor->depth = ev_depth(reactor->loop) + 1;
    ev_ref(reactor->loop); /* it waits even if there is nothing to wait for */
    return 0;
}

static void end(twl_reactor *reactor)
{
    ev_unref(reactor->loop);
    reactor->running = false;
}

int twl_reactor_run(twl_reactor *reactor)
{
    int rc = begin(reactor);

    if (rc < 0) return rc;
    while (!reactor->broken) ev_run(reactor->loop, 0);
    end(reactor);
    return 0;
}

static void give_up(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)timer;
    (void)events;
}

int twl__reactor_step(twl_reactor *reactor, double timeout, double budget)
{
    ev_timer limit;
    int rc;

    if (isnan(timeout) || timeout < 0) return TWL_EINVAL;
    if (isnan(budget) || budget < 0) return TWL_EINVAL;
    if ((rc = begin(reactor)) < 0) return rc;
    if (budget > 0) reactor->deadline = twl_reactor_seconds(reactor) + budget;
    if (timeout == 0) {
        ev_run(reactor->loop, EVRUN_NOWAIT);
    } else {
        ev_timer_init(&limit, give_up, fmin(timeout, 1e6), 0.);
        ev_timer_start(reactor->loop, &limit);
        ev_run(reactor->loop, EVRUN_ONCE);
        ev_timer_stop(reactor->loop, &limit);
    }
    /* What the turn's callbacks wrote leaves with it. */
    if (!twl__reactor_is_late(reactor)) run_jobs(reactor);
    reactor->deadline = 0.;
    end(reactor);
    return 0;
}

int twl_reactor_step(twl_reactor *reactor, double timeout)
{
    return twl__reactor_step(reactor, timeout, 0.);
}

void twl_reactor_break(twl_reactor *reactor)
{
    reactor->broken = true;
    leave_loop(reactor);
}

void twl__reactor_at_wait(twl_reactor *reactor, void (*fn)(void *context),
                          void *context)
{
    reactor->at_wait = fn;
    reactor->at_wait_context = context;
    ev_idle_start(reactor->loop, &reactor->busy);
}

bool twl__reactor_has_work(const twl_reactor *reactor)
{
    return !twl__list_empty(&reactor->jobs) ||
           atomic_load_explicit(&reactor->posts, memory_order_acquire);
}

void twl__reactor_hold(twl_reactor *reactor, bool held)
{
    if (held)
        ev_ref(reactor->loop);
    else
        ev_unref(reactor->loop);
}

double twl_reactor_seconds(twl_reactor *reactor)
{
    struct timespec now;
    (void)reactor;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double twl__reactor_turn(const twl_reactor *reactor)
{
    return ev_now(reactor->loop);
}

const char *twl_reactor_backend(twl_reactor *reactor)
{
    for (int i = 0; i < BACKEND_COUNT; i++) {
        if (BACKENDS[i].flag == ev_backend(reactor->loop))
            return BACKENDS[i].name;
    }
    return "other";
}

void twl_reactor_soon(twl_reactor *reactor, twl_job *job)
{
    if (twl__linked(&job->link)) return;
    /* A host's loop must not end before it has run. */
    if (!reactor->owns_loop) ev_idle_start(reactor->loop, &reactor->busy);
    twl__list_append(&reactor->jobs, &job->link);
}

void twl_job_cancel(twl_job *job)
{
    twl__unlink(&job->link);
}
