/* SPDX-License-Identifier: MIT
 * stream.h -- the life of a stream.
 *
 *   OPEN -> CLOSING -> CLOSED     twl_stream_close(): output first
 *   OPEN ------------> CLOSED     the end, an error, twl_stream_abort()
 *
 * With TLS, the stream's events are those of stream_tls.c, which calls the host's, and bytes go
 * through the layers in between; CLOSING waits for the peer's close_notify as well.
 * In CLOSED the descriptor is gone and the queue with it: our address, which connectionLost may
 * ask for, has its place. on_closed is a job that still waits, or has been called. */
#ifndef TWL_STREAM_H
#define TWL_STREAM_H

#include <ev.h>

#include "buffer.h"
#include "list.h"

enum twl__stream_state { TWL__OPEN, TWL__CLOSING, TWL__CLOSED };

enum { TWL__KEPT_ADDRESS = 28 }; /* an IPv6 socket address */

struct twl_stream {
    struct twl__link link; /* in reactor->streams until on_closed is called */
    twl_reactor *reactor;
    const twl_stream_events *events;
    void *context;
    ev_io io;
    twl_job job; /* queued while there is something to send or to tell */
    struct twl__layer *layer; /* TLS, the innermost; NULL: plain */
    union {
        struct twl__buffer output;              /* until CLOSED */
        unsigned char local[TWL__KEPT_ADDRESS]; /* in CLOSED */
    };
    int reason; /* of CLOSED */
    unsigned char peer[TWL__KEPT_ADDRESS];
    uint8_t peer_length;  /* 0: too long, ask the kernel */
    uint8_t local_length; /* 0: too long, or not CLOSED yet */
    uint8_t state;
    bool paused;      /* reads nothing, by request */
    bool ended;       /* the peer sent its end */
    bool shutdown;    /* our end was asked for */
    bool end_sent;    /* and it is sent */
    bool held;        /* close waits */
    bool wants_drain; /* on_drain is wanted */
    bool drain_due;   /* the queue ran empty since on_drain */
    bool dispatching; /* inside on_io, which will flush by itself */
};

/* ---- For stream_file.c ------------------------------------------------------------------ */

/* Whether bytes written now may still leave. */
bool twl__stream_accepts_output(const twl_stream *stream);
/* Something was queued, if [rc] is 0, which is returned. */
int twl__stream_added(twl_stream *stream, int rc);
/* Have the kernel send of the file at the front of the queue; as twl__socket_send(). */
long twl__stream_send_file(twl_stream *stream);

/* ---- For stream_tls.c ------------------------------------------------------------------- */

/* Give up the descriptor; on_closed follows with [reason]. */
void twl__stream_finish(twl_stream *stream, int reason);
/* Look again at what there is to send, and to resume, later in this turn. */
void twl__stream_later(twl_stream *stream);
/* Look again at whether the stream is to be read. */
void twl__stream_update(twl_stream *stream);
/* Offer the queue to the kernel, once, for a stream that ends whether it is taken or not. */
void twl__stream_offer(twl_stream *stream);

#endif
