/* SPDX-License-Identifier: MIT
 * signal.c -- signals as calls on the reactor's thread.
 * A signal's disposition belongs to the process, so a process-wide table, the only one in the
 * library, says which reactor has taken which signal: libev would abort on a second one. It also says
 * what wakes a loop of another kind that waits for that reactor, which libev's own handler would
 * leave asleep. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "reactor.h"

enum { SIGNAL_COUNT = 65 };

static struct owner {
    _Atomic(twl_reactor *) reactor;
    _Atomic int wake; /* what to write to, and one: 0 is nothing */
} owners[SIGNAL_COUNT];

struct twl_signal {
    struct twl__link link;
    twl_reactor *reactor;
    twl_signal_fn fn;
    void *context;
    ev_signal watcher;
};

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int events)
{
    twl_signal *taken = watcher->data;
    (void)loop;
    (void)events;
    taken->fn(taken);
}

/* In place of libev's handler. */
static void handle(int number)
{
    int saved = errno, fd = atomic_load(&owners[number].wake) - 1;

    ev_feed_signal(number);
    if (fd >= 0 && write(fd, "", 1) < 0) errno = 0; /* full: it wakes as well */
    errno = saved;
}

static void install(int number)
{
    struct sigaction action = {0};

    action.sa_handler = handle;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

/* The owner can be woken by writing to [fd], or no more: -1. */
static void set_wake(const twl_signal *taken, int fd)
{
    atomic_store(&owners[taken->watcher.signum].wake, fd + 1);
}

void twl__signals_wake(twl_reactor *reactor)
{
    struct twl__link *link = reactor->signals.next;

    for (; link != &reactor->signals; link = link->next)
        set_wake(TWL__CONTAINER(twl_signal, link, link),
                 atomic_load(&reactor->wake_fd));
}

size_t twl_signal_size(void)
{
    return sizeof(twl_signal);
}

void twl_signal_init(void *memory, twl_reactor *reactor, int number,
                     twl_signal_fn fn, void *context)
{
    twl_signal *taken = memory;

    taken->link.next = taken->link.prev = NULL;
    taken->reactor = reactor;
    taken->fn = fn;
    taken->context = context;
    ev_signal_init(&taken->watcher, on_signal, number);
    taken->watcher.data = taken;
}

void *twl_signal_context(const twl_signal *taken)
{
    return taken->context;
}

/* The C library keeps some numbers in the range for itself: it knows which. */
static bool can_be_taken(int number)
{
    struct sigaction action;
    return number > 0 && number < SIGNAL_COUNT && number != SIGKILL &&
           number != SIGSTOP && sigaction(number, NULL, &action) == 0;
}

int twl_signal_start(twl_signal *taken)
{
    int number = taken->watcher.signum;
    twl_reactor *nobody = NULL;

    if (ev_is_active(&taken->watcher)) return 0;
    if (!can_be_taken(number)) return TWL_EINVAL;
    if (!atomic_compare_exchange_strong(&owners[number].reactor, &nobody,
                                        taken->reactor))
        return TWL_EBUSY;
    set_wake(taken, atomic_load(&taken->reactor->wake_fd));
    ev_signal_start(taken->reactor->loop, &taken->watcher);
    install(number);
    twl__list_append(&taken->reactor->signals, &taken->link);
    return 0;
}

void twl_signal_stop(twl_signal *taken)
{
    if (!ev_is_active(&taken->watcher)) return;
    ev_signal_stop(taken->reactor->loop, &taken->watcher);
    twl__unlink(&taken->link);
    set_wake(taken, -1);
    atomic_store(&owners[taken->watcher.signum].reactor, NULL);
}

bool twl_signal_is_default(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 &&
           !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_DFL;
}

void twl__signals_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->signals))
        twl_signal_stop(
            TWL__CONTAINER(twl_signal, link, reactor->signals.next));
}
