/* SPDX-License-Identifier: MIT
 * lua_signal.c -- core.signal: signals as calls. User value 1 is the function. */
#include <signal.h>
#include <string.h>

#include "context.h"

struct taken {
    twl_context *context;
    int slot;
};

/* Without those that tell of a fault of the process: to go on after one runs into it again. */
static const struct {
    const char *name;
    int number;
} NAMES[] = {
    {"SIGHUP", SIGHUP},     {"SIGINT", SIGINT},       {"SIGTERM", SIGTERM},
    {"SIGQUIT", SIGQUIT},   {"SIGUSR1", SIGUSR1},     {"SIGUSR2", SIGUSR2},
    {"SIGCHLD", SIGCHLD},   {"SIGALRM", SIGALRM},     {"SIGPIPE", SIGPIPE},
    {"SIGCONT", SIGCONT},   {"SIGTSTP", SIGTSTP},     {"SIGTTIN", SIGTTIN},
    {"SIGTTOU", SIGTTOU},   {"SIGURG", SIGURG},       {"SIGXCPU", SIGXCPU},
    {"SIGXFSZ", SIGXFSZ},   {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF},
    {"SIGWINCH", SIGWINCH}, {"SIGKILL", SIGKILL},     {"SIGSTOP", SIGSTOP},
#ifdef SIGPWR
    {"SIGPWR", SIGPWR},
#endif
#ifdef SIGIO
    {"SIGIO", SIGIO},
#endif
#ifdef SIGINFO
    {"SIGINFO", SIGINFO},
#endif
};

int twl__signal_number(const char *name)
{
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        if (strcmp(NAMES[i].name, name) == 0) return NAMES[i].number;
    }
    return 0;
}

static int check_signal(lua_State *L, int index)
{
    int number = twl__signal_number(luaL_checkstring(L, index));

    luaL_argcheck(L, number > 0, index, "unknown signal");
    return number;
}

static twl_signal *signal_of(struct taken *taken)
{
    return (twl_signal *)(void *)(taken + 1);
}

static int call_taken(lua_State *L)
{
    struct taken *taken = lua_touserdata(L, 1);

    twl__push_object(L, &taken->context->signals, taken->slot);
    lua_getiuservalue(L, -1, 1);
    lua_call(L, 0, 0);
    return 0;
}

static void on_signal(twl_signal *taken)
{
    struct taken *self = twl_signal_context(taken);
    twl__call(self->context, call_taken, self,
              "Unhandled error in a signal's function");
}

/* take(name, f) -> signal | nil, message, name, errno */
static int signal_take(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    int number = check_signal(L, 1), rc;
    struct taken *taken;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    taken = twl__object_new(L, &context->signals,
                            sizeof *taken + twl_signal_size(), 1);
    taken->context = context;
    taken->slot = 0;
    twl_signal_init(signal_of(taken), reactor, number, on_signal, taken);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    twl__anchor(L, &context->signals, &taken->slot, -1);
    if ((rc = twl_signal_start(signal_of(taken))) < 0) {
        twl__release(L, &context->signals, &taken->slot);
        return twl__push_error(L, rc);
    }
    return 1;
}

/* signal:drop(): the default handling again */
static int signal_drop(lua_State *L)
{
    struct taken *taken = twl__object_check(L, 1);

    twl_signal_stop(signal_of(taken));
    twl__release(L, &taken->context->signals, &taken->slot);
    return 0;
}

static int signal_is_default(lua_State *L)
{
    lua_pushboolean(L, twl_signal_is_default(check_signal(L, 1)));
    return 1;
}

void twl__open_signal(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"drop", signal_drop}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"take", signal_take},
        {"isDefault", signal_is_default},
        {NULL, NULL},
    };

    twl__class_new(L, context, &context->signals, "twistlua.signal", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "signal");
}
