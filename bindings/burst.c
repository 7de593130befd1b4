/* SPDX-License-Identifier: MIT
 * burst.c -- bursts: how long one has run, and how it is suspended or ended.
 * The hook is set where the signal finds Lua, and again wherever another coroutine begins or goes on
 * while there is a verdict; one that was left behind by a burst removes itself. */
#include <math.h>
#include <time.h>

#include "burst.h"

enum {
    POLL_PERIOD = 10000, /* instructions between looks at the clock */
    COUNT_PERIOD = 1000, /* instructions that are counted at once */
    GRACE = 1000,        /* instructions of <close> and the like until */
    PATIENCE = 8,        /* the next error; and after so many, none */
    TICKS = 4            /* in a time limit */
};

static const double TICK_MIN = 1e-3, TICK_MAX = 50e-3;

static const char LIMITS_KEY, SPOILT;

struct twl__limits *twl__limits_of(lua_State *L)
{
    struct twl__limits *limits;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LIMITS_KEY);
    limits = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return limits;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- Watching ----------------------------------------------------------------------------- */

/* Looks at nothing that Lua may be changing: a signal handler calls this. */
static enum twl__verdict judge(struct twl__limits *limits)
{
    if (atomic_load_explicit(&limits->alarm.called, memory_order_relaxed))
        return TWL__INTERRUPTED;
    if (limits->time_limit <= 0) return TWL__GO_ON;
    if (limits->seen_slice != limits->slice) {
        limits->seen_slice = limits->slice;
        limits->seen_at = now();
        return TWL__GO_ON;
    }
    return now() - limits->seen_at < limits->time_limit ? TWL__GO_ON
                                                        : TWL__TIME_IS_UP;
}

static void on_hook(lua_State *L, lua_Debug *ar);

static void ring(struct twl__alarm *alarm)
{
    struct twl__limits *limits = (struct twl__limits *)alarm;
    lua_State *L = limits->running;

    if (!L) return;
    if (!limits->verdict) limits->verdict = judge(limits);
    if (limits->verdict && !limits->hooked)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
}

/* ---- The hook ----------------------------------------------------------------------------- */

/* The hook of one that may go on. */
static void set_resting_hook(const struct twl__limits *limits, lua_State *L)
{
    if (limits->period)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, limits->period);
    else
        lua_sethook(L, NULL, 0, 0);
}

/* With a verdict: have the hook called by [L]. */
static void arm(struct twl__limits *limits, lua_State *L)
{
    int count = 1;

    if (limits->hooked) return;
    if (limits->killing && limits->patience > 0) {
        limits->patience--;
        count = GRACE;
    }
    lua_sethook(L, on_hook, LUA_MASKCOUNT, count);
}

static void count_instructions(struct twl__limits *limits, lua_State *L)
{
    if (lua_gethookcount(L) == limits->period)
        limits->instructions += (uint64_t)limits->period;
    if (limits->verdict) return;
    if (limits->instruction_limit &&
        limits->instructions >= limits->instruction_limit)
        limits->verdict = TWL__TOO_MANY_INSTRUCTIONS;
    else if (limits->polls)
        limits->verdict = judge(limits);
}

bool twl__burst_yields(const struct twl__limits *limits, lua_State *L)
{
    return limits && limits->yields && limits->running == L &&
           limits->context->reactor && lua_isyieldable(L);
}

/* Whether it is about a task that cannot be suspended here, in a callback of table.sort for
 * example, but perhaps soon. */
static bool may_yield_soon(const struct twl__limits *limits, lua_State *L)
{
    if (!limits->yields || limits->running != L) return false;
    if (limits->verdict == TWL__TIME_IS_UP)
        return now() - limits->seen_at < 2 * limits->time_limit;
    return limits->instructions / 2 < limits->instruction_limit;
}

static void begin_slice(struct twl__limits *limits)
{
    limits->slice++;
    limits->instructions = 0;
}

static void suspend(struct twl__limits *limits, lua_State *L)
{
    limits->verdict = TWL__GO_ON;
    begin_slice(limits);
    set_resting_hook(limits, L);
    limits->suspended = L;
    lua_yield(L, 0);
}

/* The class of the error in twistlua.error, and its message. */
static const char *push_message(const struct twl__limits *limits, lua_State *L)
{
    switch (limits->verdict) {
    case TWL__TIME_IS_UP:
        lua_pushfstring(L,
                        "time_limit: more than %f seconds without a return "
                        "to the reactor",
                        limits->time_limit);
        return "TimeLimitExceeded";
    case TWL__TOO_MANY_INSTRUCTIONS:
        lua_pushfstring(L,
                        "instruction_limit: more than %I instructions "
                        "without a return to the reactor",
                        (LUAI_UACINT)limits->instruction_limit);
        return "InstructionLimitExceeded";
    case TWL__TASK_IS_TOO_LONG:
        lua_pushfstring(L,
                        "task_limit: the coroutine was suspended again and "
                        "again, for more than %f seconds in all",
                        limits->task_limit);
        return "TaskLimitExceeded";
    default:
        lua_pushliteral(L, "interrupted by the host");
        return "Interrupted";
    }
}

/* Push the error: an object of the class if that is loaded. Made by hand, since whatever a script
 * may have replaced must not be called: in a hook nothing would end it. [-0, +1] */
static void push_error(const struct twl__limits *limits, lua_State *L)
{
    const char *class = push_message(limits, L);
    int message = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushliteral(L, "twistlua.error");
    if (lua_rawget(L, -2) != LUA_TTABLE) goto bare;
    lua_pushstring(L, class);
    if (lua_rawget(L, -2) != LUA_TTABLE) goto bare;
    lua_createtable(L, 0, 1);
    lua_insert(L, message);
    lua_pushliteral(L, "message");
    lua_pushvalue(L, message + 1);
    lua_rawset(L, message);
    lua_setmetatable(L, message);
bare:
    lua_settop(L, message);
}

int twl__burst_raise(lua_State *L)
{
    push_error(twl__limits_of(L), L);
    return lua_error(L);
}

static void kill(struct twl__limits *limits, lua_State *L)
{
    if (!limits->killing) limits->patience = PATIENCE;
    limits->killing = true;
    arm(limits, L);
    if (limits->running == L && lua_isyieldable(L)) {
        limits->suspended = L;
        lua_yield(L, 0);
        return;
    }
    limits->raised = L;
    twl__burst_raise(L);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct twl__limits *limits = twl__limits_of(L);

    (void)ar;
    if (limits->period) count_instructions(limits, L);
    if (!limits->verdict || !limits->running) {
        set_resting_hook(limits, L);
        return;
    }
    if (limits->killing || limits->verdict > TWL__TOO_MANY_INSTRUCTIONS) {
        kill(limits, L);
    } else if (twl__burst_yields(limits, L)) {
        suspend(limits, L);
    } else if (may_yield_soon(limits, L)) {
        limits->verdict = TWL__GO_ON;
        set_resting_hook(limits, L);
    } else {
        kill(limits, L);
    }
}

/* ---- Bursts ------------------------------------------------------------------------------- */

static struct twl__frame frame_of(const struct twl__limits *limits)
{
    return (struct twl__frame){limits->running, limits->yields, limits->killing,
                               limits->patience, limits->verdict};
}

static void begin(struct twl__limits *limits)
{
    begin_slice(limits);
    twl__alarm_enter(&limits->alarm);
}

static void end(struct twl__limits *limits)
{
    limits->running = NULL;
    twl__alarm_leave(&limits->alarm); /* it does not ring any more */
    limits->verdict = TWL__GO_ON;
    limits->killing = false;
}

struct twl__frame twl__burst_enter(struct twl__limits *limits, lua_State *L)
{
    struct twl__frame frame = {0};

    if (!limits) return frame;
    frame = frame_of(limits);
    limits->yields = false;
    limits->running = L;
    if (!frame.running)
        begin(limits);
    else if (limits->verdict)
        arm(limits, L);
    return frame;
}

void twl__burst_leave(struct twl__limits *limits, struct twl__frame frame)
{
    if (!limits) return;
    limits->yields = frame.yields;
    if (!frame.running) {
        end(limits);
        if (limits->memory) twl__limits_check_memory(limits);
        return;
    }
    limits->running = frame.running;
    if (limits->verdict) arm(limits, frame.running);
}

struct twl__frame twl__burst_pause(struct twl__limits *limits)
{
    struct twl__frame frame = {0};

    if (!limits || !limits->running) return frame;
    frame = frame_of(limits);
    end(limits);
    return frame;
}

void twl__burst_go_on(struct twl__limits *limits, struct twl__frame frame)
{
    if (!limits || !frame.running) return;
    limits->yields = frame.yields;
    limits->running = frame.running;
    begin(limits);
    if (!frame.killing) return;
    limits->killing = true;
    limits->patience = frame.patience;
    limits->verdict = frame.verdict;
    arm(limits, frame.running);
}

void twl__burst_renew(struct twl__limits *limits)
{
    lua_State *L = limits->running;

    if (!L) return;
    end(limits);
    limits->running = L;
    begin(limits);
}

static int make_error(lua_State *L)
{
    push_error(twl__limits_of(L), L);
    return 1;
}

/* What has suspended itself in [co] will not go on. [co: -0, +1] */
static int end_suspended(lua_State *co, lua_State *from)
{
    lua_pushcfunction(from, make_error);
    lua_pcall(from, 0, 1, 0); /* without memory, that is the error */
    lua_xmove(from, co, 1);
    return LUA_ERRRUN;
}

/* Have a mark below the error at the top. [co: -0, +1] */
static void mark_spoilt(struct twl__limits *limits, lua_State *co)
{
    limits->raised = NULL;
    if (!lua_checkstack(co, 1)) return;
    lua_pushlightuserdata(co, (void *)&SPOILT);
    lua_insert(co, -2);
}

bool twl__burst_spoilt(lua_State *co)
{
    return lua_touserdata(co, -1) == &SPOILT ||
           (lua_gettop(co) > 1 && lua_touserdata(co, -2) == &SPOILT);
}

int twl__burst_resume(struct twl__limits *limits, lua_State *co,
                      lua_State *from, bool yields, int count, int *results)
{
    struct twl__frame frame;
    int status;

    if (!limits) return lua_resume(co, from, count, results);
    frame = twl__burst_enter(limits, co);
    limits->yields = yields;
    status = lua_resume(co, from, count, results);
    twl__burst_leave(limits, frame);
    if (!limits->killing || status == LUA_OK) return status;
    if (status != LUA_YIELD) {
        if (limits->raised == co) mark_spoilt(limits, co);
        return status;
    }
    return twl__burst_suspended(limits, co) ? end_suspended(co, from) : status;
}

bool twl__burst_suspended(struct twl__limits *limits, const lua_State *co)
{
    if (!limits || limits->suspended != co) return false;
    limits->suspended = NULL;
    return true;
}

void twl__burst_condemn(struct twl__limits *limits, enum twl__verdict verdict)
{
    if (!limits->running) return;
    limits->verdict = verdict;
    arm(limits, limits->running);
}

void twl__burst_unhook(struct twl__limits *limits, lua_State *L)
{
    if (!limits) return;
    limits->hooked = false;
    if (limits->verdict) arm(limits, L);
}

/* ---- Opening ------------------------------------------------------------------------------ */

void twl__burst_start(struct twl__limits *limits, lua_State *L)
{
    double tick = 0;

    if (limits->time_limit > 0)
        tick = fmin(fmax(limits->time_limit / TICKS, TICK_MIN), TICK_MAX);
    if (twl__alarm_open(&limits->alarm, ring, tick) < 0) {
        limits->polls = true;
        limits->period = POLL_PERIOD;
    }
    if (limits->instruction_limit) {
        uint64_t part = limits->instruction_limit / 10;
        limits->period = part > COUNT_PERIOD ? COUNT_PERIOD
                         : part > 0          ? (int)part
                                             : 1;
    }
    lua_pushlightuserdata(L, limits);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LIMITS_KEY);
    set_resting_hook(limits, L);
}
