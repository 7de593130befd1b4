/* SPDX-License-Identifier: MIT
 * resolver_test.c -- look-ups: a name server in the test's hands answers 192.0.2.7, or does
 * not. */
#include <arpa/inet.h>
#include <math.h>
#include <sys/socket.h>

#include "check.h"

enum { MANY = 40, PACKET = 512, HEADER = 12 };

static struct server {
    int fd;
    char place[32]; /* "127.0.0.1:PORT" */
    int questions;
} server;

struct lookup {
    twl_reactor *reactor;
    twl_lookup *lookup;
    int calls, code;
    size_t count;
    char first[TWL_ADDRESS_TEXT];
    void (*react)(struct lookup *lookup);
    struct lookup *other;
};

static void note(twl_lookup *handle, int code, const twl_answer *answer)
{
    struct lookup *lookup = twl_lookup_context(handle);
    twl_address address;

    /* Only inside a turn another one is refused. */
    CHECK_INT(TWL_EBUSY, twl_reactor_step(lookup->reactor, 0.));
    CHECK(!twl_lookup_active(handle));
    lookup->calls++;
    lookup->code = code;
    if (code == 0) {
        lookup->count = twl_answer_count(answer);
        twl_answer_address(answer, 0, 53, &address);
        CHECK_INT(53, twl_address_port(&address));
        twl_address_host(&address, lookup->first);
    }
    if (lookup->react) lookup->react(lookup);
}

static void server_begin(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;

    memset(&server, 0, sizeof server);
    server.fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(server.fd, (void *)&at, length) < 0 ||
        getsockname(server.fd, (void *)&at, &length) < 0)
        exit(1);
    fcntl(server.fd, F_SETFL, O_NONBLOCK);
    fcntl(server.fd, F_SETFD, FD_CLOEXEC);
    snprintf(server.place, sizeof server.place, "127.0.0.1:%d",
             ntohs(at.sin_port));
}

/* Answer what was asked; [ttl] below 0: only count. */
static void server_turn(int ttl)
{
    static const unsigned char fixed[] = {0xc0, 12, 0, 1, 0, 1};
    unsigned char packet[PACKET + 16];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t size;

    while ((size = recvfrom(server.fd, packet, PACKET, 0, (void *)&peer,
                            &length)) >= HEADER) {
        unsigned char *end = packet + size;
        server.questions++;
        if (ttl < 0) continue;
        packet[2] |= 0x80;
        packet[7] = 1;
        memcpy(end, fixed, sizeof fixed);
        memset(end + 6, 0, 4);
        end[9] = (unsigned char)ttl;
        memcpy(end + 10, "\0\4\300\0\2\7", 6);
        sendto(server.fd, packet, (size_t)size + 16, 0, (void *)&peer, length);
    }
}

#define SERVE_UNTIL(reactor, ttl, condition)                                   \
    do {                                                                       \
        double give_up_ = twl_reactor_seconds(reactor) + CHECK_WAIT;           \
        while (!(condition) && twl_reactor_seconds(reactor) < give_up_) {      \
            twl_reactor_step(reactor, 0.002);                                  \
            server_turn(ttl);                                                  \
        }                                                                      \
        CHECK(condition);                                                      \
    } while (0)

static int configure(twl_reactor *reactor, const char *hosts)
{
    twl_resolver_config config = TWL_RESOLVER_CONFIG_INIT;

    config.servers = server.place;
    config.resolv_conf = "/dev/null";
    config.hosts = hosts ? hosts : "/dev/null";
    config.cache_size = 4;
    return twl_resolver_configure(reactor, &config);
}

static void lookup_begin(struct lookup *lookup, twl_reactor *reactor)
{
    memset(lookup, 0, sizeof *lookup);
    lookup->reactor = reactor;
    lookup->lookup = malloc(twl_lookup_size());
    twl_lookup_init(lookup->lookup, reactor, note, lookup);
}

static int start_tries(struct lookup *lookup, const char *name, int tries,
                       double timeout)
{
    twl_lookup_config config = TWL_LOOKUP_CONFIG_INIT;

    config.name = name;
    config.tries = tries;
    for (int i = 0; i < tries && i < TWL_LOOKUP_TRIES; i++)
        config.timeouts[i] = timeout;
    return twl_lookup_start(lookup->lookup, &config);
}

static int start(struct lookup *lookup, const char *name)
{
    return start_tries(lookup, name, 2, CHECK_WAIT);
}

static void begin(struct lookup *lookup)
{
    server_begin();
    lookup_begin(lookup, reactor_new());
    CHECK_INT(0, configure(lookup->reactor, NULL));
}

static void finish(struct lookup *lookup)
{
    twl_reactor_close(lookup->reactor);
    CHECK(!twl_lookup_active(lookup->lookup));
    free(lookup->lookup);
    close(server.fd);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void asks_the_server(void)
{
    struct lookup lookup;

    begin(&lookup);
    CHECK_INT(0, start(&lookup, "name.test"));
    CHECK(twl_lookup_active(lookup.lookup));
    CHECK_INT(TWL_EBUSY, start(&lookup, "name.test"));
    SERVE_UNTIL(lookup.reactor, 60, lookup.calls);
    CHECK_INT(0, lookup.code);
    CHECK_INT(1, lookup.count);
    CHECK_TEXT("192.0.2.7", lookup.first);
    CHECK_INT(1, server.questions);
    finish(&lookup);
}

static void begin_again(struct lookup *lookup)
{
    lookup->react = NULL;
    CHECK_INT(0, start(lookup, "name.test"));
}

static void answers_from_memory_later_in_the_turn(void)
{
    struct lookup lookup;

    begin(&lookup);
    lookup.react = begin_again;
    CHECK_INT(0, start(&lookup, "name.test"));
    SERVE_UNTIL(lookup.reactor, 60, lookup.calls == 2);
    CHECK_INT(0, start(&lookup, "NAME.test"));
    CHECK_INT(2, lookup.calls);
    SERVE_UNTIL(lookup.reactor, -1, lookup.calls == 3);
    CHECK_TEXT("192.0.2.7", lookup.first);
    CHECK_INT(1, server.questions);
    finish(&lookup);
}

static void asks_again_when_an_answer_is_not_to_be_kept(void)
{
    struct lookup lookup;

    begin(&lookup);
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(0, start(&lookup, "name.test"));
        SERVE_UNTIL(lookup.reactor, 0, lookup.calls == i);
    }
    CHECK_INT(3, server.questions);
    finish(&lookup);
}

static void forgets_the_name_that_was_asked_for_longest_ago(void)
{
    static const char *const names[] = {"a.test", "b.test", "c.test", "d.test",
                                        "a.test", "e.test", "a.test", "b.test"};
    struct lookup lookup;

    begin(&lookup);
    for (int i = 0; i < 8; i++) {
        CHECK_INT(0, start(&lookup, names[i]));
        SERVE_UNTIL(lookup.reactor, 60, lookup.calls == i + 1);
    }
    CHECK_INT(6, server.questions); /* "b" twice, "a" once */
    finish(&lookup);
}

/* ---- Sharing and cancelling --------------------------------------------------------------------- */

static void shares_a_question(void)
{
    struct lookup lookups[MANY];
    int calls = 0;

    begin(&lookups[0]);
    for (int i = 1; i < MANY; i++)
        lookup_begin(&lookups[i], lookups[0].reactor);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(0, start(&lookups[i], "name.test"));
    twl_lookup_cancel(lookups[0].lookup);
    twl_lookup_cancel(lookups[7].lookup);
    SERVE_UNTIL(lookups[0].reactor, 60, lookups[MANY - 1].calls);
    for (int i = 0; i < MANY; i++) calls += lookups[i].calls;
    CHECK_INT(MANY - 2, calls);
    CHECK_INT(0, lookups[0].calls + lookups[7].calls);
    CHECK_INT(1, server.questions);
    for (int i = 1; i < MANY; i++) free(lookups[i].lookup);
    finish(&lookups[0]);
}

static void cancel_other(struct lookup *lookup)
{
    twl_lookup_cancel(lookup->other->lookup);
}

static void may_cancel_another_from_a_function(void)
{
    struct lookup first, second;

    begin(&first);
    lookup_begin(&second, first.reactor);
    first.react = cancel_other;
    first.other = &second;
    CHECK_INT(0, start(&first, "name.test"));
    CHECK_INT(0, start(&second, "name.test"));
    SERVE_UNTIL(first.reactor, 60, first.calls);
    turn_idle(first.reactor);
    CHECK_INT(0, second.calls);
    free(second.lookup);
    finish(&first);
}

static void drops_a_question_with_its_last_look_up(void)
{
    struct lookup lookup;
    int descriptors;

    begin(&lookup);
    descriptors = count_descriptors();
    CHECK_INT(0, start(&lookup, "name.test"));
    CHECK_INT(descriptors + 1, count_descriptors());
    twl_lookup_cancel(lookup.lookup);
    twl_lookup_cancel(lookup.lookup);
    CHECK_INT(descriptors, count_descriptors());
    for (int i = 0; i < 20; i++) {
        twl_reactor_step(lookup.reactor, 0.001);
        server_turn(60);
    }
    CHECK_INT(0, lookup.calls);
    finish(&lookup);
}

static void keeps_its_sockets_from_other_programs(void)
{
    bool before[CHECK_DESCRIPTORS];
    struct lookup lookup;
    int opened = 0;

    begin(&lookup);
    for (int fd = 0; fd < CHECK_DESCRIPTORS; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    CHECK_INT(0, start(&lookup, "name.test"));
    for (int fd = 0; fd < CHECK_DESCRIPTORS; fd++) {
        if (before[fd] || fcntl(fd, F_GETFD) < 0) continue;
        opened++;
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    CHECK_INT(1, opened);
    finish(&lookup); /* with the question under way */
}

/* ---- Failures ------------------------------------------------------------------------------------- */

static void gives_up_after_the_last_try(void)
{
    struct lookup lookup;

    begin(&lookup);
    CHECK_INT(0, start_tries(&lookup, "name.test", 3, 0.02));
    SERVE_UNTIL(lookup.reactor, -1, lookup.calls);
    CHECK_INT(TWL_ETIMEDOUT, lookup.code);
    CHECK_INT(3, server.questions);
    finish(&lookup);
}

static void refuses_what_cannot_be_asked(void)
{
    static const char *const bad[] = {
        "", ".", "a..b", ".a", "a b", "\303\244.test", "a\n"};
    char label[65], name[300] = "";
    struct lookup lookup;

    begin(&lookup);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(TWL_EINVAL, start(&lookup, bad[i]));
    memset(label, 'x', 64);
    label[64] = '\0';
    CHECK_INT(TWL_EINVAL, start(&lookup, label));
    for (int i = 0; i < 127; i++) strcat(name, "y.");
    CHECK_INT(0, start(&lookup, name)); /* 253 and a dot */
    twl_lookup_cancel(lookup.lookup);
    strcat(name, "y");
    CHECK_INT(TWL_EINVAL, start(&lookup, name));
    CHECK_INT(TWL_EINVAL, start_tries(&lookup, "name.test", 0, 1.));
    CHECK_INT(TWL_EINVAL,
              start_tries(&lookup, "name.test", TWL_LOOKUP_TRIES + 1, 1.));
    CHECK_INT(TWL_EINVAL, start_tries(&lookup, "name.test", 1, 0.));
    CHECK_INT(TWL_EINVAL, start_tries(&lookup, "name.test", 1, INFINITY));
    CHECK_INT(TWL_EINVAL, start_tries(&lookup, "name.test", 1, NAN));
    CHECK(!twl_lookup_active(lookup.lookup));
    finish(&lookup);
}

static void refuses_a_bad_configuration(void)
{
    twl_resolver_config config = TWL_RESOLVER_CONFIG_INIT;
    struct lookup lookup;

    begin(&lookup);
    config.servers = "nonsense";
    CHECK_INT(TWL_EINVAL, twl_resolver_configure(lookup.reactor, &config));
    config.servers = "";
    CHECK_INT(TWL_EINVAL, twl_resolver_configure(lookup.reactor, &config));
    config.servers = NULL;
    config.ttl_min = 10.;
    config.ttl_max = 5.;
    CHECK_INT(TWL_EINVAL, twl_resolver_configure(lookup.reactor, &config));
    CHECK_INT(0, start(&lookup, "name.test")); /* the one before counts */
    SERVE_UNTIL(lookup.reactor, 60, lookup.calls);
    CHECK_INT(0, lookup.code);
    finish(&lookup);
}

static void goes_on_with_another_configuration(void)
{
    struct lookup lookup;

    begin(&lookup);
    CHECK_INT(0, start_tries(&lookup, "name.test", 2, 0.05));
    SERVE_UNTIL(lookup.reactor, -1, server.questions == 1);
    CHECK_INT(0, configure(lookup.reactor, NULL));
    SERVE_UNTIL(lookup.reactor, 60, lookup.calls);
    CHECK_INT(0, lookup.code);
    CHECK_INT(2, server.questions);
    finish(&lookup);
}

/* Each request for memory fails once: a code, no crash, nothing kept. */
static void survives_the_lack_of_memory(void)
{
    size_t requests = 1;

    for (size_t n = 1; n <= requests; n++) {
        struct lookup lookup;
        int rc;
        server_begin();
        lookup_begin(&lookup, reactor_new());
        requests = memory.requests;
        memory.fail_at = memory.requests + n;
        rc = configure(lookup.reactor, "/etc/hosts");
        if (rc == 0) rc = start_tries(&lookup, "name.test", 1, 0.05);
        CHECK(rc == 0 || rc == TWL_ENOMEM);
        if (rc == 0) SERVE_UNTIL(lookup.reactor, 60, lookup.calls);
        CHECK(lookup.code == 0 || lookup.code == TWL_ENOMEM ||
              lookup.code == TWL_ETIMEDOUT);
        requests = memory.requests - requests + 1;
        memory.fail_at = 0;
        finish(&lookup);
    }
    CHECK(requests > 8);
}

/* ---- Without asking -------------------------------------------------------------------------------- */

static void knows_what_the_hosts_file_says(void)
{
    char path[] = "/tmp/twistlua-hosts-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    twl_address address;
    struct lookup lookup;

    begin(&lookup);
    fprintf(file,
            "# 192.0.2.9 box\n192.0.2.1 other BOX box.example # x\n"
            "2001:db8::5 box six\n192.0.2.2\tbox\nnonsense box\n%*s box\n",
            9000, "192.0.2.3");
    fclose(file);
    CHECK_INT(0, configure(lookup.reactor, path));
    CHECK_INT(0, start(&lookup, "Box."));
    TURN_UNTIL(lookup.reactor, lookup.calls == 1);
    CHECK_INT(2, lookup.count);
    CHECK_TEXT("192.0.2.1", lookup.first);
    CHECK_INT(0, start(&lookup, "six")); /* known, but not by IPv4 */
    TURN_UNTIL(lookup.reactor, lookup.calls == 2);
    CHECK_INT(TWL_ENOADDRESS, lookup.code);
    CHECK_INT(0, twl_resolver_hosts(lookup.reactor, "six", TWL_IPV6, &address));
    twl_address_host(&address, lookup.first);
    CHECK_TEXT("2001:db8::5", lookup.first);
    CHECK_INT(TWL_ENXDOMAIN,
              twl_resolver_hosts(lookup.reactor, "none", TWL_IPV4, &address));
    server_turn(-1);
    CHECK_INT(0, server.questions);
    remove(path);
    finish(&lookup);
}

static void knows_special_names(void)
{
    static const struct {
        const char *name;
        int code;
    } known[] = {
        {"localhost", 0},        {"LOCALHOST.", 0},
        {"a.localhost", 0},      {"x.invalid", TWL_ENXDOMAIN},
        {"192.0.2.44", 0},       {"x.onion", TWL_ENXDOMAIN},
        {"::1", TWL_ENOADDRESS},
    };
    struct lookup lookup;

    begin(&lookup);
    for (int i = 0; i < 7; i++) {
        CHECK_INT(0, start(&lookup, known[i].name));
        TURN_UNTIL(lookup.reactor, lookup.calls == i + 1);
        CHECK_INT(known[i].code, lookup.code);
    }
    server_turn(-1);
    CHECK_INT(0, server.questions);
    finish(&lookup);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(asks_the_server);
    RUN(answers_from_memory_later_in_the_turn);
    RUN(asks_again_when_an_answer_is_not_to_be_kept);
    RUN(forgets_the_name_that_was_asked_for_longest_ago);
    RUN_EVERYWHERE(shares_a_question);
    RUN(may_cancel_another_from_a_function);
    RUN_EVERYWHERE(drops_a_question_with_its_last_look_up);
    RUN(keeps_its_sockets_from_other_programs);
    RUN_EVERYWHERE(gives_up_after_the_last_try);
    RUN(refuses_what_cannot_be_asked);
    RUN(refuses_a_bad_configuration);
    RUN(goes_on_with_another_configuration);
    RUN(survives_the_lack_of_memory);
    RUN(knows_what_the_hosts_file_says);
    RUN(knows_special_names);
    return check_end();
}
