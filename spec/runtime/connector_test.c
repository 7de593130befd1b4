/* SPDX-License-Identifier: MIT
 * connector_test.c -- attempts to connect: outcomes, time-outs, cancelling. */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include <arpa/inet.h>
#include <math.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

enum { QUEUE = 16 };

struct attempt {
    twl_reactor *reactor;
    twl_connector *connector;
    int calls, code, fd;
    bool binding, active; /* while its function runs */
    void (*react)(struct attempt *attempt);
};

static void note_outcome(twl_connector *connector, int code, int fd,
                         bool binding)
{
    struct attempt *attempt = twl_connector_context(connector);

    /* Only inside a turn another one is refused. */
    CHECK_INT(TWL_EBUSY, twl_reactor_step(attempt->reactor, 0.));
    attempt->calls++;
    attempt->code = code;
    attempt->fd = fd;
    attempt->binding = binding;
    attempt->active = twl_connector_active(connector);
    if (attempt->react) attempt->react(attempt);
}

static void attempt_begin(struct attempt *attempt)
{
    memset(attempt, 0, sizeof *attempt);
    attempt->fd = -1;
    attempt->reactor = reactor_new();
    attempt->connector = malloc(twl_connector_size());
    twl_connector_init(attempt->connector, attempt->reactor, note_outcome,
                       attempt);
}

static void attempt_end(struct attempt *attempt)
{
    twl_fd_close(attempt->fd);
    twl_reactor_close(attempt->reactor);
    free(attempt->connector);
}

static int start_with(struct attempt *attempt, const twl_address *address,
                      const twl_address *bind, double timeout)
{
    twl_connector_config config = TWL_CONNECTOR_CONFIG_INIT;

    config.address = address;
    config.bind = bind;
    config.timeout = timeout;
    return twl_connector_start(attempt->connector, &config);
}

static twl_address ip(const char *host, long port)
{
    twl_address address;

    if (!CHECK_INT(0, twl_address_parse(&address, host, port))) exit(1);
    return address;
}

/* ---- Other ends ----------------------------------------------------------------------------- */

/* A bound TCP socket on the loopback interface; [backlog] below 0: it does not listen. */
static int tcp_server(int backlog, twl_address *address)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (void *)&at, length) < 0 ||
        getsockname(fd, (void *)&at, &length) < 0)
        exit(1);
    if (backlog >= 0 && listen(fd, backlog) < 0) exit(1);
    *address = ip("127.0.0.1", ntohs(at.sin_port));
    return fd;
}

/* A server whose queue is full: who comes now gets no answer. */
struct silent {
    int server, queued[QUEUE];
    twl_address address;
};

static void silent_begin(struct silent *silent)
{
    silent->server = tcp_server(0, &silent->address);
    for (int i = 0; i < QUEUE; i++) {
        silent->queued[i] =
            socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(silent->queued[i], (void *)&silent->address.storage,
                silent->address.length);
    }
}

static void silent_end(struct silent *silent)
{
    for (int i = 0; i < QUEUE; i++) close(silent->queued[i]);
    close(silent->server);
}

/* ---- Outcomes ------------------------------------------------------------------------------- */

static void connects_and_hands_the_descriptor_over(void)
{
    struct attempt attempt;
    twl_address address;
    int server = tcp_server(5, &address), accepted;
    char byte = 0;

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    CHECK(twl_connector_active(attempt.connector));
    CHECK_INT(0, attempt.calls);
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(0, attempt.code);
    CHECK(!attempt.active);
    CHECK(fcntl(attempt.fd, F_GETFL) & O_NONBLOCK);
    CHECK_INT(FD_CLOEXEC, fcntl(attempt.fd, F_GETFD));
    accepted = accept(server, NULL, NULL);
    CHECK_INT(1, write(accepted, "x", 1));
    while (read(attempt.fd, &byte, 1) < 0 && errno == EAGAIN) continue;
    CHECK_INT('x', byte);
    turn_idle(attempt.reactor);
    CHECK_INT(1, attempt.calls);
    close(accepted), close(server);
    attempt_end(&attempt);
}

static void tells_that_nobody_listens(void)
{
    struct attempt attempt;
    twl_address address;
    int server = tcp_server(-1, &address);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    CHECK_INT(0, attempt.calls);
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(-ECONNREFUSED, attempt.code);
    CHECK_INT(-1, attempt.fd);
    CHECK(!attempt.binding);
    turn_idle(attempt.reactor);
    CHECK_INT(1, attempt.calls);
    close(server);
    attempt_end(&attempt);
}

static void gives_up_after_its_timeout(void)
{
    struct attempt attempt;
    struct silent silent;

    silent_begin(&silent);
    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &silent.address, NULL, 0.02));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(TWL_ETIMEDOUT, attempt.code);
    CHECK_INT(-1, attempt.fd);
    turn_idle(attempt.reactor);
    CHECK_INT(1, attempt.calls);
    silent_end(&silent);
    attempt_end(&attempt);
}

static void forgets_the_timeout_once_it_ended(void)
{
    struct attempt attempt;
    twl_address address;
    int server = tcp_server(5, &address);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 0.015));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    turns_of_a_moment(attempt.reactor);
    CHECK_INT(1, attempt.calls);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 0.015));
    twl_connector_cancel(attempt.connector);
    turns_of_a_moment(attempt.reactor);
    CHECK_INT(1, attempt.calls);
    close(server);
    attempt_end(&attempt);
}

static void waits_on_without_a_timeout(void)
{
    struct attempt attempt;
    struct silent silent;

    silent_begin(&silent);
    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &silent.address, NULL, 0.));
    CHECK(turns_of_a_moment(attempt.reactor) < 10);
    CHECK_INT(0, attempt.calls);
    CHECK(twl_connector_active(attempt.connector));
    silent_end(&silent);
    attempt_end(&attempt);
}

static void tells_a_failure_known_at_once_later(void)
{
    struct attempt attempt;
    twl_address address;

    attempt_begin(&attempt);
    /* A broadcast address: connect() itself refuses. */
    address = ip("255.255.255.255", 9);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    CHECK_INT(0, attempt.calls);
    CHECK(twl_connector_active(attempt.connector));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK(attempt.code < 0);
    CHECK_INT(-1, attempt.fd);
    CHECK(!attempt.binding);
    attempt_end(&attempt);
}

/* ---- The local address ----------------------------------------------------------------------- */

static void connects_from_the_address_asked_for(void)
{
    struct attempt attempt;
    twl_address address, from = ip("127.0.0.2", 0);
    struct sockaddr_in seen;
    socklen_t length = sizeof seen;
    int server = tcp_server(5, &address), accepted;

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, &from, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(0, attempt.code);
    accepted = accept(server, (void *)&seen, &length);
    CHECK_INT(INADDR_LOOPBACK + 1, ntohl(seen.sin_addr.s_addr));
    close(accepted), close(server);
    attempt_end(&attempt);
}

static void tells_that_the_local_address_is_at_fault(void)
{
    struct attempt attempt;
    twl_address address, foreign = ip("192.0.2.1", 0), taken;
    int server = tcp_server(5, &address), other = tcp_server(5, &taken);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, &foreign, 30.));
    CHECK_INT(0, attempt.calls);
    TURN_UNTIL(attempt.reactor, attempt.calls == 1);
    CHECK_INT(-EADDRNOTAVAIL, attempt.code);
    CHECK(attempt.binding);
    CHECK_INT(0, start_with(&attempt, &address, &taken, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls == 2);
    CHECK_INT(-EADDRINUSE, attempt.code);
    CHECK(attempt.binding);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls == 3);
    CHECK_INT(0, attempt.code);
    CHECK(!attempt.binding);
    close(server), close(other);
    attempt_end(&attempt);
}

/* ---- UNIX sockets ---------------------------------------------------------------------------- */

static int abstract_server(int backlog, twl_address *address)
{
    char name[40] = "";
    int length = 1 + snprintf(name + 1, sizeof name - 1, "twistlua-test-%ld",
                              (long)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_INT(0, twl_address_unix(address, name, (size_t)length));
    if (bind(fd, (void *)&address->storage, address->length) < 0 ||
        listen(fd, backlog) < 0)
        exit(1);
    return fd;
}

static void tells_a_connection_made_at_once_later(void)
{
    struct attempt attempt;
    twl_address address;
    int server = abstract_server(5, &address);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    CHECK_INT(0, attempt.calls);
    CHECK(twl_connector_active(attempt.connector));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(0, attempt.code);
    CHECK(attempt.fd >= 0);
    close(server);
    attempt_end(&attempt);
}

static void tells_that_a_path_leads_nowhere(void)
{
    struct attempt attempt;
    twl_address address;

    attempt_begin(&attempt);
    CHECK_INT(0, twl_address_unix(&address, "/tmp/no/such/socket", 19));
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(-ENOENT, attempt.code);
    attempt_end(&attempt);
}

static void fails_where_the_queue_of_a_unix_socket_is_full(void)
{
    struct attempt attempt;
    twl_address address;
    int server = abstract_server(0, &address), clients[QUEUE];

    attempt_begin(&attempt);
    for (int i = 0; i < QUEUE; i++) {
        clients[i] =
            socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(clients[i], (void *)&address.storage, address.length);
    }
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls);
    CHECK_INT(-EAGAIN, attempt.code);
    for (int i = 0; i < QUEUE; i++) close(clients[i]);
    close(server);
    attempt_end(&attempt);
}

/* ---- Cancelling and starting ------------------------------------------------------------------- */

static void says_nothing_once_cancelled(void)
{
    struct attempt attempt;
    twl_address address;
    int refusing = tcp_server(-1, &address);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    twl_connector_cancel(attempt.connector);
    twl_connector_cancel(attempt.connector);
    CHECK(!twl_connector_active(attempt.connector));
    turn_idle(attempt.reactor);
    CHECK_INT(0, attempt.calls);
    close(refusing);
    attempt_end(&attempt);
}

static void says_nothing_once_cancelled_with_an_outcome(void)
{
    struct attempt attempt;
    twl_address address;
    int server = abstract_server(5, &address);

    attempt_begin(&attempt);
    CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
    twl_connector_cancel(attempt.connector);
    turn_idle(attempt.reactor);
    CHECK_INT(0, attempt.calls);
    close(server);
    attempt_end(&attempt);
}

static void cancel_self(struct attempt *attempt)
{
    twl_connector_cancel(attempt->connector);
}

static void free_self(struct attempt *attempt)
{
    free(attempt->connector);
    attempt->connector = NULL;
}

static void may_be_cancelled_or_freed_by_its_function(void)
{
    void (*const reactions[])(struct attempt * attempt) = {cancel_self,
                                                           free_self};

    for (int i = 0; i < 2; i++) {
        struct attempt attempt;
        twl_address address;
        int server = tcp_server(5, &address);
        attempt_begin(&attempt);
        attempt.react = reactions[i];
        CHECK_INT(0, start_with(&attempt, &address, NULL, 30.));
        TURN_UNTIL(attempt.reactor, attempt.calls);
        /* The descriptor stays the function's. */
        CHECK(fcntl(attempt.fd, F_GETFD) >= 0);
        turn_idle(attempt.reactor);
        CHECK_INT(1, attempt.calls);
        close(server);
        attempt_end(&attempt);
    }
}

static twl_address again;

static void start_again(struct attempt *attempt)
{
    twl_fd_close(attempt->fd);
    attempt->fd = -1;
    if (attempt->calls < 3)
        CHECK_INT(0, start_with(attempt, &again, NULL, 30.));
}

static void may_be_started_again_by_its_function(void)
{
    struct attempt attempt;
    int server = tcp_server(5, &again);

    attempt_begin(&attempt);
    attempt.react = start_again;
    CHECK_INT(0, start_with(&attempt, &again, NULL, 30.));
    TURN_UNTIL(attempt.reactor, attempt.calls == 3);
    turn_idle(attempt.reactor);
    CHECK_INT(3, attempt.calls);
    close(server);
    attempt_end(&attempt);
}

static void refuses_a_bad_start(void)
{
    struct attempt attempt;
    struct silent silent;

    silent_begin(&silent);
    attempt_begin(&attempt);
    CHECK_INT(TWL_EINVAL, start_with(&attempt, NULL, NULL, 30.));
    CHECK_INT(TWL_EINVAL, start_with(&attempt, &silent.address, NULL, -1.));
    CHECK_INT(TWL_EINVAL,
              start_with(&attempt, &silent.address, NULL, (double)NAN));
    CHECK_INT(TWL_EINVAL,
              start_with(&attempt, &silent.address, NULL, (double)INFINITY));
    CHECK(!twl_connector_active(attempt.connector));
    CHECK_INT(0, start_with(&attempt, &silent.address, NULL, 0.));
    CHECK_INT(TWL_EBUSY, start_with(&attempt, &silent.address, NULL, 0.));
    CHECK(twl_connector_active(attempt.connector));
    turn_idle(attempt.reactor);
    CHECK_INT(0, attempt.calls);
    silent_end(&silent);
    attempt_end(&attempt);
}

static void is_cancelled_when_the_reactor_closes(void)
{
    struct attempt waiting, known;
    struct silent silent;
    twl_address address;
    int server = abstract_server(5, &address);

    silent_begin(&silent);
    attempt_begin(&waiting);
    attempt_begin(&known);
    CHECK_INT(0, start_with(&waiting, &silent.address, NULL, 5.));
    CHECK_INT(0, start_with(&known, &address, NULL, 5.));
    twl_reactor_close(waiting.reactor);
    twl_reactor_close(known.reactor);
    CHECK(!twl_connector_active(waiting.connector));
    CHECK(!twl_connector_active(known.connector));
    twl_connector_cancel(waiting.connector);
    CHECK_INT(0, waiting.calls);
    CHECK_INT(0, known.calls);
    free(waiting.connector), free(known.connector);
    close(server);
    silent_end(&silent);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(connects_and_hands_the_descriptor_over);
    RUN_EVERYWHERE(tells_that_nobody_listens);
    RUN_EVERYWHERE(gives_up_after_its_timeout);
    RUN(forgets_the_timeout_once_it_ended);
    RUN_EVERYWHERE(waits_on_without_a_timeout);
    RUN_EVERYWHERE(tells_a_failure_known_at_once_later);
    RUN(connects_from_the_address_asked_for);
    RUN(tells_that_the_local_address_is_at_fault);
    RUN_EVERYWHERE(tells_a_connection_made_at_once_later);
    RUN(tells_that_a_path_leads_nowhere);
    RUN(fails_where_the_queue_of_a_unix_socket_is_full);
    RUN(says_nothing_once_cancelled);
    RUN(says_nothing_once_cancelled_with_an_outcome);
    RUN_EVERYWHERE(may_be_cancelled_or_freed_by_its_function);
    RUN_EVERYWHERE(may_be_started_again_by_its_function);
    RUN(refuses_a_bad_start);
    RUN(is_cancelled_when_the_reactor_closes);
    return check_end();
}
