/* SPDX-License-Identifier: MIT
 * alarm.h -- calls a function on a thread that is busy, from a signal handler there.
 *
 * A thread enters an alarm before it runs what may not end, and leaves it afterwards. In between,
 * the alarm rings whenever the thread has used [period] seconds of processor time, and when
 * twl__alarm_call() is called. Entering and leaving cost no system call, and an idle thread is
 * not disturbed: its timer is of its processor time, and stops when nothing is entered any more.
 * The signal is SIGURG, which is ignored where nobody handles it. Its handler is set when the
 * first alarm needs it, stays, and hands on what is not ours. */
#ifndef TWL_ALARM_H
#define TWL_ALARM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct twl__alarm {
    /* Async-signal-safe. Called for all that the thread has entered. */
    void (*ring)(struct twl__alarm *alarm);
    double period;            /* seconds; 0: only when called */
    atomic_bool called;       /* since it was entered */
    atomic_int gate;          /* enum gate */
    pthread_t thread;         /* that has entered */
    struct twl__alarm *outer; /* entered before it, by the same thread */
};

/* Make the alarm ready for the calling thread, the only one to enter and close it. Fails, with a
 * [period], where the system has no such timer (left); without one, never. */
int twl__alarm_open(struct twl__alarm *alarm,
                    void (*ring)(struct twl__alarm *alarm), double period);
void twl__alarm_close(struct twl__alarm *alarm);

/* Entered alarms are left in reverse order, and none is entered twice. */
void twl__alarm_enter(struct twl__alarm *alarm);
void twl__alarm_leave(struct twl__alarm *alarm);

/* Have it ring, with [called] set, if it is entered now; else do nothing. Any thread, and any
 * signal handler, while the alarm is open. */
void twl__alarm_call(struct twl__alarm *alarm);

#endif
