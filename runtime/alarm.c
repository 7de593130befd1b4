/* SPDX-License-Identifier: MIT
 * alarm.c -- alarms: the signal, its handler, and each thread's timer.
 * The handler finds the alarms by a variable of its thread, never by what came with the signal:
 * one that arrives late, when an alarm was left or closed, finds nothing. */
#include "alarm.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "twistlua.h"

#define SIGNAL SIGURG

/* HELD while another thread sends the signal: the thread cannot leave, or even end, meanwhile. */
enum gate { SHUT, OPEN, HELD };

/* Part of the thread's block from the start: a handler must not be the first to ask for it. */
static _Thread_local struct {
    struct twl__alarm *volatile innermost;
    volatile sig_atomic_t ticking;   /* the timer runs */
    volatile unsigned entered, seen; /* alarms entered; at the last tick */
    int users;                       /* open alarms with a period */
    double period;                   /* the shortest of them */
    timer_t timer;
} here __attribute__((tls_model("initial-exec")));

/* ---- The signal ------------------------------------------------------------------------ */

/* The one thing that is the process's: whether the signal has our handler, and what it had before,
 * one of the two or none. */
static struct {
    atomic_bool replaced;
    _Atomic(void (*)(int)) handler;
    _Atomic(void (*)(int, siginfo_t *, void *)) action;
} former;

static void hand_on(int number, siginfo_t *info, void *context)
{
    void (*handler)(int) = atomic_load(&former.handler);
    void (*action)(int, siginfo_t *, void *) = atomic_load(&former.action);

    if (handler) handler(number);
    if (action) action(number, info, context);
}

static void set_timer(double period)
{
    struct timespec time = {.tv_sec = (time_t)period};
    struct itimerspec setting;

    time.tv_nsec = (long)((period - (double)time.tv_sec) * 1e9);
    setting.it_value = setting.it_interval = time;
    timer_settime(here.timer, 0, &setting, NULL);
    here.ticking = period > 0;
}

static void on_tick(void)
{
    if (!here.innermost && here.entered == here.seen && here.ticking)
        set_timer(0);
    here.seen = here.entered;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int error = errno;

    for (struct twl__alarm *alarm = here.innermost; alarm; alarm = alarm->outer)
        alarm->ring(alarm);
    if (info->si_code == SI_TIMER)
        on_tick();
    else if (info->si_code != SI_TKILL || info->si_pid != getpid())
        hand_on(number, info, context);
    errno = error;
}

static void install(void)
{
    struct sigaction action = {.sa_flags =
                                   SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction before;

    if (atomic_exchange(&former.replaced, true)) return;
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_signal;
    sigaction(SIGNAL, NULL, &before);
    if (before.sa_flags & SA_SIGINFO)
        atomic_store(&former.action, before.sa_sigaction);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
        atomic_store(&former.handler, before.sa_handler);
    sigaction(SIGNAL, &action, NULL);
}

/* ---- The thread's timer ----------------------------------------------------------------- */

#ifdef SIGEV_THREAD_ID
static int make_timer(timer_t *out)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID,
                             .sigev_signo = SIGNAL};
    sigset_t set;

#ifdef sigev_notify_thread_id
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
#else
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
#endif
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, out) < 0) return -errno;
    sigemptyset(&set);
    sigaddset(&set, SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return 0;
}
#else
static int make_timer(timer_t *out)
{
    (void)out;
    return TWL_ENOTSUP;
}
#endif

static int use_timer(double period)
{
    int rc;

    if (here.users == 0) {
        here.period = period;
        if ((rc = make_timer(&here.timer)) < 0) return rc;
    }
    here.users++;
    here.period = fmin(here.period, period);
    if (here.ticking) set_timer(here.period);
    return 0;
}

static void leave_timer(void)
{
    if (--here.users > 0) return;
    here.ticking = false;
    timer_delete(here.timer);
}

/* ---- Alarms ------------------------------------------------------------------------------ */

int twl__alarm_open(struct twl__alarm *alarm,
                    void (*ring)(struct twl__alarm *alarm), double period)
{
    int rc;

    *alarm = (struct twl__alarm){.ring = ring};
    if (period <= 0) return 0;
    install();
    if ((rc = use_timer(period)) < 0) return rc;
    alarm->period = period;
    return 0;
}

void twl__alarm_close(struct twl__alarm *alarm)
{
    if (alarm->period > 0) leave_timer();
    alarm->period = 0;
}

void twl__alarm_enter(struct twl__alarm *alarm)
{
    alarm->outer = here.innermost;
    alarm->thread = pthread_self();
    atomic_store_explicit(&alarm->called, false, memory_order_relaxed);
    here.innermost = alarm;
    if (alarm->period > 0) {
        here.entered++; /* first: from now on a tick leaves the timer alone */
        if (!here.ticking) set_timer(here.period);
    }
    atomic_store_explicit(&alarm->gate, OPEN, memory_order_release);
}

void twl__alarm_leave(struct twl__alarm *alarm)
{
    int open = OPEN;

    while (!atomic_compare_exchange_weak_explicit(
        &alarm->gate, &open, SHUT, memory_order_acquire, memory_order_relaxed))
        open = OPEN;
    here.innermost = alarm->outer;
}

void twl__alarm_call(struct twl__alarm *alarm)
{
    int error = errno, open = OPEN;

    install();
    if (!atomic_compare_exchange_strong_explicit(&alarm->gate, &open, HELD,
                                                 memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    atomic_store_explicit(&alarm->called, true, memory_order_relaxed);
    pthread_kill(alarm->thread, SIGNAL);
    atomic_store_explicit(&alarm->gate, OPEN, memory_order_release);
    errno = error;
}
