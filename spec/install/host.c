/* SPDX-License-Identifier: MIT
 * host.c -- a host as others would build it, in C and in C++, in many ways. It says in one line
 * what it was compiled with and what it runs with. */
#include <stdio.h>
#include <stdlib.h>
#include <twistlua.h>

static void on_timer(twl_timer *timer)
{
    twl_reactor_break((twl_reactor *)twl_timer_context(timer));
}

/* Initialisers are C++, too. */
static size_t sizes(void)
{
    twl_listener_config listener = TWL_LISTENER_CONFIG_INIT;
    twl_connector_config connector = TWL_CONNECTOR_CONFIG_INIT;
    twl_datagram_config datagram = TWL_DATAGRAM_CONFIG_INIT;
    twl_tls_config tls = TWL_TLS_CONFIG_INIT;
    twl_tls_start start = TWL_TLS_START_INIT;
    twl_resolver_config resolver = TWL_RESOLVER_CONFIG_INIT;
    twl_lookup_config lookup = TWL_LOOKUP_CONFIG_INIT;
    twl_http1_limits limits = TWL_HTTP1_LIMITS_INIT;
    twl_coder_config coder = TWL_CODER_CONFIG_INIT;
    twl_workers_config workers = TWL_WORKERS_CONFIG_INIT;
    twl_process_config process = TWL_PROCESS_CONFIG_INIT;

    return listener.size + connector.size + datagram.size + tls.size +
           start.size + resolver.size + lookup.size + limits.size + coder.size +
           workers.size + process.size;
}

static int turn(twl_reactor *reactor, void *memory)
{
    twl_timer *timer = (twl_timer *)memory;
    int code;

    if (!memory) return TWL_ENOMEM;
    twl_timer_init(memory, reactor, on_timer, reactor);
    code = twl_timer_start(timer, 0);
    return code == 0 ? twl_reactor_run(reactor) : code;
}

int main(void)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    twl_reactor *reactor = NULL;
    void *memory = malloc(twl_timer_size());
    int code = twl_reactor_open(&config, &reactor);

    if (code == 0 && sizes() > 0) code = turn(reactor, memory);
    twl_reactor_close(reactor);
    free(memory);
    printf("compiled with %s %d, runs with %s %d, %s\n", TWL_VERSION,
           TWL_VERSION_NUMBER, twl_version(), twl_version_number(),
           twl_error_message(code));
    return code != 0;
}
