/* SPDX-License-Identifier: MIT
 * transfer.c -- Lua values packed into bytes, and unpacked in another state. */
#include "transfer.h"

#include <ctype.h>
#include <string.h>

#include "channel.h"
#include "parcel.h"

/* The modules whose classes of errors all states have. */
static const char *const CLASS_MODULES[] = {"twistlua.error",
                                            "twistlua.defer.errors"};

enum { CLASS_MODULE_COUNT = 2 };

/* ---- Packing values ------------------------------------------------------------ */

/* Where in a nest of tables a value stands. */
struct place {
    const struct place *outer;
    int key;            /* its index on the stack; 0: [number] */
    lua_Integer number; /* in the list */
};

struct packer {
    lua_State *L;
    struct twl__parcel *parcel;
    const char *what;
    int number; /* of the value in its range */
    int seen;   /* the index of a table: table -> its number */
    int count;  /* of tables so far */
    int depth;
};

static bool is_word(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_') return false;
    while (isalnum((unsigned char)*text) || *text == '_') text++;
    return *text == '\0';
}

/* [-0, +1] */
static void push_place(lua_State *L, const struct place *place)
{
    luaL_checkstack(L, 6, "a place");
    if (!place) {
        lua_pushliteral(L, "");
        return;
    }
    push_place(L, place->outer);
    if (!place->key) {
        lua_pushfstring(L, "[%I]", (LUAI_UACINT)place->number);
    } else if (lua_type(L, place->key) == LUA_TSTRING &&
               is_word(lua_tostring(L, place->key))) {
        lua_pushstring(L, place->outer ? "." : "");
        lua_pushvalue(L, place->key);
        lua_concat(L, 2);
    } else {
        lua_pushfstring(L, "[%s]", luaL_tolstring(L, place->key, NULL));
        lua_remove(L, -2);
    }
    lua_concat(L, 2);
}

static int refuse(struct packer *packer, const struct place *place,
                  const char *why)
{
    lua_State *L = packer->L;

    luaL_checkstack(L, 6, "a message");
    lua_pushfstring(L, packer->what, packer->number);
    if (place) {
        push_place(L, place);
        lua_pushfstring(L, ", field \"%s\"", lua_tostring(L, -1));
        lua_remove(L, -2);
        lua_concat(L, 2);
    }
    lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), why);
    return lua_error(L);
}

static void refuse_kind(struct packer *packer, const struct place *place,
                        int index)
{
    lua_State *L = packer->L;
    const char *kind = luaL_typename(L, index);

    luaL_checkstack(L, 4, "a message");
    if (lua_isthread(L, index)) kind = "coroutine";
    if (lua_isuserdata(L, index) &&
        luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
        kind = lua_tostring(L, -1);
    refuse(packer, place,
           lua_pushfstring(L, "a %s cannot be copied to another thread", kind));
}

static void pack_value(struct packer *packer, int index,
                       const struct place *place);

/* If the metatable at the top is a class of errors, put its module and name. */
static bool pack_class(struct packer *packer, int metatable)
{
    lua_State *L = packer->L;
    bool found = false;
    int top = lua_gettop(L);
    size_t length;

    lua_pushliteral(L, "__name");
    if (lua_rawget(L, metatable) != LUA_TSTRING) goto done;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (int i = 0; i < CLASS_MODULE_COUNT && !found; i++) {
        if (lua_getfield(L, top + 2, CLASS_MODULES[i]) == LUA_TTABLE) {
            lua_pushvalue(L, top + 1);
            lua_rawget(L, -2);
            found = lua_rawequal(L, -1, metatable);
        }
        if (!found) continue;
        const char *name = lua_tolstring(L, top + 1, &length);
        twl__put_tag(L, packer->parcel, TAG_OBJECT);
        twl__put_tag(L, packer->parcel, (enum twl__tag)i);
        twl__put_string(L, packer->parcel, name, length);
    }
done:
    lua_settop(L, top);
    return found;
}

static void pack_list(struct packer *packer, int index, size_t length,
                      const struct place *outer)
{
    lua_State *L = packer->L;

    for (size_t i = 1; i <= length; i++) {
        struct place place = {outer, 0, (lua_Integer)i};
        lua_rawgeti(L, index, (lua_Integer)i);
        pack_value(packer, lua_gettop(L), &place);
        lua_pop(L, 1);
    }
}

/* The pairs that are not in the list of [length]; returns their number. */
static size_t pack_pairs(struct packer *packer, int index, size_t length,
                         const struct place *outer)
{
    lua_State *L = packer->L;
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        int key = lua_gettop(L) - 1;
        struct place place = {outer, key, 0};
        if (!lua_isinteger(L, key) ||
            (lua_Unsigned)lua_tointeger(L, key) - 1u >= length) {
            pack_value(packer, key, &place);
            pack_value(packer, key + 1, &place);
            count++;
        }
        lua_pop(L, 1);
    }
    return count;
}

/* A table that came before is a number. */
static bool pack_seen(struct packer *packer, int index)
{
    lua_State *L = packer->L;
    bool seen;

    lua_pushvalue(L, index);
    seen = lua_rawget(L, packer->seen) == LUA_TNUMBER;
    if (seen) {
        twl__put_tag(L, packer->parcel, TAG_SEEN);
        twl__parcel_pack_size(L, packer->parcel, (size_t)lua_tointeger(L, -1));
    }
    lua_pop(L, 1);
    return seen;
}

static void pack_table(struct packer *packer, int index,
                       const struct place *place)
{
    lua_State *L = packer->L;
    size_t length = lua_rawlen(L, index), header, count;

    luaL_checkstack(L, LUA_MINSTACK, "nested tables");
    if (pack_seen(packer, index)) return;
    if (++packer->depth > TWL__DEPTH)
        refuse(packer, NULL, "tables are nested more than 200 deep");
    if (lua_getmetatable(L, index)) {
        if (!pack_class(packer, lua_gettop(L)))
            refuse(packer, place,
                   "a table with a metatable cannot be copied to another "
                   "thread");
        lua_pop(L, 1);
    }
    lua_pushvalue(L, index);
    lua_pushinteger(L, ++packer->count);
    lua_rawset(L, packer->seen);
    twl__put_tag(L, packer->parcel, TAG_TABLE);
    twl__parcel_pack_size(L, packer->parcel, length);
    header = packer->parcel->length;
    twl__parcel_pack_size(L, packer->parcel, 0);
    pack_list(packer, index, length, place);
    count = pack_pairs(packer, index, length, place);
    memcpy(packer->parcel->bytes + header, &count, sizeof count);
    packer->depth--;
}

static void pack_channel(struct packer *packer, twl_channel *channel)
{
    if (!twl__parcel_keep(packer->parcel, channel))
        luaL_error(packer->L, "not enough memory to pass a channel");
    twl__put_tag(packer->L, packer->parcel, TAG_CHANNEL);
    twl__put(packer->L, packer->parcel, &channel, sizeof(twl_channel *));
}

static void pack_userdata(struct packer *packer, int index,
                          const struct place *place)
{
    twl_channel *channel = twl__channel_at(packer->L, index);

    if (channel)
        pack_channel(packer, channel);
    else
        refuse_kind(packer, place, index);
}

static void pack_value(struct packer *packer, int index,
                       const struct place *place)
{
    lua_State *L = packer->L;
    struct twl__parcel *parcel = packer->parcel;
    lua_Integer integer;
    lua_Number number;
    const char *bytes;
    size_t length;

    switch (lua_type(L, index)) {
    case LUA_TNIL: twl__put_tag(L, parcel, TAG_NIL); break;
    case LUA_TBOOLEAN:
        twl__put_tag(L, parcel, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) {
            integer = lua_tointeger(L, index);
            twl__put_tag(L, parcel, TAG_INTEGER);
            twl__put(L, parcel, &integer, sizeof integer);
        } else {
            number = lua_tonumber(L, index);
            twl__put_tag(L, parcel, TAG_NUMBER);
            twl__put(L, parcel, &number, sizeof number);
        }
        break;
    case LUA_TSTRING:
        bytes = lua_tolstring(L, index, &length);
        twl__put_string(L, parcel, bytes, length);
        break;
    case LUA_TTABLE: pack_table(packer, index, place); break;
    case LUA_TUSERDATA: pack_userdata(packer, index, place); break;
    default: refuse_kind(packer, place, index);
    }
}

void twl__parcel_pack(lua_State *L, struct twl__parcel *parcel, int first,
                      int count, const char *what)
{
    struct packer packer = {.L = L, .parcel = parcel, .what = what};

    luaL_checkstack(L, LUA_MINSTACK, "copying values");
    lua_newtable(L);
    packer.seen = lua_gettop(L);
    twl__parcel_pack_size(L, parcel, (size_t)count);
    for (int i = 0; i < count; i++) {
        packer.number = i + 1;
        pack_value(&packer, first + i, NULL);
    }
    lua_pop(L, 1);
}

/* ---- Unpacking ------------------------------------------------------------------ */

struct unpacker {
    lua_State *L;
    struct twl__parcel *parcel;
    int seen; /* the index of a list of the tables so far */
    lua_Integer count;
};

static void unpack_value(struct unpacker *unpacker);

/* Push the class of an object. [-0, +1] */
static void unpack_class(struct unpacker *unpacker)
{
    lua_State *L = unpacker->L;
    int module = (int)twl__take_tag(unpacker->parcel);
    const char *name;
    size_t length;

    lua_getglobal(L, "require");
    lua_pushstring(L, CLASS_MODULES[module]);
    lua_call(L, 1, 1);
    twl__take_tag(unpacker->parcel);
    name = twl__take_bytes(unpacker->parcel, &length);
    lua_pushlstring(L, name, length);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

static void unpack_table(struct unpacker *unpacker)
{
    lua_State *L = unpacker->L;
    size_t length = twl__parcel_unpack_size(unpacker->parcel);
    size_t count = twl__parcel_unpack_size(unpacker->parcel);
    int table;

    luaL_checkstack(L, LUA_MINSTACK, "nested tables");
    lua_createtable(L, length < INT32_MAX ? (int)length : 0,
                    count < INT32_MAX ? (int)count : 0);
    table = lua_gettop(L);
    lua_pushvalue(L, table);
    lua_rawseti(L, unpacker->seen, ++unpacker->count);
    for (size_t i = 1; i <= length; i++) {
        unpack_value(unpacker);
        lua_rawseti(L, table, (lua_Integer)i);
    }
    for (; count > 0; count--) {
        unpack_value(unpacker);
        unpack_value(unpacker);
        lua_rawset(L, table);
    }
}

static void unpack_value(struct unpacker *unpacker)
{
    lua_State *L = unpacker->L;
    struct twl__parcel *parcel = unpacker->parcel;
    enum twl__tag tag = twl__take_tag(parcel);
    twl_channel *channel;
    lua_Integer integer;
    lua_Number number;
    const char *bytes;
    size_t length;

    switch (tag) {
    case TAG_FALSE:
    case TAG_TRUE: lua_pushboolean(L, tag == TAG_TRUE); break;
    case TAG_INTEGER:
        twl__take(parcel, &integer, sizeof integer);
        lua_pushinteger(L, integer);
        break;
    case TAG_NUMBER:
        twl__take(parcel, &number, sizeof number);
        lua_pushnumber(L, number);
        break;
    case TAG_STRING:
        bytes = twl__take_bytes(parcel, &length);
        lua_pushlstring(L, bytes, length);
        break;
    case TAG_TABLE: unpack_table(unpacker); break;
    case TAG_OBJECT:
        unpack_class(unpacker);
        unpack_value(unpacker);
        lua_insert(L, -2);
        lua_setmetatable(L, -2);
        break;
    case TAG_SEEN:
        lua_rawgeti(L, unpacker->seen,
                    (lua_Integer)twl__parcel_unpack_size(parcel));
        break;
    case TAG_CHANNEL:
        twl__take(parcel, &channel, sizeof(twl_channel *));
        twl__channel_push(L, channel);
        break;
    default: lua_pushnil(L);
    }
}

int twl__parcel_unpack(lua_State *L, struct twl__parcel *parcel)
{
    struct unpacker unpacker = {.L = L, .parcel = parcel};
    int count = (int)twl__parcel_unpack_size(parcel);

    luaL_checkstack(L, count + LUA_MINSTACK, "too many values");
    lua_newtable(L);
    unpacker.seen = lua_gettop(L);
    for (int i = 0; i < count; i++) unpack_value(&unpacker);
    lua_remove(L, unpacker.seen);
    return count;
}
