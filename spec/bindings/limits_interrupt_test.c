/* SPDX-License-Identifier: MIT
 * limits_interrupt_test.c -- a script is interrupted from other threads, signal handlers and the
 * host's functions; also under ThreadSanitizer, which holds signals back until a thread comes to
 * its run-time library: so all scripts here allocate. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "host.h"

static const char *const RUNAWAYS[] = {
    "while true do local t = {} end",
    "while true do pcall(function() while true do local t = {} end end) end",
    "local function f() while true do local t = {} end end\n"
    "while true do xpcall(f, f) end",
    "local function f() while true do local t = {} end end\n"
    "coroutine.wrap(function() coroutine.wrap(function() pcall(f) end)() "
    "end)()",
    "local function f() coroutine.wrap(f)() end while true do pcall(f) end",
    "setmetatable({}, {__gc = function() while true do local t = {} end end})\n"
    "collectgarbage() while true do local t = {} end",
#ifndef __SANITIZE_THREAD__
    "while true do end",
    "while true do pcall(function() while true do end end) end",
#endif
};

enum { RUNAWAY_COUNT = sizeof RUNAWAYS / sizeof RUNAWAYS[0], ROUNDS = 20 };

struct watchdog {
    struct host *host;
    pthread_t thread;
    atomic_bool started, stop;
};

static void nap(long nanoseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL);
}

/* Interrupts what the script runs, once it has said that it does. */
static void *interrupt_once(void *context)
{
    struct watchdog *watchdog = context;

    while (!atomic_load(&watchdog->started)) nap(10000);
    nap(1000000);
    twl_runtime_interrupt(watchdog->host->runtime);
    return NULL;
}

static struct watchdog *current;

static int start(lua_State *L)
{
    (void)L;
    atomic_store(&current->started, true);
    return 0;
}

static void open_host(struct host *host)
{
    host_open(host);
    lua_register(twl_runtime_lua(host->runtime), "start", start);
    CHECK_TEXT("", host_load(host, "require 'twistlua.error'"));
}

static void ends_each_from_another_thread(void)
{
    struct host host = {0};

    open_host(&host);
    for (int i = 0; i < ROUNDS * RUNAWAY_COUNT; i++) {
        struct watchdog watchdog = {.host = &host};
        char script[512];

        current = &watchdog;
        snprintf(script, sizeof script, "start() %s",
                 RUNAWAYS[i % RUNAWAY_COUNT]);
        pthread_create(&watchdog.thread, NULL, interrupt_once, &watchdog);
        if (!CHECK_TEXT("Interrupted: interrupted by the host",
                        host_load(&host, script)))
            printf("%s\n", script);
        pthread_join(watchdog.thread, NULL);
        CHECK_TEXT("", host_load(&host, "for i = 1, 1000 do pcall(error) end"));
    }
    host_close(&host);
}

/* It ends within milliseconds of the call: many times the usual is still allowed here. */
static void *interrupt_and_time(void *context)
{
    static struct timespec at;

    interrupt_once(context);
    clock_gettime(CLOCK_MONOTONIC, &at);
    return &at;
}

static void ends_it_soon(void)
{
    struct host host = {0};
    struct watchdog watchdog = {.host = &host};
    struct timespec *called, ended;
    double seconds;

    open_host(&host);
    current = &watchdog;
    pthread_create(&watchdog.thread, NULL, interrupt_and_time, &watchdog);
    host_load(&host, "start() while true do local t = {} end");
    clock_gettime(CLOCK_MONOTONIC, &ended);
    pthread_join(watchdog.thread, (void **)&called);
    seconds = (double)(ended.tv_sec - called->tv_sec) +
              1e-9 * (double)(ended.tv_nsec - called->tv_nsec);
    printf("ended %.3f ms after the call\n", seconds * 1e3);
    host_close(&host);
}

/* While nothing runs, or in between, it does nothing. */
static void *interrupt_all_the_time(void *context)
{
    struct watchdog *watchdog = context;

    while (!atomic_load(&watchdog->stop)) {
        twl_runtime_interrupt(watchdog->host->runtime);
        nap(20000);
    }
    return NULL;
}

static void survives_being_called_all_the_time(void)
{
    struct host host = {.config.time_limit = 0.5};
    struct watchdog watchdog = {.host = &host};
    int ended = 0, went_through = 0;

    open_host(&host);
    pthread_create(&watchdog.thread, NULL, interrupt_all_the_time, &watchdog);
    for (int i = 0; i < 2000; i++) {
        const char *error = host_load(
            &host, i % 2 ? "local x = 1"
                         : "for i = 1, 1e9 do coroutine.wrap(pcall)(error) "
                           "end");
        if (error[0])
            ended++;
        else
            went_through++;
    }
    atomic_store(&watchdog.stop, true);
    pthread_join(watchdog.thread, NULL);
    CHECK(ended >= 1000);
    CHECK_INT(2000, ended + went_through);
    CHECK_TEXT("", host_load(&host, "for i = 1, 1000 do pcall(error) end"));
    host_close(&host);
}

static void does_nothing_while_nothing_runs(void)
{
    struct host host = {0};

    open_host(&host);
    twl_runtime_interrupt(host.runtime);
    CHECK_TEXT("", host_load(&host, "for i = 1, 1e5 do end"));
    host_close(&host);
}

/* ---- On the owner's own thread --------------------------------------------------------------- */

static struct host *called_host;

static void interrupt_from_handler(int number)
{
    (void)number;
    twl_runtime_interrupt(called_host->runtime);
}

static void ends_it_from_a_signal_handler(void)
{
    struct host host = {0};
    struct sigaction action = {.sa_handler = interrupt_from_handler}, before;
    struct itimerspec in_a_moment = {.it_value.tv_nsec = 5000000};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
                             .sigev_signo = SIGUSR1};
    timer_t timer;

    called_host = &host;
    open_host(&host);
    sigaction(SIGUSR1, &action, &before);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &in_a_moment, NULL);
    CHECK_TEXT("Interrupted: interrupted by the host",
               host_load(&host, "while true do local t = {} end"));
    timer_delete(timer);
    sigaction(SIGUSR1, &before, NULL);
    host_close(&host);
}

static int interrupt_from_function(lua_State *L)
{
    (void)L;
    twl_runtime_interrupt(called_host->runtime);
    return 0;
}

static void ends_it_from_a_function_of_the_host(void)
{
    struct host host = {0};

    called_host = &host;
    open_host(&host);
    lua_register(twl_runtime_lua(host.runtime), "interrupt",
                 interrupt_from_function);
    CHECK_TEXT("Interrupted: interrupted by the host",
               host_load(&host, "interrupt() while true do local t = {} end"));
    host_close(&host);
}

/* One runtime's script has called into the other's: both are watched. */
static struct host *inner_host;

static int run_inner(lua_State *L)
{
    (void)L;
    host_load(inner_host, "while true do local t = {} end");
    return 0;
}

static void watches_each_of_two(void)
{
    struct host outer = {.config.time_limit = 30},
                inner = {.config.time_limit = 0.02};

    open_host(&outer);
    open_host(&inner);
    inner_host = &inner;
    lua_register(twl_runtime_lua(outer.runtime), "runInner", run_inner);
    CHECK_TEXT("", host_load(&outer, "for i = 1, 3 do runInner() end"));
    CHECK(host_failed_with(&inner, "TimeLimitExceeded"));
    host_close(&inner);
    host_close(&outer);
}

/* ---- Threads with a runtime each --------------------------------------------------------------- */

static void *own_runtime(void *context)
{
    struct host host = {.config.time_limit = 0.01,
                        .config.memory_limit = 4 << 20};

    (void)context;
    host_open(&host);
    for (int i = 0; i < 5; i++) {
        host_load(&host, "while true do local t = {} end");
        CHECK(host_failed_with(&host, "TimeLimitExceeded"));
        CHECK(
            host_load(&host, "local s = 'x' while true do s = s .. s end")[0]);
    }
    host_close(&host);
    return NULL;
}

static void limits_each_thread_s_own(void)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, own_runtime, NULL);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

/* ---- The signal ---------------------------------------------------------------------------------- */

static volatile sig_atomic_t urgent;

static void note_urgent(int number)
{
    (void)number;
    urgent++;
}

/* Set by a host before there was any limit, its handler is called for what is not ours. */
static void hands_on_what_is_not_its_own(void)
{
    struct host host = {.config.time_limit = 0.01};

    signal(SIGURG, note_urgent);
    open_host(&host);
    host_load(&host, "while true do local t = {} end");
    CHECK(host_failed_with(&host, "TimeLimitExceeded"));
    CHECK_INT(0, urgent);
    kill(getpid(), SIGURG);
    while (!urgent) nap(1000); /* a sanitizer may hold it back */
    CHECK_INT(1, urgent);
    host_close(&host);
}

int main(void)
{
    check_begin();
    RUN(hands_on_what_is_not_its_own);
    RUN(ends_each_from_another_thread);
    RUN(ends_it_soon);
    RUN(survives_being_called_all_the_time);
    RUN(does_nothing_while_nothing_runs);
    RUN(ends_it_from_a_signal_handler);
    RUN(ends_it_from_a_function_of_the_host);
    RUN(watches_each_of_two);
    RUN(limits_each_thread_s_own);
    return check_end();
}
