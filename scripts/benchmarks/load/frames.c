/* SPDX-License-Identifier: MIT */
/* frames.c -- one long stream of lines or netstrings to a server that splits and
 * counts them. A last frame, END, asks it for the count, which must be right. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE = 60, NETSTRING = 65536, BLOCK = 1 << 20 };

/* A block of whole frames, sent again and again. */
struct block {
    char *bytes;
    size_t length;
    unsigned frames;
};

static struct block make_block(const char *frame, size_t length)
{
    struct block block = {.frames = (unsigned)(BLOCK / length) + 1};

    block.length = block.frames * length;
    block.bytes = malloc(block.length);
    if (!block.bytes) fail("out of memory");
    for (unsigned i = 0; i < block.frames; i++)
        memcpy(block.bytes + i * length, frame, length);
    return block;
}

/* The number in the answer "COUNT\r\n" or "LENGTH:COUNT,". */
static unsigned long long read_count(int fd)
{
    char answer[64];
    size_t length = 0;

    while (length < sizeof answer - 1) {
        receive_all(fd, answer + length, 1);
        if (answer[length] == '\n' || answer[length] == ',') break;
        length++;
    }
    answer[length] = '\0';
    const char *colon = strchr(answer, ':');
    return strtoull(colon ? colon + 1 : answer, NULL, 10);
}

/* Returns how many frames were sent and counted. */
static unsigned long long send_stream(const struct server *server,
                                      const struct block *block, size_t bytes,
                                      const char *end)
{
    unsigned long long frames = 0;
    int fd = connect_to(server, 0);

    for (size_t sent = 0; sent < bytes; sent += block->length) {
        send_all(fd, block->bytes, block->length);
        frames += block->frames;
    }
    send_all(fd, end, strlen(end));

    unsigned long long counted = read_count(fd);
    errno = 0;
    if (counted != frames)
        fail("sent %llu frames, the server counted %llu", frames, counted);
    close(fd);
    return frames;
}

/* Whole streams, one after the other until the time is over. */
static void run_frames(const struct server *server, const struct block *block,
                       const struct options *options, const char *end)
{
    unsigned long long frames = 0;

    send_stream(server, block, options->bytes / 16, end); /* warms up */
    struct tally tally = tally_start(server);
    do frames += send_stream(server, block, options->bytes, end);
    while (now() < tally.wall + options->seconds);
    tally_stop(&tally, server);

    printf("count=%llu wall=%.6f cpu=%.6f\n", frames, tally.wall, tally.cpu);
    free(block->bytes);
}

void run_lines(const struct server *server, const struct options *options)
{
    char line[LINE + 2];

    memset(line, 'x', LINE);
    memcpy(line + LINE, "\r\n", 2);
    struct block block = make_block(line, sizeof line);
    run_frames(server, &block, options, "END\r\n");
}

void run_netstrings(const struct server *server, const struct options *options)
{
    static char netstring[NETSTRING + 16];
    size_t head = (size_t)sprintf(netstring, "%d:", NETSTRING);

    memset(netstring + head, 'x', NETSTRING);
    netstring[head + NETSTRING] = ',';
    struct block block = make_block(netstring, head + NETSTRING + 1);
    run_frames(server, &block, options, "3:END,");
}
