/* SPDX-License-Identifier: MIT
 * deferred_test.c -- Deferreds with stages in C. */
#include "twistlua.h"

#include "check.h"

enum { FEW = 8, MANY = 1000000 };

static char seen[256]; /* what stages noted, in order */
static twl_stage stages[64];
static int stages_used;

static void begin(void)
{
    seen[0] = '\0';
    stages_used = 0;
}

static void note(const char *text)
{
    if (strlen(seen) + strlen(text) < sizeof seen) strcat(seen, text);
}

static void note_number(const char *before, long long number)
{
    char text[64];

    snprintf(text, sizeof text, "%s%lld ", before, number);
    note(text);
}

/* Notes its context, a text, and the result, which it leaves. */
static void note_result(twl_deferred *d, void *context, twl_value *result)
{
    (void)d;
    note(context);
    switch (result->kind) {
    case TWL_NOTHING: note("- "); break;
    case TWL_INTEGER: note_number("", result->as.integer); break;
    case TWL_FAILURE: note_number("!", -result->code); break;
    default: note("? "); break;
    }
}

static void add_one(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)context;
    if (result->kind == TWL_INTEGER) result->as.integer++;
}

static void fail_with(twl_deferred *d, void *context, twl_value *result)
{
    (void)d;
    if (result->kind != TWL_FAILURE)
        *result = twl_failure(*(const int *)context);
}

static void handle(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)context;
    if (result->kind == TWL_FAILURE) *result = twl_integer(0);
}

static void wait_for(twl_deferred *d, void *context, twl_value *result)
{
    (void)d;
    if (result->kind != TWL_FAILURE) *result = twl_wait_for(context);
}

static void add(twl_deferred *d, twl_stage_fn run, void *context)
{
    twl_deferred_add(d, &stages[stages_used++], run, context);
}

static void noting(twl_deferred *d, const char *name)
{
    add(d, note_result, (void *)(uintptr_t)name);
}

static twl_deferred make(twl_cancel_fn cancel)
{
    twl_deferred d;

    twl_deferred_init(&d, NULL, cancel, NULL);
    return d;
}

/* ---- Firing -------------------------------------------------------------- */

static void runs_its_stages_in_order(void)
{
    twl_deferred d = make(NULL);

    begin();
    noting(&d, "a");
    add(&d, add_one, NULL);
    noting(&d, "b");
    CHECK(!twl_deferred_called(&d));
    CHECK_INT(0, twl_deferred_fire(&d, twl_integer(1)));
    CHECK_TEXT("a1 b2 ", seen);
    CHECK(twl_deferred_called(&d) && twl_deferred_ready(&d));
    noting(&d, "c");
    CHECK_TEXT("a1 b2 c2 ", seen);
    CHECK_INT(2, twl_deferred_result(&d).as.integer);
}

static void carries_every_kind_of_value(void)
{
    const char text[] = "bytes";
    const twl_value values[] = {twl_nothing(),       twl_boolean(true),
                                twl_integer(-5),     twl_number(0.5),
                                twl_pointer(stages), twl_bytes(text, 5)};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        twl_deferred d = make(NULL);
        twl_value value;

        CHECK_INT(0, twl_deferred_fire(&d, values[i]));
        value = twl_deferred_take(&d);
        CHECK_INT(values[i].kind, value.kind);
        CHECK_INT(TWL_NOTHING, twl_deferred_result(&d).kind);
        if (value.kind == TWL_BYTES) CHECK(value.as.bytes.data == text);
        if (value.kind == TWL_NUMBER) CHECK(value.as.number == 0.5);
        if (value.kind == TWL_POINTER) CHECK(value.as.pointer == stages);
    }
}

static void goes_from_failure_to_result_and_back(void)
{
    static const int code = TWL_ETIMEDOUT;
    twl_deferred d = make(NULL);

    begin();
    add(&d, fail_with, (void *)(uintptr_t)&code);
    noting(&d, "a");
    add(&d, handle, NULL);
    noting(&d, "b");
    twl_deferred_fire(&d, twl_nothing());
    CHECK_INT(0, strncmp(seen, "a!", 2));
    CHECK_TEXT("b0 ", strchr(seen, ' ') + 1);
}

static void refuses_a_second_firing(void)
{
    twl_deferred d = make(NULL), other = make(NULL);

    CHECK_INT(TWL_EINVAL, twl_deferred_fire(&d, twl_wait_for(&other)));
    CHECK_INT(0, twl_deferred_fire(&d, twl_integer(1)));
    CHECK_INT(TWL_EALREADY, twl_deferred_fire(&d, twl_integer(2)));
    CHECK_INT(TWL_EALREADY, twl_deferred_fire(&d, twl_failure(TWL_EINVAL)));
    CHECK_INT(1, twl_deferred_result(&d).as.integer);
}

static void waits_for_as_many_unpauses_as_pauses(void)
{
    twl_deferred d = make(NULL);

    begin();
    noting(&d, "a");
    twl_deferred_pause(&d);
    twl_deferred_pause(&d);
    twl_deferred_fire(&d, twl_integer(1));
    CHECK_INT(0, twl_deferred_unpause(&d));
    CHECK(twl_deferred_paused(&d));
    CHECK_TEXT("", seen);
    CHECK_INT(0, twl_deferred_unpause(&d));
    CHECK_TEXT("a1 ", seen);
    CHECK_INT(TWL_EINVAL, twl_deferred_unpause(&d));
}

static void add_another(twl_deferred *d, void *context, twl_value *result)
{
    (void)result;
    noting(d, context);
    note("in ");
}

static void a_stage_added_by_a_stage_waits_for_its_turn(void)
{
    twl_deferred d = make(NULL);

    begin();
    add(&d, add_another, (void *)(uintptr_t) "late");
    noting(&d, "a");
    twl_deferred_fire(&d, twl_integer(1));
    CHECK_TEXT("in a1 late1 ", seen);
}

/* ---- Waiting ------------------------------------------------------------- */

static void takes_the_result_of_one_that_is_ready(void)
{
    twl_deferred inner = make(NULL), outer = make(NULL);

    begin();
    twl_deferred_fire(&inner, twl_integer(7));
    add(&outer, wait_for, &inner);
    noting(&outer, "outer");
    twl_deferred_fire(&outer, twl_nothing());
    noting(&inner, "inner");
    CHECK_TEXT("outer7 inner- ", seen);
}

static void waits_for_one_that_is_not(void)
{
    twl_deferred inner = make(NULL), outer = make(NULL);

    begin();
    noting(&inner, "before");
    add(&outer, wait_for, &inner);
    noting(&outer, "outer");
    twl_deferred_fire(&outer, twl_nothing());
    noting(&inner, "after");
    CHECK(twl_deferred_waiting_for(&outer) == &inner);
    CHECK(!twl_deferred_ready(&outer));
    twl_deferred_fire(&inner, twl_integer(1));
    CHECK(twl_deferred_waiting_for(&outer) == NULL);
    CHECK_TEXT("before1 outer1 after- ", seen);
}

static void one_that_is_paused_does_not_hold_up_the_inner_one(void)
{
    twl_deferred inner = make(NULL), outer = make(NULL);

    begin();
    add(&outer, wait_for, &inner);
    noting(&outer, "outer");
    twl_deferred_fire(&outer, twl_nothing());
    noting(&inner, "inner");
    twl_deferred_pause(&outer);
    twl_deferred_fire(&inner, twl_integer(1));
    CHECK_TEXT("inner- ", seen);
    twl_deferred_unpause(&outer);
    CHECK_TEXT("inner- outer1 ", seen);
}

static void fails_when_it_is_to_wait_for_itself(void)
{
    twl_deferred d = make(NULL);

    begin();
    add(&d, wait_for, &d);
    twl_deferred_fire(&d, twl_nothing());
    CHECK_INT(TWL_FAILURE, twl_deferred_result(&d).kind);
    CHECK_INT(TWL_EDEADLK, twl_deferred_result(&d).code);
}

struct link {
    twl_deferred d;
    twl_stage wait, later;
};

static long long later_runs;

static void count_nothing(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)context;
    later_runs += result->kind == TWL_NOTHING;
}

/* A chain in which each waits for the one before, and with [later] has another stage then. */
static void chain_of_many(bool later)
{
    struct link *links = calloc(MANY, sizeof *links);
    long long sum;

    later_runs = 0;
    for (int i = 0; i < MANY; i++) {
        twl_deferred_init(&links[i].d, NULL, NULL, NULL);
        if (i == 0) continue;
        twl_deferred_add(&links[i].d, &links[i].wait, wait_for,
                         &links[i - 1].d);
        twl_deferred_fire(&links[i].d, twl_nothing());
        if (later)
            twl_deferred_add(&links[i - 1].d, &links[i - 1].later,
                             count_nothing, NULL);
    }
    twl_deferred_fire(&links[0].d, twl_integer(42));
    sum = twl_deferred_result(&links[MANY - 1].d).as.integer;
    CHECK_INT(42, sum);
    CHECK_INT(later ? MANY - 1 : 0, later_runs);
    free(links);
}

static void a_million_that_wait_for_each_other_take_no_stack(void)
{
    chain_of_many(false);
    chain_of_many(true);
}

static void a_million_that_fire_each_other_take_no_stack(void)
{
    struct link *links = calloc(MANY, sizeof *links);

    for (int i = 0; i < MANY; i++)
        twl_deferred_init(&links[i].d, NULL, NULL, NULL);
    for (int i = 0; i + 1 < MANY; i++)
        twl_deferred_chain(&links[i].d, &links[i].wait, &links[i + 1].d);
    twl_deferred_fire(&links[0].d, twl_integer(42));
    CHECK_INT(42, twl_deferred_result(&links[MANY - 1].d).as.integer);
    CHECK_INT(TWL_NOTHING, twl_deferred_result(&links[0].d).kind);
    free(links);
}

static void chaining_to_a_fired_one_is_a_failure(void)
{
    twl_deferred d = make(NULL), next = make(NULL);
    twl_stage stage;

    twl_deferred_fire(&next, twl_integer(1));
    twl_deferred_chain(&d, &stage, &next);
    twl_deferred_fire(&d, twl_integer(2));
    CHECK_INT(TWL_EALREADY, twl_deferred_result(&d).code);
    CHECK_INT(1, twl_deferred_result(&next).as.integer);
}

/* ---- Cancelling ---------------------------------------------------------- */

static int asked;

static int ask(twl_deferred *d)
{
    (void)d;
    asked++;
    return 0;
}

static int ask_and_fire(twl_deferred *d)
{
    asked++;
    return twl_deferred_fire(d, twl_integer(9));
}

static int refuse(twl_deferred *d)
{
    (void)d;
    asked++;
    return TWL_EBUSY;
}

static int put_off(twl_deferred *d)
{
    (void)d;
    asked++;
    return 1;
}

static int ask_again(twl_deferred *d)
{
    asked++;
    return twl_deferred_cancel(d);
}

static void cancelling_fires_with_a_failure(void)
{
    twl_deferred d = make(NULL);

    begin();
    CHECK_INT(0, twl_deferred_cancel(&d));
    CHECK_INT(TWL_ECANCELED, twl_deferred_result(&d).code);
    CHECK_INT(0, twl_deferred_cancel(&d));
    CHECK_INT(0,
              twl_deferred_fire(&d, twl_integer(1))); /* the one late result */
    CHECK_INT(TWL_EALREADY, twl_deferred_fire(&d, twl_integer(1)));
}

static void fire_it(twl_deferred *d, void *context, twl_value *result)
{
    (void)context, (void)result;
    note_number("", twl_deferred_fire(d, twl_integer(1)));
}

static void the_late_result_may_come_while_cancelling(void)
{
    twl_deferred d = make(NULL);

    begin();
    add(&d, fire_it, NULL);
    twl_deferred_cancel(&d);
    CHECK_TEXT("0 ", seen);
    CHECK_INT(TWL_EALREADY, twl_deferred_fire(&d, twl_integer(1)));
}

static void the_cancel_function_decides(void)
{
    twl_deferred asks = make(ask), fires = make(ask_and_fire),
                 refuses = make(refuse), later = make(put_off),
                 again = make(ask_again);

    asked = 0;
    CHECK_INT(0, twl_deferred_cancel(&asks));
    CHECK_INT(TWL_ECANCELED, twl_deferred_result(&asks).code);
    CHECK_INT(TWL_EALREADY, twl_deferred_fire(&asks, twl_integer(1)));
    CHECK_INT(0, twl_deferred_cancel(&fires));
    CHECK_INT(9, twl_deferred_result(&fires).as.integer);
    CHECK_INT(TWL_EBUSY, twl_deferred_cancel(&refuses));
    CHECK(!twl_deferred_called(&refuses));
    CHECK_INT(0, twl_deferred_cancel(&later));
    CHECK(!twl_deferred_called(&later));
    CHECK_INT(0, twl_deferred_fire(&later, twl_integer(1)));
    CHECK_INT(0, twl_deferred_cancel(&again));
    CHECK_INT(5, asked);
}

static void cancelling_goes_to_what_is_waited_for(void)
{
    twl_deferred inner = make(ask), outer = make(refuse);

    begin();
    asked = 0;
    add(&outer, wait_for, &inner);
    noting(&outer, "outer");
    twl_deferred_fire(&outer, twl_nothing());
    CHECK_INT(0, twl_deferred_cancel(&outer));
    CHECK_INT(1, asked);
    CHECK_INT(0, strncmp(seen, "outer!", 6));
}

/* ---- Awaiting ------------------------------------------------------------ */

static void settle_waiter(twl_deferred *d, void *context, twl_value *result)
{
    twl_deferred *waiter = context;

    (void)d;
    note_number("awaited", result->as.integer);
    CHECK_INT(0,
              twl_deferred_settle(waiter, twl_integer(result->as.integer * 2)));
    *result = (twl_value){.kind = TWL_SETTLED, .as.deferred = waiter};
}

static void a_waiter_goes_on_when_the_result_is_there(void)
{
    twl_deferred d = make(ask), waiter = make(refuse);

    begin();
    asked = 0;
    noting(&waiter, "waiter");
    twl_deferred_await(&waiter, &d, settle_waiter);
    noting(&d, "after");
    CHECK_INT(TWL_EBUSY, twl_deferred_fire(&waiter, twl_integer(0)));
    twl_deferred_fire(&d, twl_integer(4));
    CHECK_TEXT("awaited4 waiter8 after- ", seen);
    CHECK_INT(0, asked);
}

static void cancelling_a_waiter_cancels_what_it_awaits(void)
{
    twl_deferred d = make(ask_and_fire), waiter = make(refuse);

    begin();
    asked = 0;
    twl_deferred_await(&waiter, &d, settle_waiter);
    CHECK_INT(0, twl_deferred_cancel(&waiter));
    CHECK_INT(1, asked);
    CHECK_INT(18, twl_deferred_result(&waiter).as.integer);
}

/* ---- From inside --------------------------------------------------------- */

static void add_to(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)result;
    noting(context, "nested");
    note("end ");
}

static void the_outer_one_may_add_to_the_inner_one(void)
{
    twl_deferred inner = make(NULL), outer = make(NULL);

    begin();
    add(&outer, wait_for, &inner);
    add(&outer, add_to, &inner);
    twl_deferred_fire(&outer, twl_nothing());
    noting(&inner, "inner");
    twl_deferred_fire(&inner, twl_integer(1));
    CHECK_TEXT("inner- nested- end ", seen);
}

static void fire_other(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)result;
    twl_deferred_fire(context, twl_integer(5));
}

static void a_run_inside_a_run_leaves_the_outer_one_to_go_on(void)
{
    twl_deferred inner = make(NULL), outer = make(NULL), other = make(NULL);

    begin();
    add(&outer, wait_for, &inner);   /* hands over to outer, */
    add(&outer, fire_other, &other); /* which fires other, */
    noting(&outer, "outer");
    twl_deferred_fire(&outer, twl_nothing());
    add(&inner, wait_for,
        &other); /* for which inner comes to wait after that */
    noting(&inner, "inner");
    noting(&other, "other");
    twl_deferred_fire(&inner, twl_integer(1));
    CHECK_TEXT("other5 outer1 inner5 ", seen);
}

/* ---- Hosts --------------------------------------------------------------- */

static int kept, dropped, waits, takes, resumes, enters, leaves, rests;

static int host_keep(twl_deferred *d, twl_value *value)
{
    (void)d;
    kept++;
    if (value->as.bytes.length > FEW) return TWL_ENOMEM;
    *value = (twl_value){.kind = TWL_OPAQUE, .hosted = true};
    return 0;
}

static void host_drop(twl_deferred *d)
{
    (void)d;
    dropped++;
}

static int host_wait(twl_deferred *outer, twl_deferred *inner)
{
    (void)inner;
    waits++;
    return twl_deferred_context(outer) ? TWL_ENOMEM : 0;
}

static void host_take(twl_deferred *outer, twl_deferred *inner)
{
    (void)outer, (void)inner;
    takes++;
}

static void host_resume(twl_deferred *outer, twl_deferred *inner)
{
    (void)outer, (void)inner;
    resumes++;
}

static void host_enter(twl_deferred *d, twl_deferred *next,
                       twl_deferred *previous)
{
    (void)d, (void)next;
    enters += previous ? 100 : 1;
}

static void host_leave(twl_deferred *d, twl_deferred *previous)
{
    (void)d, (void)previous;
    leaves++;
}

static void host_rest(twl_deferred *d)
{
    (void)d;
    rests++;
}

static const twl_deferred_host host = {host_keep,  host_drop,   host_wait,
                                       host_take,  host_resume, host_enter,
                                       host_leave, host_rest};

static twl_deferred hosted(void *context)
{
    twl_deferred d;

    twl_deferred_init(&d, &host, NULL, context);
    return d;
}

static void forget(twl_deferred *d, void *context, twl_value *result)
{
    (void)d, (void)context;
    *result = twl_nothing();
}

static void a_host_keeps_bytes(void)
{
    twl_deferred d = hosted(NULL), large = hosted(NULL);

    begin();
    kept = dropped = 0;
    CHECK_INT(0, twl_deferred_fire(&d, twl_bytes("text", 4)));
    CHECK_INT(1, kept);
    CHECK_INT(TWL_OPAQUE, twl_deferred_result(&d).kind);
    add(&d, forget, NULL);
    CHECK_INT(1, dropped);
    CHECK_INT(TWL_ENOMEM,
              twl_deferred_fire(&large, twl_bytes("too long a text", 15)));
    CHECK(!twl_deferred_called(&large));
}

static void a_host_is_told_who_waits_and_what_is_left(void)
{
    twl_deferred inner = hosted(NULL), outer = hosted(NULL),
                 ready = hosted(NULL);

    begin();
    waits = takes = resumes = enters = leaves = rests = 0;
    twl_deferred_fire(&ready, twl_integer(1));
    add(&outer, wait_for, &ready);
    add(&outer, wait_for, &inner);
    twl_deferred_fire(&outer, twl_nothing());
    CHECK_INT(1, takes);
    CHECK_INT(1, waits);
    noting(&inner, "inner");
    twl_deferred_fire(&inner, twl_failure(TWL_EINVAL));
    CHECK_INT(1, resumes);
    CHECK_INT(100, enters);
    CHECK_INT(1, leaves);
    CHECK_INT(1, rests);
}

static void without_memory_to_wait_it_fails(void)
{
    twl_deferred inner = hosted(NULL), outer = hosted(stages),
                 strange = make(NULL);

    begin();
    add(&outer, wait_for, &inner);
    twl_deferred_fire(&outer, twl_nothing());
    CHECK_INT(TWL_ENOMEM, twl_deferred_result(&outer).code);
    add(&outer, handle, NULL);
    add(&outer, wait_for, &strange);
    CHECK_INT(TWL_EINVAL, twl_deferred_result(&outer).code);
}

int main(void)
{
    check_begin();
    RUN(runs_its_stages_in_order);
    RUN(carries_every_kind_of_value);
    RUN(goes_from_failure_to_result_and_back);
    RUN(refuses_a_second_firing);
    RUN(waits_for_as_many_unpauses_as_pauses);
    RUN(a_stage_added_by_a_stage_waits_for_its_turn);
    RUN(takes_the_result_of_one_that_is_ready);
    RUN(waits_for_one_that_is_not);
    RUN(one_that_is_paused_does_not_hold_up_the_inner_one);
    RUN(fails_when_it_is_to_wait_for_itself);
    RUN(a_million_that_wait_for_each_other_take_no_stack);
    RUN(a_million_that_fire_each_other_take_no_stack);
    RUN(chaining_to_a_fired_one_is_a_failure);
    RUN(cancelling_fires_with_a_failure);
    RUN(the_late_result_may_come_while_cancelling);
    RUN(the_cancel_function_decides);
    RUN(cancelling_goes_to_what_is_waited_for);
    RUN(a_waiter_goes_on_when_the_result_is_there);
    RUN(cancelling_a_waiter_cancels_what_it_awaits);
    RUN(the_outer_one_may_add_to_the_inner_one);
    RUN(a_run_inside_a_run_leaves_the_outer_one_to_go_on);
    RUN(a_host_keeps_bytes);
    RUN(a_host_is_told_who_waits_and_what_is_left);
    RUN(without_memory_to_wait_it_fails);
    return check_end();
}
