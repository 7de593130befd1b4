/* SPDX-License-Identifier: MIT
 * lua_resolver.c -- core.resolver: the addresses of names.
 * User value 1 is called once with the outcome: a list of literals, or nil, message, name,
 * errno. User value 2 is the name, which in a sandbox permits its addresses. */
#include <string.h>

#include "sandbox.h"

enum { VALUE_DONE = 1, VALUE_NAME };

struct lookup {
    twl_context *context;
    int slot;
};

struct outcome {
    struct lookup *lookup;
    int code;
    const twl_answer *answer;
};

static twl_lookup *lookup_of(struct lookup *lookup)
{
    return (twl_lookup *)(void *)(lookup + 1);
}

/* [-0, +0] with the look-up at the top */
static void learn(lua_State *L, twl_context *context, const twl_answer *answer)
{
    twl_address address;

    lua_getiuservalue(L, -1, VALUE_NAME);
    for (size_t i = 0; i < twl_answer_count(answer); i++) {
        twl_answer_address(answer, i, 0, &address);
        twl_capabilities_learn(context->capabilities, lua_tostring(L, -1),
                               &address);
    }
    lua_pop(L, 1);
}

/* [-0, +1] */
static void push_literals(lua_State *L, const twl_answer *answer)
{
    size_t count = twl_answer_count(answer);
    char text[TWL_ADDRESS_TEXT];
    twl_address address;

    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        twl_answer_address(answer, i, 0, &address);
        lua_pushlstring(L, text, twl_address_host(&address, text));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int call_done(lua_State *L)
{
    struct outcome *outcome = lua_touserdata(L, 1);
    struct lookup *lookup = outcome->lookup;
    int count = 1;

    twl__push_object(L, &lookup->context->lookups, lookup->slot);
    twl__release(L, &lookup->context->lookups, &lookup->slot);
    if (outcome->code == 0 && lookup->context->capabilities)
        learn(L, lookup->context, outcome->answer);
    lua_getiuservalue(L, -1, VALUE_DONE);
    if (outcome->code == 0)
        push_literals(L, outcome->answer);
    else
        count = twl__push_error(L, outcome->code);
    lua_call(L, count, 0);
    return 0;
}

static void on_done(twl_lookup *lookup, int code, const twl_answer *answer)
{
    struct outcome outcome = {twl_lookup_context(lookup), code, answer};

    twl__call(outcome.lookup->context, call_done, &outcome,
              "Unhandled error in a look-up");
}

/* A list of seconds, one for each try. */
static void read_timeouts(lua_State *L, int index, twl_lookup_config *config)
{
    lua_Integer count = luaL_len(L, index);

    luaL_argcheck(L, count >= 1 && count <= TWL_LOOKUP_TRIES, index,
                  "timeout must have one to eight numbers");
    config->tries = (int)count;
    for (int i = 0; i < config->tries; i++) {
        lua_geti(L, index, i + 1);
        config->timeouts[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
}

static enum twl_family check_family(lua_State *L, int index)
{
    static const char *const names[] = {"IPv4", "IPv6", NULL};

    return luaL_checkoption(L, index, NULL, names) == 0 ? TWL_IPV4 : TWL_IPV6;
}

/* start(done, family, name, timeouts) -> lookup, or nil, message, name, errno */
static int resolver_start(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_lookup_config config = TWL_LOOKUP_CONFIG_INIT;
    struct lookup *lookup;
    int rc;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    config.family = check_family(L, 2);
    config.name = luaL_checkstring(L, 3);
    if (!lua_isnoneornil(L, 4)) read_timeouts(L, 4, &config);
    if (!twl__permits_name(L, config.name)) return 4;
    lookup = twl__object_new(L, &context->lookups,
                             sizeof *lookup + twl_lookup_size(), 2);
    lookup->context = context;
    lookup->slot = 0;
    twl_lookup_init(lookup_of(lookup), reactor, on_done, lookup);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, VALUE_DONE);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, -2, VALUE_NAME);
    twl__anchor(L, &context->lookups, &lookup->slot, -1);
    if ((rc = twl_lookup_start(lookup_of(lookup), &config)) == 0) return 1;
    twl__release(L, &context->lookups, &lookup->slot);
    return twl__push_error(L, rc);
}

static int lookup_cancel(lua_State *L)
{
    struct lookup *lookup = twl__object_check(L, 1);

    twl_lookup_cancel(lookup_of(lookup));
    twl__release(L, &lookup->context->lookups, &lookup->slot);
    return 0;
}

/* The field [name] of the table at 1. */
static const char *string_field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name); /* stays, for the string's sake */
    return lua_tostring(L, -1);
}

static double number_field(lua_State *L, const char *name, double otherwise)
{
    double number;

    lua_getfield(L, 1, name);
    number = luaL_optnumber(L, -1, otherwise);
    lua_pop(L, 1);
    return number;
}

/* Whether the resolver may read [path]: else what push_path_error() pushes. */
static bool permits_file(lua_State *L, const char *path)
{
    int rc = path ? twl_capabilities_path(twl__context_of(L)->capabilities,
                                          TWL_ACCESS_READ, path)
                  : 0;

    if (rc < 0)
        twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_READ, path);
    return rc == 0;
}

/* configure(options) -> true, or nil, message, name, errno */
static int resolver_configure(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_resolver_config config = TWL_RESOLVER_CONFIG_INIT;
    double size;
    int rc;

    luaL_checktype(L, 1, LUA_TTABLE);
    if (!twl__permits_all(L, TWL_PERMIT_NET, "configuring the resolver"))
        return 4;
    config.servers = string_field(L, "servers");
    config.resolv_conf = string_field(L, "resolvConf");
    config.hosts = string_field(L, "hosts");
    if (!permits_file(L, config.resolv_conf) || !permits_file(L, config.hosts))
        return 4;
    size = number_field(L, "cacheSize", config.cache_size);
    config.ttl_min = number_field(L, "ttlMin", config.ttl_min);
    config.ttl_max = number_field(L, "ttlMax", config.ttl_max);
    config.negative_ttl_max =
        number_field(L, "negativeTTLMax", config.negative_ttl_max);
    if (!(size >= 0 && size <= 1e6)) return twl__push_error(L, TWL_EINVAL);
    config.cache_size = (unsigned)size;
    if ((rc = twl_resolver_configure(reactor, &config)) < 0)
        return twl__push_error(L, rc);
    lua_pushboolean(L, true);
    return 1;
}

/* hosts(name, family) -> literal, or nil, message, name, errno */
static int resolver_hosts(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    enum twl_family family = check_family(L, 2);
    char text[TWL_ADDRESS_TEXT];
    twl_address address;
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    int rc = TWL_EINVAL; /* for a name with a zero byte */

    if (!twl__permits_name(L, name)) return 4;
    if (strlen(name) == length)
        rc = twl_resolver_hosts(reactor, name, family, &address);
    if (rc < 0) return twl__push_error(L, rc);
    twl_capabilities_learn(context->capabilities, name, &address);
    lua_pushlstring(L, text, twl_address_host(&address, text));
    return 1;
}

/* live() -> the look-ups that are under way */
static int resolver_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->lookups);
    return 1;
}

void twl__open_resolver(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"cancel", lookup_cancel}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {{"start", resolver_start},
                                         {"configure", resolver_configure},
                                         {"hosts", resolver_hosts},
                                         {"live", resolver_live},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->lookups, "twistlua.lookup", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "resolver");
}
