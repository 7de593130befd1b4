/* SPDX-License-Identifier: MIT
 * kv.c -- a key-value server whose commands are Lua scripts.
 *
 *   kv SERVER.lua FOLDER PORT
 *
 * A client sends lines of words, `incr visits 2`, and gets a line for each: `+44`, or `-why not`.
 * The command is FOLDER/incr.lua: a function `command` of the words behind its name, which reads
 * and changes the store by require("store").get and .set, and may await. A file that was changed
 * is loaded anew for the next request.
 *
 * Each command has a runtime of its own: it may touch nothing but the store, and has its limits.
 * While one of them runs wild the others are answered, until it has had enough. The server is a
 * script too, in a runtime that may do everything: see kv_server.lua. All of them share one loop. */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <twistlua.h>

enum { WORDS = 16, NAME = 64, VALUE = 1024 };

struct entry {
    struct entry *next;
    char key[NAME], value[VALUE];
};

struct command {
    struct command *next;
    struct host *host;
    twl_runtime *runtime; /* NULL when its file could not be loaded */
    struct timespec changed;
    char name[NAME];
};

struct host {
    const char *folder;
    struct ev_loop *loop;
    struct command *commands;
    struct entry *entries;
};

/* ---- The store ---------------------------------------------------------------------------- */

static struct entry *find(struct host *host, const char *key)
{
    struct entry *entry = host->entries;

    while (entry && strcmp(entry->key, key) != 0) entry = entry->next;
    return entry;
}

static struct entry *find_or_add(struct host *host, const char *key)
{
    struct entry *entry = find(host, key);

    if (entry || !(entry = calloc(1, sizeof *entry))) return entry;
    strcpy(entry->key, key);
    entry->next = host->entries;
    return host->entries = entry;
}

/* store.get(key) -> string or nil */
static int store_get(twl_runtime *runtime, twl_call *call)
{
    struct command *command = twl_runtime_user(runtime);
    const char *key;
    int rc = twl_call_string(call, 1, &key, NULL);

    if (rc < 0) return rc;
    struct entry *entry = find(command->host, key);
    if (!entry) return twl_call_return(call, twl_nothing());
    return twl_call_return(call, twl_bytes(entry->value, strlen(entry->value)));
}

/* store.set(key, string) */
static int store_set(twl_runtime *runtime, twl_call *call)
{
    struct command *command = twl_runtime_user(runtime);
    const char *key, *value;
    size_t key_length, length;
    int rc;

    if ((rc = twl_call_string(call, 1, &key, &key_length)) < 0) return rc;
    if ((rc = twl_call_string(call, 2, &value, &length)) < 0) return rc;
    if (key_length >= NAME || length >= VALUE)
        return twl_call_fail(call, TWL_EINVAL, "too long to be stored");
    struct entry *entry = find_or_add(command->host, key);
    if (!entry) return TWL_ENOMEM;
    strcpy(entry->value, value);
    return 0;
}

/* ---- Commands ----------------------------------------------------------------------------- */

static int start(struct command *command, const char *path)
{
    static const char *const nothing[] = {NULL};
    twl_config config = TWL_CONFIG_INIT;
    int rc;

    config.user = command;
    config.loop = command->host->loop;
    config.capabilities = nothing;
    config.path = "";
    config.memory_limit = 16 << 20;
    config.time_limit = 0.005; /* seconds; then others have their turn */
    config.task_limit = 0.5;   /* then it has had enough */
    if ((rc = twl_runtime_open(&config, &command->runtime)) < 0) return rc;
    twl_runtime_register(command->runtime, "store", "get", store_get);
    twl_runtime_register(command->runtime, "store", "set", store_set);
    return twl_runtime_load_file(command->runtime, path);
}

/* Open the command's runtime, anew where its file was changed. */
static int refresh(struct command *command, const struct stat *file,
                   const char *path)
{
    if (command->runtime &&
        memcmp(&command->changed, &file->st_mtim, sizeof command->changed) == 0)
        return 0;
    twl_runtime_close(command->runtime); /* who waits for it is told */
    command->runtime = NULL;
    command->changed = file->st_mtim;
    return start(command, path);
}

static struct command *find_or_add_command(struct host *host, const char *name)
{
    struct command *command = host->commands;

    while (command && strcmp(command->name, name) != 0) command = command->next;
    if (command || !(command = calloc(1, sizeof *command))) return command;
    strcpy(command->name, name);
    command->host = host;
    command->next = host->commands;
    return host->commands = command;
}

/* ---- Requests ----------------------------------------------------------------------------- */

/* The server script awaits [operation]; what the command comes to fires it. */
struct request {
    twl_operation operation;
    twl_runtime *runtime;
    twl_stage stage;
};

static void finish(twl_deferred *d, void *context, twl_value *result)
{
    struct request *request = context;
    (void)d;

    if (result->kind != TWL_FAILURE)
        twl_operation_settle(request->operation, *result);
    else if (result->code == TWL_ECANCELED)
        twl_operation_fail(request->operation, TWL_ECHANGED,
                           "the command was replaced");
    else
        twl_operation_fail(request->operation, result->code,
                           twl_runtime_error(request->runtime)->message);
    *result = twl_nothing();
    free(request);
}

static int call_command(twl_runtime *server, twl_call *call,
                        struct command *command)
{
    twl_value words[WORDS];
    struct request *request = calloc(1, sizeof *request);
    size_t count = twl_call_count(call) - 1;
    twl_deferred *outcome;
    int rc;

    if (!request) return TWL_ENOMEM;
    if (count > WORDS) count = WORDS;
    for (size_t i = 0; i < count; i++) {
        const char *word = "";
        size_t length = 0;
        twl_call_string(call, i + 2, &word, &length);
        words[i] = twl_bytes(word, length);
    }
    request->runtime = command->runtime;
    if ((rc = twl_operation_new(server, NULL, NULL, &request->operation)) < 0)
        return rc;
    twl_call_return_operation(call, request->operation);
    rc = twl_runtime_call(command->runtime, "command", words, count, &outcome);
    if (rc == 0) {
        twl_deferred_add(outcome, &request->stage, finish, request);
        return 0;
    }
    twl_operation_fail(request->operation, rc,
                       twl_runtime_error(command->runtime)->message);
    free(request);
    return 0;
}

/* host.run(name, words...) -> Deferred */
static int run(twl_runtime *server, twl_call *call)
{
    struct host *host = twl_runtime_user(server);
    struct command *command;
    struct stat file;
    char path[4096];
    const char *name;
    int rc;

    if ((rc = twl_call_string(call, 1, &name, NULL)) < 0) return rc;
    snprintf(path, sizeof path, "%s/%s.lua", host->folder, name);
    if (strlen(name) >= NAME || strchr(name, '/') || stat(path, &file) < 0)
        return twl_call_fail(call, -ENOENT, "no such command");
    if (!(command = find_or_add_command(host, name))) return TWL_ENOMEM;
    if ((rc = refresh(command, &file, path)) == 0)
        return call_command(server, call, command);
    twl_call_fail(
        call, rc,
        command->runtime ? twl_runtime_error(command->runtime)->message : NULL);
    twl_runtime_close(command->runtime);
    command->runtime = NULL;
    return rc;
}

int main(int argc, char **argv)
{
    struct host host = {0};
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *server;
    int rc;

    if (argc != 4) {
        fprintf(stderr, "usage: kv SERVER.lua FOLDER PORT\n");
        return 2;
    }
    host.folder = argv[2];
    host.loop = config.loop = ev_default_loop(0);
    config.user = &host;
    if (twl_runtime_open(&config, &server) < 0) return 1;
    twl_runtime_register(server, "host", "run", run);
    rc = twl_runtime_load_file(server, argv[1]);
    if (rc == 0) {
        twl_value port = twl_integer(atol(argv[3]));
        twl_deferred *started;
        rc = twl_runtime_call(server, "start", &port, 1, &started);
    }
    if (rc == 0)
        ev_run(host.loop, 0);
    else
        fprintf(stderr, "kv: %s\n", twl_runtime_error(server)->message);
    for (; host.commands; host.commands = host.commands->next)
        twl_runtime_close(host.commands->runtime);
    twl_runtime_close(server);
    return rc < 0;
}
