/* SPDX-License-Identifier: MIT
 * reactor_test.c -- backends, turns, jobs, breaking, the host's own loop. */
#include <ev.h>
#include <math.h>
#include <sys/resource.h>

#include "check.h"

static char names[64]; /* of what ran, in order */

static void note(const char *name)
{
    if (strlen(names) + strlen(name) < sizeof names) strcat(names, name);
}

/* ---- Backends ---------------------------------------------------------------------------- */

static void opens_the_best_backend_unless_told(void)
{
    twl_reactor *reactor = NULL;

    CHECK_INT(0, twl_reactor_open(NULL, &reactor));
    CHECK_TEXT(twl_reactor_backends()[0], twl_reactor_backend(reactor));
    twl_reactor_close(reactor);
}

static void opens_each_backend_that_it_lists(void)
{
    twl_reactor *reactor = reactor_new();

    CHECK_TEXT(check.backend, twl_reactor_backend(reactor));
    twl_reactor_close(reactor);
}

static void lists_poll_and_select_everywhere(void)
{
    const char *const *name = twl_reactor_backends();
    int found = 0;

    for (; *name; name++)
        found += strcmp(*name, "poll") == 0 || strcmp(*name, "select") == 0;
    CHECK_INT(2, found);
}

static void refuses_an_unknown_backend(void)
{
    static const char *const bad[] = {"nonsense", "", "EPOLL", "epoll ",
                                      "port"};
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;

    config.alloc = counted_alloc;
    for (int i = 0; i < 5; i++) {
        config.backend = bad[i];
        CHECK_INT(TWL_EBACKEND, twl_reactor_open(&config, &reactor));
        CHECK(reactor == NULL);
    }
}

static void refuses_to_open_without_descriptors(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;
    struct rlimit old, none;

    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    config.alloc = counted_alloc;
    for (none.rlim_cur = 0; none.rlim_cur < 16; none.rlim_cur++) {
        setrlimit(RLIMIT_NOFILE, &none);
        int rc = twl_reactor_open(&config, &reactor);
        if (rc == 0)
            twl_reactor_close(reactor);
        else
            CHECK_INT(-EMFILE, rc);
        if (none.rlim_cur == 3) CHECK_INT(-EMFILE, rc);
        if (none.rlim_cur == 15) CHECK_INT(0, rc);
    }
    setrlimit(RLIMIT_NOFILE, &old);
}

static void closes_nothing_for_null(void)
{
    twl_reactor_close(NULL);
}

static void knows_the_version_of_libev(void)
{
    char expected[16];

    snprintf(expected, sizeof expected, "%d.%d", ev_version_major(),
             ev_version_minor());
    CHECK_TEXT(expected, twl_libev_version());
}

static void has_a_clock_that_only_goes_forward(void)
{
    twl_reactor *reactor = reactor_new();
    double last = twl_reactor_seconds(reactor), first = last;
    bool backward = false;

    for (int i = 0; i < 10000; i++) {
        double now = twl_reactor_seconds(reactor);
        backward = backward || now < last;
        last = now;
    }
    CHECK(!backward);
    CHECK(last > first);
    twl_reactor_close(reactor);
}

/* ---- Jobs ---------------------------------------------------------------------------------- */

struct task {
    twl_job job;
    const char *name;
    twl_reactor *reactor;
    struct task *other;
    int turn, calls;
};

static int turn;

static void run_noting(twl_job *job)
{
    struct task *task = (struct task *)job;

    note(task->name);
    task->turn = turn;
    task->calls++;
}

static void run_asking_for_other(twl_job *job)
{
    struct task *task = (struct task *)job;

    run_noting(job);
    twl_reactor_soon(task->reactor, &task->other->job);
}

static void run_cancelling_other(twl_job *job)
{
    struct task *task = (struct task *)job;

    run_noting(job);
    twl_job_cancel(&task->other->job);
}

static struct task task(const char *name, twl_reactor *reactor,
                        void (*run)(twl_job *job))
{
    names[0] = '\0';
    return (struct task){
        .job = {{NULL, NULL}, run}, .name = name, .reactor = reactor};
}

static void runs_jobs_in_the_order_of_asking(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_noting);
    struct task b = task("b", reactor, run_noting);
    struct task c = task("c", reactor, run_noting);

    twl_reactor_soon(reactor, &b.job);
    twl_reactor_soon(reactor, &a.job);
    twl_reactor_soon(reactor, &c.job);
    twl_reactor_soon(reactor, &b.job);
    CHECK_TEXT("", names);
    turn_idle(reactor);
    CHECK_TEXT("bac", names);
    twl_reactor_close(reactor);
}

static void never_runs_a_cancelled_job(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_noting);
    struct task b = task("b", reactor, run_noting);

    twl_reactor_soon(reactor, &a.job);
    twl_reactor_soon(reactor, &b.job);
    twl_job_cancel(&a.job);
    twl_job_cancel(&a.job);
    turn_idle(reactor);
    CHECK_TEXT("b", names);
    twl_reactor_close(reactor);
}

static void lets_a_job_cancel_one_of_the_same_turn(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_cancelling_other);
    struct task b = task("b", reactor, run_noting);
    struct task c = task("c", reactor, run_noting);

    a.other = &b;
    twl_reactor_soon(reactor, &a.job);
    twl_reactor_soon(reactor, &b.job);
    twl_reactor_soon(reactor, &c.job);
    turn_idle(reactor);
    CHECK_TEXT("ac", names);
    twl_reactor_close(reactor);
}

static void count_call(twl_watch *watch, int events)
{
    (void)events;
    ++*(int *)twl_watch_context(watch);
    note("w");
}

/* A descriptor that is always ready shows when the reactor looks at descriptors. */
struct ready {
    twl_watch *watch;
    int fds[2], calls;
};

static void ready_begin(struct ready *ready, twl_reactor *reactor)
{
    if (pipe(ready->fds) < 0) exit(1);
    ready->calls = 0;
    ready->watch = malloc(twl_watch_size());
    twl_watch_init(ready->watch, reactor, ready->fds[1], count_call,
                   &ready->calls);
    twl_watch_set(ready->watch, TWL_WRITE);
}

static void ready_end(struct ready *ready)
{
    twl_watch_set(ready->watch, 0);
    free(ready->watch);
    close(ready->fds[0]);
    close(ready->fds[1]);
}

static void run_twice_then_break(twl_job *job)
{
    struct task *task = (struct task *)job;

    run_noting(job);
    if (task->calls < 3)
        twl_reactor_soon(task->reactor, job);
    else
        twl_reactor_break(task->reactor);
}

static void looks_at_descriptors_before_a_job_of_a_job(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_twice_then_break);
    struct ready ready;

    ready_begin(&ready, reactor);
    twl_reactor_soon(reactor, &a.job);
    CHECK_INT(0, twl_reactor_run(reactor));
    CHECK_INT(0, strncmp("awawa", names, 5));
    ready_end(&ready);
    twl_reactor_close(reactor);
}

static void looks_at_descriptors_in_each_step_of_endless_jobs(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_asking_for_other);
    struct ready ready;

    a.other = &a;
    ready_begin(&ready, reactor);
    twl_reactor_soon(reactor, &a.job);
    for (int i = 0; i < 8; i++) twl_reactor_step(reactor, 0.);
    /* A step has jobs before its wait and after it. */
    CHECK(strstr(names, "aaa") == NULL);
    CHECK(ready.calls >= 7);
    twl_job_cancel(&a.job);
    ready_end(&ready);
    twl_reactor_close(reactor);
}

static void ask_for_job(twl_timer *timer)
{
    struct task *asked = twl_timer_context(timer);
    note("t");
    twl_reactor_soon(asked->reactor, &asked->job);
}

static void runs_the_jobs_of_a_callback_before_it_waits_again(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_noting);
    twl_timer *timer = malloc(twl_timer_size());

    twl_timer_init(timer, reactor, ask_for_job, &a);
    twl_timer_start(timer, 0.);
    while (!strchr(names, 't')) twl_reactor_step(reactor, 1.);
    CHECK_TEXT("ta", names);
    twl_reactor_close(reactor);
    free(timer);
}

static void does_not_wait_while_a_job_waits(void)
{
    twl_reactor *reactor = reactor_new();
    struct task b = task("b", reactor, run_noting);
    struct task a = task("a", reactor, run_asking_for_other);

    a.other = &b;
    twl_reactor_soon(reactor, &a.job);
    /* The program's own time limit ends this step if it waits. */
    twl_reactor_step(reactor, 1e6);
    CHECK_TEXT("ab", names);
    twl_reactor_close(reactor);
}

static void forgets_jobs_when_it_closes(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_noting);
    struct task b = task("b", reactor, run_noting);

    twl_reactor_soon(reactor, &a.job);
    twl_reactor_soon(reactor, &b.job);
    twl_reactor_close(reactor);
    twl_job_cancel(&a.job);
    CHECK_TEXT("", names);
    reactor = reactor_new();
    twl_reactor_soon(reactor, &b.job);
    turn_idle(reactor);
    CHECK_TEXT("b", names);
    twl_reactor_close(reactor);
}

/* ---- Turns ---------------------------------------------------------------------------------- */

static void steps_without_waiting_when_told_so(void)
{
    twl_reactor *reactor = reactor_new();

    for (int i = 0; i < 1000; i++) CHECK_INT(0, twl_reactor_step(reactor, 0.));
    CHECK_INT(0, twl_reactor_step(reactor, 0.001));
    twl_reactor_close(reactor);
}

static void refuses_to_step_for_a_bad_time(void)
{
    twl_reactor *reactor = reactor_new();

    CHECK_INT(TWL_EINVAL, twl_reactor_step(reactor, -1.));
    CHECK_INT(TWL_EINVAL, twl_reactor_step(reactor, (double)NAN));
    CHECK_INT(0, twl_reactor_step(reactor, 0.));
    twl_reactor_close(reactor);
}

struct nested {
    twl_reactor *reactor;
    int run, step;
};

static void run_inside(void *context)
{
    struct nested *nested = context;

    nested->run = twl_reactor_run(nested->reactor);
    nested->step = twl_reactor_step(nested->reactor, 0.);
    twl_reactor_break(nested->reactor);
}

static void refuses_to_run_inside_itself(void)
{
    struct nested nested = {reactor_new(), 1, 1};

    twl_reactor_post(nested.reactor, run_inside, &nested);
    CHECK_INT(0, twl_reactor_run(nested.reactor));
    CHECK_INT(TWL_EBUSY, nested.run);
    CHECK_INT(TWL_EBUSY, nested.step);
    nested.run = nested.step = 1;
    twl_reactor_post(nested.reactor, run_inside, &nested);
    TURN_UNTIL(nested.reactor, nested.run != 1);
    CHECK_INT(TWL_EBUSY, nested.run);
    CHECK_INT(TWL_EBUSY, nested.step);
    twl_reactor_close(nested.reactor);
}

static void run_breaking(twl_job *job)
{
    run_noting(job);
    twl_reactor_break(((struct task *)job)->reactor);
}

static void break_by_timer(twl_timer *timer)
{
    note("t");
    twl_reactor_break(twl_timer_context(timer));
}

static void returns_when_broken_by_a_job_and_runs_again(void)
{
    twl_reactor *reactor = reactor_new();
    struct task a = task("a", reactor, run_breaking);

    for (int i = 0; i < 3; i++) {
        twl_reactor_soon(reactor, &a.job);
        CHECK_INT(0, twl_reactor_run(reactor));
    }
    CHECK_TEXT("aaa", names);
    twl_reactor_close(reactor);
}

static void returns_when_broken_by_a_timer_and_runs_again(void)
{
    twl_reactor *reactor = reactor_new();
    twl_timer *timer = malloc(twl_timer_size());

    names[0] = '\0';
    twl_timer_init(timer, reactor, break_by_timer, reactor);
    for (int i = 0; i < 3; i++) {
        twl_timer_start(timer, 0.001);
        CHECK_INT(0, twl_reactor_run(reactor));
    }
    CHECK_TEXT("ttt", names);
    twl_reactor_close(reactor);
    free(timer);
}

static void loses_nothing_that_was_due_when_it_broke(void)
{
    twl_reactor *reactor = reactor_new();
    double due = twl_reactor_seconds(reactor);
    twl_timer *first = malloc(twl_timer_size());
    twl_timer *second = malloc(twl_timer_size());
    struct task a = task("a", reactor, run_noting);

    twl_timer_init(first, reactor, break_by_timer, reactor);
    twl_timer_init(second, reactor, ask_for_job, &a);
    twl_timer_start_at(first, due);
    twl_timer_start_at(second, due);
    twl_reactor_run(reactor);
    TURN_UNTIL(reactor, strchr(names, 'a'));
    CHECK_TEXT("tta", names);
    twl_reactor_close(reactor);
    free(first), free(second);
}

/* ---- The host's loop ------------------------------------------------------------------------ */

static twl_reactor *open_on(struct ev_loop *loop)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;

    config.loop = loop;
    config.alloc = counted_alloc;
    if (!CHECK_INT(0, twl_reactor_open(&config, &reactor))) exit(1);
    return reactor;
}

static struct ev_loop *host_loop(void)
{
    for (unsigned flag = 1; flag < 256; flag *= 2) {
        struct ev_loop *loop;
        if (!(flag & ev_supported_backends())) continue;
        loop = ev_loop_new(flag | EVFLAG_NOENV);
        if (!loop) continue;
        twl_reactor *probe = open_on(loop);
        bool wanted = strcmp(twl_reactor_backend(probe), check.backend) == 0;
        twl_reactor_close(probe);
        if (wanted) return loop;
        ev_loop_destroy(loop);
    }
    exit(1);
}

static void count_host_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ++*(int *)timer->data;
}

static void works_on_the_hosts_loop_while_the_host_runs_it(void)
{
    struct ev_loop *loop = host_loop();
    twl_reactor *reactor = open_on(loop);
    twl_timer *timer = malloc(twl_timer_size());
    struct task a = task("a", reactor, run_breaking);

    twl_timer_init(timer, reactor, ask_for_job, &a);
    twl_timer_start(timer, 0.001);
    ev_run(loop, 0);
    CHECK_TEXT("ta", names);
    twl_reactor_close(reactor);
    ev_loop_destroy(loop);
    free(timer);
}

static void runs_the_hosts_watchers_while_it_runs_itself(void)
{
    struct ev_loop *loop = host_loop();
    twl_reactor *reactor = open_on(loop);
    int calls = 0;
    ev_timer timer;

    ev_timer_init(&timer, count_host_timer, 0.001, 0.001);
    timer.data = &calls;
    ev_timer_start(loop, &timer);
    TURN_UNTIL(reactor, calls >= 3);
    ev_timer_stop(loop, &timer);
    twl_reactor_close(reactor);
    ev_loop_destroy(loop);
}

static void leaves_nothing_on_the_hosts_loop(void)
{
    struct ev_loop *loop = host_loop();
    twl_reactor *reactor = open_on(loop);
    twl_timer *timer = malloc(twl_timer_size());
    struct task a = task("a", reactor, run_noting);
    struct ready ready;

    twl_timer_init(timer, reactor, ask_for_job, &a);
    twl_timer_start(timer, 100.);
    ready_begin(&ready, reactor);
    turn_idle(reactor);
    twl_reactor_soon(reactor, &a.job);
    twl_reactor_close(reactor);
    /* A loop returns at once exactly when nothing is active on it. */
    ev_run(loop, 0);
    CHECK_INT(0, ev_pending_count(loop));
    ready_end(&ready);
    ev_loop_destroy(loop);
    free(timer);
}

static void shares_a_loop_with_another_reactor(void)
{
    struct ev_loop *loop = host_loop();
    twl_reactor *one = open_on(loop), *two = open_on(loop);
    struct task a = task("a", one, run_noting);
    struct task b = task("b", two, run_noting);

    twl_reactor_soon(one, &a.job);
    twl_reactor_soon(two, &b.job);
    TURN_UNTIL(one, strlen(names) == 2);
    twl_reactor_close(one);
    twl_reactor_soon(two, &b.job);
    TURN_UNTIL(two, strlen(names) == 3);
    twl_reactor_close(two);
    ev_loop_destroy(loop);
}

int main(void)
{
    check_begin();
    RUN(opens_the_best_backend_unless_told);
    RUN_EVERYWHERE(opens_each_backend_that_it_lists);
    RUN(lists_poll_and_select_everywhere);
    RUN(refuses_an_unknown_backend);
    RUN(refuses_to_open_without_descriptors);
    RUN(closes_nothing_for_null);
    RUN(knows_the_version_of_libev);
    RUN(has_a_clock_that_only_goes_forward);
    RUN_EVERYWHERE(runs_jobs_in_the_order_of_asking);
    RUN(never_runs_a_cancelled_job);
    RUN(lets_a_job_cancel_one_of_the_same_turn);
    RUN_EVERYWHERE(looks_at_descriptors_before_a_job_of_a_job);
    RUN_EVERYWHERE(looks_at_descriptors_in_each_step_of_endless_jobs);
    RUN_EVERYWHERE(runs_the_jobs_of_a_callback_before_it_waits_again);
    RUN_EVERYWHERE(does_not_wait_while_a_job_waits);
    RUN(forgets_jobs_when_it_closes);
    RUN_EVERYWHERE(steps_without_waiting_when_told_so);
    RUN(refuses_to_step_for_a_bad_time);
    RUN_EVERYWHERE(refuses_to_run_inside_itself);
    RUN_EVERYWHERE(returns_when_broken_by_a_job_and_runs_again);
    RUN_EVERYWHERE(returns_when_broken_by_a_timer_and_runs_again);
    RUN(loses_nothing_that_was_due_when_it_broke);
    RUN_EVERYWHERE(works_on_the_hosts_loop_while_the_host_runs_it);
    RUN_EVERYWHERE(runs_the_hosts_watchers_while_it_runs_itself);
    RUN_EVERYWHERE(leaves_nothing_on_the_hosts_loop);
    RUN_EVERYWHERE(shares_a_loop_with_another_reactor);
    return check_end();
}
