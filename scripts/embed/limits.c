/* SPDX-License-Identifier: MIT
 * limits.c -- scripts that would take all memory and all time, and a host that goes on. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <twistlua.h>

static void on_memory(twl_runtime *runtime, size_t used)
{
    (void)runtime;
    (void)used;
    puts("it takes a lot of memory");
}

static void try(twl_runtime *runtime, const char *script)
{
    int rc = twl_runtime_load(runtime, script, strlen(script), "=script");

    if (rc < 0)
        printf("%s: %s\n", script, twl_runtime_error(runtime)->message);
    else
        printf("%s: ok\n", script);
    twl_runtime_step(runtime, 0., 0.); /* which looks at the memory */
}

/* A watchdog's thread: it has lost its patience. */
static void *bark(void *context)
{
    const struct timespec moment = {.tv_nsec = 50000000};

    nanosleep(&moment, NULL);
    twl_runtime_interrupt(context);
    return NULL;
}

int main(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;
    pthread_t watchdog;

    config.memory_soft = 4 << 20;  /* bytes: tell me */
    config.memory_limit = 8 << 20; /* no more than that */
    config.time_limit = 0.02;      /* seconds at a time */
    config.on_memory = on_memory;
    if (twl_runtime_open(&config, &runtime) < 0) return 1;
    try(runtime, "kept = {} for i = 1, 250000 do kept[i] = i end");
    try(runtime, "local t = {} for i = 1, 1e9 do t[i] = i end");
    try(runtime, "while true do end");
    try(runtime, "while true do pcall(function() while true do end end) end");
    try(runtime, "return 1 + 1");
    twl_runtime_close(runtime);

    if (twl_runtime_open(NULL, &runtime) < 0) return 1;
    if (pthread_create(&watchdog, NULL, bark, runtime) != 0) return 1;
    try(runtime, "repeat until false");
    pthread_join(watchdog, NULL);
    try(runtime, "return 1 + 1");
    twl_runtime_close(runtime);
    return 0;
}
