/* SPDX-License-Identifier: MIT
 * inotify.c -- changes of files, which Linux tells by a descriptor, and what is in a directory.
 * The only place that knows of inotify; elsewhere each call says ENOSYS. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capabilities.h"

#ifdef __linux__
#include <sys/inotify.h>

int twl_inotify_open(int *out)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0) return -errno;
    *out = fd;
    return 0;
}

/* The kernel has no call for a name in an open directory, but a path that leads there. */
int twl_inotify_add(int fd, const twl_capabilities *capabilities,
                    const char *path, uint32_t mask)
{
    struct twl__place place;
    char in_place[PATH_MAX + 32];
    int watch, rc = twl__permit(capabilities, TWL_ACCESS_READ, path,
                                !(mask & IN_DONT_FOLLOW), &place);

    if (rc < 0) return rc;
    if (place.plain) {
        snprintf(in_place, sizeof in_place, "/proc/self/fd/%d/%s",
                 place.directory, place.name);
        path = in_place;
        mask |= IN_DONT_FOLLOW;
    }
    watch = inotify_add_watch(fd, path, mask);
    rc = watch < 0 ? -errno : watch;
    twl__place_close(&place);
    return rc;
}

int twl_inotify_remove(int fd, int watch)
{
    return inotify_rm_watch(fd, watch) < 0 ? -errno : 0;
}

size_t twl_inotify_parse(const char *bytes, size_t length,
                         twl_inotify_event *out)
{
    struct inotify_event head;

    if (length < sizeof head) return 0;
    memcpy(&head, bytes, sizeof head);
    if (length - sizeof head < head.len) return 0;
    out->watch = head.wd;
    out->mask = head.mask;
    out->name = bytes + sizeof head;
    out->name_length = strnlen(out->name, head.len);
    return sizeof head + head.len;
}
#else
int twl_inotify_open(int *out)
{
    (void)out;
    return -ENOSYS;
}

int twl_inotify_add(int fd, const twl_capabilities *capabilities,
                    const char *path, uint32_t mask)
{
    (void)fd, (void)capabilities, (void)path, (void)mask;
    return -ENOSYS;
}

int twl_inotify_remove(int fd, int watch)
{
    (void)fd, (void)watch;
    return -ENOSYS;
}

size_t twl_inotify_parse(const char *bytes, size_t length,
                         twl_inotify_event *out)
{
    (void)bytes, (void)length, (void)out;
    return 0;
}
#endif

long twl_inotify_read(int fd, char *buffer, size_t size)
{
    ssize_t got;

    do {
        got = read(fd, buffer, size);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : (long)got;
}

static bool is_directory(DIR *directory, const struct dirent *entry)
{
    struct stat status;

    return fstatat(dirfd(directory), entry->d_name, &status,
                   AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
}

int twl_directory_list(const twl_capabilities *capabilities, const char *path,
                       twl_directory_fn fn, void *context)
{
    const struct dirent *entry;
    DIR *directory;
    int rc = twl__directory_open(capabilities, path, &directory);

    if (rc < 0) return rc;
    while ((entry = readdir(directory))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (!fn(context, entry->d_name, is_directory(directory, entry))) break;
    }
    closedir(directory);
    return 0;
}
