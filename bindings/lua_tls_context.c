/* SPDX-License-Identifier: MIT
 * lua_tls_context.c -- core.tls: TLS contexts.
 * User value 1 is the function that chooses a context by the name that a client asks for. It is
 * found through a weak table, for a connection does not keep the userdata. */
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"
#include "tls.h"

struct box {
    twl_context *context;
    twl_tls_context *tls; /* NULL until it is open */
};

static const char
    BOXES; /* the registry's key of that table: pointers to their userdata */

twl_tls_context *twl__check_tls_context(lua_State *L, twl_context *context,
                                        int index)
{
    struct box *box = twl__object_of(L, &context->tls_contexts, index);

    return box->tls;
}

/* ---- Configuration ---------------------------------------------------------------------- */

/* The fields' values stay in the table, which the caller keeps on the stack. */
static const char *get_text(lua_State *L, int index, const char *name,
                            size_t *length)
{
    const char *text = NULL;
    int type = lua_getfield(L, index, name);

    if (type == LUA_TSTRING)
        text = lua_tolstring(L, -1, length);
    else if (type != LUA_TNIL)
        luaL_error(L, "option '%s' must be a string", name);
    lua_pop(L, 1);
    return text;
}

static const char *get_word(lua_State *L, int index, const char *name)
{
    size_t length = 0;
    const char *text = get_text(L, index, name, &length);

    if (text && strlen(text) != length)
        luaL_error(L, "option '%s' contains a zero byte", name);
    return text;
}

/* In a sandbox the file is read here; its content is put into the table under [name], where no
 * content of that is used then. */
static void read_pem(lua_State *L, int index, const char *name, twl_pem *pem)
{
    enum { LARGEST = 16 << 20 };
    char *bytes;
    int rc = twl_file_read(twl__context_of(L)->capabilities, pem->file, LARGEST,
                           &bytes, &pem->length);

    if (rc < 0)
        twl__raise_path_error(L, "TLSOptionsError", rc, TWL_ACCESS_READ,
                              pem->file);
    lua_pushlstring(L, bytes, pem->length);
    free(bytes);
    pem->bytes = lua_tostring(L, -1);
    pem->file = NULL;
    lua_setfield(L, index, name);
}

static twl_pem get_pem(lua_State *L, int index, const char *name,
                       const char *file)
{
    twl_pem pem = {NULL, 0, NULL};

    pem.bytes = get_text(L, index, name, &pem.length);
    pem.file = get_word(L, index, file);
    if (pem.file && twl__context_of(L)->capabilities)
        read_pem(L, index, name, &pem);
    return pem;
}

/* What is in it, and where its links lead, is the matter of who permits it. */
static const char *get_directory(lua_State *L, int index, const char *name)
{
    const char *path = get_word(L, index, name);
    int rc = path ? twl_capabilities_path(twl__context_of(L)->capabilities,
                                          TWL_ACCESS_READ, path)
                  : 0;

    if (rc < 0)
        twl__raise_path_error(L, "TLSOptionsError", rc, TWL_ACCESS_READ, path);
    return path;
}

static bool get_flag(lua_State *L, int index, const char *name)
{
    bool flag;

    lua_getfield(L, index, name);
    flag = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

static int get_choice(lua_State *L, int index, const char *name,
                      const char *const choices[])
{
    const char *word = get_word(L, index, name);

    if (!word) return 0;
    for (int choice = 0; choices[choice]; choice++)
        if (strcmp(choices[choice], word) == 0) return choice;
    return luaL_error(L, "option '%s' has no choice '%s'", name, word);
}

/* An array for [names], in a userdata that is left on the stack. [-0, +1] */
static const char *const *get_protocols(lua_State *L, int index)
{
    const char **names;
    lua_Integer count;

    if (lua_getfield(L, index, "protocols") == LUA_TNIL) return NULL;
    luaL_checktype(L, -1, LUA_TTABLE);
    count = luaL_len(L, -1);
    names = lua_newuserdatauv(L, sizeof(char *) * ((size_t)count + 1), 0);
    for (lua_Integer i = 0; i < count; i++) {
        size_t length = 0;
        if (lua_rawgeti(L, -2, i + 1) != LUA_TSTRING)
            luaL_error(L, "option 'protocols' must list strings");
        names[i] = lua_tolstring(L, -1, &length);
        if (strlen(names[i]) != length)
            luaL_error(L, "option 'protocols' contains a zero byte");
        lua_pop(L, 1);
    }
    names[count] = NULL;
    lua_replace(L, -2);
    return names;
}

/* [-0, +1] */
static void get_config(lua_State *L, int index, twl_tls_config *config)
{
    static const char *const versions[] = {"",    "1.0", "1.1",
                                           "1.2", "1.3", NULL};
    static const char *const clients[] = {"", "optional", "required", NULL};
    twl_tls_config made = TWL_TLS_CONFIG_INIT;

    luaL_checktype(L, index, LUA_TTABLE);
    made.certificate = get_pem(L, index, "certificate", "certificateFile");
    made.key = get_pem(L, index, "key", "keyFile");
    made.passphrase = get_word(L, index, "passphrase");
    made.extra_chain = get_pem(L, index, "extraChain", "extraChainFile");
    made.trust = get_pem(L, index, "trust", "trustFile");
    made.trust_directory = get_directory(L, index, "trustDirectory");
    made.trust_system = get_flag(L, index, "trustSystem");
    made.clients =
        (enum twl_tls_clients)get_choice(L, index, "clients", clients);
    made.minimum =
        (enum twl_tls_version)get_choice(L, index, "minimum", versions);
    made.maximum =
        (enum twl_tls_version)get_choice(L, index, "maximum", versions);
    made.insecurely_old = get_flag(L, index, "insecurelyOld");
    made.ciphers = get_word(L, index, "ciphers");
    made.suites = get_word(L, index, "suites");
    made.dh_parameters = get_pem(L, index, "dhParameters", "dhParametersFile");
    made.insecurely_skip_verification =
        get_flag(L, index, "insecurelySkipVerification");
    made.insecurely_skip_hostname =
        get_flag(L, index, "insecurelySkipHostname");
    if (lua_getfield(L, index, "sessionLifetime") != LUA_TNIL)
        made.session_lifetime = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    made.alloc = lua_getallocf(L, &made.alloc_context);
    made.protocols = get_protocols(L, index);
    *config = made;
}

/* nil, what the context or else the code says, the name and the errno. */
static int push_refusal(lua_State *L, int code, const char *sentence)
{
    int count = twl__push_error(L, code);

    if (*sentence) {
        lua_pushstring(L, sentence);
        lua_replace(L, -count);
    }
    return count;
}

/* ---- Choosing by name ------------------------------------------------------------------- */

struct question {
    struct box *box;
    const char *name;
    twl_tls_context *answer; /* NULL: to be refused */
};

static int ask(lua_State *L)
{
    struct question *question = lua_touserdata(L, 1);
    struct box *box = question->box;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &BOXES);
    if (lua_rawgetp(L, -1, box) == LUA_TNIL) return 0; /* to be collected */
    lua_getiuservalue(L, -1, 1);
    lua_pushstring(L, question->name);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1))
        question->answer = box->tls;
    else if (lua_toboolean(L, -1))
        question->answer =
            twl__check_tls_context(L, box->context, lua_gettop(L));
    return 0;
}

static int choose(void *argument, const char *name, twl_tls_context **out)
{
    struct box *box = argument;
    struct question question = {box, name, NULL};

    twl__call(box->context, ask, &question,
              "Unhandled error in choosing a certificate");
    if (!question.answer) return TWL_ECANCELED;
    *out = question.answer;
    return 0;
}

static int refuse(void *argument, const char *name, twl_tls_context **out)
{
    (void)argument, (void)name, (void)out;
    return TWL_ECLOSED;
}

/* context:choose(function(name) -> context, nil for this one, or false to refuse) */
static int context_choose(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    bool wanted = !lua_isnoneornil(L, 2);

    if (wanted) luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_setiuservalue(L, 1, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &BOXES);
    lua_pushvalue(L, 1);
    lua_rawsetp(L, -2, box);
    twl_tls_context_choose(box->tls, wanted ? choose : NULL, box);
    return 0;
}

/* ---- Methods ---------------------------------------------------------------------------- */

/* context(options): a context; or nil, message, name, errno */
static int tls_context(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_tls_config config;
    char error[512] = "";
    struct box *box;
    int rc;

    lua_settop(L, 1);
    get_config(L, 1, &config);
    box = twl__object_new(L, &context->tls_contexts, sizeof *box, 1);
    box->context = context;
    box->tls = NULL;
    rc = twl_tls_context_open(&config, error, sizeof error, &box->tls);
    return rc < 0 ? push_refusal(L, rc, error) : 1;
}

/* context:reload(options): true; or nil, message, name, errno */
static int context_reload(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    twl_tls_config config;
    char error[512] = "";
    int rc;

    lua_settop(L, 2);
    get_config(L, 2, &config);
    rc = twl_tls_context_reload(box->tls, &config, error, sizeof error);
    if (rc < 0) return push_refusal(L, rc, error);
    lua_pushboolean(L, 1);
    return 1;
}

static int context_ticket_keys(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    unsigned char keys[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS];
    size_t length = twl_tls_context_ticket_keys(box->tls, keys);

    lua_pushlstring(L, (const char *)keys, length);
    return 1;
}

static int context_set_ticket_keys(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    size_t length;
    const char *keys = luaL_checklstring(L, 2, &length);
    int rc = twl_tls_context_set_ticket_keys(
        box->tls, (const unsigned char *)keys, length);

    luaL_argcheck(L, rc == 0, 2, "ticket keys are one to four of 80 bytes");
    return 0;
}

static int context_rotate_ticket_keys(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);
    int rc = twl_tls_context_rotate_ticket_keys(box->tls);

    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

static int context_gc(lua_State *L)
{
    struct box *box = twl__object_check(L, 1);

    if (box->tls) twl_tls_context_choose(box->tls, refuse, NULL);
    twl_tls_context_release(box->tls);
    box->tls = NULL;
    return 0;
}

void twl__open_tls_context(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"reload", context_reload},
        {"choose", context_choose},
        {"ticketKeys", context_ticket_keys},
        {"setTicketKeys", context_set_ticket_keys},
        {"rotateTicketKeys", context_rotate_ticket_keys},
        {NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", context_gc}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"context", tls_context},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->tls_contexts, "twistlua.tls_context",
                   methods, metamethods);
    lua_createtable(L, 0, 0);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &BOXES);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "tls");
}
