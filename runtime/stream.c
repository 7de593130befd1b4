/* SPDX-License-Identifier: MIT
 * stream.c -- connected sockets: reading, queued writing, closing.
 * The read watcher stays armed for the connection's life; the write watcher only while the
 * kernel is full. User code is called from on_io and run_job alone, and after each call the
 * state is looked at again. */
#include "stream.h"

#include <string.h>
#include <sys/uio.h>

#include "layer.h"
#include "reactor.h"
#include "socket.h"

enum {
    VECTORS = 64, /* segments in one system call */
    READ_TURNS =
        4, /* full buffers read before the next connection has its turn */
    DRAIN_TURNS = 16 /* refills by on_drain before the others have theirs */
};

static void set_events(twl_stream *stream, int events)
{
    struct ev_loop *loop = stream->reactor->loop;
    int now = ev_is_active(&stream->io)
                  ? stream->io.events & (EV_READ | EV_WRITE)
                  : 0;

    if (now == events) return;
    ev_io_stop(loop, &stream->io);
    if (!events) return;
    ev_io_set(&stream->io, stream->io.fd, events);
    ev_io_start(loop, &stream->io);
}

static bool wants_read(const twl_stream *stream)
{
    if (twl_stream_reading(stream)) return true;
    return stream->layer && twl__layers_want_read(stream);
}

/* [blocked]: the kernel takes no more output for now. */
static void update_events(twl_stream *stream, bool blocked)
{
    if (stream->state == TWL__CLOSED) return;
    set_events(stream,
               (wants_read(stream) ? EV_READ : 0) | (blocked ? EV_WRITE : 0));
}

static bool is_blocked(const twl_stream *stream)
{
    return ev_is_active(&stream->io) && (stream->io.events & EV_WRITE);
}

static void need_job(twl_stream *stream)
{
    twl_reactor_soon(stream->reactor, &stream->job);
}

void twl__stream_later(twl_stream *stream)
{
    need_job(stream);
}

void twl__stream_update(twl_stream *stream)
{
    update_events(stream, is_blocked(stream));
}

/* Copy an address that is no longer than those of IP. Returns its length, or 0. */
static uint8_t keep_address(unsigned char *place, const twl_address *address)
{
    if (address->length > TWL__KEPT_ADDRESS) return 0;
    memcpy(place, &address->storage, address->length);
    return (uint8_t)address->length;
}

static int kept_address(const unsigned char *place, uint8_t length,
                        twl_address *out)
{
    if (length == 0) return TWL_ECLOSED;
    memcpy(&out->storage, place, length);
    out->length = length;
    return 0;
}

/* Our address takes the place of the queue, which is returned. */
static struct twl__buffer give_up_queue(twl_stream *stream, int fd)
{
    struct twl__buffer queue = stream->output;
    twl_address address;

    if (twl__socket_local(fd, &address) == 0)
        stream->local_length = keep_address(stream->local, &address);
    return queue;
}

/* Give up the descriptor; on_closed becomes a job. */
static void finish(twl_stream *stream, int reason)
{
    twl_reactor *reactor = stream->reactor;
    int fd = stream->io.fd;

    if (stream->state == TWL__CLOSED) return;
    if (stream->layer) twl__layers_farewell(stream, reason);
    if (stream->state == TWL__CLOSED) return;
    set_events(stream, 0);
    struct twl__buffer queue = give_up_queue(stream, fd);
    stream->state = TWL__CLOSED;
    stream->reason = reason;
    stream->io.fd = -1;
    if (reason == TWL_ECONNABORTED)
        twl__socket_reset(fd);
    else
        twl_fd_close(fd);
    need_job(stream);
    /* Last: a release may do anything to the stream. */
    twl__buffer_clear(reactor, &queue);
    if (stream->layer) twl__layers_drop(stream);
}

void twl__stream_finish(twl_stream *stream, int reason)
{
    finish(stream, reason);
}

void twl__stream_offer(twl_stream *stream)
{
    struct iovec vectors[VECTORS];
    int count = twl__buffer_peek(&stream->output, vectors, VECTORS);

    if (count > 0) twl__socket_send(stream->io.fd, vectors, count, false);
}

static bool has_output(const twl_stream *stream)
{
    return stream->state != TWL__CLOSED && stream->output.length > 0;
}

/* Whether there is something for the kernel; with TLS, some is encrypted where there is not. */
static bool find_output(twl_stream *stream)
{
    return stream->output.length > 0 ||
           (stream->layer && twl__layers_fill(stream));
}

static long send_front(twl_stream *stream, bool of_file)
{
    struct iovec vectors[VECTORS];

    if (of_file) return twl__stream_send_file(stream);
    return twl__socket_send(stream->io.fd, vectors,
                            twl__buffer_peek(&stream->output, vectors, VECTORS),
                            stream->output.in_files > 0);
}

/* Hand the queue to the kernel. Leaves it empty, blocked, or the stream CLOSED. A file that goes
 * on counts as blocked: the others have their turn. */
static void send_queue(twl_stream *stream)
{
    bool goes_on = false;

    while (!goes_on && find_output(stream)) {
        bool of_file = twl__buffer_file(&stream->output) != NULL;
        long sent = send_front(stream, of_file);
        if (sent == TWL__AGAIN) break;
        if (sent < 0) {
            finish(stream, (int)sent);
            return;
        }
        twl__buffer_consume(stream->reactor, &stream->output, (size_t)sent);
        if (stream->state == TWL__CLOSED) return;
        if (stream->output.length == 0 && !stream->layer)
            stream->drain_due = true;
        goes_on = of_file && twl__buffer_file(&stream->output);
    }
    update_events(stream, has_output(stream));
}

static void send_end(twl_stream *stream)
{
    stream->end_sent = true;
    if (stream->layer) twl__layers_shutdown(stream);
    /* An error means that the peer is gone: the next read tells. */
    else
        twl__socket_shutdown(stream->io.fd);
    if (stream->events->on_shutdown) stream->events->on_shutdown(stream);
}

static void close_now(twl_stream *stream)
{
    stream->state = TWL__CLOSING;
    if (!stream->layer || twl__layers_close(stream)) finish(stream, TWL_EEOF);
}

static bool may_send_end(const twl_stream *stream)
{
    return stream->shutdown && !stream->end_sent &&
           (!stream->layer || twl__layers_established(stream));
}

/* What an empty queue allows, once. Returns whether the queue was filled again. */
static bool take_next_step(twl_stream *stream)
{
    if (stream->layer && twl__layers_pending(stream) > 0) return false;
    if (stream->wants_drain && stream->drain_due && stream->events->on_drain) {
        stream->drain_due = false;
        stream->events->on_drain(stream);
        if (twl_stream_pending(stream) > 0) return true;
    }
    if (stream->held || stream->state == TWL__CLOSED) return false;
    if (stream->state == TWL__CLOSING)
        close_now(stream);
    else if (may_send_end(stream))
        send_end(stream);
    if (stream->state == TWL__OPEN && stream->end_sent && stream->ended)
        close_now(stream);
    return twl_stream_pending(stream) > 0;
}

/* Send, then do what was waiting for an empty queue. */
static void flush(twl_stream *stream)
{
    for (int turn = 0; turn < DRAIN_TURNS; turn++) {
        if (stream->state == TWL__CLOSED) return;
        send_queue(stream);
        if (stream->state == TWL__CLOSED || has_output(stream)) return;
        if (!take_next_step(stream)) return;
    }
    need_job(stream);
}

static void receive_end(twl_stream *stream)
{
    if (!stream->events->on_end) {
        finish(stream, TWL_EEOF);
        return;
    }
    stream->ended = true;
    update_events(stream, is_blocked(stream));
    stream->events->on_end(stream);
}

static void read_failed(twl_stream *stream, int reason)
{
    if (stream->layer) reason = twl__layers_read_error(stream, reason);
    finish(stream, reason);
}

static void receive(twl_stream *stream)
{
    char *buffer = twl__read_buffer(stream->reactor);

    if (!buffer) {
        read_failed(stream, TWL_ENOMEM);
        return;
    }
    for (int turn = 0; turn < READ_TURNS && wants_read(stream); turn++) {
        long got = twl__socket_receive(stream->io.fd, buffer, TWL__READ_SIZE);
        if (got == TWL__AGAIN) return;
        if (got < 0)
            read_failed(stream, (int)got);
        else if (got == 0)
            receive_end(stream);
        else
            stream->events->on_read(stream, buffer, (size_t)got);
        if (got < TWL__READ_SIZE) return;
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    twl_stream *stream = io->data;
    bool writable = (events & EV_WRITE) != 0;
    (void)loop;

    stream->dispatching = true;
    if (events & EV_READ) receive(stream);
    stream->dispatching = false;
    /* While the kernel is full, only its own word makes us try again. */
    if (writable || !is_blocked(stream)) flush(stream);
}

static void run_job(twl_job *job)
{
    twl_stream *stream = TWL__CONTAINER(twl_stream, job, job);

    if (stream->state == TWL__CLOSED) {
        twl__unlink(&stream->link);
        stream->events->on_closed(stream, stream->reason);
        return;
    }
    if (stream->layer) {
        stream->dispatching = true;
        twl__layers_resume(stream);
        stream->dispatching = false;
    }
    if (!is_blocked(stream)) flush(stream);
}

size_t twl_stream_size(void)
{
    return sizeof(twl_stream);
}

static void remember_peer(twl_stream *stream, const twl_address *peer)
{
    twl_address asked;

    if (!peer) {
        asked.length = 0;
        twl__socket_peer(stream->io.fd, &asked);
        peer = &asked;
    }
    stream->peer_length = keep_address(stream->peer, peer);
}

void twl_stream_init(void *memory, twl_reactor *reactor, int fd,
                     const twl_address *peer, const twl_stream_events *events,
                     void *context)
{
    twl_stream *stream = memory;

    memset(stream, 0, sizeof *stream);
    stream->reactor = reactor;
    stream->events = events;
    stream->context = context;
    stream->job.run = run_job;
    stream->paused = true;
    ev_io_init(&stream->io, on_io, fd, 0);
    stream->io.data = stream;
    remember_peer(stream, peer);
    twl__watches_forget(reactor, fd);
    twl__list_append(&reactor->streams, &stream->link);
}

void *twl_stream_context(const twl_stream *stream)
{
    return stream->context;
}

void twl_stream_resume(twl_stream *stream)
{
    stream->paused = false;
    update_events(stream, is_blocked(stream));
    if (stream->layer && stream->state != TWL__CLOSED) need_job(stream);
}

void twl_stream_pause(twl_stream *stream)
{
    stream->paused = true;
    update_events(stream, is_blocked(stream));
}

bool twl__stream_accepts_output(const twl_stream *stream)
{
    if (stream->state == TWL__CLOSED || stream->end_sent) return false;
    return stream->held || (stream->state == TWL__OPEN && !stream->shutdown);
}

/* Where to write to. */
static struct twl__buffer *queue_of(twl_stream *stream)
{
    return stream->layer ? &stream->layer->tls.plain : &stream->output;
}

int twl__stream_added(twl_stream *stream, int rc)
{
    if (rc == 0 && !stream->dispatching) need_job(stream);
    return rc;
}

int twl_stream_write(twl_stream *stream, const char *bytes, size_t length)
{
    if (!twl__stream_accepts_output(stream) || length == 0) return 0;
    return twl__stream_added(
        stream,
        twl__buffer_copy(stream->reactor, queue_of(stream), bytes, length));
}

int twl_stream_write_held(twl_stream *stream, const char *bytes, size_t length,
                          twl_release_fn release, void *token)
{
    int rc = 0;

    if (twl__stream_accepts_output(stream) && length > 0) {
        rc = twl__buffer_hold(stream->reactor, queue_of(stream), bytes, length,
                              release, stream->context, token);
        if (rc == 0) return twl__stream_added(stream, 0);
    }
    release(stream->context, token);
    return rc;
}

size_t twl_stream_pending(const twl_stream *stream)
{
    if (stream->state == TWL__CLOSED) return 0;
    return stream->output.length +
           (stream->layer ? twl__layers_pending(stream) : 0);
}

void twl_stream_notify_drain(twl_stream *stream, bool wanted)
{
    stream->wants_drain = wanted;
    if (!wanted || stream->state == TWL__CLOSED) return;
    /* What TLS itself has to send does not count. */
    stream->drain_due = queue_of(stream)->length == 0;
    if (stream->drain_due) need_job(stream);
}

void twl_stream_hold(twl_stream *stream, bool held)
{
    stream->held = held;
    if (!held && stream->state != TWL__CLOSED) need_job(stream);
}

void twl_stream_shutdown(twl_stream *stream)
{
    if (stream->state != TWL__OPEN || stream->shutdown) return;
    stream->shutdown = true;
    need_job(stream);
}

void twl_stream_close(twl_stream *stream)
{
    if (stream->state != TWL__OPEN) return;
    stream->state = TWL__CLOSING;
    /* Reading stops at once by the state; the watcher need not change for a queue that the
     * job will empty. */
    if (is_blocked(stream)) update_events(stream, true);
    need_job(stream);
}

void twl_stream_abort(twl_stream *stream, int reason)
{
    finish(stream, reason);
}

void twl_stream_discard(twl_stream *stream)
{
    if (stream->state != TWL__CLOSED) finish(stream, TWL_EEOF);
    twl_job_cancel(&stream->job);
    twl__unlink(&stream->link);
    if (stream->layer) twl__layers_free(stream);
}

bool twl_stream_open(const twl_stream *stream)
{
    return stream->state == TWL__OPEN;
}

bool twl_stream_closing(const twl_stream *stream)
{
    return stream->state == TWL__CLOSING;
}

bool twl_stream_reading(const twl_stream *stream)
{
    return stream->state == TWL__OPEN && !stream->paused && !stream->ended;
}

int twl_stream_local(const twl_stream *stream, twl_address *out)
{
    if (stream->state == TWL__CLOSED)
        return kept_address(stream->local, stream->local_length, out);
    return twl__socket_local(stream->io.fd, out);
}

int twl_stream_peer(const twl_stream *stream, twl_address *out)
{
    if (stream->state == TWL__CLOSED || stream->peer_length > 0)
        return kept_address(stream->peer, stream->peer_length, out);
    return twl__socket_peer(stream->io.fd, out);
}

int twl_stream_fd(const twl_stream *stream)
{
    return stream->io.fd;
}

int twl_stream_set_option(twl_stream *stream, enum twl_option option, bool on)
{
    if (stream->state == TWL__CLOSED) return TWL_ECLOSED;
    return twl__socket_set(stream->io.fd, option, on);
}

int twl_stream_get_option(const twl_stream *stream, enum twl_option option,
                          bool *out)
{
    if (stream->state == TWL__CLOSED) return TWL_ECLOSED;
    return twl__socket_get(stream->io.fd, option, out);
}

void twl__streams_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->streams))
        twl_stream_discard(
            TWL__CONTAINER(twl_stream, link, reactor->streams.next));
}
