/* SPDX-License-Identifier: MIT
 * sandbox_load.c -- code in a sandbox: text only, for bytes that no compiler of Lua wrote can do
 * anything; modules from where reading is permitted and from beside the script; no C. */
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

enum { LARGEST = 64 << 20 }; /* bytes of a file */

static const twl_capabilities *capabilities_of(lua_State *L)
{
    return twl__context_of(L)->capabilities;
}

/* ---- Files ------------------------------------------------------------------------------------ */

/* A first line for the shell is passed over, but counted. */
static const char *skip_first(const char *bytes, size_t *length)
{
    const char *end;

    if (*length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3;
        *length -= 3;
    }
    if (*length == 0 || *bytes != '#') return bytes;
    end = memchr(bytes, '\n', *length);
    if (!end) end = bytes + *length;
    *length -= (size_t)(end - bytes);
    return end;
}

/* load(bytes, length, chunk name), protected */
static int load_bytes(lua_State *L)
{
    if (luaL_loadbufferx(L, lua_touserdata(L, 1),
                         *(size_t *)lua_touserdata(L, 2), lua_tostring(L, 3),
                         "t") != LUA_OK)
        return lua_error(L);
    return 1;
}

/* Push the function that is in the file, or an error. [-0, +1] Returns whether it went well. */
static bool load_content(lua_State *L, const char *path, char *bytes,
                         size_t length)
{
    const char *from = skip_first(bytes, &length);
    int status;

    lua_pushcfunction(L, load_bytes);
    lua_pushlightuserdata(L, (void *)(uintptr_t)from);
    lua_pushlightuserdata(L, &length);
    lua_pushfstring(L, "@%s", path);
    status = lua_pcall(L, 3, 1, 0);
    free(bytes);
    return status == LUA_OK;
}

static void push_problem(lua_State *L, int code, const char *path)
{
    char sentence[TWL_REFUSAL_TEXT];

    if (code != TWL_EDENIED) {
        lua_pushfstring(L, "cannot open %s (%s)", path,
                        twl_error_message(code));
        return;
    }
    twl_capabilities_explain_path(capabilities_of(L), TWL_ACCESS_READ, path,
                                  sentence);
    lua_pushstring(L, sentence);
}

/* The same for the file at index 1, or standard input. The code of an error is in [*code]. */
static bool load_file(lua_State *L, int *code)
{
    const char *path = luaL_optstring(L, 1, NULL);
    char *bytes;
    size_t length;

    *code = 0;
    if (!path) return luaL_loadfilex(L, NULL, "t") == LUA_OK;
    *code = twl_module_read(capabilities_of(L), path, LARGEST, &bytes, &length);
    if (*code == 0) return load_content(L, path, bytes, length);
    push_problem(L, *code, path);
    return false;
}

/* ---- The functions ------------------------------------------------------------------------------- */

/* loadfile(path, mode, environment): the mode is "t" */
static int loadfile(lua_State *L)
{
    bool confined = !lua_isnone(L, 3);
    int code;

    if (!load_file(L, &code)) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (confined) {
        lua_pushvalue(L, 3);
        if (!lua_setupvalue(L, -2, 1)) lua_pop(L, 1);
    }
    return 1;
}

static int finish_dofile(lua_State *L, int status, lua_KContext ctx)
{
    (void)status, (void)ctx;
    return lua_gettop(L) - 1;
}

static int dofile(lua_State *L)
{
    int code;

    lua_settop(L, 1);
    if (!load_file(L, &code)) {
        if (code == TWL_EDENIED)
            return twl__raise_refusal(L, lua_tostring(L, -1));
        return lua_error(L);
    }
    lua_callk(L, 0, LUA_MULTRET, 0, finish_dofile);
    return finish_dofile(L, LUA_OK, 0);
}

/* load(chunk, name, mode, environment): the mode is "t" */
static int load(lua_State *L)
{
    if (lua_gettop(L) < 3) lua_settop(L, 3);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    return twl__sandbox_original(L);
}

/* ---- Modules --------------------------------------------------------------------------------------- */

struct search {
    const char *name, *path;
    bool load; /* push the function of what is found */
};

/* The next template of the path, with the name in it. [-0, +1], or NULL */
static const char *next_file(lua_State *L, struct search *search)
{
    const char *file;
    size_t length;

    while (*search->path == ';') search->path++;
    if (!*search->path) return NULL;
    length = strcspn(search->path, ";");
    lua_pushlstring(L, search->path, length);
    search->path += length;
    file = luaL_gsub(L, lua_tostring(L, -1), "?", search->name);
    lua_remove(L, -2);
    return file;
}

/* Push what is said of a file that is not there, or not to be looked for. */
static void push_absence(lua_State *L, int code, const char *file)
{
    if (code == TWL_EDENIED)
        lua_pushfstring(L, "not permitted: file '%s' (--allow-read=%s)", file,
                        file);
    else
        lua_pushfstring(L, "no file '%s'", file);
}

/* Returns 1 with the file's name, or the loaded function and the name, 2; or 0 with the text of where
 * it was not. */
static int find(lua_State *L, struct search *search)
{
    int text = lua_gettop(L) + 1, rc;
    const char *file;
    char *bytes;
    size_t length;

    lua_pushliteral(L, "");
    while ((file = next_file(L, search))) {
        rc =
            twl_module_read(capabilities_of(L), file, LARGEST, &bytes, &length);
        if (rc == 0 && !search->load) {
            free(bytes);
            return 1;
        }
        if (rc == 0) {
            if (!load_content(L, file, bytes, length))
                return luaL_error(
                    L, "error loading module '%s' from file '%s':\n\t%s",
                    search->name, file, lua_tostring(L, -1));
            lua_pushstring(L, file);
            return 2;
        }
        lua_pushvalue(L, text);
        lua_pushstring(L, lua_rawlen(L, text) > 0 ? "\n\t" : "");
        push_absence(L, rc, file);
        lua_concat(L, 3);
        lua_replace(L, text);
        lua_settop(L, text);
    }
    return 0;
}

/* What stands in the place of [separator]s in the name. */
static const char *spell(lua_State *L, const char *name, const char *separator,
                         const char *slash)
{
    return *separator ? luaL_gsub(L, name, separator, slash) : name;
}

/* package.searchpath(name, path, separator, slash) */
static int searchpath(lua_State *L)
{
    struct search search = {NULL, luaL_checkstring(L, 2), false};
    int found;

    search.name = spell(L, luaL_checkstring(L, 1), luaL_optstring(L, 3, "."),
                        luaL_optstring(L, 4, "/"));
    found = find(L, &search);
    if (found) return found;
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
}

/* package.searchers entry; upvalue 2 is the table package */
static int search_module(lua_State *L)
{
    struct search search = {NULL, NULL, true};
    int found;

    search.name = spell(L, luaL_checkstring(L, 1), ".", "/");
    lua_getfield(L, lua_upvalueindex(2), "path");
    if (!(search.path = lua_tostring(L, -1)))
        return luaL_error(L, "'package.path' must be a string");
    found = find(L, &search);
    return found ? found : 1;
}

/* Behind those of package.preload and of the modules inside the library. */
static void replace_searchers(lua_State *L, twl_context *context)
{
    enum { FIRST = 3 };
    int package = lua_gettop(L);

    if (lua_getfield(L, package, "searchers") == LUA_TTABLE) {
        for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i >= FIRST; i--) {
            lua_pushnil(L);
            lua_rawseti(L, -2, i);
        }
        lua_pushlightuserdata(L, context);
        lua_pushvalue(L, package);
        lua_pushcclosure(L, search_module, 2);
        lua_rawseti(L, -2, FIRST);
    }
    lua_pop(L, 1);
}

void twl__sandbox_load(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"load", load},
                                         {"loadfile", loadfile},
                                         {"dofile", dofile},
                                         {NULL, NULL}};
    static const luaL_Reg of_package[] = {{"searchpath", searchpath},
                                          {NULL, NULL}};
    static const char *const keep[] = {
        "config", "loaded", "path", "preload", "searchers", "searchpath", NULL};

    lua_pushglobaltable(L);
    twl__sandbox_replace(L, context, functions, NULL);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE) {
        twl__sandbox_replace(L, context, of_package, keep);
        replace_searchers(L, context);
    }
    lua_pop(L, 3);
}
