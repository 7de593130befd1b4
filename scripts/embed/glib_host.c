/* SPDX-License-Identifier: MIT
 * glib_host.c -- a host with GLib's main loop: the runtime is a source of events in it. */
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <twistlua.h>

enum { TICKS = 20 };

struct source {
    GSource base; /* first */
    twl_runtime *runtime;
    gpointer descriptor; /* GLib's name for it */
};

/* Before GLib waits: whether there is something to do at once, or else for how long it may. */
static gboolean source_prepare(GSource *base, gint *wait)
{
    struct source *source = (struct source *)base;
    double seconds;

    twl_runtime_prepare(source->runtime);
    seconds = twl_runtime_timeout(source->runtime);
    *wait = seconds < 0 ? -1 : (gint)ceil(seconds * 1000);
    return *wait == 0;
}

static gboolean source_check(GSource *base)
{
    struct source *source = (struct source *)base;

    return g_source_query_unix_fd(base, source->descriptor) != 0 ||
           twl_runtime_timeout(source->runtime) == 0;
}

static gboolean source_dispatch(GSource *base, GSourceFunc fn, gpointer context)
{
    struct source *source = (struct source *)base;
    int rc = twl_runtime_step(source->runtime, 0., 0.005);
    (void)fn;

    if (rc == 0 && twl_runtime_alive(source->runtime)) return G_SOURCE_CONTINUE;
    g_main_loop_quit(context);
    return G_SOURCE_REMOVE;
}

static GSourceFuncs source_functions = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
};

static gboolean on_tick(gpointer runtime)
{
    static int ticks;
    twl_deferred *call; /* nobody waits for it */

    if (++ticks < TICKS) return G_SOURCE_CONTINUE;
    printf("host: %d ticks\n", ticks);
    twl_runtime_call(runtime, "finish", NULL, 0, &call);
    return G_SOURCE_REMOVE;
}

static void attach(twl_runtime *runtime, GMainLoop *loop)
{
    GSource *base = g_source_new(&source_functions, sizeof(struct source));
    struct source *source = (struct source *)base;

    source->runtime = runtime;
    source->descriptor =
        g_source_add_unix_fd(base, twl_runtime_fd(runtime), G_IO_IN);
    g_source_set_callback(base, NULL, loop, NULL);
    g_source_attach(base, NULL);
    g_source_unref(base);
    g_timeout_add(1, on_tick, runtime);
}

int main(int argc, char **argv)
{
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    twl_runtime *runtime;
    int rc;

    if (argc != 2 || twl_runtime_open(NULL, &runtime) < 0) return 2;
    if ((rc = twl_runtime_load_file(runtime, argv[1])) == 0) {
        attach(runtime, loop);
        g_main_loop_run(loop);
    } else {
        fputs(twl_runtime_error(runtime)->traceback, stderr);
    }
    twl_runtime_close(runtime);
    g_main_loop_unref(loop);
    return rc < 0;
}
