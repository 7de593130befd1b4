/* SPDX-License-Identifier: MIT
 * senders.c -- the addresses that datagrams came from last.
 * Invariant: an entry with a length has its object in the table under its number from 1, and
 * the table has the number under the object. */
#include <string.h>

#include "datagram.h"

enum { COUNT = 1024, LONGEST = 28 /* bytes of an IPv6 socket address */ };

struct twl__sender {
    unsigned length; /* 0: none */
    unsigned char bytes[LONGEST];
};

static const char MAKE_KEY, OBJECTS_KEY, MEMORY_KEY;

void twl__senders_open(lua_State *L, twl_context *context)
{
    size_t size = COUNT * sizeof(struct twl__sender);

    lua_rawsetp(L, LUA_REGISTRYINDEX, &MAKE_KEY);
    if (context->senders) return;
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &OBJECTS_KEY);
    context->senders = memset(lua_newuserdatauv(L, size, 0), 0, size);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &MEMORY_KEY);
}

static int place_of(const twl_address *address)
{
    uint64_t hash = 0;
    uint32_t word;

    for (size_t i = 0; i + sizeof word <= address->length; i += sizeof word) {
        memcpy(&word, address->storage.bytes + i, sizeof word);
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    return (int)(hash % COUNT);
}

static void make(lua_State *L, const twl_address *address)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &MAKE_KEY);
    twl__push_address(L, address);
    lua_call(L, 3, 1);
}

/* Put the object at the top in the place of another; the table of objects is below it. What
 * raises in between leaves an entry that is nobody's. [-0, +0] */
static void replace(lua_State *L, struct twl__sender *sender, int place,
                    const twl_address *address)
{
    sender->length = 0;
    if (lua_rawgeti(L, -2, place + 1) != LUA_TNIL) {
        lua_pushnil(L);
        lua_rawset(L, -4);
    } else {
        lua_pop(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, place + 1);
    lua_pushvalue(L, -1);
    lua_pushinteger(L, place + 1);
    lua_rawset(L, -4);
    memcpy(sender->bytes, address->storage.bytes, address->length);
    sender->length = address->length;
}

void twl__sender_push(lua_State *L, twl_context *context,
                      const twl_address *address)
{
    int place;
    struct twl__sender *sender;

    if (address->length > LONGEST || address->length == 0) {
        make(L, address);
        return;
    }
    place = place_of(address);
    sender = &context->senders[place];
    lua_rawgetp(L, LUA_REGISTRYINDEX, &OBJECTS_KEY);
    if (sender->length == address->length &&
        memcmp(sender->bytes, address->storage.bytes, sender->length) == 0) {
        lua_rawgeti(L, -1, place + 1);
    } else {
        make(L, address);
        replace(L, sender, place, address);
    }
    lua_remove(L, -2);
}

bool twl__sender_known(const twl_context *context, const twl_address *address)
{
    const struct twl__sender *sender;

    if (!context->senders || address->length == 0 || address->length > LONGEST)
        return false;
    sender = &context->senders[place_of(address)];
    return sender->length == address->length &&
           memcmp(sender->bytes, address->storage.bytes, sender->length) == 0;
}

bool twl__sender_find(lua_State *L, twl_context *context, int index,
                      twl_address *out)
{
    lua_Integer number;

    lua_pushvalue(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &OBJECTS_KEY);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    number = lua_tointeger(L, -1);
    lua_pop(L, 2);
    if (number == 0) return false;
    const struct twl__sender *sender = &context->senders[number - 1];
    if (sender->length == 0) return false;
    memcpy(out->storage.bytes, sender->bytes, sender->length);
    out->length = sender->length;
    return true;
}
