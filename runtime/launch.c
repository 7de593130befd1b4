/* SPDX-License-Identifier: MIT
 * launch.c -- the making of a child, by clone(CLONE_VM | CLONE_VFORK).
 * The child shares our memory and this thread stands still until it runs its program or has
 * failed. So a launch costs the same however large we are, and the child reports by a store.
 * Between clone and exec it calls nothing that allocates, locks, or remembers: everything is
 * laid out before. posix_spawn() works the same way, but knows neither users nor terminals. */
#define _GNU_SOURCE /* clone, getgrouplist */
#include "launch.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reactor.h"

/* The sanitizers keep accounts of stacks and frames; the child's are not ours. */
#if defined(__GNUC__)
#define IN_CHILD __attribute__((no_sanitize("address", "undefined")))
#else
#define IN_CHILD
#endif

enum { STACK_SIZE = 64 * 1024, SIGNALS = 65, MAX_GROUPS = 1024 };

extern char **environ;

struct launch {
    const twl_process_config *config;
    twl_child_fd *fds; /* ours to change, ordered by the child's numbers */
    int free_fd;       /* above all of the child's numbers */
    char *path;        /* room for a directory and the name */
    bool switches;     /* to another user or group */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
    /* The child's word when it failed. */
    int error;
    const char *step;
};

/* ---- In the child ------------------------------------------------------------------------------- */

/* The C library's functions would change all threads of the process, and that is us. */
#ifdef __linux__
#ifdef SYS_setresuid32
#define SET_GROUPS SYS_setgroups32
#define SET_GID SYS_setresgid32
#define SET_UID SYS_setresuid32
#else
#define SET_GROUPS SYS_setgroups
#define SET_GID SYS_setresgid
#define SET_UID SYS_setresuid
#endif
IN_CHILD static bool become(const struct launch *launch)
{
    return syscall(SET_GROUPS, launch->group_count, launch->groups) == 0 &&
           syscall(SET_GID, launch->gid, launch->gid, launch->gid) == 0 &&
           syscall(SET_UID, launch->uid, launch->uid, launch->uid) == 0;
}
#else
static bool become(const struct launch *launch)
{
    return setgroups(launch->group_count, launch->groups) == 0 &&
           setgid(launch->gid) == 0 && setuid(launch->uid) == 0;
}
#endif

/* A handler of ours must not run here, once signals are unblocked; and an ignored signal would
 * stay ignored in the program. */
IN_CHILD static void reset_signals(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < SIGNALS; number++)
        sigaction(number, &action,
                  NULL); /* refused for some: those are as they are */
}

IN_CHILD static void unblock_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

IN_CHILD static void close_range_of(int first, int last)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0) == 0)
        return;
#endif
    if (last == INT32_MAX) last = (int)sysconf(_SC_OPEN_MAX) - 1;
    for (int fd = first; fd <= last; fd++) close(fd);
}

/* Put each descriptor in its place. Those that stand where another one belongs move out of the
 * way first. */
IN_CHILD static bool place_descriptors(const struct launch *launch)
{
    size_t count = launch->config->fd_count;
    twl_child_fd *fds = launch->fds;
    int next = 0;

    for (size_t i = 0; i < count; i++) {
        if (fds[i].parent == fds[i].child || fds[i].parent >= launch->free_fd)
            continue;
        fds[i].parent = fcntl(fds[i].parent, F_DUPFD_CLOEXEC, launch->free_fd);
        if (fds[i].parent < 0) return false;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = fds[i].parent == fds[i].child
                     ? fcntl(fds[i].child, F_SETFD, 0)
                     : dup2(fds[i].parent, fds[i].child);
        if (rc < 0) return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (fds[i].child > next) close_range_of(next, fds[i].child - 1);
        next = fds[i].child + 1;
    }
    close_range_of(next, INT32_MAX);
    return true;
}

/* Look for the program in all directories; the error is that of the one that had it but would
 * not let us, if any. */
IN_CHILD static void search(const struct launch *launch,
                            char *const *environment)
{
    const twl_process_config *config = launch->config;
    const char *from = config->search;
    int error = ENOENT;

    for (;;) {
        const char *end = from;
        char *to = launch->path;
        while (*end != ':' && *end != '\0') end++;
        for (const char *at = from; at < end; at++) *to++ = *at;
        if (end > from) *to++ = '/'; /* an empty one is where we are */
        for (const char *at = config->executable; *at; at++) *to++ = *at;
        *to = '\0';
        execve(launch->path, config->arguments, environment);
        if (errno == EACCES)
            error = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return;
        if (*end == '\0') break;
        from = end + 1;
    }
    errno = error;
}

IN_CHILD static const char *prepare(const struct launch *launch)
{
    const twl_process_config *config = launch->config;

    reset_signals();
    if (config->terminal >= 0) {
        if (setsid() < 0) return "setsid";
        if (ioctl(config->terminal, TIOCSCTTY, 0) < 0) return "terminal";
    }
    if (!place_descriptors(launch)) return "descriptors";
    if (config->directory && chdir(config->directory) < 0) return "chdir";
    if (launch->switches && !become(launch)) return "user";
    unblock_signals();
    return NULL;
}

IN_CHILD static int run_child(void *argument)
{
    struct launch *launch = argument;
    const twl_process_config *config = launch->config;
    char *const *environment =
        config->environment ? config->environment : environ;

    launch->step = prepare(launch);
    if (!launch->step) {
        launch->step = "exec";
        if (launch->path)
            search(launch, environment);
        else
            execve(config->executable, config->arguments, environment);
    }
    launch->error = errno;
    return 127;
}

/* ---- In the parent ----------------------------------------------------------------------------- */

#ifdef __linux__
static pid_t start(struct launch *launch, char *stack, int *pidfd)
{
    /* Kernels before 5.2 leave *pidfd as it is. */
    return clone(run_child, stack + STACK_SIZE,
                 CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, pidfd);
}
#else
static pid_t start(struct launch *launch, char *stack, int *pidfd)
{
    pid_t pid = vfork();
    (void)stack;
    (void)pidfd;

    if (pid == 0) _Exit(run_child(launch));
    return pid;
}
#endif

static int compare_fds(const void *a, const void *b)
{
    return ((const twl_child_fd *)a)->child - ((const twl_child_fd *)b)->child;
}

static void order_fds(struct launch *launch)
{
    size_t count = launch->config->fd_count;

    if (count == 0) return;
    memcpy(launch->fds, launch->config->fds, count * sizeof *launch->fds);
    qsort(launch->fds, count, sizeof *launch->fds, compare_fds);
    launch->free_fd = launch->fds[count - 1].child + 1;
}

/* Nothing is to be changed, and no right to change anything is needed, for what we are. */
static int find_user(struct launch *launch)
{
    const twl_process_config *config = launch->config;
    struct passwd entry, *found = NULL;
    char text[4096];

    launch->uid = config->uid < 0 ? geteuid() : (uid_t)config->uid;
    launch->gid = config->gid < 0 ? getegid() : (gid_t)config->gid;
    launch->switches = launch->uid != getuid() || launch->uid != geteuid() ||
                       launch->gid != getgid() || launch->gid != getegid();
    if (config->uid < 0 && config->gid < 0) launch->switches = false;
    if (!launch->switches) return 0;
    getpwuid_r(launch->uid, &entry, text, sizeof text, &found);
    if (!found) {
        launch->groups[0] = launch->gid;
        launch->group_count = 1;
        return 0;
    }
    launch->group_count = MAX_GROUPS;
    return getgrouplist(found->pw_name, launch->gid, launch->groups,
                        &launch->group_count) < 0
               ? TWL_EINVAL
               : 0;
}

static int launch_now(struct launch *launch, char *stack, pid_t *pid,
                      int *pidfd)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *pidfd = -1;
    launch->step = "fork";
    *pid = start(launch, stack, pidfd);
    error = *pid < 0 ? errno : launch->error;
    if (error && *pid > 0) {
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) continue;
        twl_fd_close(*pidfd);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static int check(const twl_process_config *config)
{
    if (!config->executable || !config->arguments) return TWL_EINVAL;
    for (size_t i = 0; i < config->fd_count; i++) {
        if (config->fds[i].child < 0 || config->fds[i].parent < 0)
            return TWL_EINVAL;
    }
    return 0;
}

int twl__launch(twl_reactor *reactor, const twl_process_config *config,
                pid_t *pid, int *pidfd, const char **step)
{
    struct launch launch = {.config = config, .step = "arguments"};
    bool searches = config->search && config->executable &&
                    !strchr(config->executable, '/');
    size_t path_size =
        searches ? strlen(config->search) + strlen(config->executable) + 2 : 0;
    size_t groups_size = MAX_GROUPS * sizeof *launch.groups;
    size_t fds_size = config->fd_count * sizeof *launch.fds;
    size_t size = STACK_SIZE + groups_size + fds_size + path_size;
    char *block = NULL;
    int rc = check(config);

    /* The stack grows down, away from the rest. */
    if (rc == 0 && !(block = twl__alloc(reactor, size))) rc = TWL_ENOMEM;
    if (rc == 0) {
        launch.groups = (gid_t *)(void *)(block + STACK_SIZE);
        launch.fds = (twl_child_fd *)(void *)(block + STACK_SIZE + groups_size);
        if (searches) launch.path = block + size - path_size;
        order_fds(&launch);
        launch.step = "user";
        rc = find_user(&launch);
    }
    if (rc == 0) rc = launch_now(&launch, block, pid, pidfd);
    twl__free(reactor, block, size);
    if (step) *step = launch.step;
    return rc;
}
