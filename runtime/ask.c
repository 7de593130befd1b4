/* SPDX-License-Identifier: MIT
 * ask.c -- calls from the threads of a pool on the reactor's thread.
 * An ask is in workers->asked, then in workers->asking, and while run and waited for in
 * workers->unanswered. The thread that waits has its memory, so that nothing looks at an ask any
 * more once its state, which the lock guards, is ANSWERED or DROPPED. */
#include "workers.h"

enum { TOLD, WAITING, ANSWERED, DROPPED };

static int submit(twl_workers *workers, twl_ask *ask, int state)
{
    if (workers->closing) return TWL_ECANCELED;
    ask->workers = workers;
    ask->state = state;
    twl__list_append(&workers->asked, &ask->link);
    twl__wake(workers->reactor, &workers->wakeup);
    return 0;
}

int twl_workers_tell(twl_workers *workers, twl_ask *ask)
{
    int rc;

    pthread_mutex_lock(&workers->lock);
    rc = submit(workers, ask, TOLD);
    pthread_mutex_unlock(&workers->lock);
    return rc;
}

int twl_workers_ask(twl_workers *workers, twl_ask *ask)
{
    int rc;

    pthread_mutex_lock(&workers->lock);
    rc = submit(workers, ask, WAITING);
    while (rc == 0 && ask->state == WAITING)
        pthread_cond_wait(&workers->answered, &workers->lock);
    if (rc == 0 && ask->state == DROPPED) rc = TWL_ECANCELED;
    pthread_mutex_unlock(&workers->lock);
    return rc;
}

static void settle(twl_ask *ask, int state)
{
    twl_workers *workers = ask->workers;

    pthread_mutex_lock(&workers->lock);
    twl__unlink(&ask->link);
    ask->state = state;
    pthread_cond_broadcast(&workers->answered);
    pthread_mutex_unlock(&workers->lock);
}

void twl_ask_answer(twl_ask *ask)
{
    settle(ask, ANSWERED);
}

/* Any of these may close the pool, which then goes on in our place. */
void twl__asks_run(twl_workers *workers)
{
    while (!twl__list_empty(&workers->asking)) {
        twl_ask *ask = TWL__CONTAINER(twl_ask, link, workers->asking.next);

        twl__unlink(&ask->link);
        /* Only this thread changes the state of an ask that has been made. */
        if (ask->state == WAITING)
            twl__list_append(&workers->unanswered, &ask->link);
        ask->run(ask);
    }
}

static void drop_all(struct twl__link *list)
{
    while (!twl__list_empty(list)) {
        twl_ask *ask = TWL__CONTAINER(twl_ask, link, list->next);
        bool waiting = ask->state == WAITING;

        twl__unlink(&ask->link);
        ask->drop(ask); /* frees one that nobody waits for */
        if (waiting) settle(ask, DROPPED);
    }
}

/* [workers] is closing: nothing is asked any more. */
void twl__asks_drop(twl_workers *workers)
{
    drop_all(&workers->unanswered);
    drop_all(&workers->asking);
    drop_all(&workers->asked);
}
