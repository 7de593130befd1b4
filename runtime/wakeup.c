/* SPDX-License-Identifier: MIT
 * wakeup.c -- the one way into a reactor from other threads.
 * Posts form a lock-free stack that any thread pushes to and the reactor takes whole; the
 * nodes come from malloc, since the host's allocator need not be safe between threads. */
#include <sched.h>
#include <stdlib.h>

#include "reactor.h"

struct twl__post {
    struct twl__post *next;
    void (*fn)(void *context);
    void *context;
};

int twl_reactor_post(twl_reactor *reactor, void (*fn)(void *context),
                     void *context)
{
    struct twl__post *post = malloc(sizeof *post);

    if (!post) return TWL_ENOMEM;
    atomic_fetch_add_explicit(&reactor->posting, 1, memory_order_relaxed);
    post->fn = fn;
    post->context = context;
    post->next = atomic_load_explicit(&reactor->posts, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&reactor->posts, &post->next,
                                                  post, memory_order_release,
                                                  memory_order_relaxed)) {
    }
    twl__wake(reactor, &reactor->wakeup);
    atomic_fetch_sub_explicit(&reactor->posting, 1, memory_order_release);
    return 0;
}

void twl__wakeup_await_posters(twl_reactor *reactor)
{
    while (atomic_load_explicit(&reactor->posting, memory_order_acquire) > 0)
        sched_yield();
}

/* All posts so far, oldest first. */
static struct twl__post *take(twl_reactor *reactor)
{
    struct twl__post *newest =
        atomic_exchange_explicit(&reactor->posts, NULL, memory_order_acquire);
    struct twl__post *oldest = NULL;

    while (newest) {
        struct twl__post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void twl__reactor_run_posts(twl_reactor *reactor)
{
    struct twl__post *post = take(reactor);

    while (post) {
        struct twl__post *next = post->next;
        post->fn(post->context);
        free(post);
        post = next;
    }
}

static void on_wakeup(struct ev_loop *loop, ev_async *wakeup, int events)
{
    (void)loop;
    (void)events;
    twl__reactor_run_posts(wakeup->data);
}

void twl__wakeup_open(twl_reactor *reactor)
{
    ev_async_init(&reactor->wakeup, on_wakeup);
    reactor->wakeup.data = reactor;
    ev_async_start(reactor->loop, &reactor->wakeup);
    ev_unref(reactor->loop); /* as long as nobody waits for a post */
}

void twl__wakeup_close(twl_reactor *reactor)
{
    ev_ref(reactor->loop);
    ev_async_stop(reactor->loop, &reactor->wakeup);
}
