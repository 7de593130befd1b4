/* SPDX-License-Identifier: MIT
 * buffer.h -- bytes on their way out: a queue of segments. */
#ifndef TWL_BUFFER_H
#define TWL_BUFFER_H

#include "twistlua.h"

struct iovec;

/* Copied bytes lie behind the header; held ones are the host's until released. */
struct twl__segment {
    struct twl__segment *next;
    const char *bytes; /* NULL: of a file */
    size_t length, sent;
    size_t size; /* of the whole block; 0 capacity left for held ones */
    twl_release_fn release; /* NULL: copied */
    void *context, *token;
};

struct twl__buffer {
    struct twl__segment *first, *last;
    size_t length;   /* unsent bytes in all segments */
    size_t in_files; /* those of them that are not in memory */
};

/* A part of a file, and what the file was like when it was queued. */
struct twl__file_segment {
    struct twl__segment base;
    int fd; /* the host's until released */
    uint64_t offset;
    uint64_t size;
    double modified;
    double looked; /* the turn in which that was so */
};

int twl__buffer_copy(twl_reactor *reactor, struct twl__buffer *buffer,
                     const char *bytes, size_t length);
int twl__buffer_hold(twl_reactor *reactor, struct twl__buffer *buffer,
                     const char *bytes, size_t length, twl_release_fn release,
                     void *context, void *token);

/* Append a filled-in segment that twl__alloc made. */
void twl__buffer_append(struct twl__buffer *buffer,
                        struct twl__segment *segment);

/* The part of a file that is at the front, or NULL. */
struct twl__file_segment *twl__buffer_file(const struct twl__buffer *buffer);

/* Describe the front of the queue, up to a file, in at most [max] entries; returns how many. */
int twl__buffer_peek(const struct twl__buffer *buffer, struct iovec *vectors,
                     int max);

/* Drop [length] bytes from the front, releasing what is done. */
void twl__buffer_consume(twl_reactor *reactor, struct twl__buffer *buffer,
                         size_t length);
void twl__buffer_clear(twl_reactor *reactor, struct twl__buffer *buffer);

void twl__segments_close(twl_reactor *reactor);

#endif
