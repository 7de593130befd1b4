/* SPDX-License-Identifier: MIT
 * servers.c -- asking the name servers, by c-ares.
 *
 * A c-ares channel has one time-out for all of its queries, and hides what a server said that
 * would not answer by asking the next one. So a channel here has one server and one time-out,
 * and a query is one try at it. Sockets are open while a channel has queries.
 * c-ares calls back also inside ares_query(), ares_cancel() and ares_destroy(): done() does
 * no more than take note.
 * c-ares' memory is malloc's: its allocator can only be chosen for the whole process, which
 * is the host's to do, by ares_library_init_mem(). That apart, ares_library_init() does nothing
 * on POSIX systems, and not being safe between threads it is not called. */
#include <arpa/nameser.h>
#include <math.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "resolver.h"

enum { CHANNELS = 8 }; /* idle ones beyond that are closed */

struct channel {
    struct twl__link link; /* resolver->channels */
    struct twl__link sockets;
    struct twl__resolver *resolver;
    ares_channel ares;
    struct twl__alarm timer;
    unsigned server;          /* index */
    int timeout;              /* milliseconds; 0: no more queries */
    unsigned pending, wanted; /* queries, and those not forgotten */
};

struct watched {
    struct twl__link link; /* channel->sockets */
    ev_io io;
    struct channel *channel;
};

struct twl__query {
    struct channel *channel;
    enum twl_family family;
    twl__query_fn done; /* NULL: forgotten */
    void *context;
};

/* ---- Channels ------------------------------------------------------------------------------ */

static void close_channel(struct channel *channel)
{
    twl_reactor *reactor = channel->resolver->reactor;

    ares_destroy(channel->ares);
    twl__alarm_stop(reactor, &channel->timer);
    twl__unlink(&channel->link);
    twl__free(reactor, channel, sizeof *channel);
}

/* After each call of c-ares: when does it want the next one? */
static void settle(struct channel *channel)
{
    twl_reactor *reactor = channel->resolver->reactor;
    struct timeval wait, *next;

    twl__alarm_stop(reactor, &channel->timer);
    if (channel->pending == 0) {
        if (channel->timeout == 0) close_channel(channel);
        return;
    }
    next = ares_timeout(channel->ares, NULL, &wait);
    if (!next) return;
    /* c-ares counts milliseconds: half of one later, it does not find itself too early. */
    twl__alarm_start(reactor, &channel->timer,
                     (double)next->tv_sec + (double)next->tv_usec * 1e-6 +
                         5e-4);
}

static void on_timer(struct twl__alarm *timer)
{
    struct channel *channel = TWL__CONTAINER(struct channel, timer, timer);

    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    settle(channel);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    struct watched *watched = io->data;
    struct channel *channel = watched->channel;
    int fd = io->fd;
    (void)loop;

    ares_process_fd(channel->ares, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD);
    settle(channel); /* [watched] may be no more */
}

static struct watched *find_watched(struct channel *channel, int fd)
{
    struct twl__link *link = channel->sockets.next;

    for (; link != &channel->sockets; link = link->next) {
        struct watched *watched = TWL__CONTAINER(struct watched, link, link);
        if (watched->io.fd == fd) return watched;
    }
    return NULL;
}

static struct watched *new_watched(struct channel *channel, int fd)
{
    twl_reactor *reactor = channel->resolver->reactor;
    struct watched *watched = twl__alloc(reactor, sizeof *watched);

    if (!watched) return NULL; /* nobody reads it: the query times out */
    memset(watched, 0, sizeof *watched);
    watched->channel = channel;
    ev_io_init(&watched->io, on_io, fd, 0);
    watched->io.data = watched;
    twl__list_append(&channel->sockets, &watched->link);
    twl__watches_forget(reactor, fd);
    return watched;
}

/* c-ares opens a socket, closes it (wants neither), or waits for something else. */
static void on_socket(void *context, ares_socket_t fd, int readable,
                      int writable)
{
    struct channel *channel = context;
    twl_reactor *reactor = channel->resolver->reactor;
    struct watched *watched = find_watched(channel, fd);
    int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);

    if (watched) ev_io_stop(reactor->loop, &watched->io);
    if (watched && events == 0) {
        twl__unlink(&watched->link);
        twl__free(reactor, watched, sizeof *watched);
    }
    if (events == 0) return;
    if (!watched && !(watched = new_watched(channel, fd))) return;
    ev_io_set(&watched->io, fd, events);
    ev_io_start(reactor->loop, &watched->io);
}

static int code_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return 0;
    case ARES_ENODATA: return TWL_ENOADDRESS;
    case ARES_ENOTFOUND: return TWL_ENXDOMAIN;
    case ARES_ESERVFAIL: return TWL_ESERVFAIL;
    case ARES_EREFUSED: return TWL_EREFUSED;
    case ARES_EFORMERR: return TWL_EFORMERR;
    case ARES_ENOTIMP: return TWL_ENOTIMP;
    case ARES_ETIMEOUT: return TWL_ETIMEDOUT;
    case ARES_ECONNREFUSED: return -ECONNREFUSED;
    case ARES_ENOMEM: return TWL_ENOMEM;
    case ARES_EBADNAME: return TWL_EINVAL;
    case ARES_EBADRESP: return -EBADMSG;
    default: return TWL_ECANCELED;
    }
}

static const struct ares_addr_port_node *
server_of(const struct twl__resolver *resolver, unsigned index)
{
    const struct ares_addr_port_node *node = resolver->servers_read;

    for (; index > 0 && node->next; index--) node = node->next;
    return node;
}

static int configure(struct channel *channel)
{
    struct twl__resolver *resolver = channel->resolver;
    struct ares_options options = resolver->options;
    struct ares_addr_port_node server = *server_of(resolver, channel->server);
    int status;

    server.next = NULL;
    options.flags |= ARES_FLAG_NOCHECKRESP; /* tell what the server says */
    options.timeout = channel->timeout;
    options.tries = 1;
    options.sock_state_cb = on_socket;
    options.sock_state_cb_data = channel;
    status = ares_init_options(&channel->ares, &options,
                               resolver->option_mask | ARES_OPT_FLAGS |
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                   ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) return code_of(status);
    status = ares_set_servers_ports(channel->ares, &server);
    if (status != ARES_SUCCESS) ares_destroy(channel->ares);
    return code_of(status);
}

static int open_channel(struct twl__resolver *resolver, unsigned server,
                        int timeout, struct channel **out)
{
    struct channel *channel = twl__alloc(resolver->reactor, sizeof *channel);
    int rc;

    if (!channel) return TWL_ENOMEM;
    memset(channel, 0, sizeof *channel);
    channel->resolver = resolver;
    channel->server = server;
    channel->timeout = timeout;
    twl__list_init(&channel->sockets);
    twl__alarm_init(&channel->timer, on_timer);
    if ((rc = configure(channel)) < 0) {
        twl__free(resolver->reactor, channel, sizeof *channel);
        return rc;
    }
    twl__list_append(&resolver->channels, &channel->link);
    *out = channel;
    return 0;
}

/* Of the other channels, too many idle ones are closed. */
static int find_channel(struct twl__resolver *resolver, unsigned server,
                        int timeout, struct channel **out)
{
    struct twl__link *link = resolver->channels.next, *next;
    int count = 0;

    for (; link != &resolver->channels; link = next) {
        struct channel *channel = TWL__CONTAINER(struct channel, link, link);
        next = link->next;
        if (channel->server == server && channel->timeout == timeout) {
            *out = channel;
            return 0;
        }
        if (++count >= CHANNELS && channel->pending == 0)
            close_channel(channel);
    }
    return open_channel(resolver, server, timeout, out);
}

/* ---- What answers say ------------------------------------------------------------------------ */

static struct twl_answer *parse_ipv4(twl_reactor *reactor,
                                     const unsigned char *bytes, int length,
                                     int *status, double *ttl)
{
    struct ares_addrttl found[TWL__ANSWER_ADDRESSES];
    int count = TWL__ANSWER_ADDRESSES;
    struct twl_answer *answer;

    *status = ares_parse_a_reply(bytes, length, NULL, found, &count);
    if (*status != ARES_SUCCESS) return NULL;
    answer = twl__answer_new(reactor, 0, TWL_IPV4, (unsigned)count);
    for (int i = 0; answer && i < count; i++) {
        memcpy(answer->bytes[i], &found[i].ipaddr, sizeof found[i].ipaddr);
        *ttl = fmin(*ttl, found[i].ttl);
    }
    return answer;
}

static struct twl_answer *parse_ipv6(twl_reactor *reactor,
                                     const unsigned char *bytes, int length,
                                     int *status, double *ttl)
{
    struct ares_addr6ttl found[TWL__ANSWER_ADDRESSES];
    int count = TWL__ANSWER_ADDRESSES;
    struct twl_answer *answer;

    *status = ares_parse_aaaa_reply(bytes, length, NULL, found, &count);
    if (*status != ARES_SUCCESS) return NULL;
    answer = twl__answer_new(reactor, 0, TWL_IPV6, (unsigned)count);
    for (int i = 0; answer && i < count; i++) {
        memcpy(answer->bytes[i], &found[i].ip6addr, sizeof found[i].ip6addr);
        *ttl = fmin(*ttl, found[i].ttl);
    }
    return answer;
}

static unsigned long read_number(const unsigned char *bytes, int size)
{
    unsigned long number = 0;

    while (size-- > 0) number = number << 8 | *bytes++;
    return number;
}

/* Where the name at [at] ends, or NULL. */
static const unsigned char *skip_name(const unsigned char *at,
                                      const unsigned char *end)
{
    while (at < end && *at != 0 && (*at & 0xc0) == 0) at += *at + 1;
    if (at >= end) return NULL;
    return *at == 0 ? at + 1 : at + 2;
}

/* How long it is known that there is nothing (RFC 2308, 5): by the SOA record among those of
 * the authority, the lesser of its TTL and its last field. NAN: it is not said. */
static double negative_ttl(const unsigned char *bytes, int length)
{
    enum { HEADER = 12, FIXED = 10, SOA_NUMBERS = 20 };
    const unsigned char *at = bytes + HEADER, *end = bytes + length;
    unsigned long questions, answers, authorities;

    if (!bytes || length < HEADER) return NAN;
    questions = read_number(bytes + 4, 2);
    answers = read_number(bytes + 6, 2);
    authorities = read_number(bytes + 8, 2);
    for (; questions > 0; questions--) {
        at = skip_name(at, end);
        if (!at || end - at < 4) return NAN;
        at += 4;
    }
    for (unsigned long i = 0; i < answers + authorities; i++) {
        unsigned long type, ttl, size;
        at = skip_name(at, end);
        if (!at || end - at < FIXED) return NAN;
        type = read_number(at, 2);
        ttl = read_number(at + 4, 4);
        size = read_number(at + 8, 2);
        at += FIXED;
        if ((unsigned long)(end - at) < size) return NAN;
        at += size;
        if (i >= answers && type == ns_t_soa && size >= SOA_NUMBERS)
            return fmin((double)ttl, (double)read_number(at - 4, 4));
    }
    return NAN;
}

/* ---- Queries --------------------------------------------------------------------------------- */

static void on_answer(void *argument, int status, int timeouts,
                      unsigned char *bytes, int length)
{
    struct twl__query query = *(struct twl__query *)argument;
    struct channel *channel = query.channel;
    twl_reactor *reactor = channel->resolver->reactor;
    struct twl_answer *answer = NULL;
    double ttl = INFINITY;
    int code;
    (void)timeouts;

    twl__free(reactor, argument, sizeof query);
    channel->pending--;
    if (!query.done) return;
    channel->wanted--;
    if (status == ARES_SUCCESS)
        answer = (query.family == TWL_IPV4 ? parse_ipv4 : parse_ipv6)(
            reactor, bytes, length, &status, &ttl);
    code = code_of(status);
    if (code == TWL_ENXDOMAIN || code == TWL_ENOADDRESS) {
        ttl = negative_ttl(bytes, length);
        answer = twl__answer_new(reactor, code, query.family, 0);
    }
    if (code == 0 && !answer) code = TWL_ENOMEM;
    query.done(query.context, code, answer, ttl);
}

int twl__servers_ask(struct twl__resolver *resolver, const struct twl__try *one,
                     twl__query_fn done, void *context, struct twl__query **out)
{
    int milliseconds = (int)fmax(1., fmin(one->timeout * 1e3, 1e8));
    struct twl__query *query;
    struct channel *channel = NULL;
    int rc = find_channel(resolver, one->server, milliseconds, &channel);

    if (rc < 0) return rc;
    query = twl__alloc(resolver->reactor, sizeof *query);
    if (!query) return TWL_ENOMEM;
    *query = (struct twl__query){channel, one->family, done, context};
    channel->pending++;
    channel->wanted++;
    *out = query;
    ares_query(channel->ares, one->name, ns_c_in,
               one->family == TWL_IPV4 ? ns_t_a : ns_t_aaaa, on_answer, query);
    settle(channel);
    return 0;
}

/* c-ares cannot end a single query: others of its channel let it go on, unheard. */
void twl__servers_forget(struct twl__query *query)
{
    struct channel *channel = query->channel;

    query->done = NULL;
    if (--channel->wanted > 0) return;
    ares_cancel(channel->ares);
    settle(channel);
}

/* ---- Configuration ---------------------------------------------------------------------------- */

static void read_version(const char *path, struct twl__version *out)
{
    struct stat status;

    memset(out, 0, sizeof *out);
    if (stat(path, &status) < 0) return;
    out->inode = (uint64_t)status.st_ino;
    out->size = (uint64_t)status.st_size;
    out->seconds = (int64_t)status.st_mtim.tv_sec;
    out->nanoseconds = (int64_t)status.st_mtim.tv_nsec;
}

static void count_servers(struct twl__resolver *resolver)
{
    const struct ares_addr_port_node *node = resolver->servers_read;

    resolver->server_count = 0;
    if (!resolver->ready) return;
    for (; node; node = node->next) resolver->server_count++;
}

/* Have a channel read the file, and keep what it found. */
static int read_options(struct twl__resolver *resolver)
{
    struct ares_options options;
    ares_channel channel;
    int status;

    memset(&options, 0, sizeof options);
    options.resolvconf_path = (char *)(uintptr_t)resolver->resolv_conf;
    status = ares_init_options(&channel, &options, ARES_OPT_RESOLVCONF);
    if (status != ARES_SUCCESS) return code_of(status);
    if (resolver->servers)
        status = ares_set_servers_ports_csv(channel, resolver->servers);
    if (status == ARES_SUCCESS)
        status = ares_get_servers_ports(channel, &resolver->servers_read);
    if (status == ARES_SUCCESS) {
        status = ares_save_options(channel, &resolver->options,
                                   &resolver->option_mask);
        resolver->ready = status == ARES_SUCCESS;
        if (!resolver->ready) ares_free_data(resolver->servers_read);
    }
    count_servers(resolver);
    ares_destroy(channel);
    return code_of(status);
}

int twl__servers_refresh(struct twl__resolver *resolver)
{
    double now = twl_reactor_seconds(resolver->reactor);
    struct twl__version version;

    if (resolver->ready && now < resolver->looked + 1.) return 0;
    resolver->looked = now;
    read_version(resolver->resolv_conf, &version);
    if (resolver->ready &&
        memcmp(&version, &resolver->version, sizeof version) == 0)
        return 0;
    twl__servers_reset(resolver);
    twl__answers_clear(&resolver->answers);
    resolver->version = version;
    return read_options(resolver);
}

void twl__servers_reset(struct twl__resolver *resolver)
{
    struct twl__link *link = resolver->channels.next, *next;

    for (; link != &resolver->channels; link = next) {
        struct channel *channel = TWL__CONTAINER(struct channel, link, link);
        next = link->next;
        channel->timeout = 0;
        settle(channel);
    }
    if (!resolver->ready) return;
    resolver->ready = false;
    ares_free_data(resolver->servers_read);
    ares_destroy_options(&resolver->options);
    memset(&resolver->options, 0, sizeof resolver->options);
    resolver->servers_read = NULL;
    resolver->server_count = 0;
}

void twl__servers_close(struct twl__resolver *resolver)
{
    while (!twl__list_empty(&resolver->channels))
        close_channel(
            TWL__CONTAINER(struct channel, link, resolver->channels.next));
    twl__servers_reset(resolver);
}
