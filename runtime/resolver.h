/* SPDX-License-Identifier: MIT
 * resolver.h -- the parts of the resolver, and what they know of each other.
 *
 * resolver.c  look-ups and the questions that they share: search list, tries, configuration
 * servers.c   asking the name servers once: c-ares, its sockets and time-outs
 * answers.c   what was learnt, kept as long as it is valid
 * hosts.c     what is known without asking: the hosts file, localhost */
#ifndef TWL_RESOLVER_H
#define TWL_RESOLVER_H

#include <ares.h>

#include "reactor.h"

enum {
    TWL__NAME_LENGTH = 253,     /* of a name in text, without the last dot */
    TWL__ANSWER_ADDRESSES = 128 /* what is taken of one answer at most */
};

/* ---- Answers ------------------------------------------------------------------------------ */

/* The addresses of a name, shared by the cache and by those who are being told. */
struct twl_answer {
    unsigned references;
    int code; /* 0, or why there are none */
    enum twl_family family;
    unsigned count;
    unsigned char bytes[][16];
};

/* With one reference. NULL: no memory. */
struct twl_answer *twl__answer_new(twl_reactor *reactor, int code,
                                   enum twl_family family, unsigned count);
void twl__answer_release(twl_reactor *reactor, struct twl_answer *answer);

struct twl__entry;

struct twl__answers {
    twl_reactor *reactor;
    struct twl__link recent; /* entries, the one used last at the end */
    struct twl__entry **buckets;
    unsigned bucket_count; /* a power of two, or 0 */
    unsigned count, capacity;
};

int twl__answers_open(struct twl__answers *answers, twl_reactor *reactor,
                      unsigned capacity);
void twl__answers_clear(struct twl__answers *answers);
void twl__answers_close(struct twl__answers *answers);

/* A new reference to what is known about [name], or NULL. */
struct twl_answer *twl__answers_find(struct twl__answers *answers,
                                     const char *name, enum twl_family family);

/* Keep [answer] for [seconds]. Without memory it is not kept. */
void twl__answers_keep(struct twl__answers *answers, const char *name,
                       struct twl_answer *answer, double seconds);

/* ---- Hosts -------------------------------------------------------------------------------- */

/* What [path], or the name itself, tells: an answer (of a name that is known by another family
 * only, too) in *out; TWL_ENXDOMAIN where that is nothing; or TWL_ENOMEM. */
int twl__hosts_find(twl_reactor *reactor, const char *path, const char *name,
                    enum twl_family family, struct twl_answer **out);

/* ---- The resolver -------------------------------------------------------------------------- */

/* Which file was read: zeros for none. */
struct twl__version {
    uint64_t inode, size;
    int64_t seconds, nanoseconds;
};

struct twl__resolver {
    twl_reactor *reactor;
    char *strings[3]; /* copies of what the configuration points to */
    const char *servers, *resolv_conf, *hosts;
    double ttl_min, ttl_max, negative_ttl_max;

    struct twl__link questions;
    struct twl__answers answers;

    bool ready; /* what follows was read */
    struct ares_options options;
    int option_mask;
    struct ares_addr_port_node *servers_read; /* at least one */
    unsigned server_count;
    struct twl__version version;
    double looked; /* at the version, when */
    struct twl__link channels;
};

/* ---- Servers ------------------------------------------------------------------------------- */

/* A question at the servers. done() is called once, unless it is forgotten, and perhaps inside
 * the call that asks; [answer] is the callee's, NULL with a code that is not about the name. */
struct twl__query;
typedef void (*twl__query_fn)(void *context, int code,
                              struct twl_answer *answer, double ttl);

/* Read the servers and the search list, if they were not or have changed, which clears what
 * was learnt. Returns 0 or a code. */
int twl__servers_refresh(struct twl__resolver *resolver);

struct twl__try {
    const char *name;
    enum twl_family family;
    unsigned server; /* index */
    double timeout;
};

/* *out is set before done() can be called. */
int twl__servers_ask(struct twl__resolver *resolver, const struct twl__try *one,
                     twl__query_fn done, void *context,
                     struct twl__query **out);
void twl__servers_forget(struct twl__query *query);

/* Forget what was read; what is under way goes on. */
void twl__servers_reset(struct twl__resolver *resolver);
void twl__servers_close(struct twl__resolver *resolver);

#endif
