/* SPDX-License-Identifier: MIT
 * buffer.c -- the output queue of a stream.
 * Small writes are copied together into segments of one size, which the reactor keeps for
 * reuse, so that an idle stream owns no buffer and a busy one does not call the allocator.
 * Invariant: no segment of a queue is fully sent; length is the sum of what is left. */
#include "buffer.h"

#include <string.h>
#include <sys/uio.h>

#include "reactor.h"

enum { SEGMENT_SIZE = 4096, KEPT_SEGMENTS = 64 };

static struct twl__segment *segment_new(twl_reactor *reactor, size_t size)
{
    struct twl__segment *segment = reactor->free_segments;

    if (size <= SEGMENT_SIZE && segment) {
        reactor->free_segments = segment->next;
        reactor->free_segment_count--;
        return segment;
    }
    if (size < SEGMENT_SIZE) size = SEGMENT_SIZE;
    segment = twl__alloc(reactor, size);
    if (segment) segment->size = size;
    return segment;
}

static void segment_free(twl_reactor *reactor, struct twl__segment *segment)
{
    if (segment->release) segment->release(segment->context, segment->token);
    if (segment->size == SEGMENT_SIZE &&
        reactor->free_segment_count < KEPT_SEGMENTS) {
        segment->next = reactor->free_segments;
        reactor->free_segments = segment;
        reactor->free_segment_count++;
        return;
    }
    twl__free(reactor, segment, segment->size);
}

static void append(struct twl__buffer *buffer, struct twl__segment *segment)
{
    segment->next = NULL;
    if (buffer->last)
        buffer->last->next = segment;
    else
        buffer->first = segment;
    buffer->last = segment;
}

void twl__buffer_append(struct twl__buffer *buffer,
                        struct twl__segment *segment)
{
    append(buffer, segment);
    buffer->length += segment->length;
    if (!segment->bytes) buffer->in_files += segment->length;
}

static char *room(const struct twl__segment *segment)
{
    return (char *)(uintptr_t)segment->bytes + segment->length;
}

static size_t room_left(const struct twl__segment *segment)
{
    if (segment->release) return 0;
    return segment->size - sizeof *segment - segment->length;
}

int twl__buffer_copy(twl_reactor *reactor, struct twl__buffer *buffer,
                     const char *bytes, size_t length)
{
    struct twl__segment *last = buffer->last;

    if (length == 0) return 0;
    if (!last || room_left(last) < length) {
        last = segment_new(reactor, sizeof *last + length);
        if (!last) return TWL_ENOMEM;
        last->bytes = (const char *)(last + 1);
        last->length = last->sent = 0;
        last->release = NULL;
        append(buffer, last);
    }
    memcpy(room(last), bytes, length);
    last->length += length;
    buffer->length += length;
    return 0;
}

int twl__buffer_hold(twl_reactor *reactor, struct twl__buffer *buffer,
                     const char *bytes, size_t length, twl_release_fn release,
                     void *context, void *token)
{
    struct twl__segment *segment = twl__alloc(reactor, sizeof *segment);

    if (!segment) return TWL_ENOMEM;
    *segment = (struct twl__segment){.bytes = bytes,
                                     .length = length,
                                     .size = sizeof *segment,
                                     .release = release,
                                     .context = context,
                                     .token = token};
    twl__buffer_append(buffer, segment);
    return 0;
}

struct twl__file_segment *twl__buffer_file(const struct twl__buffer *buffer)
{
    if (!buffer->first || buffer->first->bytes) return NULL;
    return (struct twl__file_segment *)(void *)buffer->first;
}

int twl__buffer_peek(const struct twl__buffer *buffer, struct iovec *vectors,
                     int max)
{
    int count = 0;

    for (struct twl__segment *segment = buffer->first;
         segment && segment->bytes && count < max; segment = segment->next) {
        vectors[count].iov_base =
            (char *)(uintptr_t)segment->bytes + segment->sent;
        vectors[count++].iov_len = segment->length - segment->sent;
    }
    return count;
}

/* Take up to [length] bytes off [segment]; returns how many. */
static size_t take(struct twl__buffer *buffer, struct twl__segment *segment,
                   size_t length)
{
    size_t left = segment->length - segment->sent;

    if (length > left) length = left;
    segment->sent += length;
    buffer->length -= length;
    if (!segment->bytes) buffer->in_files -= length;
    return length;
}

/* Take [length] bytes off the front; returns the segments that are done, the rest stays. */
static struct twl__segment *take_done(struct twl__buffer *buffer, size_t length)
{
    struct twl__segment *done = buffer->first, **end = &done;

    while (length > 0) {
        length -= take(buffer, *end, length);
        if ((*end)->sent < (*end)->length) break;
        end = &(*end)->next;
    }
    buffer->first = *end;
    if (!buffer->first) buffer->last = NULL;
    *end = NULL;
    return done;
}

void twl__buffer_consume(twl_reactor *reactor, struct twl__buffer *buffer,
                         size_t length)
{
    struct twl__segment *done = take_done(buffer, length);

    /* A release may write, or end the stream: the queue is not looked at any more. */
    while (done) {
        struct twl__segment *next = done->next;
        segment_free(reactor, done);
        done = next;
    }
}

void twl__buffer_clear(twl_reactor *reactor, struct twl__buffer *buffer)
{
    twl__buffer_consume(reactor, buffer, buffer->length);
}

void twl__segments_close(twl_reactor *reactor)
{
    while (reactor->free_segments) {
        struct twl__segment *segment = reactor->free_segments;
        reactor->free_segments = segment->next;
        twl__free(reactor, segment, segment->size);
    }
    reactor->free_segment_count = 0;
}
