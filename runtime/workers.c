/* SPDX-License-Identifier: MIT
 * workers.c -- pools of threads and the work that they do.
 * Work is in the queue, or with a thread, or finished; done() is called for it on the reactor's
 * thread in any case. Threads are made and joined, and their memory is taken and freed, on the
 * reactor's thread alone: the host's allocator need not be safe between threads.
 * Invariant: a thread is in [threads] until it has nothing more to do but return, then in
 * [ended] until it is joined. */
#include "workers.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "abi.h"
#ifdef __linux__
#include <sys/prctl.h>
#endif

struct thread {
    struct twl__link link;
    twl_workers *workers;
    pthread_t id;
    void *local;
};

static twl_work *work_of(struct twl__link *link)
{
    return TWL__CONTAINER(twl_work, link, link);
}

/* ---- On a worker's thread ------------------------------------------------ */

static void set_name(const char *name)
{
#ifdef __linux__
    prctl(PR_SET_NAME, (unsigned long)(uintptr_t)name, 0ul, 0ul, 0ul);
#else
    (void)name;
#endif
}

struct timespec twl__seconds_from_now(double seconds)
{
    struct timespec at;
    double whole = floor(seconds);

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)whole;
    at.tv_nsec += (long)((seconds - whole) * 1e9);
    if (at.tv_nsec >= 1000000000l) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000l;
    }
    return at;
}

/* Wait for a change; false when none came for as long as a thread may be idle. */
static bool wait_idle(twl_workers *workers)
{
    struct timespec until = twl__seconds_from_now(workers->config.idle);
    int rc;

    workers->idle_count++;
    if (workers->thread_count <= workers->config.minimum)
        rc = pthread_cond_wait(&workers->wanted, &workers->lock);
    else
        rc = pthread_cond_timedwait(&workers->wanted, &workers->lock, &until);
    workers->idle_count--;
    return rc == 0;
}

/* The next work, or NULL when the thread is to end. Called, and returns, with the lock. */
static twl_work *next_work(twl_workers *workers)
{
    bool tired = false;

    for (;;) {
        if (workers->closing) return NULL;
        if (workers->thread_count > workers->config.maximum) return NULL;
        if (!twl__list_empty(&workers->queue)) break;
        if (tired && workers->thread_count > workers->config.minimum)
            return NULL;
        tired = !wait_idle(workers);
    }
    twl_work *work = work_of(workers->queue.next);
    twl__unlink(&work->link);
    work->begun = true;
    workers->queue_length--;
    workers->working_count++;
    return work;
}

static void *run_thread(void *argument)
{
    struct thread *self = argument;
    twl_workers *workers = self->workers;
    twl_work *work;

    set_name(workers->config.name);
    pthread_mutex_lock(&workers->lock);
    while ((work = next_work(workers))) {
        pthread_mutex_unlock(&workers->lock);
        work->run(work, &self->local);
        pthread_mutex_lock(&workers->lock);
        workers->working_count--;
        twl__list_append(&workers->finished, &work->link);
        twl__wake(workers->reactor, &workers->wakeup);
    }
    workers->thread_count--;
    pthread_mutex_unlock(&workers->lock);
    if (self->local && workers->config.leave)
        workers->config.leave(self->local);
    pthread_mutex_lock(&workers->lock);
    twl__unlink(&self->link);
    twl__list_append(&workers->ended, &self->link);
    twl__wake(workers->reactor, &workers->wakeup);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* ---- Threads' lives, on the reactor's thread ------------------------------ */

static int create_thread(struct thread *thread, size_t stack)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int rc = pthread_attr_init(&attributes);

    if (rc) return -rc;
    rc = pthread_attr_setstacksize(&attributes, stack);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!rc) rc = pthread_create(&thread->id, &attributes, run_thread, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -rc;
}

/* With the lock. */
static int start_thread(twl_workers *workers)
{
    struct thread *thread = twl__alloc(workers->reactor, sizeof *thread);
    int rc;

    if (!thread) return TWL_ENOMEM;
    memset(thread, 0, sizeof *thread);
    thread->workers = workers;
    if ((rc = create_thread(thread, workers->config.stack)) < 0) {
        twl__free(workers->reactor, thread, sizeof *thread);
        return rc;
    }
    twl__list_append(&workers->threads, &thread->link);
    workers->thread_count++;
    return 0;
}

/* As many threads as the queue needs. An error counts only where there is no thread at all. */
static int start_threads(twl_workers *workers)
{
    int rc = 0;
    int wanted = workers->queue_length - workers->idle_count;

    for (; wanted > 0 && rc == 0; wanted--) {
        if (workers->thread_count >= workers->config.maximum) break;
        rc = start_thread(workers);
    }
    return workers->thread_count > 0 ? 0 : rc;
}

/* Join one thread, and with [patient] wait for its end; false where there is none. */
static bool join_one(twl_workers *workers, bool patient)
{
    struct thread *thread = NULL;
    struct twl__link *list = &workers->ended;

    pthread_mutex_lock(&workers->lock);
    if (twl__list_empty(list) && patient) list = &workers->threads;
    if (!twl__list_empty(list))
        thread = TWL__CONTAINER(struct thread, link, list->next);
    pthread_mutex_unlock(&workers->lock);
    if (!thread) return false;
    pthread_join(thread->id, NULL);
    pthread_mutex_lock(&workers->lock);
    twl__unlink(&thread->link);
    pthread_mutex_unlock(&workers->lock);
    twl__free(workers->reactor, thread, sizeof *thread);
    return true;
}

/* ---- What is finished ----------------------------------------------------- */

static void end_work(twl_work *work, int code)
{
    twl__unlink(&work->link);
    work->workers = NULL;
    work->done(work, code);
}

/* Any of these may close the pool, which then goes on in our place. */
static void end_finished(twl_workers *workers)
{
    while (!twl__list_empty(&workers->finishing))
        end_work(work_of(workers->finishing.next), 0);
}

static void on_wakeup(struct ev_loop *loop, ev_async *wakeup, int events)
{
    twl_workers *workers = wakeup->data;
    (void)loop;
    (void)events;

    while (join_one(workers, false)) {
    }
    pthread_mutex_lock(&workers->lock);
    twl__list_append_all(&workers->finished, &workers->finishing);
    twl__list_append_all(&workers->asked, &workers->asking);
    pthread_mutex_unlock(&workers->lock);
    twl__asks_run(workers);
    end_finished(workers);
}

/* ---- The pool -------------------------------------------------------------- */

size_t twl_workers_size(void)
{
    return sizeof(twl_workers);
}

void twl_workers_init(void *memory, twl_reactor *reactor)
{
    twl_workers *workers = memory;

    memset(workers, 0, sizeof *workers);
    workers->reactor = reactor;
    twl__list_init(&workers->finishing);
    twl__list_init(&workers->asking);
    twl__list_init(&workers->queue);
    twl__list_init(&workers->finished);
    twl__list_init(&workers->asked);
    twl__list_init(&workers->unanswered);
    twl__list_init(&workers->threads);
    twl__list_init(&workers->ended);
    twl__list_init(&workers->sleepers);
    ev_async_init(&workers->wakeup, on_wakeup);
    workers->wakeup.data = workers;
}

static bool are_bounds(int minimum, int maximum)
{
    return minimum >= 0 && maximum >= 1 && minimum <= maximum;
}

static int open_locks(twl_workers *workers)
{
    pthread_condattr_t monotonic;
    int rc = pthread_condattr_init(&monotonic);

    if (rc) return -rc;
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if ((rc = pthread_mutex_init(&workers->lock, NULL))) goto attributes;
    if ((rc = pthread_cond_init(&workers->wanted, &monotonic))) goto lock;
    if ((rc = pthread_cond_init(&workers->answered, NULL))) goto wanted;
    pthread_condattr_destroy(&monotonic);
    return 0;
wanted:
    pthread_cond_destroy(&workers->wanted);
lock:
    pthread_mutex_destroy(&workers->lock);
attributes:
    pthread_condattr_destroy(&monotonic);
    return -rc;
}

int twl_workers_open(twl_workers *workers, const twl_workers_config *config)
{
    twl_workers_config own = TWL_WORKERS_CONFIG_INIT;
    int rc;

    if (workers->open) return TWL_EBUSY;
    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    if (!are_bounds(own.minimum, own.maximum) || !(own.idle >= 0.) ||
        own.idle > 1e9 || own.stack < (size_t)PTHREAD_STACK_MIN)
        return TWL_EINVAL;
    if ((rc = open_locks(workers)) < 0) return rc;
    workers->config = own;
    workers->closing = false;
    workers->open = true;
    ev_async_start(workers->reactor->loop, &workers->wakeup);
    twl__list_append(&workers->reactor->workers, &workers->link);
    return 0;
}

bool twl_workers_is_open(const twl_workers *workers)
{
    return workers->open;
}

bool twl_workers_closing(twl_workers *workers)
{
    bool closing;

    pthread_mutex_lock(&workers->lock);
    closing = workers->closing;
    pthread_mutex_unlock(&workers->lock);
    return closing;
}

static void wake_sleepers(twl_workers *workers)
{
    struct twl__link *link = workers->sleepers.next;

    for (; link != &workers->sleepers; link = link->next)
        twl__sleeper_cancel(TWL__CONTAINER(struct twl__sleeper, link, link));
}

void twl_workers_close(twl_workers *workers)
{
    struct twl__link cancelled;

    if (!workers->open) return;
    workers->open = false;
    pthread_mutex_lock(&workers->lock);
    workers->closing = true;
    twl__list_move(&workers->queue, &cancelled);
    workers->queue_length = 0;
    pthread_cond_broadcast(&workers->wanted);
    wake_sleepers(workers);
    pthread_mutex_unlock(&workers->lock);
    twl__asks_drop(workers);
    while (join_one(workers, true)) {
    }
    twl__list_append_all(&workers->finished, &workers->finishing);
    end_finished(workers);
    while (!twl__list_empty(&cancelled))
        end_work(work_of(cancelled.next), TWL_ECANCELED);
    ev_async_stop(workers->reactor->loop, &workers->wakeup);
    twl__unlink(&workers->link);
    pthread_cond_destroy(&workers->answered);
    pthread_cond_destroy(&workers->wanted);
    pthread_mutex_destroy(&workers->lock);
}

int twl_workers_resize(twl_workers *workers, int minimum, int maximum)
{
    if (!workers->open) return TWL_ECLOSED;
    if (!are_bounds(minimum, maximum)) return TWL_EINVAL;
    pthread_mutex_lock(&workers->lock);
    workers->config.minimum = minimum;
    workers->config.maximum = maximum;
    start_threads(workers);
    pthread_cond_broadcast(&workers->wanted);
    pthread_mutex_unlock(&workers->lock);
    return 0;
}

int twl_workers_add(twl_workers *workers, twl_work *work)
{
    int rc;

    if (!workers->open) return TWL_ECLOSED;
    if (work->workers) return TWL_EBUSY;
    pthread_mutex_lock(&workers->lock);
    work->workers = workers;
    work->begun = false;
    twl__list_append(&workers->queue, &work->link);
    workers->queue_length++;
    if ((rc = start_threads(workers)) < 0) {
        twl__unlink(&work->link);
        workers->queue_length--;
        work->workers = NULL;
    }
    pthread_cond_signal(&workers->wanted);
    pthread_mutex_unlock(&workers->lock);
    return rc;
}

bool twl_work_cancel(twl_work *work)
{
    twl_workers *workers = work->workers;
    bool waits;

    if (!workers || !workers->open) return false;
    pthread_mutex_lock(&workers->lock);
    waits = !work->begun;
    if (waits) {
        twl__unlink(&work->link);
        workers->queue_length--;
        work->workers = NULL;
    }
    pthread_mutex_unlock(&workers->lock);
    return waits;
}

void twl_workers_counts(twl_workers *workers, twl_workers_count *out)
{
    memset(out, 0, sizeof *out);
    if (!workers->open) return;
    pthread_mutex_lock(&workers->lock);
    out->threads = workers->thread_count;
    out->idle = workers->idle_count;
    out->queued = workers->queue_length;
    out->working = workers->working_count;
    pthread_mutex_unlock(&workers->lock);
}

void twl__workers_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->workers))
        twl_workers_close(
            TWL__CONTAINER(twl_workers, link, reactor->workers.next));
}
