/* SPDX-License-Identifier: MIT
 * wakeup_test.c -- posts from other threads: complete, in order, and waking. */
#include <pthread.h>

#include "check.h"

enum { THREADS = 4, POSTS = 20000 };

struct sender {
    twl_reactor *reactor;
    pthread_t thread;
    int next; /* what the reactor's thread expects to see from it */
    int unordered;
};

struct message {
    struct sender *sender;
    int number;
};

static int arrived;

static void receive_message(void *context)
{
    struct message *message = context;

    if (message->number != message->sender->next) message->sender->unordered++;
    message->sender->next = message->number + 1;
    arrived++;
    free(message);
}

static void *send_messages(void *context)
{
    struct sender *sender = context;

    for (int i = 0; i < POSTS; i++) {
        struct message *message = malloc(sizeof *message);
        *message = (struct message){sender, i};
        while (twl_reactor_post(sender->reactor, receive_message, message) <
               0) {
        }
    }
    return NULL;
}

static void takes_every_post_in_the_order_of_its_thread(void)
{
    struct sender senders[THREADS];
    twl_reactor *reactor = reactor_new();

    arrived = 0;
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){.reactor = reactor};
        pthread_create(&senders[i].thread, NULL, send_messages, &senders[i]);
    }
    TURN_UNTIL(reactor, arrived == THREADS * POSTS);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(senders[i].thread, NULL);
        CHECK_INT(POSTS, senders[i].next);
        CHECK_INT(0, senders[i].unordered);
    }
    twl_reactor_close(reactor);
}

static void break_reactor(void *context)
{
    twl_reactor_break(context);
}

static void *post_break(void *context)
{
    twl_reactor_post(context, break_reactor, context);
    return NULL;
}

static void wakes_a_reactor_that_waits_for_nothing_else(void)
{
    twl_reactor *reactor = reactor_new();
    pthread_t thread;

    pthread_create(&thread, NULL, post_break, reactor);
    CHECK_INT(0, twl_reactor_run(reactor));
    pthread_join(thread, NULL);
    twl_reactor_close(reactor);
}

/* Both threads wait for each other's answer: a lost wake-up would stop them. */
struct ping {
    twl_reactor *reactor, *other;
    struct ping *partner;
    int left;
};

static void answer(void *context)
{
    struct ping *ping = context;

    if (ping->left == 0) return; /* one may be left for the end */
    twl_reactor_post(ping->other, answer, ping->partner);
    if (--ping->left == 0) twl_reactor_break(ping->reactor);
}

static void *run_reactor(void *context)
{
    twl_reactor_run(context);
    return NULL;
}

static void loses_no_wake_up_between_two_reactors(void)
{
    twl_reactor *a = reactor_new(), *b = reactor_new();
    struct ping here = {a, b, NULL, 5000}, there = {b, a, &here, 5000};
    pthread_t thread;

    here.partner = &there;
    pthread_create(&thread, NULL, run_reactor, b);
    twl_reactor_post(a, answer, &here);
    twl_reactor_run(a);
    pthread_join(thread, NULL);
    CHECK_INT(0, here.left);
    CHECK_INT(0, there.left);
    twl_reactor_close(a);
    twl_reactor_close(b);
}

static char order[16];

static void note_a(void *context)
{
    (void)context;
    strcat(order, "a");
}

static void note_b(void *context)
{
    (void)context;
    strcat(order, "b");
}

static void keeps_posts_until_it_is_run(void)
{
    twl_reactor *reactor = reactor_new();

    order[0] = '\0';
    twl_reactor_post(reactor, note_a, NULL);
    twl_reactor_post(reactor, note_b, NULL);
    twl_reactor_post(reactor, note_a, NULL);
    CHECK_TEXT("", order);
    TURN_UNTIL(reactor, strlen(order) == 3);
    CHECK_TEXT("aba", order);
    twl_reactor_close(reactor);
}

static int turn, posted_in, arrived_in;

static void note_turn(void *context)
{
    (void)context;
    arrived_in = turn;
}

static void post_again(void *context)
{
    posted_in = turn;
    twl_reactor_post(context, note_turn, NULL);
}

static void runs_a_post_of_a_post_in_a_later_turn(void)
{
    twl_reactor *reactor = reactor_new();

    posted_in = arrived_in = 0;
    twl_reactor_post(reactor, post_again, reactor);
    for (turn = 1; turn < 100 && !arrived_in; turn++)
        twl_reactor_step(reactor, 1.);
    CHECK(posted_in > 0);
    CHECK(arrived_in > posted_in);
    twl_reactor_close(reactor);
}

static void calls_at_its_end_what_was_posted(void)
{
    twl_reactor *reactor = reactor_new();

    order[0] = '\0';
    twl_reactor_post(reactor, note_a, NULL);
    twl_reactor_close(reactor);
    CHECK_TEXT("a", order);
}

static void mark_closed(void *closed)
{
    *(bool *)closed = true;
}

struct closing {
    twl_reactor *reactor;
    bool closed;
};

static void *post_end(void *context)
{
    struct closing *closing = context;
    twl_reactor_post(closing->reactor, mark_closed, &closing->closed);
    return NULL;
}

/* While the thread that posted may not have returned from that. */
static void may_be_closed_by_what_is_posted(void)
{
    for (int i = 0; i < 200; i++) {
        struct closing closing = {reactor_new(), false};
        pthread_t thread;

        pthread_create(&thread, NULL, post_end, &closing);
        while (!closing.closed) twl_reactor_step(closing.reactor, 0.);
        twl_reactor_close(closing.reactor);
        pthread_join(thread, NULL);
    }
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(takes_every_post_in_the_order_of_its_thread);
    RUN_EVERYWHERE(wakes_a_reactor_that_waits_for_nothing_else);
    RUN_EVERYWHERE(loses_no_wake_up_between_two_reactors);
    RUN(keeps_posts_until_it_is_run);
    RUN(may_be_closed_by_what_is_posted);
    RUN(runs_a_post_of_a_post_in_a_later_turn);
    RUN(calls_at_its_end_what_was_posted);
    return check_end();
}
