/* SPDX-License-Identifier: MIT
 * capabilities.h -- the rules of a sandbox: for capabilities*.c and for what asks them. */
#ifndef TWL_CAPABILITIES_H
#define TWL_CAPABILITIES_H

#include <dirent.h>
#include <pthread.h>

#include "place.h"
#include "twistlua.h"

enum {
    TWL__PERMISSIONS = TWL_PERMIT_ENV + 1,
    TWL__PERMIT_MODULES = TWL__PERMISSIONS, /* of a rule that no word makes */
    TWL__LEARNED = 32, /* addresses of a name that are kept */
    TWL__ANY_PORT = -1
};

enum twl__net_kind {
    TWL__NET_HOSTS,
    TWL__NET_RANGE,
    TWL__NET_NAME,
    TWL__NET_UNIX
};

struct twl__rule {
    struct twl__rule *next;
    size_t size;
    int permission;
    /* Of TWL_PERMIT_NET. IPv4 addresses are kept as IPv6 has them. */
    enum twl__net_kind kind;
    int port;
    unsigned bits; /* of a range */
    unsigned char bytes[16];
    unsigned learned; /* how many addresses a name had so far */
    unsigned char addresses[TWL__LEARNED][16];
    char text[]; /* a path, a name; "" of TWL__NET_UNIX: all of them */
};

struct twl_capabilities {
    twl_alloc_fn alloc;
    void *alloc_context;
    bool all[TWL__PERMISSIONS];
    struct twl__rule *rules;
    pthread_mutex_t learning; /* guards what is learned */
};

/* A rule with a copy of [text], in the list. NULL: no memory. */
struct twl__rule *twl__rule_new(twl_capabilities *capabilities, int permission,
                                const char *text);

/* Add a rule for what stands behind "net=". *why says what is wrong with it. */
int twl__rule_of_net(twl_capabilities *capabilities, const char *value,
                     const char **why);

/* Whether [path] is [root] or below it. */
bool twl__path_is_in(const char *path, const char *root);

/* As twl__place_find(), or without capabilities [path] as it is; TWL_EDENIED. */
int twl__permit(const twl_capabilities *capabilities, int access,
                const char *path, bool follow, struct twl__place *out);

/* opendir() for what is permitted. */
int twl__directory_open(const twl_capabilities *capabilities, const char *path,
                        DIR **out);

#endif
