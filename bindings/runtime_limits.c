/* SPDX-License-Identifier: MIT
 * runtime_limits.c -- a host's limits: from its configuration to burst.c and memory.c. */
#include "runtime.h"

static size_t used_by_lua(lua_State *L)
{
    return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 +
           (size_t)lua_gc(L, LUA_GCCOUNTB);
}

static void tell_memory(void *host, size_t used)
{
    twl_runtime *runtime = host;

    twl_context *context = runtime->context;

    if (!runtime->config.on_memory) return;
    context->entered++;
    runtime->config.on_memory(runtime, used);
    context->entered--;
}

void twl__runtime_set_limits(twl_runtime *runtime, lua_State *L)
{
    twl_config *config = &runtime->config;
    struct twl__limits *limits = &runtime->limits;
    twl__memory *memory = &runtime->memory;

    limits->time_limit = config->time_limit;
    limits->task_limit = config->task_limit;
    limits->instruction_limit = config->instruction_limit;
    twl__memory_open(memory, config->alloc, config->alloc_context,
                     config->memory_limit);
    if (L && !config->memory_limit && !config->memory_soft) return;
    limits->memory = memory;
    limits->memory_soft = config->memory_soft;
    limits->on_memory = tell_memory;
    limits->host = runtime;
    config->alloc = twl__memory_alloc;
    config->alloc_context = memory;
    if (!L) return;
    memory->used = used_by_lua(L);
    memory->peak = memory->used;
    lua_setallocf(L, twl__memory_alloc, memory);
}

/* A host's own state keeps its library as it is, unless limits are asked for. */
void twl__runtime_start_limits(twl_runtime *runtime, lua_State *L)
{
    struct twl__limits *limits = &runtime->limits;
    bool wanted = limits->time_limit > 0 || limits->instruction_limit > 0;

    twl__limits_start(L, runtime->context, limits,
                      wanted || !runtime->attached);
}

void twl__runtime_end_limits(twl_runtime *runtime, lua_State *L)
{
    const twl__memory *memory = &runtime->memory;
    void *context;

    twl__limits_stop(&runtime->limits);
    if (L && lua_getallocf(L, &context) == twl__memory_alloc &&
        context == memory)
        lua_setallocf(L, memory->alloc, memory->alloc_context);
}

/* ---- Public ------------------------------------------------------------------------------------- */

void twl_runtime_interrupt(twl_runtime *runtime)
{
    twl__alarm_call(&runtime->limits.alarm);
}

void twl_runtime_memory(const twl_runtime *runtime, size_t *used, size_t *peak)
{
    const twl__memory *memory = &runtime->memory;
    size_t bytes = memory->used;

    if (!runtime->limits.memory && runtime->context)
        bytes = used_by_lua(runtime->context->L);
    if (used) *used = bytes;
    if (peak) *peak = bytes > memory->peak ? bytes : memory->peak;
}
