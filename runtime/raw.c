/* SPDX-License-Identifier: MIT
 * raw.c -- sockets for those who watch the descriptor themselves: the calls of socket.c with
 * public codes. */
#include <fcntl.h>
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
    long sent = twl__socket_send(fd, &vector, 1);
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
