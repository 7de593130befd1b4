/* SPDX-License-Identifier: MIT
 * libev_udp_server.c -- an echo of datagrams in plain C on libev, as a measure for the others:
 * recvfrom and sendto, as long as there are any, 64 at most in one turn. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { TURN_BUDGET = 64 };

static char buffer[8192];

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    (void)events;
    for (int i = 0; i < TURN_BUDGET; i++) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(io->fd, buffer, sizeof buffer, 0,
                               (struct sockaddr *)&from, &length);
        if (got < 0) return;
        sendto(io->fd, buffer, (size_t)got, 0, (struct sockaddr *)&from,
               length);
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ev_io io;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0) {
        perror("libev_udp_server");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    ev_io_init(&io, on_readable, fd, EV_READ);
    ev_io_start(loop, &io);
    ev_run(loop, 0);
    return 0;
}
