/* SPDX-License-Identifier: MIT
 * poll_host.c -- a host with a loop around poll(): the runtime is one descriptor in it. */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <twistlua.h>

enum { TICKS = 20 };

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* For poll(), of the host's own time-out and the runtime's; either may be negative: none. */
static int milliseconds(double own, double other)
{
    double wait = own < 0 || (other >= 0 && other < own) ? other : own;

    return wait < 0 ? -1 : (int)ceil(wait * 1000);
}

/* A turn of the host's loop, which is to wait no longer than [wait] seconds. */
static int turn(twl_runtime *runtime, double wait)
{
    struct pollfd fd = {.fd = twl_runtime_fd(runtime), .events = POLLIN};
    int rc = twl_runtime_prepare(runtime);

    if (rc < 0) return rc;
    poll(&fd, 1, milliseconds(wait, twl_runtime_timeout(runtime)));
    return twl_runtime_step(runtime, 0., 0.005);
}

/* Tell the script that the host is ready. */
static void finish(twl_runtime *runtime)
{
    twl_deferred *call; /* nobody waits for it */

    printf("host: %d ticks\n", TICKS);
    twl_runtime_call(runtime, "finish", NULL, 0, &call);
}

int main(int argc, char **argv)
{
    double due = now() + 0.001;
    twl_runtime *runtime;
    int rc, ticks = 0;

    if (argc != 2 || twl_runtime_open(NULL, &runtime) < 0) return 2;
    rc = twl_runtime_load_file(runtime, argv[1]);
    while (rc == 0 && (ticks < TICKS || twl_runtime_alive(runtime))) {
        rc = turn(runtime, ticks < TICKS ? fmax(0., due - now()) : -1.);
        if (ticks == TICKS || now() < due) continue;
        due += 0.001;
        if (++ticks == TICKS) finish(runtime);
    }
    if (rc < 0) fputs(twl_runtime_error(runtime)->traceback, stderr);
    twl_runtime_close(runtime);
    return rc < 0;
}
