/* SPDX-License-Identifier: MIT
 * libev_host.c -- a host with a libev loop, which the runtime shares: nothing else is to be done. */
#include <ev.h>
#include <stdio.h>
#include <twistlua.h>

enum { TICKS = 20 };

struct host {
    ev_timer timer; /* first */
    twl_runtime *runtime;
    int ticks;
};

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct host *host = (struct host *)timer;
    twl_deferred *call; /* nobody waits for it */
    (void)events;

    if (++host->ticks < TICKS) return;
    ev_timer_stop(loop, timer);
    printf("host: %d ticks\n", host->ticks);
    twl_runtime_call(host->runtime, "finish", NULL, 0, &call);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = EV_DEFAULT;
    twl_config config = TWL_CONFIG_INIT;
    struct host host = {.ticks = 0};
    int rc;

    config.loop = loop;
    if (argc != 2 || twl_runtime_open(&config, &host.runtime) < 0) return 2;
    rc = twl_runtime_load_file(host.runtime, argv[1]);
    if (rc < 0) fputs(twl_runtime_error(host.runtime)->traceback, stderr);
    ev_timer_init(&host.timer, on_tick, 0.001, 0.001);
    ev_timer_start(loop, &host.timer);
    if (rc == 0) ev_run(loop, 0); /* until neither has anything to wait for */
    twl_runtime_close(host.runtime);
    return rc < 0;
}
