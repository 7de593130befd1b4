/* SPDX-License-Identifier: MIT
 * watch.c -- readiness of descriptors that belong to the host.
 * libev aborts when it is to look at a descriptor that is closed: what it is given is looked at
 * before.
 * Invariant: a watch is in reactor->watches exactly while its ev_io is active. */
#include <fcntl.h>

#include "reactor.h"

struct twl_watch {
    struct twl__link link;
    twl_reactor *reactor;
    twl_watch_fn fn;
    void *context;
    ev_io io;
    twl_job job; /* tells that the descriptor was lost */
    bool fresh;  /* libev has not looked at the descriptor yet */
};

_Static_assert((int)TWL_READ == EV_READ && (int)TWL_WRITE == EV_WRITE,
               "event bits are those of libev");

static void stop(twl_watch *watch)
{
    ev_io_stop(watch->reactor->loop, &watch->io);
    twl__unlink(&watch->link);
}

/* Its function may do anything: it is not called from within what found out. */
static void lose(twl_watch *watch)
{
    stop(watch);
    twl_reactor_soon(watch->reactor, &watch->job);
}

static void tell_loss(twl_job *job)
{
    twl_watch *watch = TWL__CONTAINER(twl_watch, job, job);
    watch->fn(watch, 0);
}

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    twl_watch *watch = io->data;
    (void)loop;

    if (events & EV_ERROR)
        lose(watch);
    else
        watch->fn(watch, events & (TWL_READ | TWL_WRITE));
}

size_t twl_watch_size(void)
{
    return sizeof(twl_watch);
}

void twl_watch_init(void *memory, twl_reactor *reactor, int fd, twl_watch_fn fn,
                    void *context)
{
    twl_watch *watch = memory;

    watch->link.next = watch->link.prev = NULL;
    watch->job = (twl_job){{NULL, NULL}, tell_loss};
    watch->fresh = false;
    watch->reactor = reactor;
    watch->fn = fn;
    watch->context = context;
    ev_io_init(&watch->io, on_ready, fd, 0);
    watch->io.data = watch;
}

void *twl_watch_context(const twl_watch *watch)
{
    return watch->context;
}

int twl_watch_events(const twl_watch *watch)
{
    return ev_is_active(&watch->io) ? watch->io.events & (TWL_READ | TWL_WRITE)
                                    : 0;
}

int twl_watch_fd(const twl_watch *watch)
{
    return watch->io.fd;
}

int twl_watch_set(twl_watch *watch, int events)
{
    if ((events & ~(TWL_READ | TWL_WRITE)) || watch->io.fd < 0)
        return TWL_EINVAL;
    twl_job_cancel(&watch->job);
    if (twl_watch_events(watch) == events) return 0;
    stop(watch);
    if (!events) return 0;
    twl__watches_forget(watch->reactor, watch->io.fd);
    watch->fresh = true;
    ev_io_set(&watch->io, watch->io.fd, events);
    ev_io_start(watch->reactor->loop, &watch->io);
    twl__list_append(&watch->reactor->watches, &watch->link);
    return 0;
}

static twl_watch *first_watch(twl_reactor *reactor)
{
    return TWL__CONTAINER(twl_watch, link, reactor->watches.next);
}

/* There is one at most: each new one makes the reactor forget the last. */
void twl__watches_forget(twl_reactor *reactor, int fd)
{
    struct twl__link *link = reactor->watches.next;

    for (; link != &reactor->watches; link = link->next) {
        twl_watch *watch = TWL__CONTAINER(twl_watch, link, link);
        if (watch->io.fd != fd) continue;
        lose(watch);
        return;
    }
}

void twl__watches_check(twl_reactor *reactor)
{
    /* poll looks at each descriptor every time, the others when it is new to them. */
    bool all = ev_backend(reactor->loop) == EVBACKEND_POLL;
    struct twl__link *link = reactor->watches.next;

    while (link != &reactor->watches) {
        twl_watch *watch = TWL__CONTAINER(twl_watch, link, link);
        link = link->next;
        if ((all || watch->fresh) && fcntl(watch->io.fd, F_GETFD) < 0)
            lose(watch);
        watch->fresh = false;
    }
}

void twl__watches_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->watches)) stop(first_watch(reactor));
}
