/* SPDX-License-Identifier: MIT
 * datagram_test.c -- datagram sockets: sending, receiving in batches, queueing, refusals,
 * options, closing inside callbacks. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "check.h"

enum { FLOOD = 200 };

struct end {
    twl_reactor *reactor;
    twl_datagram *socket;
    int received, truncated, errors, last_error;
    size_t length;
    char bytes[256];
    twl_address from;
    void (*react)(struct end *end);
};

static void note(twl_datagram *socket, const char *bytes, size_t length,
                 const twl_address *from, bool truncated)
{
    struct end *end = twl_datagram_context(socket);

    end->received++;
    end->truncated += truncated;
    end->length = length;
    memcpy(end->bytes, bytes,
           length < sizeof end->bytes ? length : sizeof end->bytes);
    end->from = *from;
    if (end->react) end->react(end);
}

static void note_error(twl_datagram *socket, int code)
{
    struct end *end = twl_datagram_context(socket);

    end->errors++;
    end->last_error = code;
}

static const twl_datagram_events EVENTS = {note, note_error};

static void end_init(struct end *end, twl_reactor *reactor)
{
    memset(end, 0, sizeof *end);
    end->reactor = reactor;
    end->socket = malloc(twl_datagram_size());
    twl_datagram_init(end->socket, reactor, &EVENTS, end);
}

static twl_address loopback(long port)
{
    twl_address address;

    if (!CHECK_INT(0, twl_address_parse(&address, "127.0.0.1", port))) exit(1);
    return address;
}

static int open_with(struct end *end, size_t packet_size, size_t queue_size)
{
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    twl_address address = loopback(0);

    config.address = &address;
    if (packet_size) config.packet_size = packet_size;
    if (queue_size) config.queue_size = queue_size;
    return twl_datagram_open(end->socket, &config);
}

static void end_begin(struct end *end, twl_reactor *reactor)
{
    end_init(end, reactor);
    CHECK_INT(0, open_with(end, 0, 0));
}

static void end_finish(struct end *end)
{
    if (!end->socket) return;
    twl_datagram_close(end->socket);
    free(end->socket);
}

static twl_address address_of(const struct end *end)
{
    twl_address address = {0};

    CHECK_INT(0, twl_datagram_local(end->socket, &address));
    return address;
}

static void send_text(struct end *end, const char *text, const struct end *to)
{
    twl_address address = address_of(to);
    CHECK_INT(0, twl_datagram_send(end->socket, text, strlen(text), &address));
}

/* ---- Sending and receiving ------------------------------------------------------------------ */

static void answer(struct end *end)
{
    CHECK_INT(
        0, twl_datagram_send(end->socket, end->bytes, end->length, &end->from));
}

static void carries_datagrams_there_and_back(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a, b;
    twl_address at;

    end_begin(&a, reactor), end_begin(&b, reactor);
    b.react = answer;
    send_text(&a, "hello", &b);
    TURN_UNTIL(reactor, a.received == 1);
    CHECK_INT(5, a.length);
    CHECK(memcmp(a.bytes, "hello", 5) == 0);
    at = address_of(&b);
    CHECK_INT(twl_address_port(&at), twl_address_port(&a.from));
    send_text(&a, "", &b);
    TURN_UNTIL(reactor, a.received == 2);
    CHECK_INT(0, a.length);
    CHECK_INT(0, a.errors + b.errors);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void receives_many_within_a_budget(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a, b;
    int before;

    end_begin(&a, reactor), end_begin(&b, reactor);
    for (int i = 0; i < FLOOD; i++) send_text(&a, "x", &b);
    twl_reactor_step(reactor, 1.);
    CHECK(b.received > 0 && b.received <= 64);
    for (int i = 0; b.received < FLOOD && i < FLOOD; i++) {
        before = b.received;
        twl_reactor_step(reactor, 0.1);
        CHECK(b.received - before <= 64);
    }
    CHECK_INT(FLOOD, b.received);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void tells_that_one_was_cut_short(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a, b;

    end_begin(&a, reactor);
    end_init(&b, reactor);
    CHECK_INT(0, open_with(&b, 4, 0));
    send_text(&a, "1234", &b);
    TURN_UNTIL(reactor, b.received == 1);
    CHECK_INT(0, b.truncated);
    send_text(&a, "12345", &b);
    TURN_UNTIL(reactor, b.received == 2);
    CHECK_INT(1, b.truncated);
    CHECK_INT(4, b.length);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void refuses_what_is_too_long_or_has_no_address(void)
{
    static const char bytes[65508];
    twl_reactor *reactor = reactor_new();
    struct end a;
    twl_address address;

    end_begin(&a, reactor);
    address = address_of(&a);
    CHECK_INT(-EMSGSIZE,
              twl_datagram_send(a.socket, bytes, sizeof bytes, &address));
    CHECK_INT(-EDESTADDRREQ, twl_datagram_send(a.socket, "x", 1, NULL));
    CHECK_INT(0,
              twl_datagram_send(a.socket, bytes, sizeof bytes - 1, &address));
    TURN_UNTIL(reactor, a.received == 1);
    twl_datagram_close(a.socket);
    CHECK_INT(TWL_ECLOSED, twl_datagram_send(a.socket, "x", 1, &address));
    end_finish(&a);
    twl_reactor_close(reactor);
}

static void tells_a_refusal_where_connected_only(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a, b, gone;
    twl_address address;

    end_begin(&a, reactor), end_begin(&b, reactor), end_begin(&gone, reactor);
    address = address_of(&gone);
    end_finish(&gone);
    CHECK_INT(0, twl_datagram_send(a.socket, "x", 1, &address));
    CHECK_INT(0, twl_datagram_connect(b.socket, &address));
    CHECK_INT(-EISCONN, twl_datagram_connect(b.socket, &address));
    CHECK_INT(0, twl_datagram_send(b.socket, "x", 1, NULL));
    CHECK_INT(0, b.errors);
    TURN_UNTIL(reactor, b.errors == 1);
    CHECK_INT(-ECONNREFUSED, b.last_error);
    /* Met by a second send: told, and the second is sent. */
    CHECK_INT(0, twl_datagram_send(b.socket, "x", 1, NULL));
    CHECK_INT(0, twl_datagram_send(b.socket, "x", 1, NULL));
    CHECK_INT(1, b.errors);
    TURN_UNTIL(reactor, b.errors >= 2);
    turn_idle(reactor);
    CHECK_INT(0, a.errors);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

/* ---- Waiting for a slow receiver --------------------------------------------------------------- */

static twl_address abstract(const char *name)
{
    char path[100];
    twl_address address;
    int length = snprintf(path, sizeof path, "%ctwistlua-%ld-%s", 0,
                          (long)getpid(), name);

    CHECK_INT(0, twl_address_unix(&address, path, (size_t)length));
    return address;
}

/* A socket that is full after a few datagrams, and is read by hand. */
static int slow_receiver(const twl_address *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (bind(fd, (const void *)&address->storage, address->length) < 0) exit(1);
    return fd;
}

static int send_numbered(struct end *end, int number, const twl_address *to)
{
    return twl_datagram_send(end->socket, (const char *)&number, sizeof number,
                             to);
}

static void queues_in_order_and_drops_what_is_too_much(bool connected)
{
    twl_reactor *reactor = reactor_new();
    twl_address to = abstract("slow");
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct end a;
    int slow = slow_receiver(&to), sent = 0, number = 0, rc;
    twl_address from = abstract("sender");

    end_init(&a, reactor);
    config.address = &from;
    if (connected) config.peer = &to;
    config.queue_size = 100 * sizeof number;
    CHECK_INT(0, twl_datagram_open(a.socket, &config));
    while ((rc = send_numbered(&a, sent, connected ? NULL : &to)) == 0) sent++;
    CHECK_INT(-ENOBUFS, rc);
    CHECK_INT(config.queue_size, twl_datagram_pending(a.socket));
    /* A full receiver costs no turns: for the first one writability may tell nothing. */
    turn_idle(reactor);
    CHECK(turns_of_a_moment(reactor) < 20);
    for (int i = 0; i < sent; i++) {
        while (recv(slow, &number, sizeof number, MSG_DONTWAIT) < 0)
            twl_reactor_step(reactor, 0.01);
        CHECK_INT(i, number);
    }
    TURN_UNTIL(reactor, twl_datagram_pending(a.socket) == 0);
    CHECK(turns_of_a_moment(reactor) < 20);
    CHECK_INT(0, send_numbered(&a, 0, connected ? NULL : &to));
    CHECK_INT(0, a.errors);
    close(slow);
    end_finish(&a);
    twl_reactor_close(reactor);
}

static void queues_for_a_peer(void)
{
    queues_in_order_and_drops_what_is_too_much(true);
}

static void queues_for_whom_it_is_not_connected_to(void)
{
    queues_in_order_and_drops_what_is_too_much(false);
}

static void forgets_its_queue_when_closed(void)
{
    twl_reactor *reactor = reactor_new();
    twl_address to = abstract("slow");
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct end a, b;
    int slow = slow_receiver(&to);

    config.peer = &to;
    end_init(&a, reactor), end_init(&b, reactor);
    CHECK_INT(0, twl_datagram_open(a.socket, &config));
    CHECK_INT(0, twl_datagram_open(b.socket, &config));
    while (twl_datagram_pending(a.socket) == 0) send_numbered(&a, 0, NULL);
    while (twl_datagram_pending(b.socket) == 0) send_numbered(&b, 0, NULL);
    turn_idle(reactor);
    twl_datagram_close(a.socket);
    CHECK_INT(0, twl_datagram_pending(a.socket));
    twl_reactor_close(reactor); /* with the other's queue */
    CHECK_INT(TWL_ECLOSED, send_numbered(&b, 0, NULL));
    end_finish(&a), end_finish(&b);
    close(slow);
}

static void is_refused_memory_for_its_queue(void)
{
    twl_reactor *reactor = reactor_new();
    twl_address to = abstract("slow");
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct end a;
    int slow = slow_receiver(&to), rc;

    config.peer = &to;
    end_init(&a, reactor);
    CHECK_INT(0, twl_datagram_open(a.socket, &config));
    memory.fail_at = memory.requests + 1;
    while ((rc = send_numbered(&a, 0, NULL)) == 0)
        CHECK_INT(0, twl_datagram_pending(a.socket));
    CHECK_INT(TWL_ENOMEM, rc);
    CHECK_INT(0, send_numbered(&a, 0, NULL));
    CHECK(twl_datagram_pending(a.socket) > 0);
    end_finish(&a);
    close(slow);
    twl_reactor_close(reactor);
}

/* ---- Life ----------------------------------------------------------------------------------- */

static void close_self(struct end *end)
{
    twl_datagram_close(end->socket);
}

static void free_self(struct end *end)
{
    twl_datagram_close(end->socket);
    free(end->socket);
    end->socket = NULL;
}

static void may_be_closed_or_freed_by_its_function(void)
{
    void (*const reactions[])(struct end * end) = {close_self, free_self};

    for (int i = 0; i < 2; i++) {
        twl_reactor *reactor = reactor_new();
        struct end a, b;
        end_begin(&a, reactor), end_begin(&b, reactor);
        for (int j = 0; j < 3; j++) send_text(&a, "x", &b);
        b.react = reactions[i];
        TURN_UNTIL(reactor, b.received == 1);
        turn_idle(reactor);
        CHECK_INT(1, b.received);
        end_finish(&a), end_finish(&b);
        twl_reactor_close(reactor);
    }
}

static void may_be_opened_again(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a, b;

    end_begin(&a, reactor), end_begin(&b, reactor);
    CHECK_INT(TWL_EALREADY, open_with(&b, 0, 0));
    twl_datagram_close(b.socket);
    twl_datagram_close(b.socket);
    CHECK_INT(-1, twl_datagram_fd(b.socket));
    CHECK_INT(0, open_with(&b, 0, 0));
    send_text(&a, "again", &b);
    TURN_UNTIL(reactor, b.received == 1);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void adopts_a_duplicate_of_a_datagram_socket_only(void)
{
    twl_reactor *reactor = reactor_new();
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct end a, b;
    int stream = socket(AF_INET, SOCK_STREAM, 0);

    end_begin(&a, reactor);
    end_init(&b, reactor);
    config.fd = stream;
    CHECK_INT(TWL_EINVAL, twl_datagram_open(b.socket, &config));
    close(stream);
    CHECK_INT(-EBADF, twl_datagram_open(b.socket, &config));
    config.fd = twl_datagram_fd(a.socket);
    CHECK_INT(0, twl_datagram_open(b.socket, &config));
    CHECK(twl_datagram_fd(b.socket) != config.fd);
    twl_datagram_close(a.socket);
    send_text(&b, "to myself", &b);
    TURN_UNTIL(reactor, b.received == 1);
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void removes_the_file_that_it_made(void)
{
    twl_reactor *reactor = reactor_new();
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    char path[] = "/tmp/twistlua-datagram-XXXXXX";
    struct stat status;
    struct end a;
    twl_address address;

    close(mkstemp(path));
    unlink(path);
    CHECK_INT(0, twl_address_unix(&address, path, strlen(path)));
    config.address = &address;
    config.mode = 0600;
    end_init(&a, reactor);
    CHECK_INT(0, twl_datagram_open(a.socket, &config));
    CHECK_INT(0, stat(path, &status));
    CHECK_INT(0600, status.st_mode & 0777);
    twl_datagram_close(a.socket);
    CHECK(stat(path, &status) < 0);
    end_finish(&a);
    twl_reactor_close(reactor);
}

static void refuses_a_bad_configuration(void)
{
    twl_reactor *reactor = reactor_new();
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    struct end a;
    twl_address address = loopback(0);

    end_init(&a, reactor);
    CHECK_INT(TWL_EINVAL, twl_datagram_open(a.socket, &config));
    CHECK_INT(TWL_EINVAL, open_with(&a, 128 * 1024 + 1, 0));
    config.address = &address;
    config.packet_size = 0;
    CHECK_INT(TWL_EINVAL, twl_datagram_open(a.socket, &config));
    CHECK_INT(TWL_ECLOSED, twl_datagram_connect(a.socket, &address));
    CHECK_INT(TWL_ECLOSED, twl_datagram_local(a.socket, &address));
    CHECK_INT(TWL_ECLOSED, twl_datagram_peer(a.socket, &address));
    CHECK_INT(TWL_ECLOSED, twl_datagram_join(a.socket, &address, NULL));
    CHECK_INT(TWL_ECLOSED, twl_datagram_set_option(a.socket, TWL_BROADCAST, 1));
    end_finish(&a);
    twl_reactor_close(reactor);
}

/* ---- Options and groups ------------------------------------------------------------------------- */

static void keeps_its_options(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a;
    int value = -1;

    end_begin(&a, reactor);
    for (int option = TWL_BROADCAST; option <= TWL_MULTICAST_LOOP; option++) {
        for (int on = 1; on >= 0; on--) {
            CHECK_INT(0, twl_datagram_set_option(a.socket, option, on));
            CHECK_INT(0, twl_datagram_get_option(a.socket, option, &value));
            CHECK_INT(on, value);
        }
    }
    CHECK_INT(0, twl_datagram_set_option(a.socket, TWL_MULTICAST_TTL, 255));
    CHECK_INT(TWL_EINVAL,
              twl_datagram_set_option(a.socket, TWL_MULTICAST_TTL, 256));
    end_finish(&a);
    twl_reactor_close(reactor);
}

static void hears_a_group_that_it_joined(void)
{
    twl_reactor *reactor = reactor_new();
    twl_datagram_config config = TWL_DATAGRAM_CONFIG_INIT;
    twl_address any, group, interface = loopback(0), found;
    struct end a, b;
    char text[TWL_ADDRESS_TEXT];

    twl_address_parse(&any, "", 0);
    config.address = &any;
    end_init(&a, reactor), end_begin(&b, reactor);
    CHECK_INT(0, twl_datagram_open(a.socket, &config));
    found = address_of(&a);
    twl_address_parse(&group, "239.255.17.3", twl_address_port(&found));
    CHECK_INT(0, twl_datagram_set_interface(b.socket, &interface));
    CHECK_INT(0, twl_datagram_get_interface(b.socket, &found));
    twl_address_host(&found, text);
    CHECK_TEXT("127.0.0.1", text);
    CHECK_INT(0, twl_datagram_join(a.socket, &group, &interface));
    CHECK_INT(0, twl_datagram_send(b.socket, "all", 3, &group));
    TURN_UNTIL(reactor, a.received == 1);
    CHECK_INT(0, twl_datagram_leave(a.socket, &group, &interface));
    CHECK(twl_datagram_leave(a.socket, &group, &interface) < 0);
    CHECK_INT(-EINVAL, twl_datagram_join(a.socket, &interface, NULL));
    end_finish(&a), end_finish(&b);
    twl_reactor_close(reactor);
}

static void closes_with_its_reactor(void)
{
    twl_reactor *reactor = reactor_new();
    struct end a;

    end_begin(&a, reactor);
    twl_reactor_close(reactor);
    CHECK_INT(-1, twl_datagram_fd(a.socket));
    end_finish(&a);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(carries_datagrams_there_and_back);
    RUN_EVERYWHERE(receives_many_within_a_budget);
    RUN_EVERYWHERE(tells_that_one_was_cut_short);
    RUN(refuses_what_is_too_long_or_has_no_address);
    RUN_EVERYWHERE(tells_a_refusal_where_connected_only);
    RUN_EVERYWHERE(queues_for_a_peer);
    RUN_EVERYWHERE(queues_for_whom_it_is_not_connected_to);
    RUN(forgets_its_queue_when_closed);
    RUN(is_refused_memory_for_its_queue);
    RUN_EVERYWHERE(may_be_closed_or_freed_by_its_function);
    RUN(may_be_opened_again);
    RUN(adopts_a_duplicate_of_a_datagram_socket_only);
    RUN(removes_the_file_that_it_made);
    RUN(refuses_a_bad_configuration);
    RUN(keeps_its_options);
    RUN(hears_a_group_that_it_joined);
    RUN(closes_with_its_reactor);
    return check_end();
}
