/* SPDX-License-Identifier: MIT
 * timer.c -- one-shot timers: a 4-ary heap above a single ev_timer.
 *
 * libev has a heap of its own, but it does not keep the order of equal times, and setting one
 * of its timers means to copy a watcher. Here a start that is cancelled again, which is what
 * most time-outs are, never reaches libev.
 * A million pending timers are a million objects all over the memory, so moving an entry must
 * not touch its object: an active timer has a slot, and where each slot stands in the heap is
 * kept in an array of its own. Four entries, the children of one, fill a line of the cache.
 * Invariant: heap[slots[timer->slot].index].slot == timer->slot for every active timer. */
#include <math.h>

#include "reactor.h"

enum { ARITY = 4, FIRST_CAPACITY = 64 };
#define IDLE UINT32_MAX

struct twl_timer {
    twl_reactor *reactor;
    twl_timer_fn fn;
    void *context;
    double due;
    uint32_t slot; /* the last one, when not active */
    bool active;
};

struct twl__due {
    double due;
    uint32_t
        order; /* the low half of the slot's: it wraps, but only equal times need it */
    uint32_t slot;
};

struct twl__slot {
    twl_timer *timer;
    uint64_t order; /* number of its start */
    uint32_t index; /* in the heap; of a free slot: the next free one */
};

static bool is_before(const struct twl__due *a, const struct twl__due *b)
{
    return a->due < b->due ||
           (a->due == b->due && (int32_t)(a->order - b->order) < 0);
}

static void put(struct twl__timers *timers, uint32_t index,
                const struct twl__due *entry)
{
    timers->heap[index] = *entry;
    timers->slots[entry->slot].index = index;
}

static void sift_up(struct twl__timers *timers, uint32_t index,
                    const struct twl__due *entry)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / ARITY;
        if (!is_before(entry, &timers->heap[parent])) break;
        put(timers, index, &timers->heap[parent]);
        index = parent;
    }
    put(timers, index, entry);
}

static uint32_t first_child(const struct twl__timers *timers, uint32_t index)
{
    uint32_t child = index * ARITY + 1, best = child;
    uint32_t end =
        child + ARITY < timers->count ? child + ARITY : timers->count;

    while (++child < end) {
        if (is_before(&timers->heap[child], &timers->heap[best])) best = child;
    }
    return best;
}

static void sift_down(struct twl__timers *timers, uint32_t index,
                      const struct twl__due *entry)
{
    while (index * ARITY + 1 < timers->count) {
        uint32_t child = first_child(timers, index);
        if (!is_before(&timers->heap[child], entry)) break;
        put(timers, index, &timers->heap[child]);
        index = child;
    }
    put(timers, index, entry);
}

/* Put [entry] where the heap has a hole at [index]. */
static void settle(struct twl__timers *timers, uint32_t index,
                   const struct twl__due *entry)
{
    if (index > 0 && is_before(entry, &timers->heap[(index - 1) / ARITY]))
        sift_up(timers, index, entry);
    else
        sift_down(timers, index, entry);
}

/* [array] with room for twice as many elements, or NULL, and then it is as it was. */
static void *doubled(twl_reactor *reactor, void *array, uint32_t *capacity,
                     size_t element)
{
    uint32_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;

    if (larger >= IDLE / ARITY) return NULL;
    array = twl__realloc(reactor, array, *capacity * element, larger * element);
    if (array) *capacity = larger;
    return array;
}

static int grow_heap(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;
    void *heap =
        doubled(reactor, timers->heap, &timers->capacity, sizeof *timers->heap);

    if (!heap) return TWL_ENOMEM;
    timers->heap = heap;
    return 0;
}

static int grow_slots(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;
    uint32_t old = timers->slot_capacity;
    void *slots = doubled(reactor, timers->slots, &timers->slot_capacity,
                          sizeof *timers->slots);

    if (!slots) return TWL_ENOMEM;
    timers->slots = slots;
    for (uint32_t slot = timers->slot_capacity; slot-- > old;) {
        timers->slots[slot].index = timers->free_slot;
        timers->free_slot = slot;
    }
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
    *timer = (twl_timer){reactor, fn, context, 0., IDLE, false};
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
    struct twl__due entry = {due, (uint32_t)timers->order, timer->slot};
    if (timer->active) {
        settle(timers, timers->slots[timer->slot].index, &entry);
    } else {
        if (timers->count == timers->capacity &&
            (rc = grow_heap(timer->reactor)) < 0)
            return rc;
        if (timers->free_slot == IDLE && (rc = grow_slots(timer->reactor)) < 0)
            return rc;
        entry.slot = timer->slot = timers->free_slot;
        timers->free_slot = timers->slots[timer->slot].index;
        timers->slots[timer->slot].timer = timer;
        timer->active = true;
        sift_up(timers, timers->count++, &entry);
    }
    timers->slots[timer->slot].order = timers->order++;
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
    uint32_t slot = timer->slot, hole;

    if (!timer->active) return;
    hole = timers->slots[slot].index;
    timers->slots[slot].index = timers->free_slot;
    timers->free_slot = slot;
    timer->active = false;
    struct twl__due last = timers->heap[--timers->count];
    if (last.slot != slot) settle(timers, hole, &last);
}

bool twl_timer_active(const twl_timer *timer)
{
    return timer->active;
}

size_t twl_timer_count(const twl_reactor *reactor)
{
    return reactor->timers.count;
}

twl_timer *twl_timer_at(const twl_reactor *reactor, size_t index)
{
    const struct twl__timers *timers = &reactor->timers;

    return timers->slots[timers->heap[index].slot].timer;
}

uint32_t twl_timer_slot(const twl_timer *timer)
{
    return timer->slot;
}

uint32_t twl_timer_next_slot(const twl_reactor *reactor)
{
    const struct twl__timers *timers = &reactor->timers;

    return timers->free_slot == IDLE ? timers->slot_capacity
                                     : timers->free_slot;
}

double twl_timer_due(const twl_timer *timer)
{
    return timer->due;
}

static twl_timer *first(const struct twl__timers *timers)
{
    return timers->slots[timers->heap[0].slot].timer;
}

/* Whether the first timer belongs to the pass that runs. What a timer's function starts waits
 * for the next turn, and ends the pass if it is overdue already. */
static bool is_due(const struct twl__timers *timers)
{
    return timers->count > 0 && timers->heap[0].due <= timers->now &&
           timers->slots[timers->heap[0].slot].order < timers->limit;
}

static twl_timer *take_first(struct twl__timers *timers)
{
    twl_timer *timer = first(timers);

    twl_timer_stop(timer);
#ifdef __GNUC__
    /* Its memory arrives while this one's function runs. */
    if (timers->count > 0) __builtin_prefetch(first(timers));
#endif
    return timer;
}

twl_timer *twl_timer_next(twl_reactor *reactor, twl_timer_fn fn)
{
    struct twl__timers *timers = &reactor->timers;

    if (!is_due(timers) || first(timers)->fn != fn) return NULL;
    if (twl__reactor_is_late(reactor)) return NULL;
    return take_first(timers);
}

static void run_due(struct ev_loop *loop, ev_timer *alarm, int events)
{
    twl_reactor *reactor = alarm->data;
    struct twl__timers *timers = &reactor->timers;
    (void)loop;
    (void)events;

    timers->now = twl_reactor_seconds(reactor);
    timers->limit = timers->order;
    while (is_due(timers) && !twl__reactor_is_late(reactor)) {
        twl_timer *timer = take_first(timers);
        timer->fn(timer);
    }
}

void twl__timers_open(twl_reactor *reactor)
{
    reactor->timers.free_slot = IDLE;
    ev_timer_init(&reactor->timers.alarm, run_due, 0., 0.);
    reactor->timers.alarm.data = reactor;
}

void twl__timers_close(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;

    while (timers->count > 0) twl_timer_stop(first(timers));
    twl__free(reactor, timers->heap, timers->capacity * sizeof *timers->heap);
    twl__free(reactor, timers->slots,
              timers->slot_capacity * sizeof *timers->slots);
    timers->heap = NULL;
    timers->slots = NULL;
    timers->capacity = timers->slot_capacity = 0;
    timers->free_slot = IDLE;
    ev_timer_stop(reactor->loop, &timers->alarm);
}

void twl__timers_arm(twl_reactor *reactor)
{
    struct twl__timers *timers = &reactor->timers;

    if (timers->count == 0) {
        ev_timer_stop(reactor->loop, &timers->alarm);
        return;
    }
    if (ev_is_active(&timers->alarm) &&
        timers->alarm_due == timers->heap[0].due)
        return;
    /* libev counts from the time that it looked last, which was before the callbacks. */
    ev_now_update(reactor->loop);
    ev_timer_stop(reactor->loop, &timers->alarm);
    timers->alarm_due = timers->heap[0].due;
    double after = timers->alarm_due - twl_reactor_seconds(reactor);
    ev_timer_set(&timers->alarm, fmin(fmax(after, 0.), 1e9), 0.);
    ev_timer_start(reactor->loop, &timers->alarm);
}
