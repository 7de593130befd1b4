/* SPDX-License-Identifier: MIT
 * epoll_host.c -- a host with a loop of its own around epoll: the runtime is one descriptor in it,
 * a timer of the host's another. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <twistlua.h>
#include <unistd.h>

enum { TICKS = 20 };

static int open_timer(void)
{
    struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    timerfd_settime(fd, 0, &each, NULL);
    return fd;
}

static void watch(int loop, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

/* Wait for the next event; returns its descriptor, or -1 where the runtime's time has come. */
static int wait_for_one(int loop, twl_runtime *runtime)
{
    double wait = twl_runtime_timeout(runtime);
    struct epoll_event event;
    int count =
        epoll_wait(loop, &event, 1, wait < 0 ? -1 : (int)ceil(wait * 1000));

    return count == 1 ? event.data.fd : -1;
}

static void on_tick(twl_runtime *runtime, int timer)
{
    static int ticks;
    twl_deferred *call; /* nobody waits for it */
    uint64_t passed;

    if (read(timer, &passed, sizeof passed) < 0 || ++ticks != TICKS) return;
    printf("host: %d ticks\n", ticks);
    twl_runtime_call(runtime, "finish", NULL, 0, &call);
}

int main(int argc, char **argv)
{
    int loop = epoll_create1(EPOLL_CLOEXEC), timer = open_timer(), rc;
    twl_runtime *runtime;

    if (argc != 2 || twl_runtime_open(NULL, &runtime) < 0) return 2;
    rc = twl_runtime_load_file(runtime, argv[1]);
    watch(loop, timer);
    watch(loop, twl_runtime_fd(runtime));
    while (rc == 0 && twl_runtime_alive(runtime)) {
        if ((rc = twl_runtime_prepare(runtime)) < 0) break;
        if (wait_for_one(loop, runtime) == timer)
            on_tick(runtime, timer);
        else
            rc = twl_runtime_step(runtime, 0., 0.005);
    }
    if (rc < 0) fputs(twl_runtime_error(runtime)->traceback, stderr);
    twl_runtime_close(runtime);
    close(timer);
    close(loop);
    return rc < 0;
}
