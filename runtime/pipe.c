/* SPDX-License-Identifier: MIT
 * pipe.c -- one direction of a descriptor that is no socket: pipes, FIFOs, terminals, files.
 *
 *   IDLE -> OPEN -> CLOSING -> CLOSED -> IDLE
 *
 * A writing end hears that its reader has gone as soon as that happens: the kernel tells it as
 * an event on a pipe that nobody could read from. User code is called from on_io and run_job
 * alone, and after each call the state is looked at again. */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buffer.h"
#include "reactor.h"

enum {
    VECTORS = 64,    /* segments in one system call */
    READ_TURNS = 4,  /* full buffers read before the next has its turn */
    DRAIN_TURNS = 16 /* refills by on_drain before the others have theirs */
};

enum state { IDLE, OPEN, CLOSING, CLOSED };

struct twl_pipe {
    struct twl__link link; /* in reactor->pipes until on_closed is called */
    twl_reactor *reactor;
    const twl_pipe_events *events;
    void *context;
    ev_io io;
    twl_job job; /* queued while there is something to write or to tell */
    struct twl__buffer output;
    int reason; /* of CLOSED */
    uint8_t state;
    bool writes;       /* the direction */
    bool paused;       /* reads nothing, by request */
    bool blocked;      /* the kernel takes no more output for now */
    bool hears_reader; /* readable means that the reader has gone */
    bool terminal;     /* a character device: EIO is its way to say end */
    bool made_nonblocking;
    bool held;        /* close waits */
    bool wants_drain; /* on_drain is wanted */
    bool drain_due;   /* the queue ran empty since on_drain */
};

static bool is_alive(const twl_pipe *pipe)
{
    return pipe->state == OPEN || pipe->state == CLOSING;
}

static void update_events(twl_pipe *pipe)
{
    int events = 0;

    if (pipe->writes && is_alive(pipe))
        events =
            (pipe->hears_reader ? EV_READ : 0) | (pipe->blocked ? EV_WRITE : 0);
    else if (pipe->state == OPEN && !pipe->paused)
        events = EV_READ;
    if (ev_is_active(&pipe->io) &&
        (pipe->io.events & (EV_READ | EV_WRITE)) == events)
        return;
    ev_io_stop(pipe->reactor->loop, &pipe->io);
    if (!events) return;
    ev_io_set(&pipe->io, pipe->io.fd, events);
    ev_io_start(pipe->reactor->loop, &pipe->io);
}

static void need_job(twl_pipe *pipe)
{
    twl_reactor_soon(pipe->reactor, &pipe->job);
}

/* ---- Blocking mode, which belongs to the open file and not to the descriptor ----------------- */

static int set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0) return -errno;
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* Standard input and output are often one open file: the one of [pipes] that goes on with it
 * needs it as it was, and takes over the duty. */
static void hand_over(struct twl__link *pipes)
{
    struct twl__link *link = pipes->next;

    for (; link != pipes; link = link->next) {
        twl_pipe *pipe = TWL__CONTAINER(twl_pipe, link, link);
        if (!is_alive(pipe) || (fcntl(pipe->io.fd, F_GETFL) & O_NONBLOCK))
            continue;
        pipe->made_nonblocking = true;
        set_blocking(pipe->io.fd, false);
        return;
    }
}

static void give_up(int fd)
{
    int nothing =
        fd <= STDERR_FILENO ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

    if (nothing < 0 || dup2(nothing, fd) < 0) twl_fd_close(fd);
    twl_fd_close(nothing);
}

/* Give up the descriptor; on_closed becomes a job. */
static void finish(twl_pipe *pipe, int reason)
{
    struct twl__buffer queue = pipe->output;
    int fd = pipe->io.fd;

    if (!is_alive(pipe)) return;
    pipe->state = CLOSED;
    pipe->reason = reason;
    update_events(pipe);
    if (pipe->made_nonblocking) {
        set_blocking(fd, true);
        hand_over(&pipe->reactor->pipes);
    }
    give_up(fd);
    pipe->io.fd = -1;
    memset(&pipe->output, 0, sizeof pipe->output);
    need_job(pipe);
    twl__buffer_clear(pipe->reactor, &queue);
}

/* ---- Writing ------------------------------------------------------------------------------------ */

static bool is_pending(int number)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, number) == 1;
}

/* writev() without SIGPIPE, whose handling is the host's: it is blocked in this thread for the
 * moment, and taken back if the call raised it. */
static ssize_t write_quietly(int fd, const struct iovec *vectors, int count)
{
    sigset_t only, before;
    int number, error;

    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &only, &before);
    bool other = sigismember(&before, SIGPIPE) == 1 && is_pending(SIGPIPE);
    ssize_t written = writev(fd, vectors, count);
    error = errno;
    if (written < 0 && error == EPIPE && !other && is_pending(SIGPIPE))
        sigwait(&only, &number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return written;
}

/* Hand the queue to the kernel. Leaves it empty, or blocked, or the pipe CLOSED. */
static void write_queue(twl_pipe *pipe)
{
    struct iovec vectors[VECTORS];

    pipe->blocked = false;
    while (pipe->output.length > 0) {
        int count = twl__buffer_peek(&pipe->output, vectors, VECTORS);
        ssize_t written = write_quietly(pipe->io.fd, vectors, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno != EAGAIN) {
            finish(pipe, -errno);
            return;
        }
        pipe->blocked = written < 0;
        if (pipe->blocked) break;
        twl__buffer_consume(pipe->reactor, &pipe->output, (size_t)written);
        if (pipe->output.length == 0) pipe->drain_due = true;
    }
    update_events(pipe);
}

/* Write, then do what was waiting for an empty queue. */
static void flush(twl_pipe *pipe)
{
    for (int turn = 0; turn < DRAIN_TURNS; turn++) {
        write_queue(pipe);
        if (!is_alive(pipe) || pipe->output.length > 0) return;
        if (pipe->wants_drain && pipe->drain_due) {
            pipe->drain_due = false;
            pipe->events->on_drain(pipe);
        }
        if (!is_alive(pipe)) return;
        if (pipe->output.length > 0) continue;
        if (pipe->state == CLOSING && !pipe->held) finish(pipe, TWL_EEOF);
        return;
    }
    need_job(pipe);
}

/* ---- Reading ------------------------------------------------------------------------------------- */

static void receive(twl_pipe *pipe)
{
    char *buffer = twl__read_buffer(pipe->reactor);

    if (!buffer) {
        finish(pipe, TWL_ENOMEM);
        return;
    }
    for (int turn = 0; turn < READ_TURNS; turn++) {
        if (pipe->state != OPEN || pipe->paused) return;
        ssize_t got = read(pipe->io.fd, buffer, TWL__READ_SIZE);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got == 0 || (got < 0 && errno == EIO && pipe->terminal))
            finish(pipe, TWL_EEOF);
        else if (got < 0)
            finish(pipe, -errno);
        else
            pipe->events->on_read(pipe, buffer, (size_t)got);
        if (got < TWL__READ_SIZE) return;
    }
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    twl_pipe *pipe = io->data;
    (void)loop;

    if (!pipe->writes)
        receive(pipe);
    else if (pipe->hears_reader && (events & EV_READ))
        finish(pipe, -EPIPE);
    else
        flush(pipe);
}

static void run_job(twl_job *job)
{
    twl_pipe *pipe = TWL__CONTAINER(twl_pipe, job, job);

    if (pipe->state != CLOSED) {
        /* While the kernel is full, only its own word makes us try again. */
        if (!pipe->blocked) flush(pipe);
        return;
    }
    twl__unlink(&pipe->link);
    pipe->state = IDLE;
    pipe->events->on_closed(pipe, pipe->reason);
}

/* ---- The interface ----------------------------------------------------------------------------- */

size_t twl_pipe_size(void)
{
    return sizeof(twl_pipe);
}

void twl_pipe_init(void *memory, twl_reactor *reactor,
                   const twl_pipe_events *events, void *context)
{
    twl_pipe *pipe = memory;

    memset(pipe, 0, sizeof *pipe);
    pipe->reactor = reactor;
    pipe->events = events;
    pipe->context = context;
    pipe->job.run = run_job;
    ev_io_init(&pipe->io, on_io, -1, 0);
    pipe->io.data = pipe;
}

void *twl_pipe_context(const twl_pipe *pipe)
{
    return pipe->context;
}

int twl_pipe_open(twl_pipe *pipe, int fd, int direction)
{
    struct stat status;
    int flags = fcntl(fd, F_GETFL);

    if (direction != TWL_READ && direction != TWL_WRITE) return TWL_EINVAL;
    if (pipe->state != IDLE) return TWL_EBUSY;
    if (flags < 0 || fstat(fd, &status) < 0) return -errno;
    if ((flags & O_ACCMODE) == (direction == TWL_READ ? O_WRONLY : O_RDONLY))
        return -EBADF;
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    pipe->state = OPEN;
    pipe->io.fd = fd;
    pipe->writes = direction == TWL_WRITE;
    pipe->paused = true;
    pipe->terminal = S_ISCHR(status.st_mode);
    pipe->hears_reader =
        S_ISFIFO(status.st_mode) && (flags & O_ACCMODE) == O_WRONLY;
    pipe->made_nonblocking = !(flags & O_NONBLOCK);
    pipe->blocked = pipe->held = pipe->wants_drain = false;
    twl__watches_forget(pipe->reactor, fd);
    twl__list_append(&pipe->reactor->pipes, &pipe->link);
    update_events(pipe);
    return 0;
}

void twl_pipe_resume(twl_pipe *pipe)
{
    pipe->paused = false;
    update_events(pipe);
}

void twl_pipe_pause(twl_pipe *pipe)
{
    pipe->paused = true;
    update_events(pipe);
}

int twl_pipe_write(twl_pipe *pipe, const char *bytes, size_t length)
{
    int rc;

    if (!pipe->writes || length == 0) return 0;
    if (pipe->state != OPEN && !(pipe->state == CLOSING && pipe->held))
        return 0;
    rc = twl__buffer_copy(pipe->reactor, &pipe->output, bytes, length);
    if (rc == 0) need_job(pipe);
    return rc;
}

size_t twl_pipe_pending(const twl_pipe *pipe)
{
    return pipe->output.length;
}

void twl_pipe_notify_drain(twl_pipe *pipe, bool wanted)
{
    if (!is_alive(pipe)) return;
    pipe->wants_drain = wanted;
    pipe->drain_due = pipe->output.length == 0;
    if (wanted && pipe->drain_due) need_job(pipe);
}

void twl_pipe_hold(twl_pipe *pipe, bool held)
{
    pipe->held = held;
    if (!held && is_alive(pipe)) need_job(pipe);
}

void twl_pipe_close(twl_pipe *pipe)
{
    if (pipe->state != OPEN) return;
    pipe->state = CLOSING;
    update_events(pipe);
    need_job(pipe);
}

void twl_pipe_abort(twl_pipe *pipe, int reason)
{
    finish(pipe, reason);
}

bool twl_pipe_is_open(const twl_pipe *pipe)
{
    return pipe->state == OPEN;
}

bool twl_pipe_closing(const twl_pipe *pipe)
{
    return pipe->state == CLOSING;
}

int twl_pipe_fd(const twl_pipe *pipe)
{
    return pipe->io.fd;
}

void twl__pipes_close(twl_reactor *reactor)
{
    while (!twl__list_empty(&reactor->pipes)) {
        twl_pipe *pipe = TWL__CONTAINER(twl_pipe, link, reactor->pipes.next);
        finish(pipe, TWL_EEOF);
        twl_job_cancel(&pipe->job);
        twl__unlink(&pipe->link);
    }
}

/* ---- Descriptors ------------------------------------------------------------------------------- */

int twl_fd_duplicate(int fd, int *out)
{
    *out = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return *out < 0 ? -errno : 0;
}

static int pipe_new(int fds[2])
{
#ifdef __linux__
    return pipe2(fds, O_CLOEXEC);
#else
    if (pipe(fds) < 0) return -1;
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    fcntl(fds[1], F_SETFD, FD_CLOEXEC);
    return 0;
#endif
}

int twl_pipe_pair(int direction, int *ours, int *theirs)
{
    int fds[2];

    if (direction != TWL_READ && direction != TWL_WRITE) return TWL_EINVAL;
    if (pipe_new(fds) < 0) return -errno;
    *ours = fds[direction == TWL_WRITE];
    *theirs = fds[direction == TWL_READ];
    fcntl(*ours, F_SETFL, O_NONBLOCK); /* with no other flags to keep */
    return 0;
}
