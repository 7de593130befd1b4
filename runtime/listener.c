/* SPDX-License-Identifier: MIT
 * listener.c -- sockets that accept connections.
 * Accepts come in batches whose size follows the load. Out of descriptors, the reactor's
 * reserve one is given up for a moment so that the surplus can be refused: otherwise the
 * socket would stay readable and the loop would spin without serving anybody. Where there is
 * not even that one, or the system is out of memory, the listener rests for a moment. */
#include <string.h>

#include "abi.h"
#include "reactor.h"
#include "socket.h"

enum { LARGEST_BATCH = 64 };

static const double REST = 0.1; /* seconds */

struct twl_listener {
    struct twl__link link; /* in reactor->listeners while open */
    twl_reactor *reactor;
    const twl_listener_events *events;
    void *context;
    ev_io io;
    struct twl__alarm rest; /* active while nothing can be accepted */
    bool paused;
    int batch;   /* accepts in one turn: it doubles until one comes too many */
    bool locked; /* it holds the lock of a UNIX socket */
    bool *
        closed; /* set by a close inside on_io: the memory may be gone by then */
    struct twl__file file;
};

static bool is_open(const twl_listener *listener)
{
    return listener->io.fd >= 0;
}

static void report(twl_listener *listener, int code)
{
    if (listener->events->on_error) listener->events->on_error(listener, code);
}

static void take_rest(twl_listener *listener)
{
    ev_io_stop(listener->reactor->loop, &listener->io);
    twl__alarm_start(listener->reactor, &listener->rest, REST);
}

static void on_rested(struct twl__alarm *rest)
{
    twl_listener *listener = TWL__CONTAINER(twl_listener, rest, rest);

    if (!listener->paused) ev_io_start(listener->reactor->loop, &listener->io);
}

static void refuse_surplus(twl_listener *listener, int code)
{
    twl_reactor *reactor = listener->reactor;
    twl_address peer;
    int fd, rc = code;

    for (int i = 0; i < LARGEST_BATCH && reactor->reserve_fd >= 0; i++) {
        twl_fd_close(reactor->reserve_fd);
        if ((rc = twl__socket_accept(listener->io.fd, &fd, &peer)) == 0)
            twl_fd_close(fd);
        reactor->reserve_fd = twl__reserve_open();
        if (rc < 0) break;
    }
    if (rc < 0 && rc != TWL__AGAIN) take_rest(listener);
    report(listener, code);
}

/* Errors that come back at once as long as nothing else changes. */
static bool lasts(int code)
{
    return code == -ENOBUFS || code == TWL_ENOMEM;
}

/* It could not be opened while there were no descriptors, or another thread took its place. */
static void renew_reserve(twl_reactor *reactor)
{
    if (reactor->reserve_fd < 0) reactor->reserve_fd = twl__reserve_open();
}

/* One accept; false when there is no more to be had in this turn. */
static bool accept_one(twl_listener *listener)
{
    twl_address peer;
    int fd, rc = twl__socket_accept(listener->io.fd, &fd, &peer);

    if (rc == 0) {
        renew_reserve(listener->reactor);
        listener->events->on_accept(listener, fd, &peer);
    } else if (rc == -EMFILE || rc == -ENFILE) {
        refuse_surplus(listener, rc);
    } else if (rc != TWL__AGAIN && rc != TWL_ECONNABORTED) {
        if (lasts(rc)) take_rest(listener);
        report(listener, rc);
    }
    return rc == 0 || rc == TWL_ECONNABORTED;
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    twl_listener *listener = io->data;
    int accepted = 0, batch = listener->batch;
    bool closed = false;
    (void)loop;
    (void)events;

    listener->closed = &closed;
    while (accepted < batch && accept_one(listener)) {
        if (closed) return;
        accepted++;
        if (!ev_is_active(io)) break;
    }
    if (closed) return;
    listener->closed = NULL;
    if (accepted == batch)
        listener->batch = batch < LARGEST_BATCH ? batch * 2 : LARGEST_BATCH;
    else
        listener->batch = accepted > 1 ? accepted : 1;
}

size_t twl_listener_size(void)
{
    return sizeof(twl_listener);
}

void twl_listener_init(void *memory, twl_reactor *reactor,
                       const twl_listener_events *events, void *context)
{
    twl_listener *listener = memory;

    memset(listener, 0, sizeof *listener);
    listener->reactor = reactor;
    listener->events = events;
    listener->context = context;
    ev_io_init(&listener->io, on_io, -1, EV_READ);
    listener->io.data = listener;
    twl__alarm_init(&listener->rest, on_rested);
}

void *twl_listener_context(const twl_listener *listener)
{
    return listener->context;
}

static int obtain(const twl_listener_config *config, int *out)
{
    int rc;

    if (config->fd >= 0) return twl_fd_adopt(config->fd, true, out);
    if (!config->address || config->backlog < 1) return TWL_EINVAL;
    if (config->lock && (rc = twl__lock_take(config->address)) < 0) return rc;
    rc = twl__socket_listen(config, out);
    if (rc < 0 && config->lock) twl__lock_release(config->address);
    return rc;
}

int twl_listener_open(twl_listener *listener, const twl_listener_config *config)
{
    twl_reactor *reactor = listener->reactor;
    twl_listener_config own = TWL_LISTENER_CONFIG_INIT;
    int fd, rc;

    if (is_open(listener)) return TWL_EALREADY;
    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    if ((rc = obtain(&own, &fd)) < 0) return rc;
    if (own.fd < 0) twl__socket_file(own.address, &listener->file);
    renew_reserve(reactor);
    listener->locked = own.lock;
    listener->batch = 1;
    listener->paused = false;
    twl__watches_forget(reactor, fd);
    ev_io_set(&listener->io, fd, EV_READ);
    ev_io_start(reactor->loop, &listener->io);
    twl__list_append(&reactor->listeners, &listener->link);
    return 0;
}

void twl_listener_close(twl_listener *listener)
{
    twl_address address;

    if (!is_open(listener)) return;
    if (listener->closed) *listener->closed = true;
    listener->closed = NULL;
    ev_io_stop(listener->reactor->loop, &listener->io);
    twl__alarm_stop(listener->reactor, &listener->rest);
    twl__unlink(&listener->link);
    if (listener->file.inode &&
        twl__socket_local(listener->io.fd, &address) == 0) {
        twl__socket_unlink(&address, &listener->file);
        if (listener->locked) twl__lock_release(&address);
    }
    twl_fd_close(listener->io.fd);
    listener->io.fd = -1;
    listener->locked = false;
    listener->file.inode = 0;
}

void twl_listener_pause(twl_listener *listener, bool paused)
{
    if (!is_open(listener)) return;
    listener->paused = paused;
    if (paused)
        ev_io_stop(listener->reactor->loop, &listener->io);
    else if (!ev_is_active(&listener->rest))
        ev_io_start(listener->reactor->loop, &listener->io);
}

int twl_listener_local(const twl_listener *listener, twl_address *out)
{
    if (!is_open(listener)) return TWL_ECLOSED;
    return twl__socket_local(listener->io.fd, out);
}

int twl_listener_fd(const twl_listener *listener)
{
    return listener->io.fd;
}

void twl__listeners_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->listeners))
        twl_listener_close(
            TWL__CONTAINER(twl_listener, link, reactor->listeners.next));
}
