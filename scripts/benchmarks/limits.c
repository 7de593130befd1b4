/* SPDX-License-Identifier: MIT */
/* limits.c -- limits ROW KIND: a script that stays within its limits, in a runtime with limits of
 * the KIND: none, time or instructions. Prints the processor time that it took. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "twistlua.h"

static const struct {
    const char *name, *script;
} ROWS[] = {
    {"calls", "local function fib(n) if n < 2 then return n end\n"
              "  return fib(n - 1) + fib(n - 2) end\n"
              "fib(32)"},
    {"tables", "local t = {}\n"
               "for _ = 1, 100 do\n"
               "  for i = 1, 100000 do t[i] = (t[i] or 0) + i end\n"
               "end"},
    {"strings", "for i = 1, 1000000 do\n"
                "  local s = ('x' .. i):upper():find('7')\n"
                "end"},
    {"objects", "local mt = { __index = {} }\n"
                "for i = 1, 3000000 do local o = setmetatable({}, mt) end"},
    {"coroutines", "local f = coroutine.wrap(function()\n"
                   "  while true do coroutine.yield() end\n"
                   "end)\n"
                   "for i = 1, 2000000 do f() end"},
    /* Entries from the reactor, thousands a millisecond, each a burst. */
    {"timers", "local reactor = require 'twistlua.reactor'\n"
               "local left = 1000000\n"
               "local function tick()\n"
               "  left = left - 1\n"
               "  if left > 0 then reactor:callLater(0, tick) end\n"
               "end\n"
               "for i = 1, 100 do reactor:callLater(0, tick) end"},
};

static const char READY[] = "require 'twistlua.error'";

static const char *script_of(const char *name)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++)
        if (strcmp(ROWS[i].name, name) == 0) return ROWS[i].script;
    return NULL;
}

static double processor_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    const char *script = argc == 3 ? script_of(argv[1]) : NULL;
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;
    double start;
    int rc;

    if (!script) return 2;
    if (strcmp(argv[2], "time") == 0)
        config.time_limit = 20; /* looked at each 50 ms */
    if (strcmp(argv[2], "instructions") == 0)
        config.instruction_limit = UINT64_C(1) << 60;
    if (twl_runtime_open(&config, &runtime) < 0) return 1;
    /* Limits load it, and the collector's pace depends on what there is. */
    twl_runtime_load(runtime, READY, strlen(READY), "=bench");
    start = processor_time();
    rc = twl_runtime_load(runtime, script, strlen(script), "=bench");
    while (rc == 0 && twl_runtime_alive(runtime))
        rc = twl_runtime_step(runtime, 1, 0);
    printf("cpu=%.6f\n", processor_time() - start);
    if (rc < 0) puts(twl_runtime_error(runtime)->message);
    twl_runtime_close(runtime);
    return rc < 0;
}
