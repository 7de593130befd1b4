/* SPDX-License-Identifier: MIT
 * own_loop.c -- the runtime runs a loop of its own. What another thread wants of it, it posts. */
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <twistlua.h>

enum { TICKS = 20 };

/* On the runtime's thread. */
static void on_tick(twl_runtime *runtime, void *context)
{
    twl_deferred *call; /* nobody waits for it */
    int *ticks = context;

    if (++*ticks < TICKS) return;
    printf("host: %d ticks\n", *ticks);
    twl_runtime_call(runtime, "finish", NULL, 0, &call);
}

static void *tick(void *context)
{
    static const struct timespec pause = {0, 1000000};
    static int ticks;

    for (int i = 0; i < TICKS; i++) {
        nanosleep(&pause, NULL);
        twl_runtime_post(context, on_tick, &ticks);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    twl_runtime *runtime;
    pthread_t ticker;
    int rc;

    if (argc != 2 || twl_runtime_open(NULL, &runtime) < 0) return 2;
    rc = twl_runtime_load_file(runtime, argv[1]);
    if (rc == 0 && pthread_create(&ticker, NULL, tick, runtime) == 0) {
        rc = twl_runtime_run(runtime); /* until the script stops it */
        pthread_join(ticker, NULL);    /* nobody posts to one that is gone */
    }
    if (rc < 0) fputs(twl_runtime_error(runtime)->traceback, stderr);
    twl_runtime_close(runtime);
    return rc < 0;
}
