/* SPDX-License-Identifier: MIT
 * watch.c -- readiness of descriptors that belong to the host.
 * Invariant: a watch is in reactor->watches exactly while its ev_io is active. */
#include "reactor.h"

struct twl_watch {
    struct twl__link link;
    twl_reactor *reactor;
    twl_watch_fn fn;
    void *context;
    ev_io io;
};

_Static_assert((int)TWL_READ == EV_READ && (int)TWL_WRITE == EV_WRITE,
               "event bits are those of libev");

static void on_ready(struct ev_loop *loop, ev_io *io, int events)
{
    twl_watch *watch = io->data;
    (void)loop;
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
    struct ev_loop *loop = watch->reactor->loop;

    if ((events & ~(TWL_READ | TWL_WRITE)) || watch->io.fd < 0)
        return TWL_EINVAL;
    if (twl_watch_events(watch) == events) return 0;
    ev_io_stop(loop, &watch->io);
    twl__unlink(&watch->link);
    if (!events) return 0;
    twl__watches_forget(watch->reactor, watch->io.fd);
    ev_io_set(&watch->io, watch->io.fd, events);
    ev_io_start(loop, &watch->io);
    twl__list_append(&watch->reactor->watches, &watch->link);
    return 0;
}

void twl__watches_forget(twl_reactor *reactor, int fd)
{
    struct twl__link *link = reactor->watches.next;

    while (link != &reactor->watches) {
        twl_watch *watch = TWL__CONTAINER(twl_watch, link, link);
        link = link->next;
        if (watch->io.fd != fd) continue;
        twl_watch_set(watch, 0);
        watch->fn(watch, 0);
    }
}

void twl__watches_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->watches))
        twl_watch_set(TWL__CONTAINER(twl_watch, link, reactor->watches.next), 0);
}
