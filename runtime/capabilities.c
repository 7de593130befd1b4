/* SPDX-License-Identifier: MIT
 * capabilities.c -- the rules of a sandbox: made of words, and asked about paths, programs and
 * variables; capabilities_net.c is asked about addresses and names. Nothing but the addresses of
 * names, which have a lock, is changed once they are made. */
#include "capabilities.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const NAMES[TWL__PERMISSIONS] = {"net", "read", "write",
                                                    "run", "env"};

/* ---- Making ------------------------------------------------------------------------------- */

static void *plain_alloc(void *context, void *block, size_t old_size,
                         size_t new_size)
{
    (void)context, (void)old_size;
    if (new_size > 0) return realloc(block, new_size);
    free(block);
    return NULL;
}

struct twl__rule *twl__rule_new(twl_capabilities *capabilities, int permission,
                                const char *text)
{
    size_t length = strlen(text), size = sizeof(struct twl__rule) + length + 1;
    struct twl__rule *rule =
        capabilities->alloc(capabilities->alloc_context, NULL, 0, size);

    if (!rule) return NULL;
    memset(rule, 0, sizeof *rule);
    memcpy(rule->text, text, length + 1);
    rule->size = size;
    rule->permission = permission;
    rule->next = capabilities->rules;
    capabilities->rules = rule;
    return rule;
}

/* The rule is about what [path] is now. */
static int add_path(twl_capabilities *capabilities, int permission,
                    const char *path, bool follow)
{
    struct twl__place place;
    int rc = twl__place_find(path, follow, &place);

    if (rc == TWL_ENOMEM || rc == -ENAMETOOLONG) return rc;
    twl__place_close(&place);
    return twl__rule_new(capabilities, permission, place.path) ? 0 : TWL_ENOMEM;
}

/* The first of the directories in [search] that has [program]. */
static bool find_program(const char *program, const char *search,
                         char path[PATH_MAX])
{
    for (const char *from = search;; from++) {
        size_t length = strcspn(from, ":");
        int written = snprintf(path, PATH_MAX, "%.*s%s%s", (int)length, from,
                               length ? "/" : "./", program);
        if (written < PATH_MAX && access(path, X_OK) == 0) return true;
        from += length;
        if (!*from) return false;
    }
}

static int add_program(twl_capabilities *capabilities, const char *program,
                       const char **why)
{
    const char *search = getenv("PATH");
    char path[PATH_MAX];

    if (strchr(program, '/'))
        return add_path(capabilities, TWL_PERMIT_RUN, program, false);
    if (find_program(program, search ? search : "/usr/bin:/bin", path))
        return add_path(capabilities, TWL_PERMIT_RUN, path, false);
    *why = "no directory of $PATH has such a program";
    return TWL_EINVAL;
}

static int add_variable(twl_capabilities *capabilities, const char *name,
                        const char **why)
{
    if (strchr(name, '=')) {
        *why = "the name of a variable has no '='";
        return TWL_EINVAL;
    }
    return twl__rule_new(capabilities, TWL_PERMIT_ENV, name) ? 0 : TWL_ENOMEM;
}

static int add_value(twl_capabilities *capabilities, int permission,
                     const char *value, const char **why)
{
    if (!*value) {
        *why = "nothing stands behind '='";
        return TWL_EINVAL;
    }
    switch (permission) {
    case TWL_PERMIT_NET: return twl__rule_of_net(capabilities, value, why);
    case TWL_PERMIT_RUN: return add_program(capabilities, value, why);
    case TWL_PERMIT_ENV: return add_variable(capabilities, value, why);
    default: return add_path(capabilities, permission, value, true);
    }
}

static int add_word(twl_capabilities *capabilities, const char *word,
                    const char **why)
{
    size_t length = strcspn(word, "=");

    for (int i = 0; i < TWL__PERMISSIONS; i++) {
        if (strlen(NAMES[i]) != length || memcmp(NAMES[i], word, length) != 0)
            continue;
        if (word[length] == '=')
            return add_value(capabilities, i, word + length + 1, why);
        capabilities->all[i] = true;
        return 0;
    }
    *why = "those that there are: net, read, write, run, env";
    return TWL_EINVAL;
}

int twl_capabilities_open(const char *const *words, twl_alloc_fn alloc,
                          void *alloc_context, char *error, size_t size,
                          twl_capabilities **out)
{
    twl_capabilities *capabilities;
    const char *why = NULL;
    int rc = 0;

    if (!alloc) alloc = plain_alloc;
    if (size > 0) *error = '\0';
    capabilities = alloc(alloc_context, NULL, 0, sizeof *capabilities);
    if (!capabilities) return TWL_ENOMEM;
    memset(capabilities, 0, sizeof *capabilities);
    capabilities->alloc = alloc;
    capabilities->alloc_context = alloc_context;
    pthread_mutex_init(&capabilities->learning, NULL);
    for (; rc == 0 && *words; words += rc == 0)
        rc = add_word(capabilities, *words, &why);
    if (rc == 0) {
        *out = capabilities;
        return 0;
    }
    snprintf(error, size, "bad capability '%s': %s", *words,
             why ? why : twl_error_message(rc));
    twl_capabilities_close(capabilities);
    return rc;
}

void twl_capabilities_close(twl_capabilities *capabilities)
{
    struct twl__rule *rule, *next;

    if (!capabilities) return;
    for (rule = capabilities->rules; rule; rule = next) {
        next = rule->next;
        capabilities->alloc(capabilities->alloc_context, rule, rule->size, 0);
    }
    pthread_mutex_destroy(&capabilities->learning);
    capabilities->alloc(capabilities->alloc_context, capabilities,
                        sizeof *capabilities, 0);
}

int twl_capabilities_check(const char *const *words, char *error, size_t size)
{
    twl_capabilities *capabilities = NULL;
    int rc =
        twl_capabilities_open(words, NULL, NULL, error, size, &capabilities);

    twl_capabilities_close(capabilities);
    return rc;
}

int twl_capabilities_add_modules(twl_capabilities *capabilities,
                                 const char *directory)
{
    return add_path(capabilities, TWL__PERMIT_MODULES, directory, true);
}

/* ---- Asking ----------------------------------------------------------------------------------- */

bool twl_capabilities_all(const twl_capabilities *capabilities,
                          enum twl_permission permission)
{
    return !capabilities || capabilities->all[permission];
}

bool twl__path_is_in(const char *path, const char *root)
{
    size_t length = strlen(root);

    if (strcmp(root, "/") == 0) return true;
    return strncmp(path, root, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* What is in /proc shows the environment and the memory of processes, and changes it: no rule for
 * more than it is meant for that. */
static bool covers(const twl_capabilities *capabilities, int permission,
                   const char *path)
{
    bool is_proc = twl__path_is_in(path, "/proc");

    if (permission < TWL__PERMISSIONS && capabilities->all[permission] &&
        !is_proc)
        return true;
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission == permission &&
            twl__path_is_in(path, rule->text) &&
            (!is_proc || twl__path_is_in(rule->text, "/proc")))
            return true;
    }
    return false;
}

static bool is_lua(const char *path)
{
    size_t length = strlen(path);

    return length > 4 && strcmp(path + length - 4, ".lua") == 0;
}

static bool covers_module(const twl_capabilities *capabilities,
                          const char *path)
{
    return covers(capabilities, TWL_PERMIT_READ, path) ||
           (is_lua(path) && covers(capabilities, TWL__PERMIT_MODULES, path));
}

static bool covers_all(const twl_capabilities *capabilities, int access,
                       const char *path)
{
    return (!(access & TWL_ACCESS_READ) ||
            covers(capabilities, TWL_PERMIT_READ, path)) &&
           (!(access & TWL_ACCESS_WRITE) ||
            covers(capabilities, TWL_PERMIT_WRITE, path)) &&
           (!(access & TWL_ACCESS_MODULE) || covers_module(capabilities, path));
}

int twl__permit(const twl_capabilities *capabilities, int access,
                const char *path, bool follow, struct twl__place *out)
{
    int rc;

    if (!capabilities) {
        out->directory = AT_FDCWD;
        out->name = path;
        out->plain = false;
        return 0;
    }
    rc = twl__place_find(path, follow, out);
    if (rc == TWL_ENOMEM || rc == -ENAMETOOLONG || !*path) return rc;
    if (covers_all(capabilities, access, out->path)) return rc;
    twl__place_close(out);
    return TWL_EDENIED;
}

int twl_capabilities_path(const twl_capabilities *capabilities, int access,
                          const char *path)
{
    struct twl__place place;
    int rc;

    if (!capabilities) return 0;
    rc = twl__permit(capabilities, access, path, true, &place);
    twl__place_close(&place);
    return rc == TWL_EDENIED || rc == TWL_ENOMEM ? rc : 0;
}

bool twl_capabilities_variable(const twl_capabilities *capabilities,
                               const char *name)
{
    if (twl_capabilities_all(capabilities, TWL_PERMIT_ENV)) return true;
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission == TWL_PERMIT_ENV && strcmp(rule->text, name) == 0)
            return true;
    }
    return false;
}

/* Programs with several names look at the one they were called by: so the name counts, and not
 * what a link of that name leads to. */
static bool may_run(const twl_capabilities *capabilities, const char *path)
{
    if (twl_capabilities_all(capabilities, TWL_PERMIT_RUN)) return true;
    for (const struct twl__rule *rule = capabilities->rules; rule;
         rule = rule->next) {
        if (rule->permission == TWL_PERMIT_RUN && strcmp(rule->text, path) == 0)
            return true;
    }
    return false;
}

int twl_capabilities_program(const twl_capabilities *capabilities,
                             const char *program, const char *search, char *out,
                             size_t size)
{
    char path[PATH_MAX];
    struct twl__place place;
    int rc;

    if (!strchr(program, '/')) {
        if (!find_program(program, search, path)) return TWL_EDENIED;
        program = path;
    }
    rc = twl__place_find(program, false, &place);
    twl__place_close(&place);
    if (rc == TWL_ENOMEM) return rc;
    if (!may_run(capabilities, place.path)) return TWL_EDENIED;
    return snprintf(out, size, "%s", place.path) < (int)size ? 0 : TWL_EINVAL;
}

/* ---- Refusing --------------------------------------------------------------------------------- */

static void write_refusal(char text[TWL_REFUSAL_TEXT], bool writing,
                          const char *asked, const char *true_path)
{
    const char *verb = writing ? "writing" : "reading";
    const char *option = writing ? "write" : "read";

    if (strcmp(asked, true_path) == 0)
        snprintf(text, TWL_REFUSAL_TEXT,
                 "%s %s is not permitted (--allow-%s=%s)", verb, asked, option,
                 asked);
    else
        snprintf(text, TWL_REFUSAL_TEXT,
                 "%s %s, which leads to %s, is not permitted (--allow-%s=%s)",
                 verb, asked, true_path, option, true_path);
}

/* Where a link leads is told only to who may look at the link. */
void twl_capabilities_explain_path(const twl_capabilities *capabilities,
                                   int access, const char *path,
                                   char text[TWL_REFUSAL_TEXT])
{
    char asked[PATH_MAX];
    struct twl__place place;
    const char *true_path = asked;
    bool writing;

    if (twl__place_spell(path, asked) < 0) snprintf(asked, sizeof asked, "?");
    if (covers_all(capabilities, access, asked)) {
        twl__place_find(path, true, &place);
        twl__place_close(&place);
        true_path = place.path;
    }
    writing = access & TWL_ACCESS_WRITE &&
              (!(access & TWL_ACCESS_READ) ||
               covers(capabilities, TWL_PERMIT_READ, true_path));
    write_refusal(text, writing, asked, true_path);
}
