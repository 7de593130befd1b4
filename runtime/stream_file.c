/* SPDX-License-Identifier: MIT
 * stream_file.c -- parts of files in the output queue of a stream.
 * The kernel sends them from its cache. Before each piece the file is looked at: a body whose
 * length was announced must not be filled up with bytes of something else. */
#define _GNU_SOURCE /* pthread_sigmask, sigtimedwait */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sendfile.h>
#endif

#include "reactor.h"
#include "socket.h"
#include "stream.h"

enum { PIECE = 2 * 1024 * 1024 /* before the next connection has its turn */ };

/* ---- The system call -------------------------------------------------------------------- */

#ifdef __linux__

static bool sigpipe_is_pending(void)
{
    sigset_t pending;

    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* sendfile() has no MSG_NOSIGNAL, and a library must not take the host's signal over: it is
 * blocked for the thread, and the one that the call itself raised is taken away. It raises one also
 * where some bytes had been sent before the end of the connection was noticed. */
long twl__socket_send_file(int fd, int file, uint64_t offset, size_t length)
{
    const struct timespec now = {0, 0};
    off_t from = (off_t)offset;
    sigset_t pipe, before;
    ssize_t sent;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    do sent = sendfile(fd, file, &from, length);
    while (sent < 0 && errno == EINTR);
    long result = sent < 0 ? twl__socket_error() : (long)sent;
    bool full = result == TWL__AGAIN || (size_t)result == length;
    if (!full && sigismember(&before, SIGPIPE) == 0 && sigpipe_is_pending())
        sigtimedwait(&pipe, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

#else

enum { SLICE = 16 * 1024 };

long twl__socket_send_file(int fd, int file, uint64_t offset, size_t length)
{
    char bytes[SLICE];
    ssize_t got, sent;

    do got = pread(file, bytes, length < SLICE ? length : SLICE, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return got < 0 ? -errno : 0;
    do sent = send(fd, bytes, (size_t)got, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? twl__socket_error() : (long)sent;
}

#endif

/* ---- Sending ---------------------------------------------------------------------------- */

/* A file that is appended to while it is sent, such as a log, has not changed. Once in a turn is
 * enough: most files are queued and sent in one. */
static bool was_changed(struct twl__file_segment *file, double now)
{
    twl_file_info info;

    if (file->looked == now) return false;
    file->looked = now;
    if (twl_file_stat_fd(file->fd, &info) < 0) return true;
    if (info.size < file->offset + file->base.length) return true;
    return info.size <= file->size && info.modified > file->modified;
}

long twl__stream_send_file(twl_stream *stream)
{
    struct twl__file_segment *file = twl__buffer_file(&stream->output);
    size_t left = file->base.length - file->base.sent;
    long sent;

    if (was_changed(file, twl__reactor_turn(stream->reactor)))
        return TWL_ECHANGED;
    sent = twl__socket_send_file(stream->io.fd, file->fd,
                                 file->offset + file->base.sent,
                                 left < PIECE ? left : PIECE);
    return sent == 0 ? TWL_ECHANGED : sent;
}

static bool has_part(const twl_file_info *info, uint64_t offset,
                     uint64_t length)
{
    return info->type == TWL_FILE_REGULAR && offset <= info->size &&
           length <= info->size - offset;
}

static int queue(twl_stream *stream, int fd, const twl_file_info *known,
                 uint64_t offset, uint64_t length, twl_release_fn release,
                 void *token)
{
    struct twl__file_segment *segment;
    twl_file_info info;
    int rc;

    if (stream->layer) return TWL_ENOTSUP;
    if (!known && (rc = twl_file_stat_fd(fd, &info)) < 0) return rc;
    if (!known) known = &info;
    if (!has_part(known, offset, length)) return TWL_EINVAL;
    segment = twl__alloc(stream->reactor, sizeof *segment);
    if (!segment) return TWL_ENOMEM;
    *segment = (struct twl__file_segment){
        .base = {.length = (size_t)length,
                 .size = sizeof *segment,
                 .release = release,
                 .context = stream->context,
                 .token = token},
        .fd = fd,
        .offset = offset,
        .size = known->size,
        .modified = known->modified,
        .looked = twl__reactor_turn(stream->reactor),
    };
    twl__buffer_append(&stream->output, &segment->base);
    return 0;
}

int twl_stream_write_file(twl_stream *stream, int fd,
                          const twl_file_info *known, uint64_t offset,
                          uint64_t length, twl_release_fn release, void *token)
{
    int rc = 0;

    if (twl__stream_accepts_output(stream) && length > 0) {
        rc = queue(stream, fd, known, offset, length, release, token);
        if (rc == 0) return twl__stream_added(stream, 0);
    }
    release(stream->context, token);
    return rc;
}

size_t twl_stream_buffered(const twl_stream *stream)
{
    if (stream->state == TWL__CLOSED) return 0;
    return twl_stream_pending(stream) - stream->output.in_files;
}
