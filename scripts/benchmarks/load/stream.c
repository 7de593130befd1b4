/* SPDX-License-Identifier: MIT */
/* stream.c -- bytes both ways at once, as fast as the server returns them. A
 * connection has at most WINDOW bytes on their way, so that a server which does
 * not slow its reader down does not grow either. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 64, CHUNK = 65536, WINDOW = 512 * 1024 };

struct pipe {
    int fd;
    size_t under_way; /* bytes sent and not yet back */
};

static char chunk[CHUNK];
static char received[4 * CHUNK];

static void fill(struct pipe *pipe)
{
    while (pipe->under_way + CHUNK <= WINDOW) {
        ssize_t sent =
            send(pipe->fd, chunk, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) fail("send");
        if (sent <= 0) return;
        pipe->under_way += (size_t)sent;
    }
}

/* Whatever stops `fill`, bytes are then under way; their return is the event that
 * calls it again, and writability need not be watched. */
static size_t pump(struct pipe *pipe)
{
    ssize_t got = recv(pipe->fd, received, sizeof received, MSG_DONTWAIT);

    if (got < 0) fail("receive");
    errno = 0;
    if (got == 0) fail("the server closed a connection");
    pipe->under_way -= (size_t)got;
    fill(pipe);
    return (size_t)got;
}

static uint64_t count_bytes(int epoll, double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t bytes = 0;

    while (now() < end) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        for (int i = 0; i < ready; i++) bytes += pump(events[i].data.ptr);
    }
    return bytes;
}

void run_stream(const struct server *server, const struct options *options)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct pipe *pipes = calloc(options->connections, sizeof *pipes);

    for (unsigned i = 0; i < options->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &pipes[i]};
        pipes[i].fd = connect_to(server, 0);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[i].fd, &event) < 0)
            fail("epoll_ctl");
        fill(&pipes[i]);
    }

    count_bytes(epoll, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t bytes = count_bytes(epoll, options->seconds);
    tally_stop(&tally, server);

    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)bytes,
           tally.wall, tally.cpu);
    free(pipes);
}
