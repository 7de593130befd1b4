/* SPDX-License-Identifier: MIT
 * file_beneath.c -- files below a directory that strangers name: nothing outside it is opened,
 * whatever the name, and whoever moves directories about in the meantime. */
#define _GNU_SOURCE /* O_PATH, syscall */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif

#include "capabilities.h"
#include "file_beneath.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

enum {
    TRIES = 16, /* a rename anywhere makes the kernel unsure of ".." */
    READING = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
    PASSING = O_PATH | O_CLOEXEC | O_DIRECTORY
};

static int open_at(int at, const char *path, int flags)
{
    int fd;

    do fd = openat(at, path, flags);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* ---- Opening ---------------------------------------------------------------------------- */

/* Whether a name in [path] may be "..". */
static bool goes_up(const char *path)
{
    while ((path = strstr(path, ".."))) {
        if (path[2] == '\0' || path[2] == '/') return true;
        path += 2;
    }
    return false;
}

/* One name of the path after the other; [directory] is closed. */
static int walk(int directory, char *path)
{
    char *rest = path;

    for (;;) {
        char *name = rest;
        int next;
        rest = strchr(name, '/');
        if (rest) *rest++ = '\0';
        if (strcmp(name, "..") == 0)
            next = -EXDEV;
        else
            next = open_at(directory, *name ? name : ".",
                           (rest ? PASSING : READING) | O_NOFOLLOW);
        close(directory);
        if (next < 0 || !rest) return next;
        directory = next;
    }
}

int twl__file_walk(const char *root, const char *path)
{
    char *copy = strdup(path);
    int fd;

    if (!copy) return TWL_ENOMEM;
    fd = open_at(AT_FDCWD, root, PASSING);
    if (fd >= 0) fd = walk(fd, copy);
    free(copy);
    return fd;
}

#ifdef SYS_openat2

static int open_resolving(int at, const char *path, uint64_t resolve)
{
    struct open_how how = {.flags = (uint64_t)READING, .resolve = resolve};
    long fd = -1;

    for (int i = 0; i < TRIES; i++) {
        fd = syscall(SYS_openat2, at, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
    }
    return fd < 0 ? -errno : (int)fd;
}

static int open_beneath(const char *root, const char *path)
{
    int directory = open_at(AT_FDCWD, root, PASSING), fd;

    if (directory < 0) return directory;
    fd = open_resolving(directory, path, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    close(directory);
    return fd;
}

/* With neither ".." nor links on its way, a path stays below its beginning: one call is enough.
 * -ELOOP: there is a link, which may be in [root], or something else that takes more. */
static int open_straight(const char *root, const char *path)
{
    size_t first = strlen(root), second = strlen(path) + 1;
    char whole[PATH_MAX];

    if (first == 0 || first + 1 + second > sizeof whole || goes_up(path))
        return -ELOOP;
    memcpy(whole, root, first);
    whole[first] = '/';
    memcpy(whole + first + 1, path, second);
    return open_resolving(AT_FDCWD, whole, RESOLVE_NO_SYMLINKS);
}

static int open_inside(const char *root, const char *path)
{
    int fd = open_straight(root, path);

    if (fd == -ELOOP) fd = open_beneath(root, path);
    /* Without it, or where a sandbox of an older time forbids what it does not know. */
    if (fd == -ENOSYS || fd == -EPERM) return twl__file_walk(root, path);
    return fd;
}

#else

static int open_inside(const char *root, const char *path)
{
    return twl__file_walk(root, path);
}

#endif

static int open_following(const char *root, const char *path)
{
    int directory = open_at(AT_FDCWD, root, PASSING), fd;

    if (directory < 0) return directory;
    fd = open_at(directory, path, READING);
    close(directory);
    return fd;
}

/* ---- With capabilities ------------------------------------------------------------------- */

/* Without following, the true path must be that of [root] and then [path] as it is. */
static int find_beneath(const twl_capabilities *capabilities, const char *root,
                        const char *path, bool follow, struct twl__place *out)
{
    char whole[PATH_MAX], spelled[PATH_MAX];
    int rc;

    if (!follow && goes_up(path)) return -EXDEV;
    if (snprintf(whole, sizeof whole, "%s/%s", root, path) >= PATH_MAX)
        return -ENAMETOOLONG;
    rc = twl__permit(capabilities, TWL_ACCESS_READ, whole, follow, out);
    if (rc < 0 || follow) return rc;
    return twl__place_spell(whole, spelled) == 0 &&
                   strcmp(spelled, out->path) == 0
               ? 0
               : -ELOOP;
}

static int open_permitted(const twl_capabilities *capabilities,
                          const char *root, const char *path, bool follow)
{
    struct twl__place directory = {-1, ".", true, ""}, place = directory;
    int fd = twl__place_find(root, true, &directory);

    if (fd != TWL_ENOMEM && fd != -ENAMETOOLONG)
        fd = find_beneath(capabilities, directory.path, path, follow, &place);
    if (fd == 0) fd = twl__place_open(&place, READING, 0);
    twl__place_close(&directory);
    twl__place_close(&place);
    return fd;
}

int twl_file_open_beneath(const twl_capabilities *capabilities,
                          const char *root, const char *path, bool follow,
                          int *out)
{
    int fd;

    if (*path == '/') return -EXDEV;
    if (capabilities)
        fd = open_permitted(capabilities, root, path, follow || !*path);
    else if (!*path)
        fd = open_at(AT_FDCWD, root, READING);
    else
        fd = follow ? open_following(root, path) : open_inside(root, path);
    if (fd < 0) return fd;
    *out = fd;
    return 0;
}

/* ---- Reading ---------------------------------------------------------------------------- */

int twl_file_read_at(int fd, uint64_t offset, char *bytes, size_t size,
                     size_t *length)
{
    size_t total = 0;

    while (total < size) {
        ssize_t got =
            pread(fd, bytes + total, size - total, (off_t)(offset + total));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        total += (size_t)got;
    }
    *length = total;
    return 0;
}

/* ---- Listing ---------------------------------------------------------------------------- */

static int add_entry(FILE *out, int fd, const char *name, bool follow)
{
    struct stat info;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
    /* What has gone in the meantime is not there. */
    if (fstatat(fd, name, &info, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return 0;
    fprintf(out, "%c%llu:%s", S_ISDIR(info.st_mode) ? 'd' : 'f',
            (unsigned long long)info.st_size, name);
    return putc('\0', out) == EOF ? TWL_ENOMEM : 0;
}

static int add_entries(FILE *out, DIR *directory, bool follow)
{
    struct dirent *entry;
    int rc = 0;

    while (rc == 0) {
        errno = 0;
        if (!(entry = readdir(directory))) return -errno;
        rc = add_entry(out, dirfd(directory), entry->d_name, follow);
    }
    return rc;
}

/* A directory of our own: [fd] has one position for all who read it. */
static DIR *open_again(int fd)
{
    int own = open_at(fd, ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    DIR *directory = own < 0 ? NULL : fdopendir(own);

    if (!directory && own >= 0) close(own);
    return directory;
}

int twl_file_list_fd(int fd, bool follow, char **entries, size_t *length)
{
    DIR *directory = open_again(fd);
    FILE *out;
    int rc;

    *entries = NULL;
    *length = 0;
    if (!directory) return -errno;
    out = open_memstream(entries, length);
    rc = out ? add_entries(out, directory, follow) : TWL_ENOMEM;
    if (out && fclose(out) != 0) rc = TWL_ENOMEM;
    closedir(directory);
    if (rc < 0) {
        free(*entries);
        *entries = NULL;
        *length = 0;
    }
    return rc;
}
