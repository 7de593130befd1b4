/* SPDX-License-Identifier: MIT
 * pair.h -- a stream whose peer is a plain descriptor in the test's hands.
 * Every callback writes a letter to the log: r read, e end, s shutdown, d drain, c closed.
 * A callback outside a turn, inside another one or after on_closed is a fault. */
#ifndef TWL_PAIR_H
#define TWL_PAIR_H

#include <arpa/inet.h>
#include <sys/socket.h>

#include "check.h"

enum { PAIR_LOG = 256, PAIR_KEPT = 64 };

struct pair {
    twl_reactor *reactor;
    twl_stream *stream;
    int peer; /* non-blocking */
    char log[PAIR_LOG];
    size_t letters;       /* also those that did not fit */
    size_t received;      /* bytes */
    char kept[PAIR_KEPT]; /* the first of them */
    int closes, reason;
    int faults;
    bool calling;
    void (*react)(struct pair *pair, char letter); /* the test's own part */
};

static inline bool pair_saw(const struct pair *pair, char letter)
{
    return strchr(pair->log, letter) != NULL;
}

static inline void pair_call(struct pair *pair, char letter)
{
    /* Only inside a turn another one is refused. */
    bool outside = twl_reactor_step(pair->reactor, 0.) != TWL_EBUSY;

    if (outside || pair->calling || (pair->closes > 0 && letter != 'c'))
        pair->faults++;
    if (pair->letters < PAIR_LOG - 1) pair->log[pair->letters] = letter;
    pair->letters++;
    pair->calling = true;
    if (pair->react) pair->react(pair, letter);
    pair->calling = false;
}

static inline void pair_read(twl_stream *stream, const char *bytes,
                             size_t length)
{
    struct pair *pair = twl_stream_context(stream);
    size_t room = PAIR_KEPT - 1 - strlen(pair->kept);

    strncat(pair->kept, bytes, length < room ? length : room);
    pair->received += length;
    pair_call(pair, 'r');
}

static inline void pair_end(twl_stream *stream)
{
    pair_call(twl_stream_context(stream), 'e');
}

static inline void pair_shutdown(twl_stream *stream)
{
    pair_call(twl_stream_context(stream), 's');
}

static inline void pair_drain(twl_stream *stream)
{
    pair_call(twl_stream_context(stream), 'd');
}

static inline void pair_closed(twl_stream *stream, int reason)
{
    struct pair *pair = twl_stream_context(stream);

    pair->closes++;
    pair->reason = reason;
    pair_call(pair, 'c');
}

static const twl_stream_events PAIR_EVENTS = {
    pair_read, pair_end, pair_shutdown, pair_drain, pair_closed};

/* The same for a protocol that knows no half-closed connections. */
static const twl_stream_events PAIR_EVENTS_WITHOUT_END = {
    pair_read, NULL, pair_shutdown, pair_drain, pair_closed};

/* A connected pair of TCP sockets on the loopback interface. */
static inline void pair_tcp(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&at, length) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (void *)&at, &length) < 0 ||
        connect(fds[0], (void *)&at, length) < 0)
        exit(1);
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
    for (int i = 0; i < 2; i++) fcntl(fds[i], F_SETFL, O_NONBLOCK);
}

/* [type] of a UNIX pair, or 0 for TCP. */
static inline void pair_begin_on(struct pair *pair, twl_reactor *reactor,
                                 int type, const twl_stream_events *events)
{
    int fds[2];

    if (type == 0)
        pair_tcp(fds);
    else if (socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds) < 0)
        exit(1);
    memset(pair, 0, sizeof *pair);
    pair->reactor = reactor;
    pair->peer = fds[1];
    pair->stream = malloc(twl_stream_size());
    twl_stream_init(pair->stream, reactor, fds[0], NULL, events, pair);
}

static inline void pair_begin(struct pair *pair, int type)
{
    pair_begin_on(pair, reactor_new(), type, &PAIR_EVENTS);
}

static inline void pair_end_on(struct pair *pair)
{
    CHECK_INT(0, pair->faults);
    CHECK(pair->closes <= 1);
    if (pair->peer >= 0) close(pair->peer);
    twl_stream_discard(pair->stream);
    free(pair->stream);
}

static inline void pair_finish(struct pair *pair)
{
    twl_reactor_close(pair->reactor);
    pair_end_on(pair);
}

static inline void pair_write(struct pair *pair, const char *text)
{
    CHECK_INT(0, twl_stream_write(pair->stream, text, strlen(text)));
}

/* ---- The peer -------------------------------------------------------------------------- */

static inline void peer_send(struct pair *pair, const char *text)
{
    CHECK_INT(strlen(text), send(pair->peer, text, strlen(text), MSG_NOSIGNAL));
}

/* Send up to [length] bytes, as many as fit. */
static inline size_t peer_send_much(struct pair *pair, size_t length)
{
    static const char bytes[16384];
    size_t total = 0;

    while (total < length) {
        size_t rest = length - total;
        ssize_t sent =
            send(pair->peer, bytes, rest < sizeof bytes ? rest : sizeof bytes,
                 MSG_NOSIGNAL);
        if (sent <= 0) break;
        total += (size_t)sent;
    }
    return total;
}

static inline void peer_close(struct pair *pair)
{
    close(pair->peer);
    pair->peer = -1;
}

static inline void peer_reset(struct pair *pair)
{
    const struct linger now = {1, 0};

    setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_close(pair);
}

/* What lies there for the peer: bytes, "(end)", "(nothing)" or an error's name. */
static inline const char *peer_sees(struct pair *pair)
{
    static char text[PAIR_KEPT * 4];
    ssize_t got = recv(pair->peer, text, sizeof text - 1, MSG_DONTWAIT);

    if (got < 0) return errno == EAGAIN ? "(nothing)" : twl_error_name(-errno);
    if (got == 0) return "(end)";
    text[got] = '\0';
    return text;
}

/* Turn until something lies there. */
static inline const char *peer_gets(struct pair *pair)
{
    const char *seen = peer_sees(pair);

    for (int i = 0; i < 2000 && strcmp(seen, "(nothing)") == 0; i++) {
        twl_reactor_step(pair->reactor, 0.001);
        seen = peer_sees(pair);
    }
    return seen;
}

/* Turn and read until [wanted] bytes are there, or an end; the number of bytes. */
static inline size_t peer_gets_much(struct pair *pair, size_t wanted)
{
    static char bytes[16384];
    size_t total = 0;

    for (int idle = 0; total < wanted && idle < 2000;) {
        ssize_t got = recv(pair->peer, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) break;
        if (got > 0) total += (size_t)got;
        if (got > 0) continue;
        twl_reactor_step(pair->reactor, 0.001);
        idle++;
    }
    return total;
}

#endif
