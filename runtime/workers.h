/* SPDX-License-Identifier: MIT
 * workers.h -- a pool of threads, for the two files that make it up: workers.c has the threads
 * and their work, ask.c the calls back. */
#ifndef TWL_WORKERS_H
#define TWL_WORKERS_H

#include <pthread.h>

#include "channel.h"

struct twl_workers {
    struct twl__link link; /* in reactor->workers while open */
    twl_reactor *reactor;
    twl_workers_config config;
    ev_async
        wakeup; /* rung for what is finished or asked, and for threads' ends */
    bool open;

    /* What the reactor's thread has taken over to call. */
    struct twl__link finishing, asking;

    pthread_mutex_t lock; /* guards everything from here on, and both bounds */
    pthread_cond_t
        wanted; /* by threads without work: there is some, or an end */
    pthread_cond_t answered; /* for threads that ask */
    bool closing;
    struct twl__link queue, finished;
    struct twl__link asked;      /* not yet taken over */
    struct twl__link unanswered; /* run, and still waited for */
    struct twl__link threads, ended;
    struct twl__link sleepers; /* threads that block on channels */
    int thread_count, idle_count, queue_length, working_count;
};

/* On the clock of the conditions. */
struct timespec twl__seconds_from_now(double seconds);

void twl__asks_run(twl_workers *workers);
void twl__asks_drop(twl_workers *workers);

#endif
