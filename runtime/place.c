/* SPDX-License-Identifier: MIT
 * place.c -- paths, walked part by part as the kernel walks them: each directory is opened in the
 * one before it, without following, and each link is read and followed here. So the true path is
 * known, and the directory that was reached is the one that it names; magic links of /proc are
 * mere text. */
#define _GNU_SOURCE /* O_PATH */
#include "place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

enum {
    LINKS_MAX = 40, /* as the kernel */
    PASSING = O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW
};

struct walk {
    struct twl__place *place;
    size_t length;         /* of place->path; 0 is the root */
    char rest[PATH_MAX];   /* what is still to be walked */
    char target[PATH_MAX]; /* of a link */
    char *at;              /* in rest */
    int links;
};

static int open_directory(int at, const char *name)
{
    int fd;

    do fd = openat(at, name, PASSING);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* ---- The true path ------------------------------------------------------------------------ */

static int append(char path[PATH_MAX], size_t *length, const char *name)
{
    size_t size = strlen(name);

    if (*length + 1 + size >= PATH_MAX) return -ENAMETOOLONG;
    path[*length] = '/';
    memcpy(path + *length + 1, name, size + 1);
    *length += 1 + size;
    return 0;
}

static void cut(char path[PATH_MAX], size_t *length)
{
    while (*length > 0 && path[*length - 1] != '/') --*length;
    if (*length > 0) --*length;
    path[*length] = '\0';
}

/* The next part of [*at], cut off there; NULL at the end. */
static char *next_part(char **at)
{
    char *name = *at + strspn(*at, "/");
    size_t length = strcspn(name, "/");

    if (length == 0) return NULL;
    *at = name + length;
    if (**at) *(*at)++ = '\0';
    return name;
}

/* Add what is left as it is spelled. */
static int spell(char path[PATH_MAX], size_t *length, char *rest)
{
    const char *name;
    int rc = 0;

    while (rc == 0 && (name = next_part(&rest))) {
        if (strcmp(name, "..") == 0)
            cut(path, length);
        else if (strcmp(name, ".") != 0)
            rc = append(path, length, name);
    }
    if (*length == 0) memcpy(path, "/", 2);
    return rc;
}

/* [path] from the root on. */
static int copy_path(const char *path, char out[PATH_MAX])
{
    size_t length = 0, size = strlen(path);

    if (size == 0) return -ENOENT;
    if (*path != '/') {
        if (!getcwd(out, PATH_MAX)) return -errno;
        length = strlen(out);
        if (length < PATH_MAX) out[length++] = '/';
    }
    if (length + size >= PATH_MAX) return -ENAMETOOLONG;
    memcpy(out + length, path, size + 1);
    return 0;
}

int twl__place_spell(const char *path, char out[PATH_MAX])
{
    char rest[PATH_MAX];
    size_t length = 0;
    int rc = copy_path(path, rest);

    out[0] = '\0';
    return rc < 0 ? rc : spell(out, &length, rest);
}

/* ---- Walking -------------------------------------------------------------------------------- */

static int enter(struct walk *walk, int fd)
{
    if (fd < 0) return fd;
    twl_fd_close(walk->place->directory);
    walk->place->directory = fd;
    return 0;
}

static int enter_root(struct walk *walk)
{
    walk->length = 0;
    walk->place->path[0] = '\0';
    return enter(walk, open_directory(AT_FDCWD, "/"));
}

/* Down from the root again: the parent that the directory has by now may be another than the one
 * that we came by. */
static int go_up(struct walk *walk)
{
    char path[PATH_MAX], *at = path;
    const char *name;
    size_t length = walk->length;
    int rc;

    memcpy(path, walk->place->path, length + 1);
    cut(path, &length);
    if ((rc = enter_root(walk)) < 0) return rc;
    while ((name = next_part(&at))) {
        rc = enter(walk, open_directory(walk->place->directory, name));
        if (rc == 0) rc = append(walk->place->path, &walk->length, name);
        if (rc < 0) return rc;
    }
    return 0;
}

static int go_down(struct walk *walk, const char *name)
{
    int rc = enter(walk, open_directory(walk->place->directory, name));
    int appended = append(walk->place->path, &walk->length, name);

    return rc < 0 ? rc : appended;
}

/* Walk the link's target, then the rest. */
static int follow_link(struct walk *walk, size_t length)
{
    size_t rest = strlen(walk->at);

    if (++walk->links > LINKS_MAX) return -ELOOP;
    if (length + 1 + rest >= PATH_MAX) return -ENAMETOOLONG;
    memmove(walk->rest + length + 1, walk->at, rest + 1);
    memcpy(walk->rest, walk->target, length);
    walk->rest[length] = '/';
    walk->at = walk->rest;
    return walk->target[0] == '/' ? enter_root(walk) : 0;
}

/* Whether nothing is left. A slash behind a name means what a link leads to. */
static bool is_last(const struct walk *walk, const char *name, bool *slash)
{
    *slash = walk->at > name + strlen(name);
    return walk->at[strspn(walk->at, "/")] == '\0';
}

static int finish(struct walk *walk, const char *name)
{
    int rc = append(walk->place->path, &walk->length, name);

    walk->place->name = walk->place->path + walk->length - strlen(name);
    return rc;
}

/* Returns 1 when the place is found, 0 to go on. */
static int step(struct walk *walk, const char *name, bool follow)
{
    bool slash, last = is_last(walk, name, &slash);
    ssize_t length;
    int rc;

    if (strcmp(name, ".") == 0) return 0;
    if (strcmp(name, "..") == 0) return go_up(walk);
    length = readlinkat(walk->place->directory, name, walk->target,
                        sizeof walk->target - 1);
    if (length >= 0 && (!last || follow || slash)) {
        walk->target[length] = '\0';
        return follow_link(walk, (size_t)length);
    }
    if (!last) return go_down(walk, name);
    rc = finish(walk, name);
    return rc < 0 ? rc : 1;
}

static int walk_path(struct walk *walk, bool follow)
{
    const char *name;
    int rc = enter_root(walk);

    while (rc == 0 && (name = next_part(&walk->at)))
        rc = step(walk, name, follow);
    if (rc == 0) walk->place->name = "."; /* the directory itself */
    if (rc == 0 && walk->length == 0) memcpy(walk->place->path, "/", 2);
    if (rc < 0) spell(walk->place->path, &walk->length, walk->at);
    return rc < 0 ? rc : 0;
}

int twl__place_find(const char *path, bool follow, struct twl__place *out)
{
    struct walk *walk = malloc(sizeof *walk);
    int rc = walk ? copy_path(path, walk->rest) : TWL_ENOMEM;

    out->directory = -1;
    out->name = ".";
    out->plain = true;
    out->path[0] = '\0';
    if (rc == 0) {
        walk->place = out;
        walk->at = walk->rest;
        walk->links = 0;
        rc = walk_path(walk, follow);
    }
    free(walk);
    if (rc < 0) twl__place_close(out);
    return rc;
}

void twl__place_close(struct twl__place *place)
{
    if (place->plain) twl_fd_close(place->directory);
    place->directory = -1;
}

int twl__place_open(const struct twl__place *place, int flags, unsigned mode)
{
    int fd;

    if (place->plain) flags |= O_NOFOLLOW;
    do
        fd = openat(place->directory, place->name, flags | O_CLOEXEC,
                    (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}
