/* SPDX-License-Identifier: MIT */
/* idle.c -- what a connection that does nothing costs: the server's memory before
 * and after many have connected, each of which has had one message echoed. */
#define _GNU_SOURCE
#include "bench.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MESSAGE = 64, FIRST = 100, SPARE = 64 };

/* They are left open: they end with this process. */
static void open_connections(const struct server *server, unsigned count)
{
    char message[MESSAGE] = {0};

    for (unsigned i = 0; i < count; i++) {
        int fd = connect_to(server, 0);
        send_all(fd, message, sizeof message);
        receive_all(fd, message, sizeof message);
    }
}

static void check_descriptor_limit(unsigned needed)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail("getrlimit");
    if (limit.rlim_cur < needed)
        fail("needs %u descriptors, the limit is %lu", needed,
             (unsigned long)limit.rlim_cur);
}

void run_idle(const struct server *server, const struct options *options)
{
    const useconds_t settle = 300 * 1000;

    check_descriptor_limit(options->connections + FIRST + SPARE);
    open_connections(server, FIRST); /* pays for what is made once */
    usleep(settle);
    double before = server_memory(server);
    open_connections(server, options->connections);
    usleep(settle);
    double after = server_memory(server);

    printf("count=%u bytes=%.0f total=%.0f\n", options->connections,
           (after - before) / options->connections, after);
}
