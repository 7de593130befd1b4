/* SPDX-License-Identifier: MIT
 * modules.c -- finds "twistlua.*" inside the library.
 * The searcher stands right behind package.preload, so that nothing in the working folder can
 * take a module's place by accident; TWISTLUA_LUA names a folder that does so on purpose. */
#include "modules.h"

#include <stdlib.h>
#include <string.h>

#include "context.h"

static int compare(const void *name, const void *module)
{
    return strcmp(name, ((const struct twl__module *)module)->name);
}

static const struct twl__module *find(const char *name)
{
    return bsearch(name, twl__modules, twl__module_count,
                   sizeof twl__modules[0], compare);
}

/* Load the module from the folder [root]. [-0, +2] if it is there, [-0, +0] if not. */
static int load_from(lua_State *L, const char *root, const char *file)
{
    const char *path = lua_pushfstring(L, "%s/%s", root, file);
    int status = luaL_loadfilex(L, path, "t");

    if (status == LUA_ERRFILE) {
        lua_pop(L, 2);
        return 0;
    }
    if (status != LUA_OK) return lua_error(L);
    lua_insert(L, -2);
    return 2;
}

static int load_embedded(lua_State *L, const struct twl__module *module)
{
    const char *chunk = lua_pushfstring(L, "@%s", module->file);

    if (luaL_loadbufferx(L, (const char *)module->source, module->length, chunk,
                         "t") != LUA_OK)
        return lua_error(L);
    lua_insert(L, -2);
    return 2;
}

int twl__module_open(lua_State *L, const struct twl__module *module)
{
    twl__context_open(L);
    load_embedded(L, module); /* the chunk, and the name of its file */
    lua_call(L, 1, 1);
    return 1;
}

/* package.searchers entry: (name) -> loader, where | message */
static int search(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *root = getenv("TWISTLUA_LUA");
    const struct twl__module *module;
    int found;

    if (strncmp(name, "twistlua.", 9) != 0) return 0;
    module = find(name);
    if (root && *root) {
        luaL_gsub(L, name, ".", "/");
        lua_pushliteral(L, ".lua");
        lua_concat(L, 2);
        found = load_from(L, root, lua_tostring(L, -1));
        if (found) return found;
    }
    if (module) return load_embedded(L, module);
    lua_pushfstring(L, "no module '%s' in twistlua", name);
    return 1;
}

void twl__open_modules(lua_State *L, twl_context *context)
{
    lua_Integer count;

    lua_getglobal(L, "package");
    if (lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
        count = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = count; i >= 2; i--) {
            lua_rawgeti(L, -1, i);
            lua_rawseti(L, -2, i + 1);
        }
        lua_pushlightuserdata(L, context);
        lua_pushcclosure(L, search, 1);
        lua_rawseti(L, -2, 2);
    }
    lua_pop(L, 2);
}
