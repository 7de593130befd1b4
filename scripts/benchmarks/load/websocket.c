/* SPDX-License-Identifier: MIT */
/* websocket.c -- WebSocket echo: every connection sends one message, waits until all of its frame is back, and
 * sends the next. What it sends was masked once; what comes back is counted, not looked at. "raw" is the same
 * without frames, for a server that echoes bytes. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    HEAD_MAX = 14,
    ANSWER = 256 * 1024,
    HANDSHAKE_MAX = 4096,
    SMALL = 4096
};
enum { FIRST_IDLE = 100, SPARE = 64 };

struct message {
    char *sent; /* with its head, masked by a key of zeros */
    size_t sent_length;
    size_t answer_length;
};

struct socket {
    int fd;
    size_t to_send, missing;
};

static const char HANDSHAKE[] =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static size_t write_head(char *out, int masked, size_t length)
{
    int extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
    size_t size = 2;

    out[0] = (char)0x82;
    out[1] = (char)(masked << 7 | (extra == 0   ? (int)length
                                   : extra == 2 ? 126
                                                : 127));
    for (int i = extra - 1; i >= 0; i--) out[size++] = (char)(length >> 8 * i);
    if (masked) memset(out + size, 0, 4);
    return size + (masked ? 4 : 0);
}

static struct message make_message(size_t length, int framed)
{
    struct message message;
    char head[HEAD_MAX];

    message.sent = calloc(1, HEAD_MAX + length);
    message.sent_length = message.answer_length = length;
    if (framed) {
        message.sent_length += write_head(message.sent, 1, length);
        message.answer_length += write_head(head, 0, length);
    }
    return message;
}

static int open_socket(const struct server *server, int framed)
{
    char answer[HANDSHAKE_MAX];
    int fd = connect_to(server, 0);
    size_t length = 0;

    if (!framed) return fd;
    send_all(fd, HANDSHAKE, sizeof HANDSHAKE - 1);
    do {
        if (length == sizeof answer) fail("the answer is too long");
        receive_all(fd, answer + length++, 1);
    } while (length < 4 || memcmp(answer + length - 4, "\r\n\r\n", 4) != 0);
    if (memcmp(answer, "HTTP/1.1 101", 12) != 0) fail("no WebSocket there");
    return fd;
}

static void send_some(struct socket *socket, const struct message *message)
{
    const char *rest = message->sent + message->sent_length - socket->to_send;
    ssize_t sent =
        send(socket->fd, rest, socket->to_send, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) fail("send");
    if (sent > 0) socket->to_send -= (size_t)sent;
}

static void begin(struct socket *socket, const struct message *message)
{
    socket->to_send = message->sent_length;
    socket->missing = message->answer_length;
    send_some(socket, message);
}

/* Take what is there; returns how many round trips that completed. Edges of readiness are told once: it reads
 * until there is no more. */
static unsigned go_on(struct socket *socket, const struct message *message)
{
    static char answer[ANSWER];
    unsigned completed = 0;

    if (socket->to_send > 0) send_some(socket, message);
    for (;;) {
        ssize_t got = recv(socket->fd, answer, sizeof answer, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return completed;
        if (got < 0) fail("receive");
        errno = 0;
        if (got == 0) fail("the server closed a connection");
        socket->missing -= (size_t)got;
        if (socket->missing > 0) continue;
        completed++;
        begin(socket, message);
    }
}

/* A small message leaves at once, and its answer comes at once: one look is enough. */
static unsigned go_on_small(struct socket *socket,
                            const struct message *message)
{
    char answer[SMALL];
    ssize_t got = recv(socket->fd, answer, sizeof answer, 0);

    if (got < 0) fail("receive");
    errno = 0;
    if (got == 0) fail("the server closed a connection");
    socket->missing -= (size_t)got;
    if (socket->missing > 0) return 0;
    begin(socket, message);
    return 1;
}

static uint64_t count_round_trips(int epoll, const struct message *message,
                                  double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t count = 0;

    while (now() < end) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        for (int i = 0; i < ready; i++)
            count += message->answer_length < SMALL
                         ? go_on_small(events[i].data.ptr, message)
                         : go_on(events[i].data.ptr, message);
    }
    return count;
}

static void run(const struct server *server, const struct options *options,
                int framed)
{
    struct message message = make_message(options->bytes, framed);
    struct socket *sockets = calloc(options->connections, sizeof *sockets);
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < options->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                    .data.ptr = &sockets[i]};
        if (message.answer_length < SMALL) event.events = EPOLLIN;
        sockets[i].fd = open_socket(server, framed);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i].fd, &event) < 0)
            fail("epoll_ctl");
        begin(&sockets[i], &message);
    }
    count_round_trips(epoll, &message, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t count = count_round_trips(epoll, &message, options->seconds);
    tally_stop(&tally, server);
    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)count,
           tally.wall, tally.cpu);
    free(sockets);
    free(message.sent);
}

void run_ws_echo(const struct server *server, const struct options *options)
{
    run(server, options, 1);
}

void run_raw_echo(const struct server *server, const struct options *options)
{
    run(server, options, 0);
}

static void open_idle(const struct server *server, size_t bytes, unsigned count)
{
    struct message message = make_message(bytes, 1);
    char *answer = malloc(message.answer_length);

    for (unsigned i = 0; i < count; i++) {
        int fd = open_socket(server, 1);
        send_all(fd, message.sent, message.sent_length);
        receive_all(fd, answer, message.answer_length);
    }
    free(answer);
    free(message.sent);
}

void run_ws_idle(const struct server *server, const struct options *options)
{
    const useconds_t settle = 300 * 1000;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
    if (limit.rlim_cur < options->connections + FIRST_IDLE + SPARE)
        fail("too few descriptors: the limit is %lu",
             (unsigned long)limit.rlim_cur);
    open_idle(server, options->bytes,
              FIRST_IDLE); /* pays for what is made once */
    usleep(settle);
    double before = server_memory(server);
    open_idle(server, options->bytes, options->connections);
    usleep(settle);
    double after = server_memory(server);

    printf("count=%u bytes=%.0f total=%.0f\n", options->connections,
           (after - before) / options->connections, after);
}
