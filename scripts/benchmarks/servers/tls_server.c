/* SPDX-License-Identifier: MIT */
/* tls_server.c -- what TLS costs in plain C on libev and OpenSSL, as a measure for the others:
 * tls_server CERTIFICATE KEY. Echoes. A read takes what is there in one system call, the answer
 * leaves in another; OpenSSL's buffers are given back while a connection is idle. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD_MAX = 16384, BACKLOG = 4096, ACCEPT_MAX = 64 };

struct connection {
    ev_io io;
    SSL *ssl;
};

static SSL_CTX *context;
static char buffer[RECORD_MAX];

static void close_connection(struct ev_loop *loop,
                             struct connection *connection)
{
    ev_io_stop(loop, &connection->io);
    SSL_free(connection->ssl);
    close(connection->io.fd);
    free(connection);
}

/* The echoes of this benchmark fit into the kernel's buffer. */
static int echo(struct connection *connection)
{
    int got;

    while ((got = SSL_read(connection->ssl, buffer, sizeof buffer)) > 0) {
        if (SSL_write(connection->ssl, buffer, got) != got) return -1;
        if (!SSL_has_pending(connection->ssl)) return 1;
    }
    return got;
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
    struct connection *connection = (struct connection *)io;
    int result;
    (void)events;

    ERR_clear_error();
    /* This shakes hands first; what was read ahead with that has no event of its own. */
    result = echo(connection);
    if (result > 0) return;
    if (SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_READ) return;
    ERR_clear_error();
    if (SSL_is_init_finished(connection->ssl)) SSL_shutdown(connection->ssl);
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
        connection->ssl = SSL_new(context);
        /* Else the answer to the first message waits for the other side to acknowledge the
         * tickets. */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        SSL_set_fd(connection->ssl, fd);
        SSL_set_accept_state(connection->ssl);
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
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, BACKLOG) < 0) {
        perror("tls_server");
        exit(1);
    }
    getsockname(fd, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char *argv[])
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    ev_io listener;

    context = SSL_CTX_new(TLS_server_method());
    if (argc < 3 || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return 1;
    }
    SSL_CTX_set_mode(context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(context, 1);
    ev_io_init(&listener, on_accept, listen_on_loopback(), EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
