/* SPDX-License-Identifier: MIT
 * channel_test.c -- channels: values in order, each once; waiting, blocking, and going away. */
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"

static twl_channel *channel_new(size_t capacity)
{
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel = NULL;

    config.capacity = capacity;
    if (!CHECK_INT(0, twl_channel_open(&config, &channel))) exit(1);
    return channel;
}

/* The integer that is received at once, or the error. */
static long long receive_now(twl_channel *channel)
{
    twl_message *message;
    long long integer;
    int rc = twl_channel_receive(channel, 0, &message);

    if (rc < 0) return rc;
    integer = twl_message_value(message).as.integer;
    twl_message_free(message);
    return integer;
}

/* ---- The queue ------------------------------------------------------------------- */

static void keeps_the_order(void)
{
    twl_channel *channel = channel_new(3);

    CHECK_INT(3, twl_channel_capacity(channel));
    for (int i = 1; i <= 3; i++)
        CHECK_INT(0, twl_channel_send(channel, twl_integer(i), 0));
    CHECK_INT(TWL_EAGAIN, twl_channel_send(channel, twl_integer(4), 0));
    CHECK_INT(3, twl_channel_count(channel));
    CHECK_INT(1, receive_now(channel));
    CHECK_INT(0, twl_channel_send(channel, twl_integer(4), 0));
    for (int i = 2; i <= 4; i++) CHECK_INT(i, receive_now(channel));
    CHECK_INT(TWL_EAGAIN, receive_now(channel));
    twl_channel_release(channel);
}

static void gives_what_it_has_when_closed(void)
{
    twl_channel *channel = channel_new(3);

    twl_channel_send(channel, twl_integer(1), 0);
    twl_channel_send(channel, twl_integer(2), 0);
    CHECK(twl_channel_is_open(channel));
    twl_channel_close(channel);
    twl_channel_close(channel);
    CHECK(!twl_channel_is_open(channel));
    CHECK_INT(TWL_ECLOSED, twl_channel_send(channel, twl_integer(3), 0));
    CHECK_INT(1, receive_now(channel));
    CHECK_INT(2, receive_now(channel));
    CHECK_INT(TWL_ECLOSED, receive_now(channel));
    twl_channel_release(channel);
}

static twl_value through(twl_channel *channel, twl_value value,
                         twl_message **message)
{
    CHECK_INT(0, twl_channel_send(channel, value, 0));
    CHECK_INT(0, twl_channel_receive(channel, 0, message));
    return twl_message_value(*message);
}

static void passes_every_kind_of_value(void)
{
    twl_channel *channel = channel_new(1);
    char bytes[] = "a\0b";
    twl_message *m;
    twl_value value;

    CHECK_INT(TWL_NOTHING, through(channel, twl_nothing(), &m).kind);
    twl_message_free(m);
    CHECK(through(channel, twl_boolean(true), &m).as.boolean);
    twl_message_free(m);
    CHECK(through(channel, twl_integer(INT64_MIN), &m).as.integer == INT64_MIN);
    twl_message_free(m);
    CHECK(through(channel, twl_number(-0.5), &m).as.number == -0.5);
    twl_message_free(m);
    CHECK(through(channel, twl_pointer(&m), &m).as.pointer == &m);
    twl_message_free(m);
    value = through(channel, twl_bytes(bytes, 3), &m);
    bytes[0] = 'x'; /* it was a copy */
    CHECK_INT(TWL_BYTES, value.kind);
    CHECK_INT(3, value.as.bytes.length);
    CHECK(memcmp(value.as.bytes.data, "a\0b", 3) == 0);
    twl_message_free(m);
    value = through(channel, twl_bytes(NULL, 0), &m);
    CHECK_INT(0, value.as.bytes.length);
    twl_message_free(m);
    twl_channel_release(channel);
}

static void refuses_what_is_no_value(void)
{
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel = channel_new(1);
    twl_message *message;

    CHECK_INT(TWL_EINVAL,
              twl_channel_send(channel, twl_failure(TWL_ENOMEM), 0));
    CHECK_INT(TWL_EINVAL, twl_channel_send(channel, twl_nothing(), -1));
    CHECK_INT(TWL_EINVAL, twl_channel_receive(channel, NAN, &message));
    CHECK_INT(0, twl_channel_count(channel));
    twl_channel_release(channel);
    twl_channel_release(NULL);
    twl_message_free(NULL);
    config.capacity = 0;
    CHECK_INT(TWL_EINVAL, twl_channel_open(&config, &channel));
}

/* ---- Memory -------------------------------------------------------------------------- */

static twl_channel *counted_channel(size_t capacity)
{
    twl_channel_config config = TWL_CHANNEL_CONFIG_INIT;
    twl_channel *channel = NULL;

    config.capacity = capacity;
    config.alloc = counted_alloc;
    twl_channel_open(&config, &channel);
    return channel;
}

static void frees_what_nobody_received_with_the_last_reference(void)
{
    twl_channel *channel = counted_channel(10);

    for (int i = 0; i < 10; i++)
        twl_channel_send(channel, twl_bytes("value", 5), 0);
    CHECK(twl_channel_retain(channel) == channel);
    twl_channel_release(channel);
    CHECK_INT(10, twl_channel_count(channel));
    twl_channel_release(channel);
    CHECK_INT(0, memory.blocks);
}

static void says_when_there_is_no_memory(void)
{
    twl_channel *channel;

    memory.fail_at = 1;
    CHECK(!counted_channel(1));
    memory.fail_at = 0;
    channel = counted_channel(1);
    memory.fail_at = memory.requests + 1;
    CHECK_INT(TWL_ENOMEM, twl_channel_send(channel, twl_bytes("b", 1), 0));
    CHECK_INT(0, twl_channel_send(channel, twl_bytes("b", 1), 0));
    twl_channel_release(channel);
}

/* Each channel has a message that mentions the one before. */
static void frees_channels_in_channels_without_end(void)
{
    enum { DEPTH = 100000 };
    twl_channel *inner = counted_channel(1), *outer;
    twl_message *message;

    for (int i = 0; i < DEPTH; i++) {
        outer = counted_channel(1);
        twl_message_new_opaque(outer, "", 0, &inner, 1, &message);
        CHECK_INT(0, twl_channel_pass(outer, message, 0));
        twl_channel_release(inner);
        inner = outer;
    }
    CHECK_INT(2 * DEPTH + 1, memory.blocks);
    twl_channel_release(inner);
    CHECK_INT(0, memory.blocks);
}

/* ---- Threads that block ------------------------------------------------------------------ */

enum { THREADS = 4, VALUES = 10000 };

struct party {
    twl_channel *channel;
    pthread_t thread;
    int number;
    int last[THREADS]; /* of a receiver: what came last from each sender */
    int received, unordered, end;
};

static void *send_all(void *context)
{
    struct party *party = context;

    for (int i = 1; i <= VALUES; i++)
        twl_channel_send(party->channel,
                         twl_integer(party->number * 1000000 + i), INFINITY);
    return NULL;
}

static void note(struct party *party, twl_message *message)
{
    int value = (int)twl_message_value(message).as.integer;
    int sender = value / 1000000, number = value % 1000000;

    if (number <= party->last[sender]) party->unordered++;
    party->last[sender] = number;
    party->received++;
    twl_message_free(message);
}

static void *receive_all(void *context)
{
    struct party *party = context;
    twl_message *message;

    while (
        !(party->end = twl_channel_receive(party->channel, INFINITY, &message)))
        note(party, message);
    return NULL;
}

static void start_parties(struct party *parties, twl_channel *channel,
                          void *(*run)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        parties[i] = (struct party){.channel = channel, .number = i};
        pthread_create(&parties[i].thread, NULL, run, &parties[i]);
    }
}

static void join_parties(struct party *parties)
{
    for (int i = 0; i < THREADS; i++) pthread_join(parties[i].thread, NULL);
}

static int check_parties(struct party *parties)
{
    int received = 0;

    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(0, parties[i].unordered);
        CHECK_INT(TWL_ECLOSED, parties[i].end);
        received += parties[i].received;
    }
    return received;
}

static void gives_each_value_to_one_of_the_threads_that_block(void)
{
    struct party senders[THREADS], receivers[THREADS];
    twl_channel *channel = channel_new(3);

    start_parties(receivers, channel, receive_all);
    start_parties(senders, channel, send_all);
    join_parties(senders);
    twl_channel_close(channel);
    join_parties(receivers);
    CHECK_INT(THREADS * VALUES, check_parties(receivers));
    CHECK_INT(0, twl_channel_count(channel));
    twl_channel_release(channel);
}

static void waits_no_longer_than_it_is_told(void)
{
    twl_channel *channel = channel_new(1);
    twl_message *message;

    CHECK_INT(TWL_ETIMEDOUT, twl_channel_receive(channel, 0.001, &message));
    twl_channel_send(channel, twl_integer(1), 0.001);
    CHECK_INT(TWL_ETIMEDOUT, twl_channel_send(channel, twl_integer(2), 0.001));
    CHECK_INT(1, receive_now(channel));
    twl_channel_release(channel);
}

/* ---- Ends in reactors ----------------------------------------------------------------------- */

struct reader {
    twl_channel_wait wait; /* first */
    twl_channel_end *end;
    twl_reactor *reactor;
    int want; /* waits again until it has so many */
    int got, code;
    long long values[256];
    struct reader *cancels; /* when it gets something */
    bool closes;            /* the end */
};

static twl_channel_end *end_new(twl_reactor *reactor, twl_channel *channel)
{
    twl_channel_end *end = malloc(twl_channel_end_size());

    twl_channel_end_open(end, reactor, channel);
    return end;
}

static void end_free(twl_channel_end *end)
{
    twl_channel_end_close(end);
    twl_channel_end_close(end);
    free(end);
}

static void on_value(twl_channel_wait *wait, int code)
{
    struct reader *reader = (struct reader *)(void *)wait;

    reader->code = code;
    if (code < 0) return;
    reader->values[reader->got++ % 256] =
        twl_message_value(wait->message).as.integer;
    twl_message_free(wait->message);
    wait->message = NULL;
    if (reader->cancels) twl_channel_wait_cancel(&reader->cancels->wait);
    if (reader->closes) end_free(reader->end);
    if (reader->got < reader->want)
        twl_channel_wait_start(&reader->wait, reader->end);
}

static struct reader reader_of(twl_channel_end *end, int want)
{
    return (struct reader){
        .wait.done = on_value, .end = end, .want = want, .code = 1};
}

static void tells_who_waits_at_an_end(void)
{
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(8);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader first = reader_of(end, 2), second = reader_of(end, 1);

    twl_channel_wait_start(&first.wait, end);
    twl_channel_wait_start(&second.wait, end);
    turn_idle(reactor);
    CHECK_INT(0, first.got + second.got);
    for (int i = 1; i <= 4; i++) twl_channel_send(channel, twl_integer(i), 0);
    TURN_UNTIL(reactor, first.got == 2 && second.got == 1);
    /* Who waits again goes to the end of the line. */
    CHECK_INT(1, first.values[0]);
    CHECK_INT(2, second.values[0]);
    CHECK_INT(3, first.values[1]);
    CHECK_INT(4, receive_now(channel));
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

static void lets_nobody_overtake_who_waits(void)
{
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(8);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader reader = reader_of(end, 1);
    twl_message *message;

    twl_channel_wait_start(&reader.wait, end);
    twl_channel_send(channel, twl_integer(1), 0);
    twl_channel_send(channel, twl_integer(2), 0);
    CHECK_INT(TWL_EAGAIN, twl_channel_end_receive(end, &message));
    TURN_UNTIL(reactor, reader.got == 1);
    CHECK_INT(1, reader.values[0]);
    CHECK_INT(0, twl_channel_end_receive(end, &message));
    CHECK_INT(2, twl_message_value(message).as.integer);
    twl_message_free(message);
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

static void gives_a_cancelled_wait_nothing(void)
{
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(8);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader gone = reader_of(end, 1), stays = reader_of(end, 1),
                  victim = reader_of(end, 1);

    stays.cancels = &victim;
    twl_channel_wait_start(&gone.wait, end);
    twl_channel_wait_start(&stays.wait, end);
    twl_channel_wait_start(&victim.wait, end);
    for (int i = 1; i <= 3; i++) twl_channel_send(channel, twl_integer(i), 0);
    twl_channel_wait_cancel(&gone.wait); /* the bell was rung for it */
    twl_channel_wait_cancel(&gone.wait);
    TURN_UNTIL(reactor, stays.got == 1);
    turn_idle(reactor);
    CHECK_INT(0, gone.got + victim.got);
    CHECK_INT(1, stays.values[0]);
    CHECK_INT(2, receive_now(channel));
    CHECK_INT(3, receive_now(channel));
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

/* What the first was woken for, the second must hear of. */
static void
passes_the_ring_on_when_an_end_goes_away(void (*leave)(struct reader *))
{
    twl_reactor *a = reactor_new(), *b = reactor_new();
    twl_channel *channel = channel_new(8);
    struct reader first = reader_of(end_new(a, channel), 1),
                  second = reader_of(end_new(b, channel), 1);

    first.reactor = a;
    twl_channel_wait_start(&first.wait, first.end);
    twl_channel_wait_start(&second.wait, second.end);
    twl_channel_send(channel, twl_integer(1), 0);
    turn_idle(b);
    CHECK_INT(0, second.got);
    leave(&first);
    TURN_UNTIL(b, second.got == 1);
    CHECK_INT(0, first.got);
    end_free(first.end);
    end_free(second.end);
    twl_channel_release(channel);
    if (first.reactor) twl_reactor_close(a);
    twl_reactor_close(b);
}

static void leave_by_closing_the_end(struct reader *reader)
{
    twl_channel_end_close(reader->end);
}

static void leave_by_closing_the_reactor(struct reader *reader)
{
    twl_reactor_close(reader->reactor);
    reader->reactor = NULL;
}

static void leave_by_cancelling(struct reader *reader)
{
    twl_channel_wait_cancel(&reader->wait);
    turn_idle(reader->reactor);
}

static void gives_up_the_place_of_a_closed_end(void)
{
    passes_the_ring_on_when_an_end_goes_away(leave_by_closing_the_end);
}

static void gives_up_the_place_of_a_closed_reactor(void)
{
    passes_the_ring_on_when_an_end_goes_away(leave_by_closing_the_reactor);
}

static void gives_up_the_place_of_a_cancelled_wait(void)
{
    passes_the_ring_on_when_an_end_goes_away(leave_by_cancelling);
}

static void may_be_closed_by_who_was_served(void)
{
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(8);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader closes = reader_of(end, 1), other = reader_of(end, 1);

    closes.closes = true;
    twl_channel_wait_start(&closes.wait, end);
    twl_channel_wait_start(&other.wait, end);
    twl_channel_send(channel, twl_integer(1), 0);
    twl_channel_send(channel, twl_integer(2), 0);
    TURN_UNTIL(reactor, closes.got == 1);
    turn_idle(reactor);
    CHECK_INT(0, other.got);
    CHECK_INT(2, receive_now(channel));
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

static void keeps_no_turn_to_itself(void)
{
    enum { MANY = 1000 };
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(MANY);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader reader = reader_of(end, MANY);
    int before, most = 0;

    for (int i = 0; i < MANY; i++) twl_channel_send(channel, twl_integer(i), 0);
    twl_channel_wait_start(&reader.wait, end);
    for (int i = 0; i < MANY && reader.got < MANY; i++) {
        before = reader.got;
        twl_reactor_step(reactor, 1.);
        if (reader.got - before > most) most = reader.got - before;
    }
    CHECK_INT(MANY, reader.got);
    CHECK(most > 1 && most <= MANY / 10);
    CHECK(turns_of_a_moment(reactor) < 10); /* and then it sleeps */
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

static int sent, failed_to_send;

static void on_sent(twl_channel_wait *wait, int code)
{
    if (code == 0)
        sent++;
    else
        failed_to_send = code;
    CHECK_INT(code == 0, !wait->message);
    twl_message_free(wait->message);
    wait->message = NULL;
}

static void wait_to_send(twl_channel_wait *wait, twl_channel_end *end,
                         twl_channel *channel, int value)
{
    *wait = (twl_channel_wait){.done = on_sent};
    twl_message_new(channel, twl_integer(value), &wait->message);
    twl_channel_wait_start(wait, end);
}

static void sends_when_there_is_room(void)
{
    twl_reactor *reactor = reactor_new();
    twl_channel *channel = channel_new(1);
    twl_channel_end *end = end_new(reactor, channel);
    twl_channel_wait waits[3];
    twl_message *message;

    sent = failed_to_send = 0;
    for (int i = 0; i < 3; i++) wait_to_send(&waits[i], end, channel, i + 1);
    turn_idle(reactor);
    CHECK_INT(1, sent);
    CHECK_INT(1, receive_now(channel));
    twl_message_new(channel, twl_integer(9), &message);
    CHECK_INT(TWL_EAGAIN, twl_channel_end_send(end, message));
    TURN_UNTIL(reactor, sent == 2);
    CHECK_INT(2, receive_now(channel));
    twl_channel_close(channel);
    TURN_UNTIL(reactor, failed_to_send == TWL_ECLOSED);
    CHECK_INT(TWL_ECLOSED, twl_channel_end_send(end, message));
    twl_message_free(message);
    CHECK_INT(TWL_ECLOSED, receive_now(channel));
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

static void *send_one(void *channel)
{
    twl_channel_send(channel, twl_integer(5), INFINITY);
    return NULL;
}

/* In a loop of another kind, which looks at the descriptor only. */
static void wakes_a_loop_of_another_kind(void)
{
    twl_reactor *reactor = reactor_new();
    struct pollfd fd = {.fd = twl_reactor_fd(reactor), .events = POLLIN};
    twl_channel *channel = channel_new(1);
    twl_channel_end *end = end_new(reactor, channel);
    struct reader reader = reader_of(end, 1);
    pthread_t thread;

    twl_channel_wait_start(&reader.wait, end);
    pthread_create(&thread, NULL, send_one, channel);
    while (reader.got == 0) {
        twl_reactor_prepare(reactor);
        CHECK(twl_reactor_timeout(reactor) <= 0);
        poll(&fd, 1, twl_reactor_timeout(reactor) == 0 ? 0 : -1);
        twl_reactor_step(reactor, 0);
    }
    CHECK_INT(5, reader.values[0]);
    pthread_join(thread, NULL);
    end_free(end);
    twl_channel_release(channel);
    twl_reactor_close(reactor);
}

/* ---- Reactors on threads ------------------------------------------------------------------------ */

/* Receives in a reactor of its own until the channel is closed; one in [leaves] values, it goes
 * away and comes back, with a wait under way. */
struct station {
    twl_channel_wait wait; /* first */
    struct party party;
    twl_reactor *reactor;
    twl_channel_end *end;
    int leaves;
    bool done;
};

static void on_arrival(twl_channel_wait *wait, int code)
{
    struct station *station = (struct station *)(void *)wait;

    station->party.end = code;
    station->done = code < 0;
    if (code < 0) return;
    note(&station->party, wait->message);
    wait->message = NULL;
    twl_channel_wait_start(wait, station->end);
    if (station->leaves && station->party.received % station->leaves == 0) {
        twl_channel_end_close(station->end);
        twl_channel_end_open(station->end, station->reactor,
                             station->party.channel);
        twl_channel_wait_start(wait, station->end);
    }
}

static void *run_station(void *context)
{
    struct station *station = context;
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;

    config.backend = check.backend;
    twl_reactor_open(&config, &station->reactor);
    station->end = end_new(station->reactor, station->party.channel);
    station->wait.done = on_arrival;
    twl_channel_wait_start(&station->wait, station->end);
    while (!station->done) twl_reactor_step(station->reactor, 10.);
    end_free(station->end);
    twl_reactor_close(station->reactor);
    return NULL;
}

static void gives_each_value_to_one_of_the_reactors(void)
{
    struct station stations[THREADS];
    struct party senders[THREADS];
    twl_channel *channel = channel_new(5);
    int received = 0;

    memset(stations, 0, sizeof stations);
    for (int i = 0; i < THREADS; i++) {
        stations[i].party.channel = channel;
        stations[i].leaves = i * 7;
        pthread_create(&stations[i].party.thread, NULL, run_station,
                       &stations[i]);
    }
    start_parties(senders, channel, send_all);
    join_parties(senders);
    twl_channel_close(channel);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(stations[i].party.thread, NULL);
        CHECK_INT(0, stations[i].party.unordered);
        CHECK_INT(TWL_ECLOSED, stations[i].party.end);
        received += stations[i].party.received;
    }
    CHECK_INT(THREADS * VALUES, received);
    twl_channel_release(channel);
}

/* ---- Threads of a pool ------------------------------------------------------------------------- */

struct blocked {
    twl_work work; /* first */
    twl_workers *workers;
    twl_channel *channel;
    bool sends;
    int code;
};

static void block(twl_work *work, void **local)
{
    struct blocked *blocked = (struct blocked *)(void *)work;
    twl_message *message = NULL;
    (void)local;

    if (!blocked->sends) {
        blocked->code = twl_workers_receive(blocked->workers, blocked->channel,
                                            INFINITY, &message);
    } else {
        twl_message_new(blocked->channel, twl_integer(1), &message);
        blocked->code = twl_workers_pass(blocked->workers, blocked->channel,
                                         message, INFINITY);
    }
    if (!blocked->sends || blocked->code < 0) twl_message_free(message);
}

static void do_nothing_more(twl_work *work, int code)
{
    (void)work;
    (void)code;
}

static void sets_the_threads_of_a_pool_free_that_is_closed(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = malloc(twl_workers_size());
    twl_channel *empty = channel_new(1), *full = channel_new(1);
    struct blocked jobs[3];
    twl_workers_count count;

    twl_channel_send(full, twl_integer(1), 0);
    twl_workers_init(workers, reactor);
    twl_workers_open(workers, NULL);
    memset(jobs, 0, sizeof jobs);
    for (int i = 0; i < 3; i++) {
        jobs[i].work.run = block;
        jobs[i].work.done = do_nothing_more;
        jobs[i].workers = workers;
        jobs[i].sends = i == 2;
        jobs[i].channel = jobs[i].sends ? full : empty;
        CHECK_INT(0, twl_workers_add(workers, &jobs[i].work));
    }
    twl_channel_send(empty, twl_integer(1), 0); /* for one of the two */
    do {
        sched_yield();
        twl_workers_counts(workers, &count);
        twl_reactor_step(reactor, 0.);
    } while (count.working != 2 || count.queued);
    twl_workers_close(workers);
    CHECK_INT(TWL_ECANCELED, jobs[0].code + jobs[1].code);
    CHECK_INT(TWL_ECANCELED, jobs[2].code);
    CHECK_INT(1, twl_channel_count(full));
    twl_channel_release(empty);
    twl_channel_release(full);
    free(workers);
    twl_reactor_close(reactor);
}

int main(void)
{
    check_begin();
    RUN(keeps_the_order);
    RUN(gives_what_it_has_when_closed);
    RUN(passes_every_kind_of_value);
    RUN(refuses_what_is_no_value);
    RUN(frees_what_nobody_received_with_the_last_reference);
    RUN(says_when_there_is_no_memory);
    RUN(frees_channels_in_channels_without_end);
    RUN(gives_each_value_to_one_of_the_threads_that_block);
    RUN(waits_no_longer_than_it_is_told);
    RUN_EVERYWHERE(tells_who_waits_at_an_end);
    RUN(lets_nobody_overtake_who_waits);
    RUN(gives_a_cancelled_wait_nothing);
    RUN(gives_up_the_place_of_a_closed_end);
    RUN(gives_up_the_place_of_a_closed_reactor);
    RUN(gives_up_the_place_of_a_cancelled_wait);
    RUN(may_be_closed_by_who_was_served);
    RUN(keeps_no_turn_to_itself);
    RUN(sends_when_there_is_room);
    RUN(wakes_a_loop_of_another_kind);
    RUN_EVERYWHERE(gives_each_value_to_one_of_the_reactors);
    RUN(sets_the_threads_of_a_pool_free_that_is_closed);
    return check_end();
}
