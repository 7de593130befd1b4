/* SPDX-License-Identifier: MIT
 * main.c -- the program: twistlua [options] script.lua [args].
 * The only file that prints to stdout or chooses an exit status. */
#include <getopt.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

enum status { STATUS_OK = 0, STATUS_SCRIPT = 1, STATUS_USAGE = 2 };

struct options {
    const char *code;    /* -e */
    const char *backend; /* --reactor, or else the environment's */
    const char *script;  /* NULL with -e; "-" is standard input */
    bool debug;
    int argc; /* what is left for the script */
    char **argv;
    int script_index; /* of the script in the program's own arguments */
    bool sandbox;
    twl_capabilities *capabilities;
    char **words; /* of the capabilities, NULL-terminated */
    size_t word_count;
};

static const char USAGE[] =
    "usage: twistlua [options] script.lua [args]\n"
    "       twistlua [options] -e CODE [args]\n"
    "       twistlua [options] - [args]        (the script comes from standard "
    "input)\n"
    "       twistlua [options] test [busted options] [paths]\n"
    "       twistlua [options] web [--path DIR] ...  (serves files; web "
    "--help tells more)\n"
    "\n"
    "  -e CODE            run CODE\n"
    "  --reactor=NAME     wait for events with NAME; --version lists the "
    "names\n"
    "  --debug            trace where Deferreds are made and fired\n"
    "  --sandbox          permit nothing but what the options below name; each "
    "of\n"
    "                     them implies it. Without '=' they permit all of "
    "their kind\n"
    "  --allow-net[=HOST[:PORT],...]  connecting, listening, looking up names\n"
    "  --allow-read[=PATH,...]        files and what is in folders\n"
    "  --allow-write[=PATH,...]\n"
    "  --allow-run[=PROGRAM,...]      children, which are in no sandbox\n"
    "  --allow-env[=NAME,...]         environment variables\n"
    "  --version          print the versions and the reactors that work here\n"
    "  --help             print this\n"
    "\n"
    "environment: TWISTLUA_REACTOR  as --reactor\n"
    "             TWISTLUA_LUA      a folder whose twistlua/*.lua replace "
    "those "
    "built in\n";

static void print_version(void)
{
    const char *const *names = twl_reactor_backends();

    printf("twistlua %s (%s, libev %s; reactors:", TWL_VERSION, LUA_RELEASE,
           twl_libev_version());
    for (int i = 0; names[i]; i++) printf(" %s", names[i]);
    printf(")\n");
}

static bool is_backend(const char *name)
{
    const char *const *names = twl_reactor_backends();

    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    fprintf(stderr,
            "twistlua: unknown reactor '%s'; those that work here:", name);
    for (int i = 0; names[i]; i++) fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "\n");
    return false;
}

static const char *backend_of_environment(void)
{
    const char *name = getenv("TWISTLUA_REACTOR");
    return name && *name ? name : NULL;
}

static int no_memory(void)
{
    fputs("twistlua: not enough memory\n", stderr);
    return STATUS_SCRIPT;
}

static int wrong_usage(void)
{
    fputs(USAGE, stderr);
    return STATUS_USAGE;
}

/* The code of a subcommand, or NULL. */
static const char *subcommand(const char *word)
{
    if (strcmp(word, "test") == 0)
        return "require('twistlua.test.command')(...)";
    if (strcmp(word, "web") == 0)
        return "require('twistlua.web.command').main(...)";
    return NULL;
}

/* ---- Capabilities --------------------------------------------------------------------------- */

static bool add_word(struct options *options, const char *name,
                     const char *value, size_t length)
{
    size_t size = strlen(name) + length + 2;
    char **words = realloc(options->words,
                           (options->word_count + 2) * sizeof *options->words);
    char *word = malloc(size);

    if (words) options->words = words;
    if (!words || !word) {
        free(word);
        return false;
    }
    if (value)
        snprintf(word, size, "%s=%.*s", name, (int)length, value);
    else
        snprintf(word, size, "%s", name);
    words[options->word_count++] = word;
    words[options->word_count] = NULL;
    return true;
}

/* A word for each part of the list [values]. */
static bool add_words(struct options *options, const char *name,
                      const char *values)
{
    size_t length;

    options->sandbox = true;
    if (!values) return add_word(options, name, NULL, 0);
    for (;; values++) {
        length = strcspn(values, ",");
        if (!add_word(options, name, values, length)) return false;
        values += length;
        if (!*values) return true;
    }
}

static void free_words(struct options *options)
{
    for (size_t i = 0; i < options->word_count; i++) free(options->words[i]);
    free(options->words);
}

/* Returns a status to exit with, or -1 to go on. */
static int make_capabilities(const struct options *options,
                             twl_capabilities **out)
{
    static const char *const none[] = {NULL};
    char error[512];
    int rc;

    if (!options->sandbox) return -1;
    rc = twl_capabilities_open(
        options->words ? (const char *const *)options->words : none, NULL, NULL,
        error, sizeof error, out);
    if (rc == 0) return -1;
    fprintf(stderr, "twistlua: %s\n", *error ? error : twl_error_message(rc));
    return STATUS_USAGE;
}

/* The modules beside the script are its own. */
static int permit_modules(twl_capabilities *capabilities, const char *script)
{
    const char *slash = script ? strrchr(script, '/') : NULL;
    char *directory;
    int rc;

    if (!capabilities || !script || strcmp(script, "-") == 0) return 0;
    if (!slash) return twl_capabilities_add_modules(capabilities, ".");
    directory = strndup(script, (size_t)(slash - script) + 1);
    if (!directory) return TWL_ENOMEM;
    rc = twl_capabilities_add_modules(capabilities, directory);
    free(directory);
    return rc;
}

/* Returns a status to exit with, or -1 to go on. */
static int read_options(int argc, char **argv, struct options *out)
{
    enum { REACTOR = 256, DEBUG, VERSION, SANDBOX, ALLOW };
    static const char *const permissions[] = {"net", "read", "write", "run",
                                              "env"};
    static const struct option known[] = {
        {"reactor", required_argument, NULL, REACTOR},
        {"debug", no_argument, NULL, DEBUG},
        {"sandbox", no_argument, NULL, SANDBOX},
        {"allow-net", optional_argument, NULL, ALLOW},
        {"allow-read", optional_argument, NULL, ALLOW + 1},
        {"allow-write", optional_argument, NULL, ALLOW + 2},
        {"allow-run", optional_argument, NULL, ALLOW + 3},
        {"allow-env", optional_argument, NULL, ALLOW + 4},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    /* '+': what stands behind the script is the script's. */
    while ((option = getopt_long(argc, argv, "+e:hv", known, NULL)) != -1) {
        switch (option) {
        case 'e': out->code = optarg; break;
        case REACTOR: out->backend = optarg; break;
        case DEBUG: out->debug = true; break;
        case SANDBOX: out->sandbox = true; break;
        case ALLOW:
        case ALLOW + 1:
        case ALLOW + 2:
        case ALLOW + 3:
        case ALLOW + 4:
            if (!add_words(out, permissions[option - ALLOW], optarg))
                return no_memory();
            break;
        case 'v':
        case VERSION: print_version(); return STATUS_OK;
        case 'h': fputs(USAGE, stdout); return STATUS_OK;
        default: return wrong_usage();
        }
        if (out->code && option == 'e') break; /* as in lua: args may follow */
    }
    if (!out->backend) out->backend = backend_of_environment();
    if (out->backend && !is_backend(out->backend)) return STATUS_USAGE;
    if (!out->code && optind >= argc) return wrong_usage();
    out->script_index = out->code ? 0 : optind++;
    if (!out->code) out->script = argv[out->script_index];
    if (out->script && (out->code = subcommand(out->script)))
        out->script = NULL;
    out->argc = argc - optind;
    out->argv = argv + optind;
    return -1;
}

/* arg as in lua: the script at 0, its arguments behind it, what came before it below. */
static void set_arg(lua_State *L, char **argv, const struct options *options)
{
    lua_createtable(L, options->argc, options->script_index + 1);
    for (int i = 0; i <= options->script_index; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - options->script_index);
    }
    for (int i = 0; i < options->argc; i++) {
        lua_pushstring(L, options->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
}

/* Modules beside the script are found first. */
static void set_path(lua_State *L, const char *script)
{
    const char *slash = script ? strrchr(script, '/') : NULL;

    if (!slash) return; /* "./?.lua" is in the path already */
    lua_getglobal(L, "package");
    lua_pushlstring(L, script, (size_t)(slash - script));
    lua_getfield(L, -2, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_tostring(L, -2),
                    lua_tostring(L, -2), lua_tostring(L, -1));
    lua_setfield(L, -4, "path");
    lua_pop(L, 3);
}

static void set_options(lua_State *L, const struct options *options)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "twistlua.core");
    lua_getfield(L, -1, "reactor");
    lua_pushstring(L, options->backend);
    lua_setfield(L, -2, "wanted");
    lua_pop(L, 3);
    if (options->debug &&
        luaL_dostring(L, "require('twistlua.defer').setDebugging(true)"))
        lua_error(L);
}

static int add_traceback(lua_State *L)
{
    const char *message = luaL_tolstring(L, 1, NULL);
    luaL_traceback(L, L, message, 1);
    return 1;
}

/* Bytes that no compiler wrote can do anything, so a sandbox takes text only. */
static void load_script(lua_State *L, const struct options *options)
{
    const char *mode = options->sandbox ? "t" : NULL;
    int status;

    if (options->code)
        status = luaL_loadbufferx(L, options->code, strlen(options->code),
                                  "=-e", mode);
    else
        status = luaL_loadfilex(
            L, strcmp(options->script, "-") == 0 ? NULL : options->script,
            mode);
    if (status != LUA_OK) lua_error(L);
}

/* A script that set up servers and left the running to us. */
static void run_reactor(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "twistlua.reactor") != LUA_TTABLE) return;
    lua_getfield(L, -1, "_runIfNeeded");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
}

/* Run by main, protected: argv and options as light userdata. */
static int run(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    const struct options *options = lua_touserdata(L, 2);

    luaL_openlibs(L);
    luaL_requiref(L, "twistlua", luaopen_twistlua, 0);
    if (options->capabilities)
        twl__sandbox_install(L, options->capabilities, true);
    set_arg(L, argv, options);
    set_path(L, options->script);
    set_options(L, options);
    lua_settop(L, 0);
    load_script(L, options);
    /* Only a script that runs has a traceback worth showing. */
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, 1);
    luaL_checkstack(L, options->argc + 1, "too many arguments");
    for (int i = 0; i < options->argc; i++) lua_pushstring(L, options->argv[i]);
    if (lua_pcall(L, options->argc, 0, 1) != LUA_OK) return lua_error(L);
    run_reactor(L);
    return 0;
}

static int exit_status(lua_State *L, int status)
{
    if (status == LUA_OK) return STATUS_OK;
    fprintf(stderr, "twistlua: %s\n", luaL_tolstring(L, -1, NULL));
    return STATUS_SCRIPT;
}

/* A stream makes and drops strings of 128 KiB all the time; with its defaults glibc gives that
 * memory back and asks for it again with nearly each of them. */
static void tune_malloc(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}

struct warnings {
    bool shown, continued;
};

/* warn() as the program lua has it: off until warn("@on"). */
static void print_warning(void *context, const char *message, int more)
{
    struct warnings *warnings = context;
    bool control = !warnings->continued && !more && message[0] == '@';

    if (control && strcmp(message, "@on") == 0) warnings->shown = true;
    if (control && strcmp(message, "@off") == 0) warnings->shown = false;
    if (!control && warnings->shown)
        fprintf(stderr, "%s%s%s",
                warnings->continued ? "" : "Lua warning: ", message,
                more ? "" : "\n");
    warnings->continued = more;
}

static int run_state(lua_State *L, char **argv, struct options *options)
{
    enum { PAUSE = 250 }; /* percent; Lua 5.5's default */
    struct warnings warnings = {0};
    int status;

    lua_setwarnf(L, print_warning, &warnings);
    lua_gc(L, LUA_GCSETPAUSE, PAUSE);
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, argv);
    lua_pushlightuserdata(L, options);
    status = exit_status(L, lua_pcall(L, 2, 0, 0));
    lua_close(L);
    return status;
}

static int run_program(char **argv, struct options *options)
{
    twl_pool *pool = NULL;
    lua_State *L = NULL;
    int status;

    tune_malloc();
    if (twl_pool_open(&pool) == 0) L = lua_newstate(twl_pool_alloc, pool);
    status = L ? run_state(L, argv, options) : no_memory();
    twl_pool_close(pool);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int status = read_options(argc, argv, &options);

    if (status < 0) status = make_capabilities(&options, &options.capabilities);
    if (status < 0 && permit_modules(options.capabilities, options.script) < 0)
        status = no_memory();
    if (status < 0) status = run_program(argv, &options);
    twl_capabilities_close(options.capabilities);
    free_words(&options);
    return status;
}
