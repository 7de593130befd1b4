/* SPDX-License-Identifier: MIT
 * workers_test.c -- pools of threads: work done elsewhere and told of here, its cancelling, the
 * number of threads, calls back, and the end of it all. Work that must not end yet waits at a
 * gate. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "check.h"

enum { MANY = 2000, LOG_SIZE = 64 };

/* ---- A gate, which threads wait at until it is opened ------------------------ */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int waiting;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .changed = PTHREAD_COND_INITIALIZER};

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open) pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting--;
    pthread_mutex_unlock(&gate.lock);
}

/* Wait until [count] threads stand at the closed gate. */
static void gate_await(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < count) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* ---- Work -------------------------------------------------------------------- */

struct errand {
    twl_work work;
    char name;
    bool ran;
    pthread_t thread;
    int code;
    int done;
};

static char done_log[LOG_SIZE]; /* the names of what is done, in order */
static int done_count;

static struct errand *errand_of(twl_work *work)
{
    return (struct errand *)(void *)work;
}

static void run(twl_work *work, void **local)
{
    struct errand *errand = errand_of(work);
    (void)local;

    errand->thread = pthread_self();
    errand->ran = true;
}

static void run_behind_gate(twl_work *work, void **local)
{
    gate_pass();
    run(work, local);
}

static void done(twl_work *work, int code)
{
    struct errand *errand = errand_of(work);
    size_t length = strlen(done_log);

    errand->code = code;
    errand->done++;
    done_count++;
    if (errand->name && length + 1 < sizeof done_log)
        done_log[length] = errand->name;
}

static struct errand errand_make(char name,
                                 void (*how)(twl_work *, void **local))
{
    return (struct errand){
        .work = {.run = how, .done = done}, .name = name, .code = 1};
}

static twl_workers *pool_new(twl_reactor *reactor,
                             const twl_workers_config *config)
{
    twl_workers *workers = malloc(twl_workers_size());

    memset(done_log, 0, sizeof done_log);
    done_count = 0;
    gate_set(false);
    twl_workers_init(workers, reactor);
    CHECK(!twl_workers_is_open(workers));
    CHECK_INT(0, twl_workers_open(workers, config));
    return workers;
}

static twl_workers *pool_of(twl_reactor *reactor, int minimum, int maximum)
{
    twl_workers_config config = TWL_WORKERS_CONFIG_INIT;

    config.minimum = minimum;
    config.maximum = maximum;
    return pool_new(reactor, &config);
}

static void pool_free(twl_workers *workers)
{
    gate_set(true);
    twl_workers_close(workers);
    CHECK(!twl_workers_is_open(workers));
    free(workers);
}

static twl_workers_count counts_of(twl_workers *workers)
{
    twl_workers_count count;
    twl_workers_counts(workers, &count);
    return count;
}

/* ---- Doing work ---------------------------------------------------------------- */

static void does_work_on_a_thread_and_tells_on_the_reactors(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_new(reactor, NULL);
    struct errand errand = errand_make('a', run);

    CHECK_INT(0, counts_of(workers).threads);
    CHECK_INT(0, twl_workers_add(workers, &errand.work));
    CHECK_INT(TWL_EBUSY, twl_workers_add(workers, &errand.work));
    TURN_UNTIL(reactor, errand.done);
    CHECK_INT(0, errand.code);
    CHECK_INT(1, errand.done);
    CHECK(errand.ran);
    CHECK(!pthread_equal(errand.thread, pthread_self()));
    errand.done = 0;
    CHECK_INT(0, twl_workers_add(workers, &errand.work)); /* once more */
    TURN_UNTIL(reactor, errand.done);
    CHECK_INT(1, counts_of(workers).threads);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void tells_in_the_order_of_finishing(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 2);
    struct errand slow = errand_make('s', run_behind_gate);
    struct errand b = errand_make('b', run), c = errand_make('c', run);

    CHECK_INT(0, twl_workers_add(workers, &slow.work));
    gate_await(1);
    CHECK_INT(0, twl_workers_add(workers, &b.work));
    CHECK_INT(0, twl_workers_add(workers, &c.work));
    TURN_UNTIL(reactor, done_count == 2);
    gate_set(true);
    TURN_UNTIL(reactor, done_count == 3);
    CHECK_TEXT("bcs", done_log);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void starts_no_more_threads_than_allowed(void)
{
    static struct errand errands[MANY];
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 3);

    for (int i = 0; i < MANY; i++) {
        errands[i] = errand_make(0, run_behind_gate);
        CHECK_INT(0, twl_workers_add(workers, &errands[i].work));
    }
    gate_await(3);
    CHECK_INT(3, counts_of(workers).threads);
    CHECK_INT(3, counts_of(workers).working);
    CHECK_INT(MANY - 3, counts_of(workers).queued);
    gate_set(true);
    TURN_UNTIL(reactor, done_count == MANY);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(1, errands[i].done);
        CHECK_INT(0, errands[i].code);
    }
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void gives_each_work_a_thread_while_there_are_some(void)
{
    struct errand errands[4];
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 4);

    for (int i = 0; i < 4; i++) {
        errands[i] = errand_make(0, run_behind_gate);
        CHECK_INT(0, twl_workers_add(workers, &errands[i].work));
    }
    gate_await(4); /* all at once */
    gate_set(true);
    TURN_UNTIL(reactor, done_count == 4);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static sigset_t signals_blocked;
static char thread_name[32];

static void look_around(twl_work *work, void **local)
{
    pthread_sigmask(SIG_SETMASK, NULL, &signals_blocked);
#ifdef __linux__
    prctl(PR_GET_NAME, thread_name);
#endif
    run(work, local);
}

static void blocks_signals_in_named_threads(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGCHLD, SIGPIPE, SIGUSR1};
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_new(reactor, NULL);
    struct errand errand = errand_make(0, look_around);
    sigset_t ours;

    CHECK_INT(0, twl_workers_add(workers, &errand.work));
    TURN_UNTIL(reactor, errand.done);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        CHECK(sigismember(&signals_blocked, signals[i]));
    pthread_sigmask(SIG_SETMASK, NULL, &ours);
    CHECK(!sigismember(&ours, SIGTERM));
#ifdef __linux__
    CHECK_TEXT("twistlua worker", thread_name);
#endif
    pool_free(workers);
    twl_reactor_close(reactor);
}

/* ---- Taking work back -------------------------------------------------------- */

static void takes_back_what_has_not_begun(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 1);
    struct errand a = errand_make('a', run_behind_gate);
    struct errand b = errand_make('b', run), c = errand_make('c', run);

    CHECK(!twl_work_cancel(&a.work)); /* is in no pool */
    CHECK_INT(0, twl_workers_add(workers, &a.work));
    gate_await(1);
    CHECK_INT(0, twl_workers_add(workers, &b.work));
    CHECK_INT(0, twl_workers_add(workers, &c.work));
    CHECK(!twl_work_cancel(&a.work)); /* has begun */
    CHECK(twl_work_cancel(&b.work));
    CHECK(!twl_work_cancel(&b.work)); /* is the host's again */
    CHECK_INT(1, counts_of(workers).queued);
    gate_set(true);
    TURN_UNTIL(reactor, done_count == 2);
    turn_idle(reactor);
    CHECK_TEXT("ac", done_log);
    CHECK_INT(0, b.done);
    CHECK(!b.ran);
    CHECK_INT(0, twl_workers_add(workers, &b.work));
    TURN_UNTIL(reactor, b.done);
    pool_free(workers);
    twl_reactor_close(reactor);
}

/* ---- Threads' lives -------------------------------------------------------------- */

static _Atomic int left;

static void set_local(twl_work *work, void **local)
{
    if (!*local) *local = malloc(1);
    run(work, local);
}

static void leave(void *local)
{
    free(local);
    left++;
}

static void ends_idle_threads_down_to_the_minimum(void)
{
    struct errand errands[3];
    twl_workers_config config = TWL_WORKERS_CONFIG_INIT;
    twl_reactor *reactor = reactor_new();
    twl_workers *workers;

    left = 0;
    config.minimum = 1;
    config.idle = 0.01;
    config.leave = leave;
    workers = pool_new(reactor, &config);
    for (int i = 0; i < 3; i++) {
        errands[i] = errand_make(0, run_behind_gate);
        CHECK_INT(0, twl_workers_add(workers, &errands[i].work));
    }
    gate_await(3);
    gate_set(true);
    TURN_UNTIL(reactor, counts_of(workers).threads == 1);
    errands[0] = errand_make(0, set_local);
    CHECK_INT(0, twl_workers_add(workers, &errands[0].work));
    TURN_UNTIL(reactor, errands[0].done);
    CHECK_INT(1, counts_of(workers).threads);
    CHECK_INT(0, left); /* the others had no pointer of their own */
    CHECK_INT(0, twl_workers_resize(workers, 0, 1));
    TURN_UNTIL(reactor, counts_of(workers).threads == 0);
    errands[0] = errand_make(0, set_local);
    CHECK_INT(0, twl_workers_add(workers, &errands[0].work)); /* a new one */
    TURN_UNTIL(reactor, errands[0].done);
    pool_free(workers);
    CHECK_INT(2, left);
    twl_reactor_close(reactor);
}

static void grows_and_shrinks(void)
{
    struct errand errands[4];
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 1);

    for (int i = 0; i < 4; i++) {
        errands[i] = errand_make(0, run_behind_gate);
        CHECK_INT(0, twl_workers_add(workers, &errands[i].work));
    }
    gate_await(1);
    CHECK_INT(1, counts_of(workers).threads);
    CHECK_INT(0, twl_workers_resize(workers, 0, 4));
    gate_await(4);
    CHECK_INT(0, twl_workers_resize(workers, 0, 2));
    gate_set(true);
    TURN_UNTIL(reactor, counts_of(workers).threads == 2);
    TURN_UNTIL(reactor, done_count == 4);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void refuses_bounds_that_make_no_sense(void)
{
    static const int bad[][2] = {{0, 0}, {0, -1}, {-1, 5}, {6, 5}};
    twl_workers_config config;
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_new(reactor, NULL);
    twl_workers *other = malloc(twl_workers_size());

    CHECK_INT(TWL_EBUSY, twl_workers_open(workers, NULL));
    twl_workers_init(other, reactor);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(TWL_EINVAL,
                  twl_workers_resize(workers, bad[i][0], bad[i][1]));
        config = (twl_workers_config)TWL_WORKERS_CONFIG_INIT;
        config.minimum = bad[i][0];
        config.maximum = bad[i][1];
        CHECK_INT(TWL_EINVAL, twl_workers_open(other, &config));
    }
    config = (twl_workers_config)TWL_WORKERS_CONFIG_INIT;
    config.stack = 1;
    CHECK_INT(TWL_EINVAL, twl_workers_open(other, &config));
    config = (twl_workers_config)TWL_WORKERS_CONFIG_INIT;
    config.idle = -1.;
    CHECK_INT(TWL_EINVAL, twl_workers_open(other, &config));
    CHECK_INT(TWL_ECLOSED, twl_workers_resize(other, 0, 1));
    pool_free(workers);
    free(other);
    twl_reactor_close(reactor);
}

static void tells_that_there_is_no_memory_for_a_thread(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_new(reactor, NULL);
    struct errand errand = errand_make(0, run);

    memory.fail_at = memory.requests + 1;
    CHECK_INT(TWL_ENOMEM, twl_workers_add(workers, &errand.work));
    CHECK_INT(0, counts_of(workers).queued);
    CHECK_INT(0, twl_workers_add(workers, &errand.work));
    TURN_UNTIL(reactor, errand.done);
    pool_free(workers);
    twl_reactor_close(reactor);
}

/* ---- Closing ------------------------------------------------------------------------- */

struct opener {
    struct errand errand;
    twl_workers *workers;
    twl_ask ask;
};

static void ignore_ask(twl_ask *ask)
{
    (void)ask;
}

/* Only the pool's end makes it go on. */
static void open_gate_at_the_end(twl_work *work, void **local)
{
    struct opener *opener = (struct opener *)(void *)work;

    opener->ask = (twl_ask){.run = ignore_ask, .drop = ignore_ask};
    twl_workers_ask(opener->workers, &opener->ask);
    gate_set(true);
    run(work, local);
}

static void close_with_work_under_way(bool by_reactor)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 2);
    struct errand a = errand_make('a', run_behind_gate);
    struct opener b = {.errand = errand_make('b', open_gate_at_the_end),
                       .workers = workers};
    struct errand c = errand_make('c', run);
    struct errand never = errand_make('n', run);
    struct errand late = errand_make('l', run);

    CHECK_INT(0, twl_workers_add(workers, &c.work));
    while (counts_of(workers).queued + counts_of(workers).working > 0)
        sched_yield(); /* c is finished, and not told of */
    CHECK_INT(0, twl_workers_add(workers, &a.work));
    CHECK_INT(0, twl_workers_add(workers, &b.errand.work));
    while (counts_of(workers).working < 2) sched_yield();
    CHECK_INT(0, twl_workers_add(workers, &never.work));
    CHECK_INT(0, c.done);
    if (by_reactor)
        twl_reactor_close(reactor);
    else
        twl_workers_close(workers);
    CHECK_INT(4, done_count);
    CHECK_INT(0, a.code);
    CHECK_INT(0, b.errand.code);
    CHECK_INT(0, c.code);
    CHECK_INT(TWL_ECANCELED, never.code);
    CHECK(a.ran && b.errand.ran && c.ran && !never.ran);
    CHECK_INT('n', done_log[3]);
    CHECK_INT(TWL_ECLOSED, twl_workers_add(workers, &late.work));
    twl_workers_close(workers); /* once more is nothing */
    free(workers);
    if (!by_reactor) twl_reactor_close(reactor);
}

static void waits_for_work_under_way_when_closed(void)
{
    close_with_work_under_way(false);
}

static void is_closed_by_its_reactor(void)
{
    close_with_work_under_way(true);
}

static void opens_again(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_new(reactor, NULL);
    struct errand errand = errand_make('a', run);

    twl_workers_close(workers);
    CHECK_INT(0, twl_workers_open(workers, NULL));
    CHECK_INT(0, twl_workers_add(workers, &errand.work));
    TURN_UNTIL(reactor, errand.done);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static twl_workers *to_close;

static void close_in_done(twl_work *work, int code)
{
    done(work, code);
    twl_workers_close(to_close);
}

static void may_be_closed_by_what_it_calls(void)
{
    struct errand errands[8];
    twl_reactor *reactor = reactor_new();

    to_close = pool_of(reactor, 0, 4);
    for (int i = 0; i < 8; i++) {
        errands[i] = errand_make(0, run);
        errands[i].work.done = close_in_done;
        CHECK_INT(0, twl_workers_add(to_close, &errands[i].work));
    }
    TURN_UNTIL(reactor, done_count == 8);
    for (int i = 0; i < 8; i++) CHECK_INT(1, errands[i].done);
    pool_free(to_close);
    twl_reactor_close(reactor);
}

/* ---- Calls back ------------------------------------------------------------------------- */

struct question {
    twl_ask ask;
    int number;
    pthread_t thread;
};

static int expected[8], unordered, answered, dropped;
static twl_ask *unanswered;

static void run_told(twl_ask *ask)
{
    struct question *question = (struct question *)(void *)ask;
    int asker = question->number / MANY;

    if (expected[asker]++ != question->number % MANY) unordered++;
    free(question);
}

static void drop_told(twl_ask *ask)
{
    dropped++;
    free(ask);
}

struct teller {
    struct errand errand;
    twl_workers *workers;
    int number;
};

static void tell_many(twl_work *work, void **local)
{
    struct teller *teller = (struct teller *)(void *)work;

    for (int i = 0; i < MANY; i++) {
        struct question *question = calloc(1, sizeof *question);

        question->ask.run = run_told;
        question->ask.drop = drop_told;
        question->number = teller->number * MANY + i;
        if (twl_workers_tell(teller->workers, &question->ask) < 0)
            free(question);
    }
    run(work, local);
}

static void told_all(twl_work *work, int code)
{
    struct teller *teller = (struct teller *)(void *)work;

    CHECK_INT(MANY, expected[teller->number]); /* all of them came before */
    done(work, code);
}

static void takes_calls_in_order_and_before_the_end_of_their_work(void)
{
    struct teller tellers[4];
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 4);

    unordered = 0;
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < 4; i++) {
        tellers[i] = (struct teller){errand_make(0, tell_many), workers, i};
        tellers[i].errand.work.done = told_all;
        CHECK_INT(0, twl_workers_add(workers, &tellers[i].errand.work));
    }
    TURN_UNTIL(reactor, done_count == 4);
    CHECK_INT(0, unordered);
    pool_free(workers);
    twl_reactor_close(reactor);
}

struct asker {
    struct errand errand;
    twl_workers *workers;
    struct question question;
    int code;
};

static void run_ask(twl_ask *ask)
{
    struct question *question = (struct question *)(void *)ask;

    question->thread = pthread_self();
    question->number *= 2;
    answered++;
    twl_ask_answer(ask);
}

static void keep_ask(twl_ask *ask)
{
    unanswered = ask;
}

static void drop_ask(twl_ask *ask)
{
    if (ask == unanswered) unanswered = NULL;
    dropped++;
}

static void ask_once(twl_work *work, void **local)
{
    struct asker *asker = (struct asker *)(void *)work;

    asker->code = twl_workers_ask(asker->workers, &asker->question.ask);
    run(work, local);
}

static struct asker asker_make(twl_workers *workers, int number,
                               void (*how)(twl_ask *))
{
    struct asker asker = {
        .errand = errand_make(0, ask_once), .workers = workers, .code = 1};

    asker.question.number = number;
    asker.question.ask.run = how;
    asker.question.ask.drop = drop_ask;
    return asker;
}

static void answers_threads_that_wait(void)
{
    struct asker askers[4];
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 4);

    answered = 0;
    for (int i = 0; i < 4; i++) {
        askers[i] = asker_make(workers, i + 1, run_ask);
        CHECK_INT(0, twl_workers_add(workers, &askers[i].errand.work));
    }
    TURN_UNTIL(reactor, done_count == 4);
    CHECK_INT(4, answered);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(0, askers[i].code);
        CHECK_INT(2 * (i + 1), askers[i].question.number);
        CHECK(pthread_equal(askers[i].question.thread, pthread_self()));
    }
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void answers_later(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 1);
    struct asker asker = asker_make(workers, 1, keep_ask);

    unanswered = NULL;
    CHECK_INT(0, twl_workers_add(workers, &asker.errand.work));
    TURN_UNTIL(reactor, unanswered);
    turn_idle(reactor);
    CHECK_INT(0, done_count);
    twl_ask_answer(unanswered);
    TURN_UNTIL(reactor, done_count == 1);
    CHECK_INT(0, asker.code);
    pool_free(workers);
    twl_reactor_close(reactor);
}

static void drops_what_is_asked_when_closed(void)
{
    twl_reactor *reactor = reactor_new();
    twl_workers *workers = pool_of(reactor, 0, 4);
    struct asker taken = asker_make(workers, 1, keep_ask);
    struct asker waiting = asker_make(workers, 2, run_ask);

    unanswered = NULL;
    dropped = answered = 0;
    CHECK_INT(0, twl_workers_add(workers, &taken.errand.work));
    TURN_UNTIL(reactor, unanswered);
    CHECK_INT(0, twl_workers_add(workers, &waiting.errand.work));
    twl_workers_close(workers); /* also if the second has not asked by now */
    CHECK_INT(TWL_ECANCELED, taken.code);
    CHECK(waiting.code == TWL_ECANCELED || !waiting.errand.ran);
    CHECK_INT(0, answered);
    CHECK(dropped >= 1);
    CHECK(!unanswered);
    CHECK_INT(2, done_count);
    pool_free(workers);
    twl_reactor_close(reactor);
}

int main(void)
{
    check_begin();
    RUN_EVERYWHERE(does_work_on_a_thread_and_tells_on_the_reactors);
    RUN(tells_in_the_order_of_finishing);
    RUN(starts_no_more_threads_than_allowed);
    RUN(gives_each_work_a_thread_while_there_are_some);
    RUN(blocks_signals_in_named_threads);
    RUN(takes_back_what_has_not_begun);
    RUN(ends_idle_threads_down_to_the_minimum);
    RUN(grows_and_shrinks);
    RUN(refuses_bounds_that_make_no_sense);
    RUN(tells_that_there_is_no_memory_for_a_thread);
    RUN(waits_for_work_under_way_when_closed);
    RUN(is_closed_by_its_reactor);
    RUN(opens_again);
    RUN(may_be_closed_by_what_it_calls);
    RUN_EVERYWHERE(takes_calls_in_order_and_before_the_end_of_their_work);
    RUN(answers_threads_that_wait);
    RUN(answers_later);
    RUN(drops_what_is_asked_when_closed);
    return check_end();
}
