/* SPDX-License-Identifier: MIT */
/* echo.c -- round trips: every connection sends one message, waits until all of
 * it is back, and sends the next. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, MESSAGE_MAX = 65536 };

struct client {
    int fd;
    size_t missing; /* bytes of the present message not yet back */
};

struct crowd {
    int epoll;
    struct client *clients;
    size_t message_length;
    char message[MESSAGE_MAX];
    char answer[MESSAGE_MAX];
};

static void send_message(struct crowd *crowd, struct client *client)
{
    send_all(client->fd, crowd->message, crowd->message_length);
    client->missing = crowd->message_length;
}

static void add_client(struct crowd *crowd, struct client *client,
                       const struct server *server)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};

    client->fd = connect_to(server, 0);
    if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
        fail("epoll_ctl");
    send_message(crowd, client);
}

/* Returns 1 if that completed a round trip, else 0. */
static int take_answer(struct crowd *crowd, struct client *client)
{
    ssize_t got = recv(client->fd, crowd->answer, client->missing, 0);

    if (got < 0) fail("receive");
    errno = 0;
    if (got == 0) fail("the server closed a connection");
    client->missing -= (size_t)got;
    if (client->missing > 0) return 0;
    send_message(crowd, client);
    return 1;
}

static uint64_t count_round_trips(struct crowd *crowd, double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t count = 0;

    while (now() < end) {
        int ready = epoll_wait(crowd->epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        for (int i = 0; i < ready; i++)
            count += take_answer(crowd, events[i].data.ptr);
    }
    return count;
}

void run_echo(const struct server *server, const struct options *options)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);

    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd->clients = calloc(options->connections, sizeof *crowd->clients);
    crowd->message_length =
        options->bytes < MESSAGE_MAX ? options->bytes : MESSAGE_MAX;
    memset(crowd->message, 'x', crowd->message_length);
    for (unsigned i = 0; i < options->connections; i++)
        add_client(crowd, &crowd->clients[i], server);

    count_round_trips(crowd, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t count = count_round_trips(crowd, options->seconds);
    tally_stop(&tally, server);

    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)count,
           tally.wall, tally.cpu);
    free(crowd->clients);
    free(crowd);
}
