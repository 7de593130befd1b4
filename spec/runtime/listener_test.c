/* SPDX-License-Identifier: MIT
 * listener_test.c -- accepting on TCP and UNIX sockets, files and locks, and running out of
 * descriptors. */
#define _GNU_SOURCE /* accept4, SOCK_CLOEXEC */
#include <arpa/inet.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "check.h"

enum { CROWD = 200 };

/* ---- A listener and its clients -------------------------------------------------------------- */

struct server {
    twl_reactor *reactor;
    twl_listener *listener;
    int accepted, errors, last_error;
    int fds[CROWD]; /* accepted and not closed yet */
    twl_address peer;
    void (*react)(struct server *server);
};

static void keep(twl_listener *listener, int fd, const twl_address *peer)
{
    struct server *server = twl_listener_context(listener);

    server->fds[server->accepted++] = fd;
    server->peer = *peer;
    if (server->react) server->react(server);
}

static void note_error(twl_listener *listener, int code)
{
    struct server *server = twl_listener_context(listener);

    server->errors++;
    server->last_error = code;
}

static const twl_listener_events EVENTS = {keep, note_error};

static void server_begin_on(struct server *server, twl_reactor *reactor)
{
    memset(server, 0, sizeof *server);
    server->reactor = reactor;
    server->listener = malloc(twl_listener_size());
    twl_listener_init(server->listener, reactor, &EVENTS, server);
}

static void server_begin(struct server *server)
{
    server_begin_on(server, reactor_new());
}

static void drop_accepted(struct server *server)
{
    for (int i = 0; i < server->accepted; i++) close(server->fds[i]);
    server->accepted = 0;
}

static void server_end_on(struct server *server)
{
    drop_accepted(server);
    twl_listener_close(server->listener);
    free(server->listener);
}

static void server_finish(struct server *server)
{
    server_end_on(server);
    twl_reactor_close(server->reactor);
}

static int open_at(struct server *server, const twl_address *address)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;

    config.address = address;
    return twl_listener_open(server->listener, &config);
}

static int open_tcp(struct server *server, const char *host, long port)
{
    twl_address address;

    if (!CHECK_INT(0, twl_address_parse(&address, host, port))) exit(1);
    return open_at(server, &address);
}

static int port_of(struct server *server)
{
    twl_address address;

    CHECK_INT(0, twl_listener_local(server->listener, &address));
    return twl_address_port(&address);
}

/* A blocking client; the kernel's queue takes it before anybody accepts. -1 if refused. */
static int connect_to(struct server *server)
{
    struct sockaddr_storage at;
    socklen_t length = sizeof at;
    int fd;

    if (getsockname(twl_listener_fd(server->listener), (void *)&at, &length))
        exit(1);
    fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (void *)&at, length) == 0) return fd;
    close(fd);
    return -1;
}

static void check_serves(struct server *server)
{
    int before = server->accepted, client = connect_to(server);
    char byte = 0;

    CHECK(client >= 0);
    TURN_UNTIL(server->reactor, server->accepted == before + 1);
    if (server->accepted == before + 1) {
        CHECK_INT(1, write(server->fds[before], "x", 1));
        CHECK_INT(1, read(client, &byte, 1));
    }
    close(client);
}

/* ---- TCP ---------------------------------------------------------------------------------------- */

static void accepts_ipv4_connections_at_a_port_of_the_kernels_choice(void)
{
    struct server server;
    char text[TWL_ADDRESS_TEXT];

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    CHECK(port_of(&server) > 0);
    check_serves(&server);
    twl_address_host(&server.peer, text);
    CHECK_TEXT("127.0.0.1", text);
    CHECK(twl_address_port(&server.peer) > 0);
    server_finish(&server);
}

static void accepts_ipv6_connections_and_only_those(void)
{
    struct server server, other;
    int rc;

    server_begin(&server);
    rc = open_tcp(&server, "::", 0);
    if (rc == 0) {
        check_serves(&server);
        CHECK_INT(TWL_IPV6, twl_address_family(&server.peer));
        /* The port is free for IPv4. */
        server_begin_on(&other, server.reactor);
        CHECK_INT(0, open_tcp(&other, "", port_of(&server)));
        server_end_on(&other);
    } else {
        CHECK(rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL);
    }
    server_finish(&server);
}

static void accepts_without_blocking_and_without_inheritance(void)
{
    struct server server;

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    check_serves(&server);
    CHECK(fcntl(server.fds[0], F_GETFL) & O_NONBLOCK);
    CHECK_INT(FD_CLOEXEC, fcntl(server.fds[0], F_GETFD));
    CHECK_INT(FD_CLOEXEC, fcntl(twl_listener_fd(server.listener), F_GETFD));
    server_finish(&server);
}

static void accepts_a_crowd(void)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct server server;
    twl_address address;
    int clients[CROWD];

    server_begin(&server);
    twl_address_parse(&address, "127.0.0.1", 0);
    config.address = &address;
    config.backlog = CROWD;
    CHECK_INT(0, twl_listener_open(server.listener, &config));
    for (int i = 0; i < CROWD; i++) clients[i] = connect_to(&server);
    TURN_UNTIL(server.reactor, server.accepted == CROWD);
    for (int i = 0; i < CROWD; i++) close(clients[i]);
    server_finish(&server);
}

static void tells_that_an_address_is_in_use(void)
{
    struct server first, second;

    server_begin(&first);
    server_begin_on(&second, first.reactor);
    CHECK_INT(0, open_tcp(&first, "127.0.0.1", 0));
    CHECK_INT(-EADDRINUSE, open_tcp(&second, "127.0.0.1", port_of(&first)));
    CHECK_INT(-1, twl_listener_fd(second.listener));
    CHECK_INT(0, open_tcp(&second, "127.0.0.1", 0));
    check_serves(&second);
    server_end_on(&second);
    server_finish(&first);
}

static void tells_that_an_address_is_not_ours(void)
{
    struct server server;

    server_begin(&server);
    CHECK_INT(-EADDRNOTAVAIL, open_tcp(&server, "192.0.2.1", 0));
    server_finish(&server);
}

static void refuses_a_bad_configuration(void)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct server server;
    twl_address address;

    server_begin(&server);
    CHECK_INT(TWL_EINVAL, twl_listener_open(server.listener, &config));
    twl_address_parse(&address, "127.0.0.1", 0);
    config.address = &address;
    config.backlog = 0;
    CHECK_INT(TWL_EINVAL, twl_listener_open(server.listener, &config));
    config.backlog = 50;
    config.lock = true; /* of what? */
    CHECK_INT(TWL_EINVAL, twl_listener_open(server.listener, &config));
    memset(&address, 0, sizeof address);
    config.lock = false;
    CHECK(twl_listener_open(server.listener, &config) < 0);
    CHECK_INT(TWL_ECLOSED, twl_listener_local(server.listener, &address));
    server_finish(&server);
}

static void shares_a_port_when_asked(void)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct server first, second;
    twl_address address;

    server_begin(&first);
    server_begin_on(&second, first.reactor);
    twl_address_parse(&address, "127.0.0.1", 0);
    config.address = &address;
    config.reuse_port = true;
    CHECK_INT(0, twl_listener_open(first.listener, &config));
    twl_address_parse(&address, "127.0.0.1", port_of(&first));
    CHECK_INT(0, twl_listener_open(second.listener, &config));
    server_end_on(&second);
    server_finish(&first);
}

static void opens_once_at_a_time_and_again_after_closing(void)
{
    struct server server;
    int port;

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    CHECK_INT(TWL_EALREADY, open_tcp(&server, "127.0.0.1", 0));
    port = port_of(&server);
    check_serves(&server);
    twl_listener_close(server.listener);
    twl_listener_close(server.listener);
    CHECK_INT(-1, twl_listener_fd(server.listener));
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", port));
    CHECK_INT(port, port_of(&server));
    check_serves(&server);
    server_finish(&server);
}

static void accepts_nothing_while_paused(void)
{
    struct server server;
    int client;

    server_begin(&server);
    twl_listener_pause(server.listener, false);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    twl_listener_pause(server.listener, true);
    client = connect_to(&server);
    CHECK(client >= 0);
    turn_idle(server.reactor);
    CHECK_INT(0, server.accepted);
    twl_listener_pause(server.listener, false);
    TURN_UNTIL(server.reactor, server.accepted == 1);
    close(client);
    server_finish(&server);
}

static void pause_self(struct server *server)
{
    twl_listener_pause(server->listener, true);
}

/* Batches grow while connections keep coming: now they are larger than one. */
static void make_batches_grow(struct server *server)
{
    int clients[7];

    for (int i = 0; i < 7; i++) clients[i] = connect_to(server);
    TURN_UNTIL(server->reactor, server->accepted == 7);
    for (int i = 0; i < 7; i++) close(clients[i]);
    drop_accepted(server);
}

static void accepts_nothing_more_once_paused_inside_on_accept(void)
{
    struct server server;
    int clients[3];

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    make_batches_grow(&server);
    server.react = pause_self;
    for (int i = 0; i < 3; i++) clients[i] = connect_to(&server);
    TURN_UNTIL(server.reactor, server.accepted > 0);
    turn_idle(server.reactor);
    CHECK_INT(1, server.accepted);
    server.react = NULL;
    twl_listener_pause(server.listener, false);
    TURN_UNTIL(server.reactor, server.accepted == 3);
    for (int i = 0; i < 3; i++) close(clients[i]);
    server_finish(&server);
}

static void close_self(struct server *server)
{
    twl_listener_close(server->listener);
    free(server->listener);
    server->listener = NULL;
}

static void may_be_closed_and_freed_inside_on_accept(void)
{
    struct server server;
    int clients[3];

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    make_batches_grow(&server);
    server.react = close_self;
    for (int i = 0; i < 3; i++) clients[i] = connect_to(&server);
    TURN_UNTIL(server.reactor, server.accepted > 0);
    turn_idle(server.reactor);
    CHECK_INT(1, server.accepted);
    for (int i = 0; i < 3; i++) close(clients[i]);
    drop_accepted(&server);
    twl_reactor_close(server.reactor);
}

static void reopen_self(struct server *server)
{
    if (server->accepted > 1) return;
    twl_listener_close(server->listener);
    CHECK_INT(0, open_tcp(server, "127.0.0.1", 0));
}

static void may_be_opened_again_inside_on_accept(void)
{
    struct server server;
    int client;

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    server.react = reopen_self;
    client = connect_to(&server);
    TURN_UNTIL(server.reactor, server.accepted == 1);
    check_serves(&server);
    close(client);
    server_finish(&server);
}

static void frees_the_port_at_once_when_closed(void)
{
    struct server first, second;
    int port;

    server_begin(&first);
    server_begin_on(&second, first.reactor);
    CHECK_INT(0, open_tcp(&first, "127.0.0.1", 0));
    port = port_of(&first);
    twl_listener_close(first.listener);
    CHECK_INT(0, open_tcp(&second, "127.0.0.1", port));
    server_end_on(&second);
    server_finish(&first);
}

static void is_closed_with_the_reactor(void)
{
    struct server server;

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    check_serves(&server);
    twl_reactor_close(server.reactor);
    CHECK_INT(-1, twl_listener_fd(server.listener));
    twl_listener_close(server.listener);
    twl_listener_pause(server.listener, true);
    server_end_on(&server);
}

/* ---- Adopted sockets --------------------------------------------------------------------------------- */

static int tcp_socket(bool listening)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(fd, (void *)&at, sizeof at) < 0) exit(1);
    if (listening && listen(fd, 5) < 0) exit(1);
    return fd;
}

static void adopts_a_copy_of_a_listening_socket(void)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct server server;

    server_begin(&server);
    config.fd = tcp_socket(true);
    CHECK_INT(0, twl_listener_open(server.listener, &config));
    CHECK(twl_listener_fd(server.listener) != config.fd);
    close(config.fd);
    check_serves(&server);
    server_finish(&server);
}

static void adopts_nothing_else(void)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    struct server server;
    int pipes[2], pair[2], copy = -7;

    server_begin(&server);
    if (pipe(pipes) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        exit(1);
    config.fd = pipes[0];
    CHECK_INT(-ENOTSOCK, twl_listener_open(server.listener, &config));
    config.fd = pair[0];
    CHECK_INT(TWL_EINVAL, twl_listener_open(server.listener, &config));
    config.fd = tcp_socket(false);
    CHECK_INT(TWL_EINVAL, twl_listener_open(server.listener, &config));
    CHECK_INT(-ENOTCONN, twl_fd_adopt(config.fd, false, &copy));
    CHECK_INT(-EBADF, twl_fd_adopt(999, false, &copy));
    CHECK_INT(-7, copy);
    CHECK_INT(0, twl_fd_adopt(pair[0], false, &copy));
    CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
    CHECK_INT(FD_CLOEXEC, fcntl(copy, F_GETFD));
    twl_fd_close(copy);
    twl_fd_close(-1);
    close(config.fd);
    close(pipes[0]), close(pipes[1]), close(pair[0]), close(pair[1]);
    server_finish(&server);
}

/* ---- UNIX sockets ------------------------------------------------------------------------------------ */

static char folder[64], path[96], lock[104];

static void folder_begin(void)
{
    strcpy(folder, "/tmp/listener_test.XXXXXX");
    if (!mkdtemp(folder)) exit(1);
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(lock, sizeof lock, "%s.lock", path);
}

/* Removed only if the tests left nothing in it. */
static void folder_end(void)
{
    CHECK_INT(0, rmdir(folder));
}

static mode_t mode_of(const char *name)
{
    struct stat status;
    return lstat(name, &status) < 0 ? 0 : status.st_mode;
}

static int open_path(struct server *server, int mode, bool locked)
{
    twl_listener_config config = TWL_LISTENER_CONFIG_INIT;
    twl_address address;

    CHECK_INT(0, twl_address_unix(&address, path, strlen(path)));
    config.address = &address;
    config.mode = mode;
    config.lock = locked;
    return twl_listener_open(server->listener, &config);
}

static void makes_a_socket_file_with_the_mode_and_removes_it(void)
{
    struct server server;
    twl_address local;
    char text[TWL_ADDRESS_TEXT];

    folder_begin();
    server_begin(&server);
    CHECK_INT(0, open_path(&server, 0621, false));
    CHECK_INT(S_IFSOCK | 0621, mode_of(path));
    CHECK_INT(0, twl_listener_local(server.listener, &local));
    twl_address_host(&local, text);
    CHECK_TEXT(path, text);
    chmod(path, 0700);
    check_serves(&server);
    twl_listener_close(server.listener);
    CHECK_INT(0, mode_of(path));
    server_finish(&server);
    folder_end();
}

static void gives_the_file_the_mode_of_the_umask_otherwise(void)
{
    struct server server;
    mode_t old = umask(027);

    folder_begin();
    server_begin(&server);
    CHECK_INT(0, open_path(&server, -1, false));
    CHECK_INT(S_IFSOCK | 0750, mode_of(path));
    server_finish(&server);
    folder_end();
    umask(old);
}

static void leaves_the_file_of_another_alone(void)
{
    struct server first, second;

    folder_begin();
    server_begin(&first);
    server_begin_on(&second, first.reactor);
    CHECK_INT(0, open_path(&first, -1, false));
    CHECK_INT(-EADDRINUSE, open_path(&second, -1, false));
    CHECK(S_ISSOCK(mode_of(path)));
    unlink(path);
    CHECK_INT(0, open_path(&second, -1, false));
    twl_listener_close(first.listener);
    CHECK(S_ISSOCK(mode_of(path)));
    check_serves(&second);
    server_end_on(&second);
    server_finish(&first);
    folder_end();
}

static void removes_the_file_when_the_reactor_closes(void)
{
    struct server server;

    folder_begin();
    server_begin(&server);
    CHECK_INT(0, open_path(&server, -1, true));
    twl_reactor_close(server.reactor);
    CHECK_INT(0, mode_of(path));
    CHECK_INT(0, mode_of(lock));
    server_end_on(&server);
    folder_end();
}

static void listens_in_the_abstract_name_space(void)
{
    struct server server;
    twl_address address, local;
    char name[40] = "", text[TWL_ADDRESS_TEXT];
    int length = 1 + snprintf(name + 1, sizeof name - 1, "twistlua-test-%ld",
                              (long)getpid());

    server_begin(&server);
    CHECK_INT(0, twl_address_unix(&address, name, (size_t)length));
    CHECK_INT(0, open_at(&server, &address));
    CHECK_INT(0, twl_listener_local(server.listener, &local));
    CHECK_INT(length, twl_address_host(&local, text));
    CHECK_INT(0, memcmp(name, text, (size_t)length));
    check_serves(&server);
    server_finish(&server);
}

static void refuses_a_second_one_while_the_lock_is_held(void)
{
    struct server first, second;

    folder_begin();
    server_begin(&first);
    server_begin_on(&second, first.reactor);
    CHECK_INT(0, open_path(&first, -1, true));
    CHECK(S_ISLNK(mode_of(lock)));
    CHECK_INT(TWL_EBUSY, open_path(&second, -1, true));
    check_serves(&first);
    twl_listener_close(first.listener);
    CHECK_INT(0, mode_of(lock));
    CHECK_INT(0, open_path(&second, -1, true));
    check_serves(&second);
    server_end_on(&second);
    server_finish(&first);
    folder_end();
}

static void writes_its_process_number_into_the_lock(void)
{
    struct server server;
    char text[32] = "", expected[32];

    folder_begin();
    server_begin(&server);
    CHECK_INT(0, open_path(&server, -1, true));
    CHECK(readlink(lock, text, sizeof text - 1) > 0);
    snprintf(expected, sizeof expected, "%ld", (long)getpid());
    CHECK_TEXT(expected, text);
    server_finish(&server);
    folder_end();
}

/* What a killed process leaves: a socket and the lock of a process that is no more. */
static void replaces_a_socket_that_was_left_over(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct server server;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    folder_begin();
    server_begin(&server);
    strcpy(at.sun_path, path);
    if (bind(fd, (void *)&at, sizeof at) < 0) exit(1);
    close(fd);
    if (symlink("99999999", lock) < 0) exit(1);
    CHECK_INT(-EADDRINUSE, open_path(&server, -1, false));
    CHECK_INT(0, open_path(&server, -1, true));
    check_serves(&server);
    server_finish(&server);
    folder_end();
}

static void never_removes_a_file_that_is_no_socket(void)
{
    struct server server;
    int fd;

    folder_begin();
    server_begin(&server);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    CHECK_INT(-EADDRINUSE, open_path(&server, -1, true));
    CHECK(S_ISREG(mode_of(path)));
    CHECK_INT(0, mode_of(lock));
    server_finish(&server);
    unlink(path);
    folder_end();
}

static void takes_a_lock_back_when_it_cannot_listen(void)
{
    struct server server;

    folder_begin();
    server_begin(&server);
    if (mkdir(path, 0700) < 0) exit(1);
    CHECK(open_path(&server, -1, true) < 0);
    CHECK_INT(0, mode_of(lock));
    rmdir(path);
    CHECK_INT(0, open_path(&server, -1, true));
    server_finish(&server);
    folder_end();
}

/* ---- Out of descriptors -------------------------------------------------------------------------------- */

static struct rlimit limit_before;

/* Leave room for [count] descriptors more. */
static void limit_begin(int count)
{
    struct rlimit limit;
    int next = dup(0);

    if (next < 0) exit(1);
    close(next);
    getrlimit(RLIMIT_NOFILE, &limit_before);
    limit = limit_before;
    limit.rlim_cur = (rlim_t)(next + count);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void limit_end(void)
{
    setrlimit(RLIMIT_NOFILE, &limit_before);
}

/* Connect [count] clients, of which only [few] find a descriptor on the server's side. */
static void check_surplus(struct server *server, int count, int few)
{
    int clients[CROWD];
    char byte;

    for (int i = 0; i < count; i++) clients[i] = connect_to(server);
    limit_begin(few);
    while (server->errors == 0) twl_reactor_step(server->reactor, 1.);
    turn_idle(server->reactor);
    CHECK_INT(-EMFILE, server->last_error);
    CHECK_INT(few, server->accepted);
    for (int i = few; i < count; i++) {
        CHECK_INT(0, recv(clients[i], &byte, 1, MSG_DONTWAIT));
    }
    CHECK_INT(-1, recv(clients[0], &byte, 1, MSG_DONTWAIT));
    CHECK(turns_of_a_moment(server->reactor) < 10);
    limit_end();
    for (int i = 0; i < count; i++) close(clients[i]);
    drop_accepted(server);
    check_serves(server);
}

static void refuses_the_surplus_when_descriptors_run_out(void)
{
    struct server server;

    server_begin(&server);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    check_surplus(&server, 30, 3);
    server.errors = 0;
    drop_accepted(&server);
    check_surplus(&server, 30, 3);
    server_finish(&server);
}

/* Without the reserve the queue could not be emptied: it is taken as soon as there is one. */
static void finds_its_reserve_again_when_there_was_none(void)
{
    struct server server;

    server_begin(&server);
    limit_begin(1);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    limit_end();
    check_serves(&server);
    drop_accepted(&server);
    check_surplus(&server, 10, 2);
    server_finish(&server);
}

/* Even without the reserve the loop does not spin, and all that waited is accepted later. */
static void rests_when_there_is_not_even_a_reserve(void)
{
    enum { COUNT = 5 };
    int clients[COUNT];
    struct server server;

    server_begin(&server);
    limit_begin(1);
    CHECK_INT(0, open_tcp(&server, "127.0.0.1", 0));
    limit_end();
    for (int i = 0; i < COUNT; i++) clients[i] = connect_to(&server);
    limit_begin(0);
    while (server.errors == 0) twl_reactor_step(server.reactor, 1.);
    CHECK_INT(-EMFILE, server.last_error);
    CHECK(turns_of_a_moment(server.reactor) < 10);
    CHECK_INT(0, server.accepted);
    twl_listener_pause(server.listener, true);
    limit_end();
    CHECK(turns_of_a_moment(server.reactor) < 10);
    CHECK_INT(0, server.accepted);
    twl_listener_pause(server.listener, false);
    while (server.accepted < COUNT) twl_reactor_step(server.reactor, 1.);
    for (int i = 0; i < COUNT; i++) close(clients[i]);
    server_finish(&server);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(accepts_ipv4_connections_at_a_port_of_the_kernels_choice);
    RUN(accepts_ipv6_connections_and_only_those);
    RUN(accepts_without_blocking_and_without_inheritance);
    RUN_EVERYWHERE(accepts_a_crowd);
    RUN(tells_that_an_address_is_in_use);
    RUN(tells_that_an_address_is_not_ours);
    RUN(refuses_a_bad_configuration);
    RUN(shares_a_port_when_asked);
    RUN_EVERYWHERE(opens_once_at_a_time_and_again_after_closing);
    RUN_EVERYWHERE(accepts_nothing_while_paused);
    RUN_EVERYWHERE(accepts_nothing_more_once_paused_inside_on_accept);
    RUN_EVERYWHERE(may_be_closed_and_freed_inside_on_accept);
    RUN_EVERYWHERE(may_be_opened_again_inside_on_accept);
    RUN(frees_the_port_at_once_when_closed);
    RUN(is_closed_with_the_reactor);
    RUN_EVERYWHERE(adopts_a_copy_of_a_listening_socket);
    RUN(adopts_nothing_else);
    RUN(makes_a_socket_file_with_the_mode_and_removes_it);
    RUN(gives_the_file_the_mode_of_the_umask_otherwise);
    RUN(leaves_the_file_of_another_alone);
    RUN(removes_the_file_when_the_reactor_closes);
    RUN(listens_in_the_abstract_name_space);
    RUN(refuses_a_second_one_while_the_lock_is_held);
    RUN(writes_its_process_number_into_the_lock);
    RUN(replaces_a_socket_that_was_left_over);
    RUN(never_removes_a_file_that_is_no_socket);
    RUN(takes_a_lock_back_when_it_cannot_listen);
    RUN_EVERYWHERE(refuses_the_surplus_when_descriptors_run_out);
    RUN(finds_its_reserve_again_when_there_was_none);
    RUN_EVERYWHERE(rests_when_there_is_not_even_a_reserve);
    return check_end();
}
