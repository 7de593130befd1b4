/* SPDX-License-Identifier: MIT */
/* connect.c -- blocking sockets to the server under test. The modes that need
 * more than one at a time use them with MSG_DONTWAIT under epoll: on loopback
 * a blocking connect returns at once, and costs fewer system calls. */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { SOURCE_COUNT = 200 };

static struct sockaddr_in loopback(unsigned last_byte, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port)};

    address.sin_addr.s_addr = htonl(0x7f000000u | last_byte);
    return address;
}

/* A closed connection keeps its port for a minute, so that one address would run
 * out of ports in a second or two of connecting and closing. */
static void bind_source(int fd, unsigned source)
{
    int on = 1;
    struct sockaddr_in address = loopback(1 + source % SOURCE_COUNT, 0);

    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
}

int connect_to(const struct server *server, unsigned source)
{
    int on = 1;
    struct sockaddr_in address = loopback(1, server->port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) fail("socket");
    if (source > 0) bind_source(fd, source);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    return fd;
}

void send_all(int fd, const void *bytes, size_t length)
{
    const char *next = bytes;

    while (length > 0) {
        ssize_t sent = send(fd, next, length, MSG_NOSIGNAL);
        if (sent < 0) fail("send");
        next += sent;
        length -= (size_t)sent;
    }
}

void receive_all(int fd, void *bytes, size_t length)
{
    char *next = bytes;

    while (length > 0) {
        ssize_t got = recv(fd, next, length, 0);
        if (got < 0) fail("receive");
        errno = 0;
        if (got == 0) fail("the server closed a connection");
        next += got;
        length -= (size_t)got;
    }
}
