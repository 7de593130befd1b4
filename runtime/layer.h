/* SPDX-License-Identifier: MIT
 * layer.h -- the TLS sessions of a stream, one in another: what stream.c asks of them. All of it
 * is for a stream that has one, and is not CLOSED unless it says so. */
#ifndef TWL_LAYER_H
#define TWL_LAYER_H

#include "stream.h"
#include "tls.h"

struct twl__layer {
    struct twl__layer *above, *below; /* to the host, to the wire */
    twl_stream *stream;
    const twl_stream_events *events; /* the host's */
    void (*on_handshake)(twl_stream *stream);
    double timeout;
    bool wire_ended; /* of the lowest: the descriptor's end was read */
    bool lingering; /* of the lowest: only the peer's close_notify is missing */
    struct twl_tls tls;
    /* A timer lies behind it: of the handshake, then of lingering. */
};

/* Whether the stream must be read, even though its host does not want to. */
bool twl__layers_want_read(const twl_stream *stream);

/* Decrypt what was kept during a pause. */
void twl__layers_resume(twl_stream *stream);

/* Encrypt some of what was written; whether there is something to send now. May end the
 * stream. */
bool twl__layers_fill(twl_stream *stream);

/* Bytes written and not yet encrypted. */
size_t twl__layers_pending(const twl_stream *stream);

bool twl__layers_established(const twl_stream *stream);

/* Say the end of the innermost. */
void twl__layers_shutdown(twl_stream *stream);

/* What closing needs next: whether the descriptor can be closed. May end the stream. */
bool twl__layers_close(twl_stream *stream);

/* Reading failed with [reason]: what to finish with. */
int twl__layers_read_error(const twl_stream *stream, int reason);

/* The stream ends for [reason]: say what can be said. */
void twl__layers_farewell(twl_stream *stream, int reason);

/* The stream is CLOSED: give up all that is queued. */
void twl__layers_drop(twl_stream *stream);

/* Free them; the stream is plain again. */
void twl__layers_free(twl_stream *stream);

#endif
