/* SPDX-License-Identifier: MIT
 * resolver.c -- look-ups of the addresses of names.
 *
 * All look-ups of one name and family, with the same time-outs, wait for one question. It goes
 * through the search list; for each candidate it asks the servers, one after the other, until
 * one knows, with the first time-out; then, if any of them was silent, with the next. What
 * happens to it elsewhere is only noted: its job goes on, or tells the look-ups, so that no
 * function is called inside the call that asked.
 * Invariant: a question is in resolver->questions until it is told, and has look-ups waiting;
 * it has a query, or its job is queued. */
#include "resolver.h"

#include <math.h>
#include <string.h>

#include "abi.h"

enum { NAME_SIZE = TWL__NAME_LENGTH + 2 }; /* the last dot, NUL */

static const double NEGATIVE_TTL = 10.; /* where the server does not say */

struct question {
    struct twl__link link;
    struct twl__link lookups; /* that wait for it */
    twl_job job;
    struct twl__resolver *resolver;
    struct twl__query *query; /* NULL: not asking */
    struct twl_answer *answer;
    int code;
    bool over;    /* [code] is the outcome, whatever is left to ask */
    bool telling; /* its job is on the stack */
    bool fresh;   /* the answer is not in the cache */
    bool exists;  /* a candidate has addresses of the other family only */
    bool silent;  /* a server did not answer in this round */
    int candidate, round;
    unsigned server;
    double ttl;
    twl_lookup_config asked;
    char name[NAME_SIZE]; /* lower case */
};

struct twl_lookup {
    struct twl__link link; /* question->lookups */
    twl_reactor *reactor;
    twl_lookup_fn fn;
    void *context;
    struct question *question;
};

/* ---- Configuration -------------------------------------------------------------------------- */

static int copy_string(twl_reactor *reactor, const char *text, char **out)
{
    size_t size = text ? strlen(text) + 1 : 0;

    *out = NULL;
    if (!text) return 0;
    *out = twl__alloc(reactor, size);
    if (!*out) return TWL_ENOMEM;
    memcpy(*out, text, size);
    return 0;
}

static void free_strings(twl_reactor *reactor, char *strings[3])
{
    for (int i = 0; i < 3; i++) {
        if (strings[i]) twl__free(reactor, strings[i], strlen(strings[i]) + 1);
    }
}

/* Whether c-ares takes the list. */
static int check_servers(const char *servers)
{
    ares_channel channel;
    int status;

    if (!servers) return 0;
    if (!*servers) return TWL_EINVAL;
    if (ares_init(&channel) != ARES_SUCCESS) return TWL_ENOMEM;
    status = ares_set_servers_ports_csv(channel, servers);
    ares_destroy(channel);
    if (status == ARES_ENOMEM) return TWL_ENOMEM;
    return status == ARES_SUCCESS ? 0 : TWL_EINVAL;
}

static struct twl__resolver *open_resolver(twl_reactor *reactor)
{
    struct twl__resolver *resolver = twl__alloc(reactor, sizeof *resolver);

    if (!resolver) return NULL;
    memset(resolver, 0, sizeof *resolver);
    resolver->reactor = reactor;
    twl__list_init(&resolver->questions);
    twl__list_init(&resolver->channels);
    twl__answers_open(&resolver->answers, reactor, 0);
    reactor->resolver = resolver;
    return resolver;
}

int twl_resolver_configure(twl_reactor *reactor,
                           const twl_resolver_config *config)
{
    struct twl__resolver *resolver = reactor->resolver;
    struct twl__answers answers = {0};
    twl_resolver_config own = TWL_RESOLVER_CONFIG_INIT;
    char *strings[3] = {NULL, NULL, NULL};
    int rc;

    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    config = &own;
    if (!(config->ttl_min >= 0.) || !(config->ttl_max >= config->ttl_min) ||
        !(config->negative_ttl_max >= 0.))
        return TWL_EINVAL;
    if ((rc = check_servers(config->servers)) < 0) return rc;
    if ((rc = copy_string(reactor, config->servers, &strings[0])) < 0 ||
        (rc = copy_string(reactor, config->resolv_conf, &strings[1])) < 0 ||
        (rc = copy_string(reactor, config->hosts, &strings[2])) < 0 ||
        (rc = twl__answers_open(&answers, reactor, config->cache_size)) < 0)
        goto failed;
    if (!resolver && !(resolver = open_resolver(reactor))) {
        twl__answers_close(&answers);
        rc = TWL_ENOMEM;
        goto failed;
    }
    twl__servers_reset(resolver);
    twl__answers_close(&resolver->answers);
    free_strings(reactor, resolver->strings);
    memcpy(resolver->strings, strings, sizeof strings);
    resolver->servers = strings[0];
    resolver->resolv_conf = strings[1] ? strings[1] : "/etc/resolv.conf";
    resolver->hosts = strings[2] ? strings[2] : "/etc/hosts";
    resolver->ttl_min = config->ttl_min;
    resolver->ttl_max = config->ttl_max;
    resolver->negative_ttl_max = config->negative_ttl_max;
    resolver->answers = answers;
    twl__list_init(&resolver->answers.recent); /* it was copied, empty */
    return 0;
failed:
    free_strings(reactor, strings);
    return rc;
}

static int ensure_resolver(twl_reactor *reactor)
{
    return reactor->resolver ? 0 : twl_resolver_configure(reactor, NULL);
}

/* ---- Questions ------------------------------------------------------------------------------- */

static void free_question(struct question *question)
{
    twl_reactor *reactor = question->resolver->reactor;

    if (question->query) twl__servers_forget(question->query);
    twl_job_cancel(&question->job);
    twl__unlink(&question->link);
    twl__answer_release(reactor, question->answer);
    twl__free(reactor, question, sizeof *question);
}

/* Candidate number [index] of the search list (resolv.conf(5)) in [out], or false: no more. A
 * name with enough dots is tried as it stands before the domains, another one after them. */
static bool candidate(const struct question *question, int index,
                      char out[NAME_SIZE])
{
    const struct ares_options *options = &question->resolver->options;
    size_t length = strlen(question->name);
    bool absolute = question->name[length - 1] == '.';
    int domains = absolute ? 0 : options->ndomains, dots = 0, plain;
    const char *domain;

    for (size_t i = 0; i < length; i++) dots += question->name[i] == '.';
    plain = dots >= options->ndots ? 0 : domains; /* its place in the list */
    if (absolute) length--;
    memcpy(out, question->name, length);
    out[length] = '\0';
    if (index > domains) return false;
    if (index == plain) return true;
    domain = options->domains[index > plain ? index - 1 : index];
    if (length + 1 + strlen(domain) > TWL__NAME_LENGTH) return true;
    out[length] = '.';
    memcpy(out + length + 1, domain, strlen(domain) + 1);
    return true;
}

static void end(struct question *question, int code)
{
    question->code = code;
    question->over = true;
}

static void note_answer(void *context, int code, struct twl_answer *answer,
                        double ttl)
{
    struct question *question = context;

    question->query = NULL;
    question->code = code;
    twl__answer_release(question->resolver->reactor, question->answer);
    question->answer = answer;
    if (answer)
        question->ttl = fmin(question->ttl, isnan(ttl) ? NEGATIVE_TTL : ttl);
    twl_reactor_soon(question->resolver->reactor, &question->job);
}

static void ask(struct question *question)
{
    struct twl__resolver *resolver = question->resolver;
    char name[NAME_SIZE];
    struct twl__try one = {name, question->asked.family, question->server,
                           question->asked.timeouts[question->round]};
    int rc;

    candidate(question, question->candidate, name);
    rc = twl__servers_ask(resolver, &one, note_answer, question,
                          &question->query);
    if (rc == 0) return;
    end(question, rc);
    twl_reactor_soon(resolver->reactor, &question->job);
}

/* After an answer about the name. */
static bool next_candidate(struct question *question)
{
    char name[NAME_SIZE];

    if (question->code == TWL_ENOADDRESS) question->exists = true;
    question->round = 0;
    question->server = 0;
    question->silent = false;
    return candidate(question, ++question->candidate, name);
}

/* After none. */
static bool next_server(struct question *question)
{
    if (question->code == TWL_ETIMEDOUT) question->silent = true;
    if (++question->server < question->resolver->server_count) return true;
    if (!question->silent) return false;
    question->server = 0;
    question->silent = false;
    return ++question->round < question->asked.tries;
}

/* Whether there is something left to ask. */
static bool try_next(struct question *question)
{
    switch (question->code) {
    case TWL_ENOMEM:
    case TWL_EINVAL: return false;
    case TWL_ENXDOMAIN:
    case TWL_ENOADDRESS: return next_candidate(question);
    default: return next_server(question);
    }
}

static void keep(struct question *question)
{
    struct twl__resolver *resolver = question->resolver;
    double ttl =
        fmax(resolver->ttl_min, fmin(question->ttl, resolver->ttl_max));

    if (!question->answer || !question->fresh) return;
    question->answer->code = question->code;
    if (question->code < 0)
        ttl = fmin(question->ttl, resolver->negative_ttl_max);
    twl__answers_keep(&resolver->answers, question->name, question->answer,
                      ttl);
}

static void tell(struct question *question)
{
    question->telling = true;
    twl__unlink(&question->link);
    keep(question);
    while (!twl__list_empty(&question->lookups)) {
        twl_lookup *lookup =
            TWL__CONTAINER(twl_lookup, link, question->lookups.next);
        twl__unlink(&lookup->link);
        lookup->question = NULL;
        lookup->fn(lookup, question->code, question->answer);
    }
    free_question(question);
}

static void run_job(twl_job *job)
{
    struct question *question = TWL__CONTAINER(struct question, job, job);
    int rc;

    if (!question->over && question->code < 0) {
        /* The configuration may be another since it was asked. */
        if ((rc = twl__servers_refresh(question->resolver)) < 0) {
            end(question, rc);
        } else if (try_next(question)) {
            ask(question);
            return;
        }
    }
    if (question->code == TWL_ENXDOMAIN && question->exists)
        question->code = TWL_ENOADDRESS;
    tell(question);
}

/* ---- Look-ups --------------------------------------------------------------------------------- */

/* Copy a name that can be asked for, in lower case. */
static int read_name(const char *name, char out[NAME_SIZE])
{
    size_t length = strlen(name), label = 0;

    if (length > 0 && name[length - 1] == '.') length--;
    if (length == 0 || length > TWL__NAME_LENGTH) return TWL_EINVAL;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte <= ' ' || byte >= 127) return TWL_EINVAL;
        label = byte == '.' ? 0 : label + 1;
        if (label > 63 || (byte == '.' && (i == 0 || name[i - 1] == '.')))
            return TWL_EINVAL;
    }
    for (size_t i = 0; i <= strlen(name); i++)
        out[i] =
            (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    return 0;
}

static bool valid(const twl_lookup_config *config)
{
    if (!config->name) return false;
    if (config->family != TWL_IPV4 && config->family != TWL_IPV6) return false;
    if (config->tries < 1 || config->tries > TWL_LOOKUP_TRIES) return false;
    for (int i = 0; i < config->tries; i++) {
        if (!(config->timeouts[i] > 0.) || isinf(config->timeouts[i]))
            return false;
    }
    return true;
}

static bool same_question(const struct question *question, const char *name,
                          const twl_lookup_config *config)
{
    const twl_lookup_config *asked = &question->asked;

    return asked->family == config->family && asked->tries == config->tries &&
           strcmp(question->name, name) == 0 &&
           memcmp(asked->timeouts, config->timeouts,
                  (size_t)config->tries * sizeof config->timeouts[0]) == 0;
}

static struct question *find_question(struct twl__resolver *resolver,
                                      const char *name,
                                      const twl_lookup_config *config)
{
    struct twl__link *link = resolver->questions.next;

    for (; link != &resolver->questions; link = link->next) {
        struct question *question = TWL__CONTAINER(struct question, link, link);
        if (same_question(question, name, config)) return question;
    }
    return NULL;
}

/* What is known without asking. */
static int find_answer(struct question *question)
{
    struct twl__resolver *resolver = question->resolver;
    int rc = twl__hosts_find(resolver->reactor, resolver->hosts, question->name,
                             question->asked.family, &question->answer);

    if (rc != TWL_ENXDOMAIN) return rc;
    question->answer = twl__answers_find(&resolver->answers, question->name,
                                         question->asked.family);
    return 0;
}

static int new_question(struct twl__resolver *resolver, const char *name,
                        const twl_lookup_config *config, struct question **out)
{
    struct question *question = twl__alloc(resolver->reactor, sizeof *question);
    int rc;

    if (!question) return TWL_ENOMEM;
    memset(question, 0, sizeof *question);
    question->resolver = resolver;
    question->job.run = run_job;
    question->ttl = INFINITY;
    question->asked = *config;
    question->asked.name = NULL;
    memcpy(question->name, name, strlen(name) + 1);
    twl__list_init(&question->lookups);
    if ((rc = find_answer(question)) < 0) {
        free_question(question);
        return rc;
    }
    twl__list_append(&resolver->questions, &question->link);
    if (question->answer) {
        end(question, question->answer->code);
        twl_reactor_soon(resolver->reactor, &question->job);
    } else {
        question->fresh = true;
        ask(question);
    }
    *out = question;
    return 0;
}

size_t twl_lookup_size(void)
{
    return sizeof(twl_lookup);
}

void twl_lookup_init(void *memory, twl_reactor *reactor, twl_lookup_fn fn,
                     void *context)
{
    twl_lookup *lookup = memory;

    memset(lookup, 0, sizeof *lookup);
    lookup->reactor = reactor;
    lookup->fn = fn;
    lookup->context = context;
}

void *twl_lookup_context(const twl_lookup *lookup)
{
    return lookup->context;
}

int twl_lookup_start(twl_lookup *lookup, const twl_lookup_config *config)
{
    twl_reactor *reactor = lookup->reactor;
    twl_lookup_config own = TWL_LOOKUP_CONFIG_INIT;
    char name[NAME_SIZE];
    int rc;

    if ((rc = twl__config_read(&own, config)) < 0) return rc;
    config = &own;
    if (!valid(config) || (rc = read_name(config->name, name)) < 0)
        return TWL_EINVAL;
    if (twl_lookup_active(lookup)) return TWL_EBUSY;
    if ((rc = ensure_resolver(reactor)) < 0) return rc;
    if ((rc = twl__servers_refresh(reactor->resolver)) < 0) return rc;
    lookup->question = find_question(reactor->resolver, name, config);
    if (!lookup->question) {
        rc = new_question(reactor->resolver, name, config, &lookup->question);
        if (rc < 0) return rc;
    }
    twl__list_append(&lookup->question->lookups, &lookup->link);
    return 0;
}

void twl_lookup_cancel(twl_lookup *lookup)
{
    struct question *question = lookup->question;

    if (!question) return;
    lookup->question = NULL;
    twl__unlink(&lookup->link);
    if (twl__list_empty(&question->lookups) && !question->telling)
        free_question(question);
}

bool twl_lookup_active(const twl_lookup *lookup)
{
    return lookup->question != NULL;
}

int twl_resolver_hosts(twl_reactor *reactor, const char *name,
                       enum twl_family family, twl_address *out)
{
    struct twl_answer *answer = NULL;
    int rc = ensure_resolver(reactor);

    if (rc < 0) return rc;
    rc = twl__hosts_find(reactor, reactor->resolver->hosts, name, family,
                         &answer);
    if (rc < 0) return rc;
    rc = answer->code;
    if (rc == 0) twl_answer_address(answer, 0, 0, out);
    twl__answer_release(reactor, answer);
    return rc;
}

void twl__resolver_close(twl_reactor *reactor)
{
    struct twl__resolver *resolver = reactor->resolver;

    if (!resolver) return;
    while (!twl__list_empty(&resolver->questions)) {
        struct question *question =
            TWL__CONTAINER(struct question, link, resolver->questions.next);
        twl_lookup_cancel(
            TWL__CONTAINER(twl_lookup, link, question->lookups.next));
    }
    twl__servers_close(resolver);
    twl__answers_close(&resolver->answers);
    free_strings(reactor, resolver->strings);
    twl__free(reactor, resolver, sizeof *resolver);
    reactor->resolver = NULL;
}
