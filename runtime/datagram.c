/* SPDX-License-Identifier: MIT
 * datagram.c -- sockets for datagrams: UDP, and UNIX ones.
 * They are received in batches whose size follows the load, up to a budget a turn, into the
 * reactor's buffer. They are sent at once; what the kernel does not take waits in a bounded
 * queue. A socket can count as writable and refuse all the same (the queue of a UNIX socket's
 * receiver is full): then a timer tries again, where waiting for writability would spin.
 * Invariant: EV_WRITE or the timer is active exactly while the queue is not empty. */
#include <string.h>

#include "abi.h"
#include "datagram_socket.h"
#include "reactor.h"

enum {
    TURN_BUDGET = 64, /* datagrams received in one turn */
    LEAST_BATCH =
        4 /* a call that brings fewer than asked for needs no second one */
};

static const double RETRY_DELAY = 0.005;

struct packet {
    struct packet *next;
    size_t length;
    bool addressed;
    twl_address to;
    char bytes[];
};

struct twl_datagram {
    struct twl__link link; /* in reactor->datagrams while open */
    twl_reactor *reactor;
    const twl_datagram_events *events;
    void *context;
    ev_io io;
    struct twl__alarm retry;
    twl_job refusal; /* tells that a send met the refusal of an earlier one */
    struct packet *first, *last; /* the queue */
    size_t queued, queue_size, packet_size;
    int batch; /* received by one call: it doubles until one comes too many */
    bool connected, is_unix;
    bool *closed; /* set by a close inside a callback: the memory may be gone by
                     then */
    struct twl__file file;
};

static bool is_open(const twl_datagram *datagram)
{
    return datagram->io.fd >= 0;
}

static void watch(twl_datagram *datagram, int events)
{
    struct ev_loop *loop = datagram->reactor->loop;

    if ((datagram->io.events & (EV_READ | EV_WRITE)) == events) return;
    ev_io_stop(loop, &datagram->io);
    ev_io_set(&datagram->io, datagram->io.fd, events);
    ev_io_start(loop, &datagram->io);
}

/* ---- Sending ------------------------------------------------------------------------------ */

static void tell_refusal(twl_job *job)
{
    twl_datagram *datagram = TWL__CONTAINER(twl_datagram, refusal, job);
    if (datagram->events->on_error)
        datagram->events->on_error(datagram, -ECONNREFUSED);
}

/* On UDP a refusal that is met here is that of an earlier datagram: it is told apart, and this
 * one is sent all the same. On a connected UNIX socket it is the present one's, and from then on
 * the kernel says that there is no connection. */
static int send_now(twl_datagram *datagram, const char *bytes, size_t length,
                    const twl_address *to)
{
    int fd = datagram->io.fd, rc = twl__datagram_send(fd, bytes, length, to);

    if (datagram->is_unix && !datagram->connected) return rc;
    if (rc != -ECONNREFUSED && !(datagram->is_unix && rc == -ENOTCONN))
        return rc;
    if (datagram->connected)
        twl_reactor_soon(datagram->reactor, &datagram->refusal);
    if (datagram->is_unix) return 0;
    rc = twl__datagram_send(fd, bytes, length, to);
    return rc == -ECONNREFUSED ? 0 : rc;
}

static int enqueue(twl_datagram *datagram, const char *bytes, size_t length,
                   const twl_address *to)
{
    struct packet *packet;

    if (datagram->queued + length > datagram->queue_size) return -ENOBUFS;
    packet = twl__alloc(datagram->reactor, sizeof *packet + length);
    if (!packet) return TWL_ENOMEM;
    packet->next = NULL;
    packet->length = length;
    packet->addressed = to != NULL;
    if (to) packet->to = *to;
    memcpy(packet->bytes, bytes, length);
    if (datagram->first)
        datagram->last->next = packet;
    else
        datagram->first = packet;
    datagram->last = packet;
    datagram->queued += length;
    return 0;
}

static void drop_first(twl_datagram *datagram)
{
    struct packet *packet = datagram->first;

    datagram->first = packet->next;
    datagram->queued -= packet->length;
    twl__free(datagram->reactor, packet, sizeof *packet + packet->length);
}

/* Send what is queued, as far as the kernel takes it. One that fails is lost. */
static void flush(twl_datagram *datagram)
{
    bool moved = false;

    for (; datagram->first; moved = true) {
        struct packet *packet = datagram->first;
        int rc = send_now(datagram, packet->bytes, packet->length,
                          packet->addressed ? &packet->to : NULL);
        if (rc == TWL__AGAIN) break;
        drop_first(datagram);
    }
    if (datagram->first && !moved) {
        watch(datagram, EV_READ);
        twl__alarm_start(datagram->reactor, &datagram->retry, RETRY_DELAY);
        return;
    }
    twl__alarm_stop(datagram->reactor, &datagram->retry);
    watch(datagram, datagram->first ? EV_READ | EV_WRITE : EV_READ);
}

static void on_retry(struct twl__alarm *retry)
{
    flush(TWL__CONTAINER(twl_datagram, retry, retry));
}

int twl_datagram_send(twl_datagram *datagram, const char *bytes, size_t length,
                      const twl_address *to)
{
    int rc;

    if (!is_open(datagram)) return TWL_ECLOSED;
    if (datagram->first) return enqueue(datagram, bytes, length, to);
    if ((rc = send_now(datagram, bytes, length, to)) != TWL__AGAIN) return rc;
    if ((rc = enqueue(datagram, bytes, length, to)) < 0) return rc;
    watch(datagram, EV_READ | EV_WRITE);
    return 0;
}

size_t twl_datagram_pending(const twl_datagram *datagram)
{
    return datagram->queued;
}

/* ---- Receiving ---------------------------------------------------------------------------- */

/* How many the next call may bring: the reactor's buffer has room for them. */
static int batch_of(const twl_datagram *datagram, int budget)
{
    int room = (int)(TWL__READ_SIZE / datagram->packet_size);
    int batch = datagram->batch < room ? datagram->batch : room;

    return batch < budget ? batch : budget;
}

/* One call's worth. Returns how many there were; 0 when there is no more to be had in this
 * turn. */
static int receive_some(twl_datagram *datagram, int limit, const bool *closed)
{
    struct twl__datagram received[TWL__DATAGRAM_BATCH];
    char *buffer = twl__read_buffer(datagram->reactor);
    int count = TWL_ENOMEM;

    if (buffer)
        count = twl__datagram_receive(datagram->io.fd, buffer,
                                      datagram->packet_size, received, limit);
    if (count < 0) {
        if (count != TWL__AGAIN && datagram->events->on_error &&
            (count != -ECONNREFUSED || datagram->connected))
            datagram->events->on_error(datagram, count);
        return 0;
    }
    for (int i = 0; i < count; i++) {
        datagram->events->on_receive(datagram, received[i].bytes,
                                     received[i].length, &received[i].from,
                                     received[i].truncated);
        if (*closed) return 0;
    }
    return count;
}

static void receive(twl_datagram *datagram)
{
    bool closed = false;
    int budget = TURN_BUDGET;

    datagram->closed = &closed;
    while (budget > 0) {
        int limit = batch_of(datagram, budget);
        int count = receive_some(datagram, limit, &closed);
        if (closed) return;
        budget -= count;
        if (count < limit) {
            datagram->batch = count > LEAST_BATCH ? count : LEAST_BATCH;
            break;
        }
        if (datagram->batch < TWL__DATAGRAM_BATCH) datagram->batch *= 2;
        if (datagram->batch > TWL__DATAGRAM_BATCH)
            datagram->batch = TWL__DATAGRAM_BATCH;
    }
    datagram->closed = NULL;
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    twl_datagram *datagram = io->data;
    (void)loop;

    if (events & EV_WRITE) flush(datagram);
    if (events & EV_READ) receive(datagram);
}

/* ---- Life --------------------------------------------------------------------------------- */

size_t twl_datagram_size(void)
{
    return sizeof(twl_datagram);
}

void twl_datagram_init(void *memory, twl_reactor *reactor,
                       const twl_datagram_events *events, void *context)
{
    twl_datagram *datagram = memory;

    memset(datagram, 0, sizeof *datagram);
    datagram->reactor = reactor;
    datagram->events = events;
    datagram->context = context;
    datagram->refusal.run = tell_refusal;
    ev_io_init(&datagram->io, on_io, -1, EV_READ);
    datagram->io.data = datagram;
    twl__alarm_init(&datagram->retry, on_retry);
}

void *twl_datagram_context(const twl_datagram *datagram)
{
    return datagram->context;
}

int twl_datagram_open(twl_datagram *datagram, const twl_datagram_config *config)
{
    twl_reactor *reactor = datagram->reactor;
    twl_datagram_config own = TWL_DATAGRAM_CONFIG_INIT;
    twl_address address;
    int fd, rc;

    if (is_open(datagram)) return TWL_EALREADY;
    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    if ((own.fd < 0 && !own.address && !own.peer) || own.packet_size < 1 ||
        own.packet_size > TWL__READ_SIZE)
        return TWL_EINVAL;
    if ((rc = twl__datagram_open(&own, &fd)) < 0) return rc;
    datagram->file = (struct twl__file){0, 0};
    if (own.fd < 0 && own.address)
        twl__socket_file(own.address, &datagram->file);
    datagram->connected = twl__socket_peer(fd, &address) == 0;
    datagram->is_unix = twl__socket_local(fd, &address) == 0 &&
                        twl_address_family(&address) == TWL_UNIX;
    datagram->packet_size = own.packet_size;
    datagram->queue_size = own.queue_size;
    datagram->batch = LEAST_BATCH;
    twl__watches_forget(reactor, fd);
    ev_io_set(&datagram->io, fd, EV_READ);
    ev_io_start(reactor->loop, &datagram->io);
    twl__list_append(&reactor->datagrams, &datagram->link);
    return 0;
}

void twl_datagram_close(twl_datagram *datagram)
{
    twl_address address;

    if (!is_open(datagram)) return;
    if (datagram->closed) *datagram->closed = true;
    datagram->closed = NULL;
    ev_io_stop(datagram->reactor->loop, &datagram->io);
    twl__alarm_stop(datagram->reactor, &datagram->retry);
    twl_job_cancel(&datagram->refusal);
    twl__unlink(&datagram->link);
    while (datagram->first) drop_first(datagram);
    if (datagram->file.inode &&
        twl__socket_local(datagram->io.fd, &address) == 0)
        twl__socket_unlink(&address, &datagram->file);
    twl_fd_close(datagram->io.fd);
    datagram->io.fd = -1;
}

void twl__datagrams_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->datagrams))
        twl_datagram_close(
            TWL__CONTAINER(twl_datagram, link, reactor->datagrams.next));
}

/* ---- Looking, options ----------------------------------------------------------------------- */

int twl_datagram_connect(twl_datagram *datagram, const twl_address *peer)
{
    int rc;

    if (!is_open(datagram)) return TWL_ECLOSED;
    if (datagram->connected) return -EISCONN;
    if ((rc = twl__datagram_connect(datagram->io.fd, peer)) < 0) return rc;
    datagram->connected = true;
    return 0;
}

int twl_datagram_local(const twl_datagram *datagram, twl_address *out)
{
    return is_open(datagram) ? twl__socket_local(datagram->io.fd, out)
                             : TWL_ECLOSED;
}

int twl_datagram_peer(const twl_datagram *datagram, twl_address *out)
{
    return is_open(datagram) ? twl__socket_peer(datagram->io.fd, out)
                             : TWL_ECLOSED;
}

int twl_datagram_fd(const twl_datagram *datagram)
{
    return datagram->io.fd;
}

int twl_datagram_set_option(twl_datagram *datagram,
                            enum twl_datagram_option option, int value)
{
    return is_open(datagram) ? twl__datagram_set(datagram->io.fd, option, value)
                             : TWL_ECLOSED;
}

int twl_datagram_get_option(const twl_datagram *datagram,
                            enum twl_datagram_option option, int *out)
{
    return is_open(datagram) ? twl__datagram_get(datagram->io.fd, option, out)
                             : TWL_ECLOSED;
}

int twl_datagram_join(twl_datagram *datagram, const twl_address *group,
                      const twl_address *interface)
{
    return is_open(datagram) ? twl__datagram_membership(datagram->io.fd, group,
                                                        interface, true)
                             : TWL_ECLOSED;
}

int twl_datagram_leave(twl_datagram *datagram, const twl_address *group,
                       const twl_address *interface)
{
    return is_open(datagram) ? twl__datagram_membership(datagram->io.fd, group,
                                                        interface, false)
                             : TWL_ECLOSED;
}

int twl_datagram_set_interface(twl_datagram *datagram,
                               const twl_address *interface)
{
    return is_open(datagram)
               ? twl__datagram_set_interface(datagram->io.fd, interface)
               : TWL_ECLOSED;
}

int twl_datagram_get_interface(const twl_datagram *datagram, twl_address *out)
{
    return is_open(datagram) ? twl__datagram_get_interface(datagram->io.fd, out)
                             : TWL_ECLOSED;
}
