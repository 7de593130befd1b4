/* SPDX-License-Identifier: MIT
 * stream_tls.c -- TLS on streams: layers between a stream and its host.
 * The stream's events are the ones below, so that what comes from the descriptor enters the
 * lowest layer; each layer decrypts into a buffer of the reactor's and hands it to the one
 * above, the last one to the host. What is written waits in the innermost layer and is encrypted
 * when the stream wants something to send, so that all that was written in one turn shares
 * records. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"
#include "layer.h"
#include "reactor.h"
#include "socket.h"

enum {
    BATCH = 64 * 1024, /* ciphertext made ahead of the kernel */
    LINGER = 5         /* seconds for the peer's close_notify */
};

static const char HANDSHAKE_CUT[] =
    "the peer ended the connection during the TLS handshake";

static twl_timer *timer_of(struct twl__layer *layer)
{
    return (twl_timer *)(void *)(layer + 1);
}

static size_t layer_size(void)
{
    return sizeof(struct twl__layer) + twl_timer_size();
}

static struct twl__layer *lowest(const twl_stream *stream)
{
    struct twl__layer *layer = stream->layer;

    while (layer->below) layer = layer->below;
    return layer;
}

bool twl__layers_established(const twl_stream *stream)
{
    /* One inside another begins when that is done, or waits for it. */
    for (struct twl__layer *layer = stream->layer; layer; layer = layer->below)
        if (!layer->tls.established) return false;
    return true;
}

static void fail(twl_stream *stream, int code, const char *error)
{
    twl__tls_end(&stream->layer->tls, code, error);
    twl__stream_finish(stream, code);
}

/* ---- In ---------------------------------------------------------------------------------- */

bool twl__layers_want_read(const twl_stream *stream)
{
    const struct twl__layer *layer = lowest(stream);

    if (stream->state == TWL__CLOSED || layer->wire_ended) return false;
    return layer->lingering || !twl__layers_established(stream);
}

/* Whether what [layer] decrypts now has to wait. */
static bool is_held_up(const twl_stream *stream, const struct twl__layer *layer)
{
    if (stream->state != TWL__OPEN || !stream->paused) return false;
    for (; layer; layer = layer->above)
        if (!layer->tls.established) return false;
    return true;
}

static void receive(struct twl__layer *layer, const char *bytes, size_t length);

static void deliver(struct twl__layer *layer, const char *bytes, size_t length)
{
    twl_stream *stream = layer->stream;

    if (layer->above)
        receive(layer->above, bytes, length);
    else if (stream->state == TWL__OPEN && !stream->ended)
        layer->events->on_read(stream, bytes, length);
}

static void handshake_done(struct twl__layer *layer)
{
    twl_stream *stream = layer->stream;

    twl_timer_stop(timer_of(layer));
    twl__stream_update(stream);
    if (layer->on_handshake && !layer->above && stream->state == TWL__OPEN)
        layer->on_handshake(stream);
}

/* The peer's close_notify. */
static void receive_end(struct twl__layer *layer)
{
    twl_stream *stream = layer->stream;

    if (layer->lingering) {
        twl__stream_finish(stream, TWL_EEOF);
    } else if (!twl__layers_established(stream)) {
        fail(stream, TWL_ETRUNCATED, HANDSHAKE_CUT);
    } else if (stream->state != TWL__OPEN || stream->ended) {
        return;
    } else if (layer->above) {
        fail(stream, TWL_ETRUNCATED, NULL);
    } else if (!layer->events->on_end) {
        twl__stream_finish(stream, TWL_EEOF);
    } else {
        stream->ended = true;
        twl__stream_update(stream);
        layer->events->on_end(stream);
    }
}

static void receive_error(struct twl__layer *layer, int code)
{
    twl_stream *stream = layer->stream;

    if (code == TWL_EEOF) {
        receive_end(layer);
        return;
    }
    /* The innermost one is asked what is wrong; all live equally long. */
    stream->layer->tls.error = layer->tls.error;
    twl__stream_finish(stream, twl__layers_read_error(stream, code));
}

/* Decrypt once into [place] and hand it on; whether to go on. */
static bool decrypt(struct twl__layer *layer, char *place)
{
    bool established = layer->tls.established;
    long got = established
                   ? twl__tls_read_much(&layer->tls, place, TWL__SCRATCH)
                   : twl_tls_handshake(&layer->tls);

    if (got < 0)
        receive_error(layer, (int)got);
    else if (!established && got > 0)
        handshake_done(layer);
    else if (got > 0)
        deliver(layer, place, (size_t)got);
    return got > 0 && layer->stream->state != TWL__CLOSED &&
           twl__tls_has_input(&layer->tls);
}

static void receive(struct twl__layer *layer, const char *bytes, size_t length)
{
    twl_stream *stream = layer->stream;
    char *place = twl__scratch_take(stream->reactor);
    int rc = place ? 0 : TWL_ENOMEM;

    twl__tls_offer(&layer->tls, bytes, length);
    while (place && !is_held_up(stream, layer) && decrypt(layer, place)) {
    }
    if (place) twl__scratch_give(stream->reactor, place);
    if (stream->state == TWL__CLOSED) return;
    if (rc == 0) rc = twl__tls_keep(&layer->tls);
    if (rc < 0) fail(stream, rc, NULL);
}

void twl__layers_resume(twl_stream *stream)
{
    struct twl__layer *layer = stream->layer;

    for (; layer && stream->state != TWL__CLOSED; layer = layer->below)
        if (twl__tls_has_input(&layer->tls) && !is_held_up(stream, layer))
            receive(layer, NULL, 0);
}

int twl__layers_read_error(const twl_stream *stream, int reason)
{
    return lowest(stream)->lingering ? TWL_EEOF : reason;
}

/* ---- Out ----------------------------------------------------------------------------------- */

/* Encrypt as far as it goes, from the innermost layer on. */
static int encrypt_all(twl_stream *stream, size_t limit)
{
    struct twl__layer *layer = stream->layer;
    int rc = 0;

    for (; layer && rc == 0 && stream->state != TWL__CLOSED;
         layer = layer->below)
        rc = twl__tls_encrypt(&layer->tls, limit);
    return rc;
}

bool twl__layers_fill(twl_stream *stream)
{
    bool waited = stream->layer->tls.plain.length > 0;
    int rc = encrypt_all(stream, BATCH);

    if (stream->state == TWL__CLOSED) return false;
    if (rc < 0) {
        fail(stream, rc, NULL);
        return false;
    }
    if (waited && stream->layer->tls.plain.length == 0)
        stream->drain_due = true;
    return stream->output.length > 0;
}

size_t twl__layers_pending(const twl_stream *stream)
{
    size_t sum = 0;

    for (struct twl__layer *layer = stream->layer; layer; layer = layer->below)
        sum += layer->tls.plain.length;
    return sum;
}

void twl__layers_shutdown(twl_stream *stream)
{
    twl_tls_shutdown(&stream->layer->tls);
}

/* Whether all have said their end. */
static bool all_ends_sent(const twl_stream *stream)
{
    for (struct twl__layer *layer = stream->layer; layer; layer = layer->below)
        if (!layer->tls.end_sent) return false;
    return true;
}

static void send_ends(twl_stream *stream)
{
    for (struct twl__layer *layer = stream->layer; layer;
         layer = layer->below) {
        twl__tls_encrypt(&layer->tls, SIZE_MAX);
        twl_tls_shutdown(&layer->tls);
    }
}

bool twl__layers_close(twl_stream *stream)
{
    struct twl__layer *layer = lowest(stream);

    if (!twl__layers_established(stream)) {
        twl__stream_finish(stream, TWL_ECONNABORTED);
        return false;
    }
    if (!all_ends_sent(stream)) {
        send_ends(stream);
        return false;
    }
    if (layer->wire_ended || layer->tls.code < 0) return true;
    if (layer->lingering) return false;
    layer->lingering = true;
    twl__stream_update(stream);
    return twl_timer_start(timer_of(layer), LINGER) < 0;
}

void twl__layers_farewell(twl_stream *stream, int reason)
{
    if (reason != TWL_EEOF && reason != TWL_ETLS) return;
    /* What is not encrypted yet is lost. */
    twl__buffer_clear(stream->reactor, &stream->layer->tls.plain);
    if (stream->state == TWL__CLOSED) return;
    if (reason == TWL_EEOF)
        send_ends(stream);
    else
        encrypt_all(stream, SIZE_MAX);
    twl__stream_offer(stream);
}

void twl__layers_drop(twl_stream *stream)
{
    for (struct twl__layer *layer = stream->layer; layer;
         layer = layer->below) {
        twl_timer_stop(timer_of(layer));
        twl__tls_end(&layer->tls, TWL_ECLOSED, NULL);
    }
}

/* ---- Events of the stream --------------------------------------------------------------------- */

static void on_read(twl_stream *stream, const char *bytes, size_t length)
{
    receive(lowest(stream), bytes, length);
}

static void on_wire_end(twl_stream *stream)
{
    struct twl__layer *layer = lowest(stream);

    stream->ended = false;
    layer->wire_ended = true;
    if (!twl__layers_established(stream))
        fail(stream, TWL_ETRUNCATED, HANDSHAKE_CUT);
    else if (layer->lingering)
        twl__stream_finish(stream, TWL_EEOF);
    else if (stream->state == TWL__OPEN)
        fail(stream, TWL_ETRUNCATED, NULL);
}

static void on_shutdown(twl_stream *stream)
{
    const twl_stream_events *events = stream->layer->events;
    if (events->on_shutdown) events->on_shutdown(stream);
}

static void on_drain(twl_stream *stream)
{
    const twl_stream_events *events = stream->layer->events;
    if (events->on_drain) events->on_drain(stream);
}

static void free_layers(twl_reactor *reactor, struct twl__layer *layer)
{
    while (layer) {
        struct twl__layer *below = layer->below;
        twl_timer_stop(timer_of(layer));
        twl_tls_close(&layer->tls);
        twl__free(reactor, layer, layer_size());
        layer = below;
    }
}

/* The host may reuse the stream's memory from its on_closed on: it is not looked at after. */
static void on_closed(twl_stream *stream, int reason)
{
    struct twl__layer *layers = stream->layer;
    twl_reactor *reactor = stream->reactor;

    layers->events->on_closed(stream, reason);
    free_layers(reactor, layers);
}

static const twl_stream_events EVENTS = {on_read, on_wire_end, on_shutdown,
                                         on_drain, on_closed};

void twl__layers_free(twl_stream *stream)
{
    stream->events = stream->layer->events;
    free_layers(stream->reactor, stream->layer);
    stream->layer = NULL;
}

/* ---- Starting ------------------------------------------------------------------------------------ */

static void time_out(twl_timer *timer)
{
    struct twl__layer *layer = twl_timer_context(timer);

    if (layer->tls.established)
        twl__stream_finish(layer->stream, TWL_EEOF);
    else
        fail(layer->stream, TWL_ETLS, "the TLS handshake took too long");
}

/* A client speaks first. What was received is looked at later: nothing is called back now. */
static int prepare(twl_stream *stream, struct twl__layer *layer,
                   const twl_tls_start *start)
{
    struct twl__buffer *output =
        stream->layer ? &stream->layer->tls.plain : &stream->output;
    int rc;

    twl_timer_init(timer_of(layer), stream->reactor, time_out, layer);
    if (start->timeout > 0 &&
        (rc = twl_timer_start(timer_of(layer), start->timeout)) < 0)
        return rc;
    rc = twl__tls_init(&layer->tls, stream->reactor, output, start->context,
                       start->client, start->hostname);
    if (rc == 0)
        rc = twl_tls_feed(&layer->tls, start->received, start->received_length);
    if (rc == 0 && start->client) rc = twl_tls_handshake(&layer->tls);
    return rc;
}

static void put_on(twl_stream *stream, struct twl__layer *layer)
{
    layer->stream = stream;
    layer->below = stream->layer;
    if (stream->layer) {
        layer->events = stream->layer->events;
        stream->layer->above = layer;
    } else {
        layer->events = stream->events;
        stream->events = &EVENTS;
    }
    /* A producer that was paused for what was written before waits for its end. */
    if (twl_stream_pending(stream) > 0) stream->drain_due = true;
    stream->layer = layer;
}

int twl_stream_start_tls(twl_stream *stream, const twl_tls_start *start)
{
    twl_tls_start own = TWL_TLS_START_INIT;
    struct twl__layer *layer;
    int rc;

    if ((rc = twl__config_read(&own, start)) < 0) return rc;
    if (!own.context || !(own.timeout >= 0 && isfinite(own.timeout)))
        return TWL_EINVAL;
    if (stream->state != TWL__OPEN || stream->shutdown || stream->ended)
        return TWL_ECLOSED;
    layer = twl__alloc(stream->reactor, layer_size());
    if (!layer) return TWL_ENOMEM;
    memset(layer, 0, layer_size());
    layer->on_handshake = own.on_handshake;
    rc = prepare(stream, layer, &own);
    if (rc < 0) {
        free_layers(stream->reactor, layer);
        return rc;
    }
    put_on(stream, layer);
    /* Where it is no TCP, there is nothing to set. */
    twl__socket_set(stream->io.fd, TWL_TCP_NODELAY, true);
    twl__stream_update(stream);
    twl__stream_later(stream);
    return 0;
}

const twl_tls *twl_stream_tls(const twl_stream *stream)
{
    return stream->layer ? &stream->layer->tls : NULL;
}
