/* SPDX-License-Identifier: MIT
 * libuv_host.c -- a host with a libuv loop. Before each wait it lets the runtime prepare, and sets a
 * timer for what that waits for besides its descriptor. */
#include <math.h>
#include <stdio.h>
#include <twistlua.h>
#include <uv.h>

enum { TICKS = 20 };

struct host {
    twl_runtime *runtime;
    uv_prepare_t prepare;
    uv_poll_t descriptor;
    uv_timer_t time_out, timer; /* the runtime's, the host's */
    int ticks, code;
};

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void step(struct host *host)
{
    host->code = twl_runtime_step(host->runtime, 0., 0.005);
    if (host->code == 0 && twl_runtime_alive(host->runtime)) return;
    uv_walk(host->prepare.loop, close_handle, NULL); /* ends uv_run() */
}

static void on_time_out(uv_timer_t *time_out)
{
    step(time_out->data);
}

static void on_readable(uv_poll_t *descriptor, int status, int events)
{
    (void)status, (void)events;
    step(descriptor->data);
}

static void before_wait(uv_prepare_t *prepare)
{
    struct host *host = prepare->data;
    double wait;

    twl_runtime_prepare(host->runtime);
    wait = twl_runtime_timeout(host->runtime);
    uv_timer_stop(&host->time_out);
    if (wait < 0) return;
    uv_update_time(prepare->loop);
    uv_timer_start(&host->time_out, on_time_out, (uint64_t)ceil(wait * 1000),
                   0);
}

static void on_tick(uv_timer_t *timer)
{
    struct host *host = timer->data;
    twl_deferred *call; /* nobody waits for it */

    if (++host->ticks < TICKS) return;
    uv_timer_stop(timer);
    printf("host: %d ticks\n", host->ticks);
    twl_runtime_call(host->runtime, "finish", NULL, 0, &call);
}

static void start(struct host *host, uv_loop_t *loop)
{
    host->prepare.data = host->descriptor.data = host;
    host->time_out.data = host->timer.data = host;
    uv_prepare_init(loop, &host->prepare);
    uv_prepare_start(&host->prepare, before_wait);
    uv_poll_init(loop, &host->descriptor, twl_runtime_fd(host->runtime));
    uv_poll_start(&host->descriptor, UV_READABLE, on_readable);
    uv_timer_init(loop, &host->time_out);
    uv_timer_init(loop, &host->timer);
    uv_timer_start(&host->timer, on_tick, 1, 1);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct host host = {.ticks = 0};

    if (argc != 2 || twl_runtime_open(NULL, &host.runtime) < 0) return 2;
    host.code = twl_runtime_load_file(host.runtime, argv[1]);
    if (host.code == 0) {
        start(&host, loop);
        uv_run(loop, UV_RUN_DEFAULT);
        uv_loop_close(loop);
    }
    if (host.code < 0)
        fputs(twl_runtime_error(host.runtime)->traceback, stderr);
    twl_runtime_close(host.runtime);
    return host.code < 0;
}
