/* SPDX-License-Identifier: MIT
 * channels.c -- runtimes on threads of their own, which work at what comes through a channel. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <twistlua.h>

enum { WORKERS = 3, JOBS = 12 };

struct channels {
    twl_channel *jobs, *results;
};

static const char SCRIPT[] =
    "local channel = require 'twistlua.channel'\n"
    "local defer   = require 'twistlua.defer'\n"
    "local jobs, results = channel.get 'jobs', channel.get 'results'\n"
    "defer.run(function()\n"
    "  while true do\n"
    "    local job = defer.await(jobs:receive())\n"
    "    defer.await(results:send(job * job))\n"
    "  end\n"
    "end):addErrback(function(failure)\n"
    "  failure:trap(require('twistlua.error').ChannelClosed)\n"
    "end)\n";

static void *work(void *context)
{
    struct channels *channels = context;
    twl_runtime *runtime;

    if (twl_runtime_open(NULL, &runtime) < 0) return NULL;
    twl_runtime_share(runtime, "jobs", channels->jobs);
    twl_runtime_share(runtime, "results", channels->results);
    twl_runtime_load(runtime, SCRIPT, strlen(SCRIPT), "worker");
    while (twl_runtime_alive(runtime)) /* it waits for a job, or for room */
        twl_runtime_step(runtime, 60., 0.);
    twl_runtime_close(runtime);
    return NULL;
}

/* The next result, whichever runtime it is from. */
static long long receive(twl_channel *results)
{
    twl_message *message;
    long long result;

    if (twl_channel_receive(results, INFINITY, &message) < 0) return 0;
    result = twl_message_value(message).as.integer;
    twl_message_free(message);
    return result;
}

int main(void)
{
    struct channels channels;
    pthread_t threads[WORKERS];
    long long sum = 0;

    if (twl_channel_open(NULL, &channels.jobs) < 0 ||
        twl_channel_open(NULL, &channels.results) < 0)
        return 2;
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, &channels);
    for (int i = 1; i <= JOBS; i++)
        twl_channel_send(channels.jobs, twl_integer(i), INFINITY);
    twl_channel_close(channels.jobs); /* what was sent is still received */
    for (int i = 1; i <= JOBS; i++) sum += receive(channels.results);
    printf("the squares of 1 to %d make %lld\n", JOBS, sum);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    twl_channel_release(channels.jobs);
    twl_channel_release(channels.results);
    return 0;
}
