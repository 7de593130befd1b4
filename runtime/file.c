/* SPDX-License-Identifier: MIT
 * file.c -- files by calls that block. Nothing here knows of a reactor; all memory is malloc's,
 * since any thread may call. Everything happens at a place, which capabilities must permit: where
 * there are none it is the path. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capabilities.h"
#include "file.h"

enum { FIRST_READ = 64 * 1024, TRIES = 100 };

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

static int open_path(const twl_capabilities *capabilities, int access,
                     const char *path, int flags, unsigned mode)
{
    struct twl__place place;
    int fd = twl__permit(capabilities, access, path, true, &place);

    if (fd == 0) fd = twl__place_open(&place, flags, mode);
    twl__place_close(&place);
    return fd;
}

static int read_path(const twl_capabilities *capabilities, int access,
                     const char *path, size_t maximum, char **bytes,
                     size_t *length)
{
    struct bytes content = {0};
    int fd = open_path(capabilities, access, path, O_RDONLY, 0), rc;

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

int twl_file_read(const twl_capabilities *capabilities, const char *path,
                  size_t maximum, char **bytes, size_t *length)
{
    return read_path(capabilities, TWL_ACCESS_READ, path, maximum, bytes,
                     length);
}

int twl_module_read(const twl_capabilities *capabilities, const char *path,
                    size_t maximum, char **bytes, size_t *length)
{
    return read_path(capabilities, TWL_ACCESS_MODULE, path, maximum, bytes,
                     length);
}

/* ---- Writing ------------------------------------------------------------------ */

int twl__file_write_all(int fd, const char *bytes, size_t length)
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

static int write_in_place(const struct twl__place *place, const char *bytes,
                          size_t length, unsigned mode, int flags)
{
    int how = O_WRONLY | O_CREAT, fd;

    how |= flags & TWL_FILE_APPEND ? O_APPEND : O_TRUNC;
    if (flags & TWL_FILE_NEW) how |= O_EXCL;
    if ((fd = twl__place_open(place, how, mode)) < 0) return fd;
    return close_written(fd, twl__file_write_all(fd, bytes, length));
}

/* A file beside [place] that nobody else has; its name in [name]. */
static int open_beside(const struct twl__place *place, unsigned mode,
                       char *name, size_t size)
{
    struct twl__place beside = {place->directory, name, place->plain, ""};
    int fd = -EEXIST;

    for (unsigned i = 0; i < TRIES && fd == -EEXIST; i++) {
        snprintf(name, size, "%s.%ld-%p-%u.new", place->name, (long)getpid(),
                 (void *)name, i);
        fd = twl__place_open(&beside, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    return fd;
}

/* Have the directory of [name] know its new entry also after a loss of power. */
static void sync_directory(int directory, char *name)
{
    char *slash = strrchr(name, '/');
    int fd;

    if (slash) slash[slash == name] = '\0';
    fd = openat(directory, slash ? name : ".", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

/* The file that is replaced hands its mode on. */
static int take_mode(int fd, const struct twl__place *place)
{
    int flags = place->plain ? AT_SYMLINK_NOFOLLOW : 0;
    struct stat info;

    if (fstatat(place->directory, place->name, &info, flags) < 0) return 0;
    return fchmod(fd, info.st_mode & 07777u) < 0 ? -errno : 0;
}

static int write_beside(const struct twl__place *place, const char *bytes,
                        size_t length, unsigned mode)
{
    size_t size = strlen(place->name) + 64;
    int directory = place->directory, fd, rc;
    char *name = malloc(size);

    if (!name) return TWL_ENOMEM;
    if ((rc = fd = open_beside(place, mode, name, size)) < 0) goto done;
    rc = take_mode(fd, place);
    if (rc == 0) rc = twl__file_write_all(fd, bytes, length);
    if (rc == 0 && fsync(fd) < 0) rc = -errno;
    rc = close_written(fd, rc);
    if (rc == 0 && renameat(directory, name, directory, place->name) < 0)
        rc = -errno;
    if (rc < 0)
        unlinkat(directory, name, 0);
    else
        sync_directory(directory, name);
done:
    free(name);
    return rc;
}

int twl_file_write(const twl_capabilities *capabilities, const char *path,
                   const char *bytes, size_t length, unsigned mode, int flags)
{
    struct twl__place place;
    bool beside = flags & TWL_FILE_ATOMIC;
    int rc;

    if (beside && flags != TWL_FILE_ATOMIC) return TWL_EINVAL;
    /* A file that comes from beside takes the place of a link. */
    rc = twl__permit(capabilities, TWL_ACCESS_WRITE, path, !beside, &place);
    if (rc == 0)
        rc = beside ? write_beside(&place, bytes, length, mode)
                    : write_in_place(&place, bytes, length, mode, flags);
    twl__place_close(&place);
    return rc;
}

/* The three that fopen() takes, with "+" and "b" behind them. */
static int flags_of(const char *mode, int *access)
{
    bool both = strchr(mode, '+') != NULL;
    int flags = both ? O_RDWR : O_WRONLY;

    *access = both ? TWL_ACCESS_READ | TWL_ACCESS_WRITE : TWL_ACCESS_WRITE;
    if (*mode == 'w') return flags | O_CREAT | O_TRUNC;
    if (*mode == 'a') return flags | O_CREAT | O_APPEND;
    if (!both) *access = TWL_ACCESS_READ;
    return both ? O_RDWR : O_RDONLY;
}

int twl_file_access(const char *mode)
{
    int access;

    flags_of(mode, &access);
    return access;
}

int twl_file_open(const twl_capabilities *capabilities, const char *path,
                  const char *mode, int *out)
{
    int access, flags = flags_of(mode, &access);
    int fd = open_path(capabilities, access, path, flags, 0666);

    if (fd < 0) return fd;
    *out = fd;
    return 0;
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

int twl_file_stat(const twl_capabilities *capabilities, const char *path,
                  bool follow, twl_file_info *out)
{
    struct twl__place place;
    struct stat info;
    int rc = twl__permit(capabilities, TWL_ACCESS_READ, path, follow, &place);
    int flags = place.plain || !follow ? AT_SYMLINK_NOFOLLOW : 0;

    if (rc == 0 && fstatat(place.directory, place.name, &info, flags) < 0)
        rc = -errno;
    if (rc == 0) describe(&info, out);
    twl__place_close(&place);
    return rc;
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

int twl__directory_open(const twl_capabilities *capabilities, const char *path,
                        DIR **out)
{
    int fd = open_path(capabilities, TWL_ACCESS_READ, path,
                       O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    int rc = fd;

    if (fd < 0) return fd;
    *out = fdopendir(fd);
    if (*out) return 0;
    rc = -errno;
    close(fd);
    return rc;
}

int twl_file_list(const twl_capabilities *capabilities, const char *path,
                  char **names, size_t *length)
{
    struct bytes found = {0};
    size_t count = 0;
    DIR *directory;
    int rc = twl__directory_open(capabilities, path, &directory);

    *names = NULL;
    *length = 0;
    if (rc < 0) return rc;
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

/* Who moves a file can read it afterwards under another name. */
int twl_file_rename(const twl_capabilities *capabilities, const char *from,
                    const char *to)
{
    struct twl__place old, new;
    int rc = twl__permit(capabilities, TWL_ACCESS_READ | TWL_ACCESS_WRITE, from,
                         false, &old);

    if (rc < 0) return rc;
    rc = twl__permit(capabilities, TWL_ACCESS_WRITE, to, false, &new);
    if (rc == 0 &&
        renameat(old.directory, old.name, new.directory, new.name) < 0)
        rc = -errno;
    twl__place_close(&old);
    twl__place_close(&new);
    return rc;
}

int twl_file_remove(const twl_capabilities *capabilities, const char *path)
{
    struct twl__place place;
    int rc = twl__permit(capabilities, TWL_ACCESS_WRITE, path, false, &place);

    if (rc == 0 && unlinkat(place.directory, place.name, 0) < 0) rc = -errno;
    if ((rc == -EISDIR || rc == -EPERM) &&
        unlinkat(place.directory, place.name, AT_REMOVEDIR) == 0)
        rc = 0;
    else if (rc == -EISDIR)
        rc = -errno;
    twl__place_close(&place);
    return rc;
}

static int make_at(const struct twl__place *place, unsigned mode,
                   bool may_exist)
{
    struct stat info;

    if (mkdirat(place->directory, place->name, (mode_t)mode) == 0) return 0;
    if (errno != EEXIST || !may_exist) return -errno;
    if (fstatat(place->directory, place->name, &info, 0) < 0) return -errno;
    return S_ISDIR(info.st_mode) ? 0 : -EEXIST;
}

static int make_one(const twl_capabilities *capabilities, const char *path,
                    unsigned mode, bool may_exist)
{
    struct twl__place place;
    int rc = twl__permit(capabilities, TWL_ACCESS_WRITE, path, false, &place);

    if (rc == 0) rc = make_at(&place, mode, may_exist);
    twl__place_close(&place);
    return rc;
}

/* Above what is permitted, directories are there already, or the next step fails. */
static int make_parents(const twl_capabilities *capabilities, char *path)
{
    int rc = 0;

    for (char *slash = path + 1; rc == 0 && (slash = strchr(slash, '/'));
         slash++) {
        *slash = '\0';
        rc = make_one(capabilities, path, 0777, true);
        if (rc == -EEXIST) rc = -ENOTDIR;
        if (rc == TWL_EDENIED) rc = 0;
        *slash = '/';
    }
    return rc;
}

int twl_file_make_directory(const twl_capabilities *capabilities,
                            const char *path, unsigned mode, bool parents)
{
    char *copy;
    int rc;

    if (!parents || !*path) return make_one(capabilities, path, mode, false);
    if (!(copy = strdup(path))) return TWL_ENOMEM;
    rc = make_parents(capabilities, copy);
    free(copy);
    return rc < 0 ? rc : make_one(capabilities, path, mode, true);
}
