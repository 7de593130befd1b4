/* SPDX-License-Identifier: MIT */
/* churn.c -- connections that live for one message: connect, send, receive it
 * back, end the sending side, and wait for the server to close. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, MESSAGE_MAX = 4096 };

struct visitor {
    int fd;
    size_t
        missing; /* bytes of its message not yet back; 0: waiting for the close */
};

struct street {
    int epoll;
    const struct server *server;
    size_t message_length;
    uint64_t visits; /* completed */
    unsigned next_source;
    char message[MESSAGE_MAX];
};

static void visit(struct street *street, struct visitor *visitor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = visitor};

    visitor->fd = connect_to(street->server, ++street->next_source);
    visitor->missing = street->message_length;
    send_all(visitor->fd, street->message, street->message_length);
    if (epoll_ctl(street->epoll, EPOLL_CTL_ADD, visitor->fd, &event) < 0)
        fail("epoll_ctl");
}

static void take_answer(struct street *street, struct visitor *visitor)
{
    char answer[MESSAGE_MAX];
    ssize_t got = recv(visitor->fd, answer, sizeof answer, 0);

    if (got < 0) fail("receive");
    errno = 0;
    if ((got == 0) != (visitor->missing == 0))
        fail("the server closed too early or sent too much");
    if (got == 0) {
        close(visitor->fd);
        street->visits++;
        visit(street, visitor);
        return;
    }
    visitor->missing -= (size_t)got;
    if (visitor->missing == 0) shutdown(visitor->fd, SHUT_WR);
}

static uint64_t count_visits(struct street *street, double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t before = street->visits;

    while (now() < end) {
        int ready = epoll_wait(street->epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        for (int i = 0; i < ready; i++) take_answer(street, events[i].data.ptr);
    }
    return street->visits - before;
}

void run_churn(const struct server *server, const struct options *options)
{
    struct visitor *visitors = calloc(options->connections, sizeof *visitors);
    struct street street = {
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .server = server,
        .message_length =
            options->bytes < MESSAGE_MAX ? options->bytes : MESSAGE_MAX,
    };

    for (unsigned i = 0; i < options->connections; i++)
        visit(&street, &visitors[i]);

    count_visits(&street, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t count = count_visits(&street, options->seconds);
    tally_stop(&tally, server);

    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)count,
           tally.wall, tally.cpu);
    free(visitors);
}
