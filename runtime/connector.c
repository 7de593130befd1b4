/* SPDX-License-Identifier: MIT
 * connector.c -- attempts to connect.
 * Every outcome is told by on_io, the time-out or, where it is known at once, by a job: the
 * function never runs inside twl_connector_start().
 * Invariant: the attempt is in reactor->connectors while its outcome is open. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "reactor.h"
#include "socket.h"

struct twl_connector {
    struct twl__link link;
    twl_reactor *reactor;
    twl_connector_fn fn;
    void *context;
    ev_io io;
    struct twl__alarm timeout;
    twl_job job; /* tells an outcome that was known at once */
    int code;    /* that outcome */
    bool binding;
};

/* Leave the state of an attempt; the descriptor becomes the caller's. */
static int leave(twl_connector *connector)
{
    int fd = connector->io.fd;

    ev_io_stop(connector->reactor->loop, &connector->io);
    twl__alarm_stop(connector->reactor, &connector->timeout);
    twl_job_cancel(&connector->job);
    twl__unlink(&connector->link);
    connector->io.fd = -1;
    return fd;
}

static void tell(twl_connector *connector, int code)
{
    int fd = leave(connector);

    if (code < 0) {
        twl_fd_close(fd);
        fd = -1;
    }
    connector->fn(connector, code, fd, connector->binding);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    (void)events;
    tell(io->data, twl__socket_outcome(io->fd));
}

static void on_timeout(struct twl__alarm *timeout)
{
    tell(TWL__CONTAINER(twl_connector, timeout, timeout), TWL_ETIMEDOUT);
}

static void run_job(twl_job *job)
{
    twl_connector *connector = TWL__CONTAINER(twl_connector, job, job);
    tell(connector, connector->code);
}

size_t twl_connector_size(void)
{
    return sizeof(twl_connector);
}

void twl_connector_init(void *memory, twl_reactor *reactor, twl_connector_fn fn,
                        void *context)
{
    twl_connector *connector = memory;

    memset(connector, 0, sizeof *connector);
    connector->reactor = reactor;
    connector->fn = fn;
    connector->context = context;
    connector->job.run = run_job;
    ev_io_init(&connector->io, on_io, -1, EV_WRITE);
    connector->io.data = connector;
    twl__alarm_init(&connector->timeout, on_timeout);
}

void *twl_connector_context(const twl_connector *connector)
{
    return connector->context;
}

int twl_connector_start(twl_connector *connector,
                        const twl_connector_config *config)
{
    twl_reactor *reactor = connector->reactor;
    twl_connector_config own = TWL_CONNECTOR_CONFIG_INIT;
    int fd = -1, rc;

    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    if (!own.address || !(own.timeout >= 0.) || isinf(own.timeout))
        return TWL_EINVAL;
    if (twl_connector_active(connector)) return TWL_EBUSY;
    rc = twl__socket_connect(own.address, own.bind, &fd,
                             &connector->binding);
    twl__list_append(&reactor->connectors, &connector->link);
    ev_io_set(&connector->io, fd, EV_WRITE);
    if (rc != TWL__AGAIN) {
        connector->code = rc;
        twl_reactor_soon(reactor, &connector->job);
        return 0;
    }
    twl__watches_forget(reactor, fd);
    ev_io_start(reactor->loop, &connector->io);
    if (own.timeout > 0.)
        twl__alarm_start(reactor, &connector->timeout, own.timeout);
    return 0;
}

void twl_connector_cancel(twl_connector *connector)
{
    if (twl_connector_active(connector)) twl_fd_close(leave(connector));
}

bool twl_connector_active(const twl_connector *connector)
{
    return twl__linked(&connector->link);
}

void twl__connectors_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->connectors))
        twl_connector_cancel(
            TWL__CONTAINER(twl_connector, link, reactor->connectors.next));
}
