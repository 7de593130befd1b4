/* SPDX-License-Identifier: MIT
 * timer_test.c -- timers: order, turns, moving and stopping, a million of them. */
#include <math.h>
#include <stdint.h>

#include "check.h"

enum { FEW = 100, MANY = 1000000, SOME = 20000 };

static char names[FEW * 2 + 1]; /* of the timers that ran, in order */

static void note(const char *name)
{
    if (strlen(names) + strlen(name) < sizeof names) strcat(names, name);
}

static void note_name(twl_timer *timer)
{
    note(twl_timer_context(timer));
}

static twl_timer *timer_new(twl_reactor *reactor, twl_timer_fn fn,
                            void *context)
{
    void *memory_of_timer = malloc(twl_timer_size());

    twl_timer_init(memory_of_timer, reactor, fn, context);
    return memory_of_timer;
}

static twl_timer *named(twl_reactor *reactor, const char *name)
{
    names[0] = '\0';
    return timer_new(reactor, note_name, (void *)(uintptr_t)name);
}

static void runs_timers_in_the_order_of_their_due_times(void)
{
    twl_reactor *reactor = reactor_new();
    double now = twl_reactor_seconds(reactor);
    twl_timer *a = named(reactor, "a"), *b = named(reactor, "b"),
              *c = named(reactor, "c");

    CHECK_INT(0, twl_timer_start_at(a, now + 0.006));
    CHECK_INT(0, twl_timer_start_at(b, now + 0.002));
    CHECK_INT(0, twl_timer_start_at(c, now + 0.004));
    TURN_UNTIL(reactor, strlen(names) == 3);
    CHECK_TEXT("bca", names);
    twl_reactor_close(reactor);
    free(a), free(b), free(c);
}

static void gives_each_active_timer_a_slot_of_its_own(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timers[FEW];
    bool used[FEW] = {false};

    for (int i = 0; i < FEW; i++) {
        uint32_t foretold = twl_timer_next_slot(reactor);
        timers[i] = named(reactor, "x");
        twl_timer_start(timers[i], 1000.);
        CHECK_INT(foretold, twl_timer_slot(timers[i]));
        CHECK(foretold < FEW && !used[foretold]);
        used[foretold] = true;
    }
    CHECK_INT(FEW, twl_timer_count(reactor));
    for (int i = 0; i < FEW; i++)
        used[twl_timer_slot(twl_timer_at(reactor, (size_t)i))] = false;
    for (int i = 0; i < FEW; i++) CHECK(!used[i]);
    uint32_t free_slot = twl_timer_slot(timers[7]);
    twl_timer_stop(timers[7]);
    CHECK_INT(free_slot, twl_timer_slot(timers[7]));
    CHECK_INT(free_slot, twl_timer_next_slot(reactor));
    twl_reactor_close(reactor);
    for (int i = 0; i < FEW; i++) free(timers[i]);
}

static void runs_no_timer_before_it_is_due(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timer = named(reactor, "x");
    double due;

    twl_timer_start(timer, 0.01);
    due = twl_timer_due(timer);
    while (names[0] == '\0') twl_reactor_step(reactor, 0.);
    CHECK(twl_reactor_seconds(reactor) >= due);
    twl_reactor_close(reactor);
    free(timer);
}

static void runs_equal_times_in_the_order_of_starting(void)
{
    twl_reactor *reactor = reactor_new();
    double due = twl_reactor_seconds(reactor);
    twl_timer *timers[FEW];
    char letters[FEW][2], expected[FEW + 1];

    for (int i = 0; i < FEW; i++) {
        letters[i][0] = expected[i] = (char)('!' + i % 90);
        letters[i][1] = '\0';
        timers[i] = named(reactor, letters[i]);
    }
    expected[FEW] = '\0';
    for (int i = 0; i < FEW; i++) twl_timer_start_at(timers[i], due);
    TURN_UNTIL(reactor, strlen(names) == FEW);
    CHECK_TEXT(expected, names);
    twl_reactor_close(reactor);
    for (int i = 0; i < FEW; i++) free(timers[i]);
}

static void puts_a_restarted_timer_behind_its_equals(void)
{
    twl_reactor *reactor = reactor_new();
    double due = twl_reactor_seconds(reactor);
    twl_timer *a = named(reactor, "a"), *b = named(reactor, "b");

    twl_timer_start_at(a, due);
    twl_timer_start_at(b, due);
    twl_timer_start_at(a, due);
    TURN_UNTIL(reactor, strlen(names) == 2);
    CHECK_TEXT("ba", names);
    twl_reactor_close(reactor);
    free(a), free(b);
}

static void moves_an_active_timer_instead_of_adding_one(void)
{
    twl_reactor *reactor = reactor_new();
    double now = twl_reactor_seconds(reactor);
    twl_timer *a = named(reactor, "a"), *b = named(reactor, "b");

    twl_timer_start(a, 0.);
    twl_timer_start(b, 3600.);
    twl_timer_start_at(a, now + 0.004);
    twl_timer_start_at(b, now + 0.002);
    TURN_UNTIL(reactor, strlen(names) == 2);
    turn_idle(reactor);
    CHECK_TEXT("ba", names);
    twl_reactor_close(reactor);
    free(a), free(b);
}

static void never_runs_a_stopped_timer(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *a = named(reactor, "a"), *b = named(reactor, "b");

    twl_timer_start(a, 0.);
    twl_timer_start(b, 0.001);
    twl_timer_stop(a);
    twl_timer_stop(a);
    CHECK(!twl_timer_active(a));
    TURN_UNTIL(reactor, names[0]);
    CHECK_TEXT("b", names);
    twl_reactor_close(reactor);
    free(a), free(b);
}

struct pair {
    twl_timer *self, *other;
};

static void stop_other(twl_timer *timer)
{
    struct pair *pair = twl_timer_context(timer);
    note("stop ");
    twl_timer_stop(pair->other);
}

static void lets_a_timer_stop_another_one_that_is_due(void)
{
    twl_reactor *reactor = reactor_new();
    double due = twl_reactor_seconds(reactor);
    struct pair pair;

    pair.other = named(reactor, "other");
    pair.self = timer_new(reactor, stop_other, &pair);
    twl_timer_start_at(pair.self, due);
    twl_timer_start_at(pair.other, due);
    TURN_UNTIL(reactor, names[0]);
    turn_idle(reactor);
    CHECK_TEXT("stop ", names);
    twl_reactor_close(reactor);
    free(pair.self), free(pair.other);
}

static void restart_twice(twl_timer *timer)
{
    int *count = twl_timer_context(timer);

    CHECK(!twl_timer_active(timer));
    if (++*count < 3) CHECK_INT(0, twl_timer_start(timer, 0.));
}

static void lets_a_timer_start_itself_again(void)
{
    twl_reactor *reactor = reactor_new();
    int count = 0;
    twl_timer *timer = timer_new(reactor, restart_twice, &count);

    twl_timer_start(timer, 0.);
    CHECK(twl_timer_active(timer));
    TURN_UNTIL(reactor, count == 3);
    turn_idle(reactor);
    CHECK_INT(3, count);
    twl_reactor_close(reactor);
    free(timer);
}

static int turn, first_turn, second_turn;

static void remember_turn(twl_timer *timer)
{
    (void)timer;
    second_turn = turn;
}

static void start_other_at_once(twl_timer *timer)
{
    struct pair *pair = twl_timer_context(timer);

    first_turn = turn;
    /* Due long ago: only the rule keeps it from running now. */
    twl_timer_start_at(pair->other, 0.);
}

static void runs_a_timer_started_by_a_timer_in_a_later_turn(void)
{
    twl_reactor *reactor = reactor_new();
    struct pair pair;

    pair.self = timer_new(reactor, start_other_at_once, &pair);
    pair.other = timer_new(reactor, remember_turn, NULL);
    first_turn = second_turn = 0;
    twl_timer_start(pair.self, 0.);
    for (turn = 1; turn < FEW && !second_turn; turn++)
        twl_reactor_step(reactor, 1.);
    CHECK(first_turn > 0);
    CHECK(second_turn > first_turn);
    twl_reactor_close(reactor);
    free(pair.self), free(pair.other);
}

static void start_again(twl_timer *timer)
{
    twl_timer_start(timer, 0.);
}

static void count_call(twl_watch *watch, int events)
{
    (void)events;
    ++*(int *)twl_watch_context(watch);
}

static void does_not_starve_descriptors_by_timers_without_delay(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timer = timer_new(reactor, start_again, NULL);
    twl_watch *watch = malloc(twl_watch_size());
    int fds[2], calls = 0;

    if (!CHECK_INT(0, pipe(fds))) return;
    twl_watch_init(watch, reactor, fds[1], count_call, &calls);
    twl_watch_set(watch, TWL_WRITE);
    twl_timer_start(timer, 0.);
    for (int i = 0; i < FEW; i++) twl_reactor_step(reactor, 1.);
    CHECK(calls >= FEW / 4);
    twl_reactor_close(reactor);
    close(fds[0]), close(fds[1]);
    free(watch), free(timer);
}

static void leaves_everything_as_it_was_on_a_bad_time(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timer = named(reactor, "x");
    double due;

    CHECK_INT(TWL_EINVAL, twl_timer_start(timer, -1.));
    CHECK_INT(TWL_EINVAL, twl_timer_start(timer, (double)NAN));
    CHECK_INT(TWL_EINVAL, twl_timer_start(timer, (double)INFINITY));
    CHECK_INT(TWL_EINVAL, twl_timer_start_at(timer, (double)NAN));
    CHECK_INT(TWL_EINVAL, twl_timer_start_at(timer, -(double)INFINITY));
    CHECK(!twl_timer_active(timer));
    twl_timer_start(timer, 3600.);
    due = twl_timer_due(timer);
    CHECK_INT(TWL_EINVAL, twl_timer_start(timer, -0.001));
    CHECK(twl_timer_active(timer));
    CHECK(twl_timer_due(timer) == due);
    twl_reactor_close(reactor);
    free(timer);
}

static void bears_a_time_beyond_all_calendars(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *far = named(reactor, "far"), *near = named(reactor, "near");

    CHECK_INT(0, twl_timer_start(far, 1e300));
    turn_idle(reactor);
    CHECK_INT(0, twl_timer_start(near, 0.001));
    TURN_UNTIL(reactor, names[0]);
    CHECK_TEXT("near", names);
    CHECK(twl_timer_active(far));
    twl_reactor_close(reactor);
    free(far), free(near);
}

static void tells_when_it_is_or_was_due(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timer = named(reactor, "x");
    double before = twl_reactor_seconds(reactor);

    twl_timer_start(timer, 100.);
    CHECK(twl_timer_due(timer) >= before + 100.);
    CHECK(twl_timer_due(timer) <= twl_reactor_seconds(reactor) + 100.);
    twl_timer_start_at(timer, before);
    TURN_UNTIL(reactor, names[0]);
    CHECK(twl_timer_due(timer) == before);
    twl_reactor_close(reactor);
    free(timer);
}

static void stops_all_timers_when_the_reactor_closes(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *a = named(reactor, "a"), *b = named(reactor, "b");

    twl_timer_start(a, 0.);
    twl_timer_start(b, 60.);
    twl_reactor_close(reactor);
    CHECK(!twl_timer_active(a));
    CHECK(!twl_timer_active(b));
    twl_timer_stop(a);
    CHECK_TEXT("", names);
    free(a), free(b);
}

/* ---- Taking over the next one ------------------------------------------------------------ */

static int calls_of_take_all;

/* Run, as one call, all that are due and have this function; start the last one again. */
static void take_all(twl_timer *timer)
{
    twl_timer *next = timer, *last = timer;

    calls_of_take_all++;
    for (; next; next = twl_timer_next(twl_timer_context(timer), take_all)) {
        CHECK(!twl_timer_active(next));
        note("t");
        last = next;
    }
    if (calls_of_take_all == 1) twl_timer_start_at(last, 0.);
}

static void lets_a_function_take_over_the_next_ones_of_its_kind(void)
{
    twl_reactor *reactor = reactor_new();
    double due = twl_reactor_seconds(reactor);
    twl_timer *a = timer_new(reactor, take_all, reactor),
              *b = timer_new(reactor, take_all, reactor),
              *other = named(reactor, "x"),
              *c = timer_new(reactor, take_all, reactor),
              *far = timer_new(reactor, take_all, reactor);

    calls_of_take_all = 0;
    twl_timer_start_at(a, due);
    twl_timer_start_at(b, due);
    twl_timer_start_at(other, due);
    twl_timer_start_at(c, due);
    twl_timer_start_at(far, due + 3600.);
    while (calls_of_take_all == 0) twl_reactor_step(reactor, 1.);
    CHECK_TEXT("tt", names); /* the one started again ends the pass */
    turn_idle(reactor);
    CHECK_TEXT("tttxt", names);
    CHECK_INT(3, calls_of_take_all);
    CHECK(twl_timer_active(far));
    twl_reactor_close(reactor);
    free(a), free(b), free(other), free(c), free(far);
}

/* ---- Against a reference ---------------------------------------------------------------- */

/* What the reference knows of a timer: it runs only if [active], and after every timer with
 * a smaller (due, start). */
struct entry {
    twl_timer *timer;
    double due;
    uint64_t start;
    bool active;
};

static struct {
    twl_reactor *reactor;
    struct entry *entries;
    size_t count, active, ran;
    size_t unordered, unexpected; /* faults */
    double last_due;
    uint64_t last_start, starts, starts_before_turn;
    bool stirring; /* the functions start and stop others */
    uint64_t seed;
} world;

static uint64_t draw(uint64_t below)
{
    world.seed = world.seed * 6364136223846793005u + 1442695040888963407u;
    return (world.seed >> 33) % below;
}

static void start_entry(struct entry *entry, double due)
{
    if (!entry->active) world.active++;
    *entry = (struct entry){entry->timer, due, world.starts++, true};
    twl_timer_start_at(entry->timer, due);
}

static void stop_entry(struct entry *entry)
{
    if (entry->active) world.active--;
    entry->active = false;
    twl_timer_stop(entry->timer);
}

/* A few hundred different times, all past: many are equal, all are due. */
static double draw_time(void)
{
    return (double)draw(400) / 7.;
}

static void stir(void)
{
    struct entry *entry = &world.entries[draw(world.count)];

    if (draw(2))
        stop_entry(entry);
    else if (draw(4) == 0)
        start_entry(entry, draw_time());
}

static void run_entry(twl_timer *timer)
{
    struct entry *entry = twl_timer_context(timer);

    world.ran++;
    if (!entry->active || entry->start >= world.starts_before_turn)
        world.unexpected++;
    if (entry->due < world.last_due ||
        (entry->due == world.last_due && entry->start <= world.last_start))
        world.unordered++;
    world.last_due = entry->due;
    world.last_start = entry->start;
    entry->active = false;
    world.active--;
    if (world.stirring) stir();
}

static void make_world(size_t count)
{
    memset(&world, 0, sizeof world);
    world.seed = 20240229;
    world.reactor = reactor_new();
    world.count = count;
    world.entries = calloc(count, sizeof *world.entries);
    for (size_t i = 0; i < count; i++)
        world.entries[i].timer =
            timer_new(world.reactor, run_entry, &world.entries[i]);
}

/* Turn until none is active. In each turn the order begins anew. */
static void exhaust_world(void)
{
    for (int i = 0; i < 100000 && world.active > 0; i++) {
        world.last_due = -1.;
        world.last_start = 0;
        world.starts_before_turn = world.starts;
        twl_reactor_step(world.reactor, 1.);
    }
    CHECK_INT(0, world.active);
    CHECK_INT(0, world.unordered);
    CHECK_INT(0, world.unexpected);
}

static void end_world(void)
{
    twl_reactor_close(world.reactor);
    for (size_t i = 0; i < world.count; i++) free(world.entries[i].timer);
    free(world.entries);
}

static void keeps_a_million_timers_in_order(void)
{
    size_t expected;

    make_world(MANY);
    for (size_t i = 0; i < MANY * 3; i++) {
        struct entry *entry = &world.entries[draw(MANY)];
        if (draw(4) == 0)
            stop_entry(entry);
        else
            start_entry(entry, draw_time());
    }
    expected = world.active;
    CHECK(expected > MANY / 2);
    exhaust_world();
    CHECK_INT(expected, world.ran);
    end_world();
}

static void keeps_order_while_functions_start_and_stop_others(void)
{
    make_world(SOME);
    for (size_t i = 0; i < SOME; i++)
        start_entry(&world.entries[i], draw_time());
    world.stirring = true;
    exhaust_world();
    CHECK(world.ran > SOME / 4);
    CHECK(world.starts > SOME);
    end_world();
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(runs_timers_in_the_order_of_their_due_times);
    RUN_EVERYWHERE(runs_no_timer_before_it_is_due);
    RUN(gives_each_active_timer_a_slot_of_its_own);
    RUN(runs_equal_times_in_the_order_of_starting);
    RUN(puts_a_restarted_timer_behind_its_equals);
    RUN(moves_an_active_timer_instead_of_adding_one);
    RUN(never_runs_a_stopped_timer);
    RUN(lets_a_timer_stop_another_one_that_is_due);
    RUN(lets_a_timer_start_itself_again);
    RUN_EVERYWHERE(runs_a_timer_started_by_a_timer_in_a_later_turn);
    RUN_EVERYWHERE(does_not_starve_descriptors_by_timers_without_delay);
    RUN(leaves_everything_as_it_was_on_a_bad_time);
    RUN(bears_a_time_beyond_all_calendars);
    RUN(tells_when_it_is_or_was_due);
    RUN(stops_all_timers_when_the_reactor_closes);
    RUN_EVERYWHERE(lets_a_function_take_over_the_next_ones_of_its_kind);
    RUN(keeps_a_million_timers_in_order);
    RUN(keeps_order_while_functions_start_and_stop_others);
    return check_end();
}
