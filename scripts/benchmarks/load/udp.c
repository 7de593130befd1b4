/* SPDX-License-Identifier: MIT */
/* udp.c -- round trips of datagrams: every socket sends one, waits until it is back, and
 * sends the next. With no more than that on the way none is lost on loopback. */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256, DATAGRAM_MAX = 8192 };

static char datagram[DATAGRAM_MAX];
static size_t datagram_length;

static int socket_to(const struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("socket");
    return fd;
}

static void send_datagram(int fd)
{
    if (send(fd, datagram, datagram_length, 0) != (ssize_t)datagram_length)
        fail("send");
}

static void add_client(int epoll, const struct server *server)
{
    struct epoll_event event = {.events = EPOLLIN};

    event.data.fd = socket_to(server);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event) < 0)
        fail("epoll_ctl");
    send_datagram(event.data.fd);
}

static void take_answer(int fd)
{
    char answer[DATAGRAM_MAX];

    if (recv(fd, answer, sizeof answer, 0) != (ssize_t)datagram_length)
        fail("receive");
    send_datagram(fd);
}

static uint64_t count_round_trips(int epoll, double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t count = 0;

    while (now() < end) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        if (ready == 0) fail("a datagram was lost");
        for (int i = 0; i < ready; i++) take_answer(events[i].data.fd);
        count += (uint64_t)ready;
    }
    return count;
}

void run_udp(const struct server *server, const struct options *options)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    datagram_length =
        options->bytes < DATAGRAM_MAX ? options->bytes : DATAGRAM_MAX;
    for (unsigned i = 0; i < options->connections; i++)
        add_client(epoll, server);
    count_round_trips(epoll, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t count = count_round_trips(epoll, options->seconds);
    tally_stop(&tally, server);
    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)count,
           tally.wall, tally.cpu);
}
