/* SPDX-License-Identifier: MIT
 * timer.c -- one-shot timers: a 4-ary heap above a single ev_timer.
 *
 * libev has a heap of its own, but it does not keep the order of equal times, and setting one
 * of its timers means to copy a watcher. Here an entry is 24 bytes and a start that is
 * cancelled again, which is what most time-outs are, never reaches libev.
 * Invariant: timer->index is the timer's place in the heap, or IDLE. */
#include <math.h>

#include "reactor.h"

enum { ARITY = 4, FIRST_CAPACITY = 64 };
#define IDLE ((size_t)-1)

struct twl_timer {
    twl_reactor *reactor;
    twl_timer_fn fn;
    void *context;
    size_t index;
    double due;
};

struct twl__due {
    double due;
    uint64_t order;
    twl_timer *timer;
};

static bool is_before(const struct twl__due *a, const struct twl__due *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void place(struct twl__timers *timers, size_t index,
                  struct twl__due entry)
{
    timers->heap[index] = entry;
    entry.timer->index = index;
}

static void sift_up(struct twl__timers *timers, size_t index,
                    struct twl__due entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / ARITY;
        if (!is_before(&entry, &timers->heap[parent])) break;
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, entry);
}

static size_t first_child(const struct twl__timers *timers, size_t index)
{
    size_t child = index * ARITY + 1, best = child;
    size_t end = child + ARITY < timers->count ? child + ARITY : timers->count;

    while (++child < end) {
        if (is_before(&timers->heap[child], &timers->heap[best])) best = child;
    }
    return best;
}

static void sift_down(struct twl__timers *timers, size_t index,
                      struct twl__due entry)
{
    while (index * ARITY + 1 < timers->count) {
        size_t child = first_child(timers, index);
        if (!is_before(&timers->heap[child], &entry)) break;
        place(timers, index, timers->heap[child]);
        index = child;
    }
    place(timers, index, entry);
}

/* Put [entry] where the heap has a hole at [index]. */
static void settle(struct twl__timers *timers, size_t index,
                   struct twl__due entry)
{
    if (index > 0 &&
        is_before(&entry, &timers->heap[(index - 1) / ARITY]))
        sift_up(timers, index, entry);
    else
        sift_down(timers, index, entry);
}

static int grow(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;
    size_t capacity = timers->capacity ? timers->capacity * 2 : FIRST_CAPACITY;
    struct twl__due *heap =
        twl__realloc(reactor, timers->heap, timers->capacity * sizeof *heap,
                     capacity * sizeof *heap);

    if (!heap) return TWL_ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

size_t twl_timer_size(void)
{
    return sizeof(twl_timer);
}

void twl_timer_init(void *memory, twl_reactor *reactor, twl_timer_fn fn,
                    void *context)
{
    twl_timer *timer = memory;
    *timer = (twl_timer){reactor, fn, context, IDLE, 0.};
}

void *twl_timer_context(const twl_timer *timer)
{
    return timer->context;
}

int twl_timer_start_at(twl_timer *timer, double due)
{
    struct twl__timers *timers = &timer->reactor->timers;
    int rc;

    if (!isfinite(due)) return TWL_EINVAL;
    struct twl__due entry = {due, timers->order, timer};
    if (timer->index != IDLE) {
        settle(timers, timer->index, entry);
    } else {
        if (timers->count == timers->capacity && (rc = grow(timer->reactor)) < 0)
            return rc;
        sift_up(timers, timers->count++, entry);
    }
    timers->order++;
    timer->due = due;
    return 0;
}

int twl_timer_start(twl_timer *timer, double delay)
{
    if (!(delay >= 0.) || isinf(delay)) return TWL_EINVAL;
    return twl_timer_start_at(timer,
                              twl_reactor_seconds(timer->reactor) + delay);
}

void twl_timer_stop(twl_timer *timer)
{
    struct twl__timers *timers = &timer->reactor->timers;
    size_t hole = timer->index;

    if (hole == IDLE) return;
    timer->index = IDLE;
    struct twl__due last = timers->heap[--timers->count];
    if (last.timer != timer) settle(timers, hole, last);
}

bool twl_timer_active(const twl_timer *timer)
{
    return timer->index != IDLE;
}

double twl_timer_due(const twl_timer *timer)
{
    return timer->due;
}

/* Take the next timer of this pass out of the heap. Timers that a timer's function starts have
 * a later order: they wait for the next turn. */
static twl_timer *take_due(struct twl__timers *timers)
{
    if (timers->count == 0 || timers->heap[0].due > timers->now ||
        timers->heap[0].order >= timers->limit)
        return NULL;
    twl_timer *timer = timers->heap[0].timer;
    twl_timer_stop(timer);
    return timer;
}

twl_timer *twl_timer_next(twl_reactor *reactor, twl_timer_fn fn)
{
    struct twl__timers *timers = &reactor->timers;

    if (timers->count == 0 || timers->heap[0].timer->fn != fn) return NULL;
    return take_due(timers);
}

static void run_due(struct ev_loop *loop, ev_timer *alarm, int events)
{
    twl_reactor *reactor = alarm->data;
    struct twl__timers *timers = &reactor->timers;
    twl_timer *timer;
    (void)loop;
    (void)events;

    timers->now = twl_reactor_seconds(reactor);
    timers->limit = timers->order;
    while ((timer = take_due(timers))) timer->fn(timer);
}

void twl__timers_open(twl_reactor *reactor)
{
    ev_timer_init(&reactor->timers.alarm, run_due, 0., 0.);
    reactor->timers.alarm.data = reactor;
}

void twl__timers_close(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;

    while (timers->count > 0) timers->heap[--timers->count].timer->index = IDLE;
    twl__free(reactor, timers->heap, timers->capacity * sizeof *timers->heap);
    ev_timer_stop(reactor->loop, &timers->alarm);
}

void twl__timers_arm(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;

    if (timers->count == 0) {
        ev_timer_stop(reactor->loop, &timers->alarm);
        return;
    }
    if (ev_is_active(&timers->alarm) && timers->alarm_due == timers->heap[0].due)
        return;
    /* libev counts from the time that it looked last, which was before the callbacks. */
    ev_now_update(reactor->loop);
    ev_timer_stop(reactor->loop, &timers->alarm);
    timers->alarm_due = timers->heap[0].due;
    double after = timers->alarm_due - twl_reactor_seconds(reactor);
    ev_timer_set(&timers->alarm, fmin(fmax(after, 0.), 1e9), 0.);
    ev_timer_start(reactor->loop, &timers->alarm);
}
