/* SPDX-License-Identifier: MIT
 * place.h -- where a path truly leads: for what must know before it acts. */
#ifndef TWL_PLACE_H
#define TWL_PLACE_H

#include <limits.h>

#include "twistlua.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

/* A name in a directory that is held open, so that nobody can exchange a part of the path between
 * looking and acting. Who acts uses openat() and its like, and follows no link if it is [plain]. */
struct twl__place {
    int directory; /* AT_FDCWD without capabilities, where [name] is the path */
    const char *name;
    bool plain;
    char path[PATH_MAX]; /* where it truly is; only if it is [plain] */
};

/* Find [path], all of whose links are followed: a last one only with [follow]. The last part need
 * not exist. [out->path] is known after an error as well, as far as there is something. */
int twl__place_find(const char *path, bool follow, struct twl__place *out);

/* The same where no file is looked at: only "." and ".." are taken out. */
int twl__place_spell(const char *path, char out[PATH_MAX]);

void twl__place_close(struct twl__place *place);

/* openat() on it, without waiting for signals: a descriptor that no child inherits, or an error. */
int twl__place_open(const struct twl__place *place, int flags, unsigned mode);

#endif
