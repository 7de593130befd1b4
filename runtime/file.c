/* SPDX-License-Identifier: MIT
 * file.c -- files by calls that block. Nothing here knows of a reactor; all memory is malloc's,
 * since any thread may call. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "twistlua.h"

enum { FIRST_READ = 64 * 1024, TRIES = 100 };

static int open_file(const char *path, int flags, unsigned mode)
{
    int fd;

    do fd = open(path, flags | O_CLOEXEC, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Close after writing: what the system could not store is told here at the latest. */
static int close_written(int fd, int rc)
{
    if (close(fd) < 0 && rc == 0 && errno != EINTR) rc = -errno;
    return rc;
}

/* ---- Reading ----------------------------------------------------------------- */

struct bytes {
    char *data;
    size_t length, capacity;
};

static int grow(struct bytes *bytes, size_t capacity)
{
    char *data = realloc(bytes->data, capacity);

    if (!data) return TWL_ENOMEM;
    bytes->data = data;
    bytes->capacity = capacity;
    return 0;
}

/* Room for the size that the file says it has and a byte more, which then finds the end. A pipe
 * or a file of /proc says 0. */
static int make_room(int fd, size_t maximum, struct bytes *bytes)
{
    struct stat info;

    if (fstat(fd, &info) < 0) return -errno;
    if (S_ISDIR(info.st_mode)) return -EISDIR;
    if (S_ISREG(info.st_mode) && (uint64_t)info.st_size > maximum)
        return TWL_EFBIG;
    return grow(bytes,
                info.st_size > 0 ? (size_t)info.st_size + 1 : FIRST_READ);
}

static int read_all(int fd, size_t maximum, struct bytes *bytes)
{
    int rc = make_room(fd, maximum, bytes);

    while (rc == 0) {
        ssize_t count = read(fd, bytes->data + bytes->length,
                             bytes->capacity - bytes->length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        if (count == 0) return 0;
        bytes->length += (size_t)count;
        if (bytes->length > maximum) return TWL_EFBIG;
        if (bytes->length == bytes->capacity)
            rc = grow(bytes, bytes->capacity * 2);
    }
    return rc;
}

int twl_file_read(const char *path, size_t maximum, char **bytes,
                  size_t *length)
{
    struct bytes content = {0};
    int fd = open_file(path, O_RDONLY, 0), rc;

    *bytes = NULL;
    *length = 0;
    if (fd < 0) return fd;
    rc = read_all(fd, maximum, &content);
    close(fd);
    if (rc < 0) {
        free(content.data);
        return rc;
    }
    *bytes = content.data;
    *length = content.length;
    return 0;
}

/* ---- Writing ------------------------------------------------------------------ */

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = write(fd, bytes, length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        bytes += count;
        length -= (size_t)count;
    }
    return 0;
}

static int write_in_place(const char *path, const char *bytes, size_t length,
                          unsigned mode, int flags)
{
    int how = O_WRONLY | O_CREAT, fd;

    how |= flags & TWL_FILE_APPEND ? O_APPEND : O_TRUNC;
    if (flags & TWL_FILE_NEW) how |= O_EXCL;
    if ((fd = open_file(path, how, mode)) < 0) return fd;
    return close_written(fd, write_all(fd, bytes, length));
}

/* A file beside [path] that nobody else has; its name in [name]. */
static int open_beside(const char *path, unsigned mode, char *name, size_t size)
{
    int fd = -EEXIST;

    for (unsigned i = 0; i < TRIES && fd == -EEXIST; i++) {
        snprintf(name, size, "%s.%ld-%p-%u.new", path, (long)getpid(),
                 (void *)name, i);
        fd = open_file(name, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    return fd;
}

/* Have the directory of [path] know its new entry also after a loss of power. */
static void sync_directory(char *path)
{
    char *slash = strrchr(path, '/');
    int fd;

    if (slash) slash[slash == path] = '\0';
    fd = open_file(slash ? path : ".", O_RDONLY, 0);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* The file that is replaced hands its mode on. */
static int take_mode(int fd, const char *path)
{
    struct stat info;

    if (stat(path, &info) < 0) return 0;
    return fchmod(fd, info.st_mode & 07777u) < 0 ? -errno : 0;
}

static int write_beside(const char *path, const char *bytes, size_t length,
                        unsigned mode)
{
    size_t size = strlen(path) + 64;
    char *name = malloc(size);
    int fd, rc;

    if (!name) return TWL_ENOMEM;
    if ((rc = fd = open_beside(path, mode, name, size)) < 0) goto done;
    rc = take_mode(fd, path);
    if (rc == 0) rc = write_all(fd, bytes, length);
    if (rc == 0 && fsync(fd) < 0) rc = -errno;
    rc = close_written(fd, rc);
    if (rc == 0 && rename(name, path) < 0) rc = -errno;
    if (rc < 0)
        unlink(name);
    else
        sync_directory(name);
done:
    free(name);
    return rc;
}

int twl_file_write(const char *path, const char *bytes, size_t length,
                   unsigned mode, int flags)
{
    if (!(flags & TWL_FILE_ATOMIC))
        return write_in_place(path, bytes, length, mode, flags);
    if (flags != TWL_FILE_ATOMIC) return TWL_EINVAL;
    return write_beside(path, bytes, length, mode);
}

/* ---- Looking ------------------------------------------------------------------- */

static enum twl_file_type type_of(mode_t mode)
{
    if (S_ISREG(mode)) return TWL_FILE_REGULAR;
    if (S_ISDIR(mode)) return TWL_FILE_DIRECTORY;
    if (S_ISLNK(mode)) return TWL_FILE_LINK;
    return TWL_FILE_OTHER;
}

static double seconds_of(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void describe(const struct stat *info, twl_file_info *out)
{
    out->type = type_of(info->st_mode);
    out->size = (uint64_t)info->st_size;
    out->mode = info->st_mode & 07777u;
    out->owner = info->st_uid;
    out->group = info->st_gid;
    out->inode = info->st_ino;
    out->device = info->st_dev;
    out->links = (unsigned)info->st_nlink;
    out->accessed = seconds_of(info->st_atim);
    out->modified = seconds_of(info->st_mtim);
    out->changed = seconds_of(info->st_ctim);
}

int twl_file_stat(const char *path, bool follow, twl_file_info *out)
{
    struct stat info;

    if ((follow ? stat(path, &info) : lstat(path, &info)) < 0) return -errno;
    describe(&info, out);
    return 0;
}

int twl_file_stat_fd(int fd, twl_file_info *out)
{
    struct stat info;

    if (fstat(fd, &info) < 0) return -errno;
    describe(&info, out);
    return 0;
}

static int add_name(struct bytes *names, const char *name, size_t *count)
{
    size_t size = strlen(name) + 1;
    int rc;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return 0;
    while (names->length + size > names->capacity) {
        rc = grow(names, names->capacity ? names->capacity * 2 : 4096);
        if (rc < 0) return rc;
    }
    memcpy(names->data + names->length, name, size);
    names->length += size;
    (*count)++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sort_names(struct bytes *names, size_t count)
{
    struct bytes sorted = {0};
    const char **each = malloc(count * sizeof *each);
    const char *name = names->data;
    size_t ignored = 0;

    if (!each || grow(&sorted, names->length) < 0) {
        free(each);
        return TWL_ENOMEM;
    }
    for (size_t i = 0; i < count; i++, name += strlen(name) + 1) each[i] = name;
    qsort(each, count, sizeof *each, compare_names);
    for (size_t i = 0; i < count; i++) add_name(&sorted, each[i], &ignored);
    free(each);
    free(names->data);
    *names = sorted;
    return 0;
}

static int read_names(DIR *directory, struct bytes *names, size_t *count)
{
    struct dirent *entry;
    int rc = 0;

    while (rc == 0) {
        errno = 0;
        if (!(entry = readdir(directory))) return -errno;
        rc = add_name(names, entry->d_name, count);
    }
    return rc;
}

int twl_file_list(const char *path, char **names, size_t *length)
{
    struct bytes found = {0};
    size_t count = 0;
    DIR *directory = opendir(path);
    int rc;

    *names = NULL;
    *length = 0;
    if (!directory) return -errno;
    rc = read_names(directory, &found, &count);
    closedir(directory);
    if (rc == 0 && count > 1) rc = sort_names(&found, count);
    if (rc < 0) {
        free(found.data);
        return rc;
    }
    *names = found.data;
    *length = found.length;
    return 0;
}

/* ---- Changing ------------------------------------------------------------------- */

int twl_file_rename(const char *from, const char *to)
{
    return rename(from, to) < 0 ? -errno : 0;
}

int twl_file_remove(const char *path)
{
    return remove(path) < 0 ? -errno : 0;
}

static int make_one(const char *path, unsigned mode, bool may_exist)
{
    struct stat info;

    if (mkdir(path, (mode_t)mode) == 0) return 0;
    if (errno != EEXIST || !may_exist) return -errno;
    if (stat(path, &info) < 0) return -errno;
    return S_ISDIR(info.st_mode) ? 0 : -EEXIST;
}

static int make_parents(char *path)
{
    int rc = 0;

    for (char *slash = path + 1; rc == 0 && (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        rc = make_one(path, 0777, true);
        if (rc == -EEXIST) rc = -ENOTDIR;
        *slash = '/';
    }
    return rc;
}

int twl_file_make_directory(const char *path, unsigned mode, bool parents)
{
    char *copy;
    int rc;

    if (!parents || !*path) return make_one(path, mode, false);
    if (!(copy = strdup(path))) return TWL_ENOMEM;
    rc = make_parents(copy);
    free(copy);
    return rc < 0 ? rc : make_one(path, mode, true);
}
