/* SPDX-License-Identifier: MIT */
/* main.c -- load MODE [-s seconds] [-w warm-up] [-c connections] [-b bytes] -- server...
 * Starts the server on one processor, loads it from another, and prints one line
 * of what was counted, the seconds that took, and the processor time it cost. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whatever hangs, the run ends: SIGALRM ends this process, and the server with it. */
enum { DEADLINE = 120 };

struct mode {
    const char *name;
    void (*run)(const struct server *server, const struct options *options);
    struct options defaults;
};

static const struct mode modes[] = {
    {"echo", run_echo, {0.5, 0.2, 50, 64}},
    {"stream", run_stream, {0.5, 0.2, 4, 0}},
    {"churn", run_churn, {0.5, 0.2, 32, 64}},
    {"idle", run_idle, {0, 0, 8000, 64}},
    {"lines", run_lines, {0.5, 0, 1, 50u << 20}},
    {"udp", run_udp, {0.5, 0.2, 50, 64}},
    {"netstrings", run_netstrings, {0.5, 0, 1, 50u << 20}},
    {"tls-echo", run_tls_echo, {0.5, 0.2, 50, 64}},
    {"tls-full", run_tls_full, {0.5, 0.1, 1, 1}},
    {"tls-resumed", run_tls_resumed, {0.5, 0.1, 1, 1}},
    {"tls12-full", run_tls12_full, {0.5, 0.1, 1, 1}},
    {"tls12-resumed", run_tls12_resumed, {0.5, 0.1, 1, 1}},
    {"tls-idle", run_tls_idle, {0, 0, 2000, 64}},
    {"ws-echo", run_ws_echo, {0.5, 0.2, 50, 64}},
    {"ws-large", run_ws_echo, {1, 0.3, 4, 1u << 20}},
    {"ws-idle", run_ws_idle, {0, 0, 8000, 64}},
    {"raw-echo", run_raw_echo, {0.5, 0.2, 50, 64}},
    {"raw-large", run_raw_echo, {1, 0.3, 4, 1u << 20}},
};

static _Noreturn void usage(void)
{
    fputs("usage: load MODE [-s seconds] [-w warm-up] [-c connections] [-b "
          "bytes] -- server...\n"
          "modes: echo stream churn idle lines udp netstrings\n"
          "       tls-echo tls-full tls-resumed tls12-full tls12-resumed tls-idle\n"
          "       ws-echo ws-large ws-idle raw-echo raw-large\n",
          stderr);
    exit(2);
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, name) == 0) return &modes[i];
    usage();
}

static void read_options(struct options *options, int argc, char *argv[])
{
    int letter;

    while ((letter = getopt(argc, argv, "+s:w:c:b:")) != -1) {
        switch (letter) {
        case 's': options->seconds = atof(optarg); break;
        case 'w': options->warm_up = atof(optarg); break;
        case 'c': options->connections = (unsigned)atoi(optarg); break;
        case 'b': options->bytes = (size_t)atoll(optarg); break;
        default: usage();
        }
    }
}

int main(int argc, char *argv[])
{
    if (argc < 3) usage();

    const struct mode *mode = find_mode(argv[1]);
    struct options options = mode->defaults;
    read_options(&options, argc - 1, argv + 1);
    char **command = argv + 1 + optind;
    if (!*command) usage();

    struct server server;
    alarm(DEADLINE);
    server_start(&server, command);
    pin_to_cpu(LOAD_CPU);
    errno = 0;
    mode->run(&server, &options);
    server_stop(&server);
    return 0;
}
