/* SPDX-License-Identifier: MIT
 * socket.c -- system calls on sockets, with Linux' shorter forms where there are some. */
#define _GNU_SOURCE /* accept4 */
#include "socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef MSG_MORE
#define MSG_MORE 0
#endif

enum { LOCK_PATH = TWL_ADDRESS_TEXT + 8 };

int twl__socket_error(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK ? TWL__AGAIN : -errno;
}

void twl_fd_close(int fd)
{
    /* Not again after EINTR: on Linux the descriptor is gone, and may be another's. */
    if (fd >= 0) close(fd);
}

static int make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return -errno;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

int twl__socket_new(const twl_address *address, int type, int *out)
{
    const struct sockaddr *any = (const void *)&address->storage;
#ifdef SOCK_NONBLOCK
    int fd = socket(any->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
#else
    int fd = socket(any->sa_family, type, 0), rc;
    if (fd < 0) return -errno;
    if ((rc = make_nonblocking(fd)) < 0) {
        close(fd);
        return rc;
    }
#endif
    *out = fd;
    return 0;
}

int twl__socket_turn_on(int fd, int level, int option)
{
    const int on = 1;
    return setsockopt(fd, level, option, &on, sizeof on) < 0 ? -errno : 0;
}

int twl__socket_bind(int fd, const twl_address *address)
{
    return bind(fd, (const void *)&address->storage, address->length) < 0
               ? -errno
               : 0;
}

static const char *file_path(const twl_address *address)
{
    const struct sockaddr_un *un = (const void *)&address->storage;

    if (twl_address_family(address) != TWL_UNIX || un->sun_path[0] == '\0')
        return NULL;
    return un->sun_path;
}

int twl__socket_set_mode(const twl_address *address, int mode)
{
    const char *path = file_path(address);
    return path && mode >= 0 && chmod(path, (mode_t)mode) < 0 ? -errno : 0;
}

/* Whoever holds the lock may take a socket for left over; other files are not ours. */
static void unlink_left_over(const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode)) unlink(path);
}

/* The permissions are set between bind and listen: nobody can connect in between. */
static int bind_listening(int fd, const twl_listener_config *config)
{
    const char *path = file_path(config->address);
    int rc = 0;

    if (twl_address_family(config->address) != TWL_UNIX)
        rc = twl__socket_turn_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (rc == 0 && twl_address_family(config->address) == TWL_IPV6)
        rc = twl__socket_turn_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (rc == 0 && config->reuse_port)
        rc = twl__socket_turn_on(fd, SOL_SOCKET, SO_REUSEPORT);
    if (rc < 0) return rc;
    if (path && config->lock) unlink_left_over(path);
    if ((rc = twl__socket_bind(fd, config->address)) < 0) return rc;
    return twl__socket_set_mode(config->address, config->mode);
}

int twl__socket_listen(const twl_listener_config *config, int *out)
{
    int fd = -1, rc;

    if ((rc = twl__socket_new(config->address, SOCK_STREAM, &fd)) < 0)
        return rc;
    rc = bind_listening(fd, config);
    if (rc == 0 && listen(fd, config->backlog) < 0) rc = -errno;
    if (rc < 0)
        close(fd);
    else
        *out = fd;
    return rc;
}

int twl__socket_accept(int fd, int *out, twl_address *peer)
{
    socklen_t length = sizeof peer->storage;
    int accepted;

    do {
#ifdef SOCK_NONBLOCK
        accepted = accept4(fd, (void *)&peer->storage, &length,
                           SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
        accepted = accept(fd, (void *)&peer->storage, &length);
#endif
    } while (accepted < 0 && errno == EINTR);
    if (accepted < 0) return twl__socket_error();
#ifndef SOCK_NONBLOCK
    int rc = make_nonblocking(accepted);
    if (rc < 0) {
        close(accepted);
        return rc;
    }
#endif
    peer->length = length;
    *out = accepted;
    return 0;
}

int twl__socket_connect(const twl_address *to, const twl_address *from,
                        int *out, bool *binding)
{
    int fd = -1, rc;

    *binding = false;
    if ((rc = twl__socket_new(to, SOCK_STREAM, &fd)) < 0) return rc;
    if (from && (rc = twl__socket_bind(fd, from)) < 0) {
        *binding = true;
        close(fd);
        return rc;
    }
    rc = connect(fd, (const void *)&to->storage, to->length) < 0 ? -errno : 0;
    if (rc == -EINPROGRESS || rc == -EINTR) rc = TWL__AGAIN;
    if (rc < 0 && rc != TWL__AGAIN)
        close(fd);
    else
        *out = fd;
    return rc;
}

int twl__socket_outcome(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return -error;
}

long twl__socket_receive(int fd, char *buffer, size_t size)
{
    ssize_t received;

    do {
        received = recv(fd, buffer, size, 0);
    } while (received < 0 && errno == EINTR);
    return received < 0 ? twl__socket_error() : (long)received;
}

long twl__socket_send(int fd, const struct iovec *vectors, int count, bool more)
{
    const int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)vectors,
                             .msg_iovlen = (size_t)count};
    ssize_t sent;

    do {
        if (count == 1)
            sent = send(fd, vectors->iov_base, vectors->iov_len, flags);
        else
            sent = sendmsg(fd, &message, flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? twl__socket_error() : (long)sent;
}

int twl__socket_shutdown(int fd)
{
    return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

void twl__socket_reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

int twl__socket_local(int fd, twl_address *out)
{
    socklen_t length = sizeof out->storage;

    if (getsockname(fd, (void *)&out->storage, &length) < 0) return -errno;
    out->length = length;
    return 0;
}

int twl__socket_peer(int fd, twl_address *out)
{
    socklen_t length = sizeof out->storage;

    if (getpeername(fd, (void *)&out->storage, &length) < 0) return -errno;
    out->length = length;
    return 0;
}

static void find_option(enum twl_option option, int *level, int *name)
{
    *level = option == TWL_TCP_NODELAY ? IPPROTO_TCP : SOL_SOCKET;
    *name = option == TWL_TCP_NODELAY ? TCP_NODELAY : SO_KEEPALIVE;
}

int twl__socket_set(int fd, enum twl_option option, bool on)
{
    int level, name, value = on;

    find_option(option, &level, &name);
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int twl__socket_get(int fd, enum twl_option option, bool *out)
{
    int level, name, value = 0;
    socklen_t length = sizeof value;

    find_option(option, &level, &name);
    if (getsockopt(fd, level, name, &value, &length) < 0) return -errno;
    *out = value != 0;
    return 0;
}

static int check_kind(int fd, bool listening)
{
    int type = 0, accepting = 0;
    socklen_t length = sizeof type;
    twl_address peer;

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    length = sizeof accepting;
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &length);
    if (type != SOCK_STREAM || (accepting != 0) != listening) return TWL_EINVAL;
    return listening ? 0 : twl__socket_peer(fd, &peer);
}

int twl__socket_duplicate(int fd, int *out)
{
    int rc, copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0) return -errno;
    if ((rc = make_nonblocking(copy)) < 0) {
        close(copy);
        return rc;
    }
    *out = copy;
    return 0;
}

int twl_fd_adopt(int fd, bool listening, int *out)
{
    int rc = check_kind(fd, listening);
    return rc < 0 ? rc : twl__socket_duplicate(fd, out);
}

int twl__reserve_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int lock_path(const twl_address *address, char *text, size_t size)
{
    const char *path = file_path(address);

    if (!path) return TWL_EINVAL;
    snprintf(text, size, "%s.lock", path);
    return 0;
}

int twl__lock_take(const twl_address *address)
{
    char path[LOCK_PATH];
    bool clean;
    int rc = lock_path(address, path, sizeof path);

    return rc < 0 ? rc : twl_lockfile_take(NULL, path, &clean);
}

void twl__lock_release(const twl_address *address)
{
    char path[LOCK_PATH];

    if (lock_path(address, path, sizeof path) == 0) twl_lockfile_release(NULL, path);
}

bool twl_address_locked(const twl_address *address)
{
    char path[LOCK_PATH];

    return lock_path(address, path, sizeof path) == 0 &&
           twl_lockfile_held(path);
}

void twl__socket_file(const twl_address *address, struct twl__file *out)
{
    const char *path = file_path(address);
    struct stat status;

    *out = (struct twl__file){0, 0};
    if (!path || stat(path, &status) < 0) return;
    *out = (struct twl__file){status.st_dev, status.st_ino};
}

void twl__socket_unlink(const twl_address *address,
                        const struct twl__file *file)
{
    struct twl__file now;

    twl__socket_file(address, &now);
    if (now.inode && now.inode == file->inode && now.device == file->device)
        unlink(file_path(address));
}
