/* SPDX-License-Identifier: MIT
 * host.c -- a host as others would build it, in C and in C++, in many ways. It says in one line
 * what it was compiled with and what it runs with. */
#include <stdio.h>
#include <twistlua.h>

static const char SCRIPT[] =
    "local reactor = require 'twistlua.reactor'\n"
    "reactor:callLater(0, function() reactor:stop() end)";

/* Initialisers are C++, too. */
static size_t sizes(void)
{
    twl_reactor_config reactor = TWL_REACTOR_CONFIG_INIT;
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

    return reactor.size + listener.size + connector.size + datagram.size +
           tls.size + start.size + resolver.size + lookup.size + limits.size +
           coder.size + workers.size + process.size;
}

static int run(void)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime = NULL;
    int code = twl_runtime_open(&config, &runtime);

    if (code == 0)
        code = twl_runtime_load(runtime, SCRIPT, sizeof SCRIPT - 1, "host");
    if (code == 0) code = twl_runtime_run(runtime);
    twl_runtime_close(runtime);
    return code;
}

int main(void)
{
    int code = sizes() > 0 ? run() : TWL_EINVAL;

    printf("compiled with %s %d, runs with %s %d, %s\n", TWL_VERSION,
           TWL_VERSION_NUMBER, twl_version(), twl_version_number(),
           twl_error_message(code));
    return code != 0;
}
