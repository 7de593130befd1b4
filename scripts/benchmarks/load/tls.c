/* SPDX-License-Identifier: MIT */
/* tls.c -- the same over TLS: round trips, handshakes, and what an idle connection costs. One
 * that blocks is as good as one that does not, for the server: it is what is measured. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, MESSAGE_MAX = 16384, FIRST = 100 };

struct secure {
    int fd;
    SSL *ssl;
};

static char message[MESSAGE_MAX], answer[MESSAGE_MAX];

static _Noreturn void fail_tls(const char *what)
{
    ERR_print_errors_fp(stderr);
    errno = 0;
    fail("%s", what);
}

static SSL_SESSION *kept; /* the newest session, to be resumed */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return context;
}

static void join(struct secure *secure, SSL_CTX *context,
                 const struct server *server, unsigned source, bool resume)
{
    secure->fd = connect_to(server, source);
    secure->ssl = SSL_new(context);
    SSL_set_fd(secure->ssl, secure->fd);
    if (resume && kept) SSL_set_session(secure->ssl, kept);
    if (SSL_connect(secure->ssl) != 1) fail_tls("handshake");
}

static void send_message(struct secure *secure, size_t length)
{
    if (SSL_write(secure->ssl, message, (int)length) != (int)length)
        fail_tls("send");
}

static void take_answer(struct secure *secure, size_t length)
{
    size_t total = 0;

    while (total < length) {
        int got = SSL_read(secure->ssl, answer, (int)(length - total));
        if (got <= 0) fail_tls("receive");
        total += (size_t)got;
    }
}

static uint64_t count_round_trips(int epoll, size_t length, double seconds)
{
    struct epoll_event events[EVENTS];
    double end = now() + seconds;
    uint64_t count = 0;

    while (now() < end) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        if (ready < 0) fail("epoll_wait");
        for (int i = 0; i < ready; i++) {
            take_answer(events[i].data.ptr, length);
            send_message(events[i].data.ptr, length);
            count++;
        }
    }
    return count;
}

static void print_tally(uint64_t count, const struct tally *tally)
{
    printf("count=%llu wall=%.6f cpu=%.6f\n", (unsigned long long)count,
           tally->wall, tally->cpu);
}

void run_tls_echo(const struct server *server, const struct options *options)
{
    SSL_CTX *context = make_context();
    struct secure *all = calloc(options->connections, sizeof *all);
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    for (unsigned i = 0; i < options->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        join(&all[i], context, server, 0, false);
        send_message(&all[i], options->bytes);
        take_answer(&all[i], options->bytes); /* and the tickets before it */
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
            fail("epoll_ctl");
        send_message(&all[i], options->bytes);
    }
    count_round_trips(epoll, options->bytes, options->warm_up);
    struct tally tally = tally_start(server);
    uint64_t count = count_round_trips(epoll, options->bytes, options->seconds);
    tally_stop(&tally, server);
    print_tally(count, &tally);
    free(all);
}

/* A connection that shakes hands and ends. With TLS 1.3 it says one byte in between: the answer
 * brings the tickets. */
static void visit(SSL_CTX *context, const struct server *server,
                  unsigned source, bool resume)
{
    struct secure secure;

    join(&secure, context, server, source, resume);
    if (resume && kept && source > 1 && !SSL_session_reused(secure.ssl))
        fail_tls("a session was not resumed");
    if (SSL_version(secure.ssl) >= TLS1_3_VERSION) {
        send_message(&secure, 1);
        take_answer(&secure, 1);
    }
    SSL_shutdown(secure.ssl);
    SSL_free(secure.ssl);
    close(secure.fd);
}

static void run_handshakes(const struct server *server,
                           const struct options *options, int version,
                           bool resume)
{
    SSL_CTX *context = make_context();
    SSL_CTX_set_max_proto_version(context, version);
    uint64_t count = 0;
    unsigned source = 0;
    double end = now() + options->warm_up;

    do visit(context, server, ++source, resume);
    while (now() < end || source < 2);
    struct tally tally = tally_start(server);
    end = now() + options->seconds;
    for (; now() < end; count++) visit(context, server, ++source, resume);
    tally_stop(&tally, server);
    print_tally(count, &tally);
}

void run_tls_full(const struct server *server, const struct options *options)
{
    run_handshakes(server, options, TLS1_3_VERSION, false);
}

void run_tls_resumed(const struct server *server, const struct options *options)
{
    run_handshakes(server, options, TLS1_3_VERSION, true);
}

void run_tls12_full(const struct server *server, const struct options *options)
{
    run_handshakes(server, options, TLS1_2_VERSION, false);
}

void run_tls12_resumed(const struct server *server,
                       const struct options *options)
{
    run_handshakes(server, options, TLS1_2_VERSION, true);
}

/* Their descriptors stay open; this side's memory is given back. */
static void open_idle(SSL_CTX *context, const struct server *server,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct secure secure;
        join(&secure, context, server, 0, false);
        send_message(&secure, 64);
        take_answer(&secure, 64);
        SSL_free(secure.ssl);
    }
}

void run_tls_idle(const struct server *server, const struct options *options)
{
    const useconds_t settle = 300 * 1000;
    SSL_CTX *context = make_context();

    open_idle(context, server, FIRST); /* pays for what is made once */
    usleep(settle);
    double before = server_memory(server);
    open_idle(context, server, options->connections);
    usleep(settle);
    double after = server_memory(server);
    printf("count=%u bytes=%.0f total=%.0f\n", options->connections,
           (after - before) / options->connections, after);
}
