/* SPDX-License-Identifier: MIT */
/* libev_server.c -- what the work costs in plain C on libev, as a measure for the
 * others: libev_server echo | lines | netstrings | http. An echo has one read buffer for all
 * connections, writes at once, and keeps bytes only while the kernel takes no more.
 * The frames are read into a buffer of the connection's, and counted where they lie; for http
 * that is all that is done to a request, before the same bytes are sent for each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_MAX = 65536, BACKLOG = 4096, ACCEPT_MAX = 64 };

struct connection {
    ev_io io;
    char *kept; /* echo: bytes to write; frames: bytes to split; or NULL */
    size_t kept_length;
    size_t kept_max;  /* frames: the size of its memory */
    size_t kept_done; /* echo: bytes already written */
    unsigned long long frames;
};

/* Returns how many of the bytes were whole frames. */
typedef size_t split_fn(struct connection *connection, const char *bytes,
                        size_t length);

static char buffer[READ_MAX];
static split_fn *split; /* NULL: echo */

static void close_connection(struct ev_loop *loop,
                             struct connection *connection)
{
    ev_io_stop(loop, &connection->io);
    close(connection->io.fd);
    free(connection->kept);
    free(connection);
}

static void watch(struct ev_loop *loop, struct connection *connection,
                  int events)
{
    ev_io_stop(loop, &connection->io);
    ev_io_modify(&connection->io, events);
    ev_io_start(loop, &connection->io);
}

/* Reading waits until the rest is written, so that one piece is all there is. */
static void keep_rest(struct ev_loop *loop, struct connection *connection,
                      size_t from, size_t length)
{
    connection->kept = malloc(length - from);
    if (!connection->kept) {
        close_connection(loop, connection);
        return;
    }
    memcpy(connection->kept, buffer + from, length - from);
    connection->kept_length = length - from;
    connection->kept_done = 0;
    watch(loop, connection, EV_WRITE);
}

static void echo(struct ev_loop *loop, struct connection *connection,
                 size_t length)
{
    ssize_t sent = send(connection->io.fd, buffer, length, MSG_NOSIGNAL);

    if (sent == (ssize_t)length) return;
    if (sent < 0 && errno != EAGAIN) {
        close_connection(loop, connection);
        return;
    }
    keep_rest(loop, connection, sent < 0 ? 0 : (size_t)sent, length);
}

static void write_rest(struct ev_loop *loop, struct connection *connection)
{
    size_t missing = connection->kept_length - connection->kept_done;
    ssize_t sent =
        send(connection->io.fd, connection->kept + connection->kept_done,
             missing, MSG_NOSIGNAL);

    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
        close_connection(loop, connection);
        return;
    }
    connection->kept_done += (size_t)sent;
    if (connection->kept_done < connection->kept_length) return;
    free(connection->kept);
    connection->kept = NULL;
    watch(loop, connection, EV_READ);
}

static void answer_count(struct connection *connection, int as_netstring)
{
    char digits[32], answer[48];
    int length = snprintf(digits, sizeof digits, "%llu", connection->frames);

    length = as_netstring
                 ? snprintf(answer, sizeof answer, "%d:%s,", length, digits)
                 : snprintf(answer, sizeof answer, "%s\r\n", digits);
    if (send(connection->io.fd, answer, (size_t)length, MSG_NOSIGNAL) != length)
        abort();
}

static size_t split_lines(struct connection *connection, const char *bytes,
                          size_t length)
{
    size_t at = 0;
    const char *end;

    while ((end = memmem(bytes + at, length - at, "\r\n", 2))) {
        size_t line = (size_t)(end - bytes) - at;
        if (line == 3 && memcmp(bytes + at, "END", 3) == 0)
            answer_count(connection, 0);
        else
            connection->frames++;
        at += line + 2;
    }
    return at;
}

static size_t split_netstrings(struct connection *connection, const char *bytes,
                               size_t length)
{
    size_t at = 0;
    const char *colon;

    while ((colon = memchr(bytes + at, ':', length - at))) {
        size_t size = strtoul(bytes + at, NULL, 10);
        size_t start = (size_t)(colon - bytes) + 1;
        if (start + size + 1 > length) break;
        if (bytes[start + size] != ',') abort();
        if (size == 3 && memcmp(bytes + start, "END", 3) == 0)
            answer_count(connection, 1);
        else
            connection->frames++;
        at = start + size + 1;
    }
    return at;
}

static size_t split_requests(struct connection *connection, const char *bytes,
                             size_t length)
{
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nServer: raw\r\n"
                                 "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                 "Content-Type: text/plain\r\n"
                                 "Content-Length: 14\r\n\r\nHello, world!\n";
    enum { LENGTH = sizeof ANSWER - 1, MOST = 64 };
    char answers[LENGTH * MOST];
    size_t at = 0, count = 0;
    const char *end;

    while (count < MOST &&
           (end = memmem(bytes + at, length - at, "\r\n\r\n", 4))) {
        memcpy(answers + LENGTH * count++, ANSWER, LENGTH);
        at = (size_t)(end - bytes) + 4;
    }
    /* A client that does not take so little has gone, as the next read will tell. */
    if (count > 0)
        (void)!send(connection->io.fd, answers, LENGTH * count, MSG_NOSIGNAL);
    return at;
}

static void make_room(struct connection *connection)
{
    if (connection->kept_max - connection->kept_length >= READ_MAX) return;
    connection->kept_max = 2 * connection->kept_max + 2 * READ_MAX;
    connection->kept = realloc(connection->kept, connection->kept_max);
    if (!connection->kept) abort();
}

static ssize_t read_frames(struct connection *connection)
{
    make_room(connection);
    ssize_t got = recv(connection->io.fd,
                       connection->kept + connection->kept_length, READ_MAX, 0);
    if (got <= 0) return got;

    connection->kept_length += (size_t)got;
    size_t done = split(connection, connection->kept, connection->kept_length);
    connection->kept_length -= done;
    memmove(connection->kept, connection->kept + done, connection->kept_length);
    return got;
}

static ssize_t read_echo(struct ev_loop *loop, struct connection *connection)
{
    ssize_t got = recv(connection->io.fd, buffer, sizeof buffer, 0);

    if (got > 0) echo(loop, connection, (size_t)got);
    return got;
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
    struct connection *connection = (struct connection *)io;

    if (events & EV_WRITE) {
        write_rest(loop, connection);
        return;
    }
    ssize_t got = split ? read_frames(connection) : read_echo(loop, connection);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        close_connection(loop, connection);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    for (int i = 0; i < ACCEPT_MAX; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) abort();
        ev_io_init(&connection->io, on_event, fd, EV_READ);
        ev_io_start(loop, &connection->io);
    }
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
        listen(fd, BACKLOG) < 0) {
        perror("libev_server");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "echo";
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    ev_io listener;

    if (strcmp(what, "lines") == 0) split = split_lines;
    if (strcmp(what, "netstrings") == 0) split = split_netstrings;
    if (strcmp(what, "http") == 0) split = split_requests;
    ev_io_init(&listener, on_accept, listen_on_loopback(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
