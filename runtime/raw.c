/* SPDX-License-Identifier: MIT
 * raw.c -- sockets for those who watch the descriptor themselves: the calls of socket.c with
 * public codes. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <sys/uio.h>

#include "socket.h"

static int public_code(int rc)
{
    return rc == TWL__AGAIN ? TWL_EAGAIN : rc;
}

int twl_raw_listen(const twl_address *address, int backlog, int *out)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;

    config.address = address;
    config.backlog = backlog;
    return twl__socket_listen(&config, out);
}

int twl_raw_connect(const twl_address *address, int *out)
{
    bool binding;
    return public_code(twl__socket_connect(address, NULL, out, &binding));
}

int twl_raw_outcome(int fd)
{
    return twl__socket_outcome(fd);
}

int twl_raw_accept(int fd, int *out, twl_address *peer)
{
    return public_code(twl__socket_accept(fd, out, peer));
}

int twl_raw_set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0) return -errno;
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

long twl_raw_receive(int fd, char *buffer, size_t size)
{
    long got = twl__socket_receive(fd, buffer, size);
    return got < 0 ? public_code((int)got) : got;
}

long twl_raw_send(int fd, const char *bytes, size_t length)
{
    struct iovec vector = {(char *)(uintptr_t)bytes, length};
    long sent = twl__socket_send(fd, &vector, 1, false);
    return sent < 0 ? public_code((int)sent) : sent;
}

int twl_raw_shutdown(int fd)
{
    return twl__socket_shutdown(fd);
}

int twl_raw_local(int fd, twl_address *out)
{
    return twl__socket_local(fd, out);
}

int twl_raw_peer(int fd, twl_address *out)
{
    return twl__socket_peer(fd, out);
}

static int milliseconds(double seconds)
{
    if (seconds < 0) return -1;
    return seconds < INT_MAX / 1000 ? (int)ceil(seconds * 1000) : INT_MAX;
}

int twl_raw_wait(twl_raw_interest *interests, int count, double timeout)
{
    struct pollfd polled[TWL_RAW_WAIT_MAX];
    int ready;

    if (count < 0 || count > TWL_RAW_WAIT_MAX || isnan(timeout))
        return TWL_EINVAL;
    for (int i = 0; i < count; i++) {
        polled[i].fd = interests[i].fd;
        polled[i].events = interests[i].write ? POLLOUT : POLLIN;
    }
    ready = poll(polled, (nfds_t)count, milliseconds(timeout));
    if (ready < 0 && errno != EINTR) return -errno;
    for (int i = 0; i < count; i++)
        interests[i].ready = ready > 0 && polled[i].revents != 0;
    return ready < 0 ? 0 : ready;
}
