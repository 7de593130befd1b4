/* SPDX-License-Identifier: MIT
 * process.c -- children: started, signalled, and waited for one by one.
 * A child's end is a readable pidfd. Never is there a waitpid(-1): the children that a host has
 * besides are its own. Two cases are without a pidfd: a kernel that has none, where SIGCHLD
 * makes us ask for each of our children; and libev's default loop, which collects all children
 * of the process by itself and passes on what it saw.
 * Invariant: a process is in reactor->processes exactly while its child was not waited for. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"
#include "launch.h"
#include "reactor.h"

struct twl_process {
    struct twl__link link;
    twl_reactor *reactor;
    twl_process_fn fn;
    void *context;
    pid_t pid; /* 0: none, or waited for */
    int pidfd; /* -1: none */
    ev_io io;
    ev_child child; /* on libev's default loop */
};

static void forget(twl_process *process)
{
    twl_reactor *reactor = process->reactor;

    ev_io_stop(reactor->loop, &process->io);
    ev_child_stop(reactor->loop, &process->child);
    twl_fd_close(process->pidfd);
    process->pidfd = -1;
    process->pid = 0;
    twl__unlink(&process->link);
}

/* [status] is waitpid()'s, or -1 if somebody else had it. */
static void end(twl_process *process, int status)
{
    twl_exit how = {-1, 0, status};

    if (status != -1 && WIFEXITED(status)) how.code = WEXITSTATUS(status);
    if (status != -1 && WIFSIGNALED(status)) how.signal = WTERMSIG(status);
    forget(process);
    process->fn(process, &how);
}

static void ask(twl_process *process)
{
    int status;
    pid_t pid = waitpid(process->pid, &status, WNOHANG);

    if (pid > 0)
        end(process, status);
    else if (pid < 0 && errno == ECHILD)
        end(process, -1);
}

static void on_pidfd(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop;
    (void)events;
    ask(io->data);
}

static void on_child(struct ev_loop *loop, ev_child *child, int events)
{
    (void)loop;
    (void)events;
    end(child->data, child->rstatus);
}

static void unhear_children(twl_reactor *reactor)
{
    if (reactor->child_ended && twl__list_empty(&reactor->processes))
        twl_signal_stop(reactor->child_ended);
}

static void on_child_ended(twl_signal *taken)
{
    twl_reactor *reactor = twl_signal_context(taken);
    struct twl__link due;

    /* Each is asked once, whatever their functions start meanwhile. */
    twl__list_move(&reactor->processes, &due);
    while (!twl__list_empty(&due)) {
        struct twl__link *link = due.next;
        twl__unlink(link);
        twl__list_append(&reactor->processes, link);
        ask(TWL__CONTAINER(twl_process, link, link));
    }
    unhear_children(reactor);
}

/* ---- Without pidfds -------------------------------------------------------------------------- */

static bool has_pidfd(twl_reactor *reactor)
{
#if defined(__linux__) && defined(SYS_pidfd_open)
    if (reactor->pidfd == TWL__PIDFD_UNKNOWN) {
        int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
        if (fd >= 0) reactor->pidfd = TWL__PIDFD;
        if (fd < 0 && errno != EMFILE && errno != ENFILE)
            reactor->pidfd = TWL__NO_PIDFD;
        twl_fd_close(fd);
    }
    return reactor->pidfd != TWL__NO_PIDFD;
#else
    (void)reactor;
    return false;
#endif
}

/* Before the child is there: its end must not go by unseen. */
static int hear_children(twl_reactor *reactor)
{
    if (ev_is_default_loop(reactor->loop) || has_pidfd(reactor)) return 0;
    if (!reactor->child_ended) {
        reactor->child_ended = twl__alloc(reactor, twl_signal_size());
        if (!reactor->child_ended) return TWL_ENOMEM;
        twl_signal_init(reactor->child_ended, reactor, SIGCHLD, on_child_ended,
                        reactor);
    }
    return twl_signal_start(reactor->child_ended);
}

static void hear(twl_process *process)
{
    struct ev_loop *loop = process->reactor->loop;

    if (ev_is_default_loop(loop)) {
        ev_child_set(&process->child, process->pid, 0);
        ev_child_start(loop, &process->child);
    } else if (process->pidfd >= 0) {
        twl__watches_forget(process->reactor, process->pidfd);
        ev_io_set(&process->io, process->pidfd, EV_READ);
        ev_io_start(loop, &process->io);
    }
}

/* ---- The interface ----------------------------------------------------------------------------- */

size_t twl_process_size(void)
{
    return sizeof(twl_process);
}

void twl_process_init(void *memory, twl_reactor *reactor, twl_process_fn fn,
                      void *context)
{
    twl_process *process = memory;

    memset(process, 0, sizeof *process);
    process->reactor = reactor;
    process->fn = fn;
    process->context = context;
    process->pidfd = -1;
    ev_io_init(&process->io, on_pidfd, -1, EV_READ);
    process->io.data = process;
    ev_child_init(&process->child, on_child, 0, 0);
    process->child.data = process;
}

void *twl_process_context(const twl_process *process)
{
    return process->context;
}

int twl_process_spawn(twl_process *process, const twl_process_config *config,
                      const char **step)
{
    twl_reactor *reactor = process->reactor;
    twl_process_config own = TWL_PROCESS_CONFIG_INIT;
    pid_t pid;
    int pidfd, rc;

    if (process->pid) return TWL_EBUSY;
    if (step) *step = "config";
    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    if (step) *step = "SIGCHLD";
    if ((rc = hear_children(reactor)) < 0) return rc;
    rc = twl__launch(reactor, &own, &pid, &pidfd, step);
    if (rc < 0) {
        unhear_children(reactor);
        return rc;
    }
    if (reactor->pidfd == TWL__NO_PIDFD) { /* ... that can be watched */
        twl_fd_close(pidfd);
        pidfd = -1;
    }
    process->pid = pid;
    process->pidfd = pidfd;
    twl__list_append(&reactor->processes, &process->link);
    hear(process);
    return 0;
}

int twl_process_signal(twl_process *process, int number)
{
    int rc;

    if (!process->pid) return -ESRCH;
#if defined(__linux__) && defined(SYS_pidfd_send_signal)
    /* A host that ignores SIGCHLD has no zombies: the number alone may be another's. */
    if (process->pidfd >= 0)
        rc = (int)syscall(SYS_pidfd_send_signal, process->pidfd, number, NULL,
                          0);
    else
#endif
        rc = kill(process->pid, number);
    return rc < 0 ? -errno : 0;
}

long twl_process_pid(const twl_process *process)
{
    return process->pid;
}

void twl__processes_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->processes))
        forget(TWL__CONTAINER(twl_process, link, reactor->processes.next));
    unhear_children(reactor);
    twl__free(reactor, reactor->child_ended, twl_signal_size());
    reactor->child_ended = NULL;
}
