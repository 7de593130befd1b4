/* SPDX-License-Identifier: MIT
 * twistlua.h -- the public interface of libtwistlua.
 *
 * A reactor turns file descriptors, timers and signals into calls. Everything else in this
 * header is an object that belongs to one reactor: timers, watches, streams, listeners,
 * connection attempts, datagram sockets, pipes, processes. They all follow the same six rules.
 *
 * Memory. The host provides the memory of an object: twl_X_size() bytes, aligned as malloc
 *   aligns, filled by twl_X_init(). It must stay put until the object is idle again: until a
 *   timer or watch is stopped, a connection attempt is done or cancelled, until on_closed of a
 *   stream, listener or pipe, and until the function of a process has been entered. Nothing needs freeing then.
 * Errors. A function that can fail returns 0 or a negative TWL_E code, and has then changed
 *   nothing. No function exits, aborts or prints. (libev itself aborts when realloc fails to
 *   grow its own tables; ev_set_allocator() is the host's to call.)
 * Callbacks. They run inside twl_reactor_run() or twl_reactor_step(), never inside the call
 *   that asked for them. A callback may call any function on any object, its own as well.
 * Units. Times are seconds in a double; sizes are bytes.
 * Strings that go in are copied unless the comment says otherwise.
 * Structs that begin with their size are made by their initialiser. Of a program that was compiled
 *   with an older header, what it does not know is as in the initialiser; what a newer one has set
 *   and we do not know is refused with TWL_EINVAL.
 * Threads. All calls on the thread that runs the reactor, except twl_reactor_post(), the functions
 *   on channels and, on the threads of a pool of workers, those that say so. */
#ifndef TWISTLUA_H
#define TWISTLUA_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TWL_API __attribute__((visibility("default")))
#else
#define TWL_API
#endif

/* ---- Version ------------------------------------------------------------------------ */

/* What a program is compiled with. The build takes the library's version from here. */
#define TWL_VERSION "0.1.0"
#define TWL_VERSION_NUMBER 1000 /* 1000000 major + 1000 minor + patch */

/* What it runs with: twl_version_number() >= TWL_VERSION_NUMBER where a function may be newer
 * than the library. Libraries of another major version, and before 1.0 of another minor one,
 * are not loaded in the first place: they have another soname. */
TWL_API const char *twl_version(void);
TWL_API int twl_version_number(void);

/* ---- Error codes -------------------------------------------------------------------- */

/* A code is the negation of a POSIX errno value, or one of ours, which lie below -20000; those
 * of HTTP/1 and WebSocket stand with them. */
#define TWL_EINVAL (-EINVAL)
#define TWL_ENOMEM (-ENOMEM)
#define TWL_EBUSY (-EBUSY)
#define TWL_EALREADY (-EALREADY)
#define TWL_EAGAIN (-EAGAIN)
#define TWL_ETIMEDOUT (-ETIMEDOUT)
#define TWL_ECANCELED (-ECANCELED)
#define TWL_ECONNABORTED (-ECONNABORTED)
#define TWL_EDEADLK                                                            \
    (-EDEADLK) /* a Deferred's stage left that very Deferred behind */
#define TWL_EEOF                                                               \
    (-20001) /* the peer, or loseConnection, ended the stream cleanly */
#define TWL_ECLOSED (-20002)  /* the object is closed */
#define TWL_EBACKEND (-20003) /* no such reactor backend here */
#define TWL_ECHANGED (-20004) /* a file was changed while it was sent */
#define TWL_EDENIED (-20005)  /* not among the capabilities of the sandbox */
#define TWL_ENOTSUP (-ENOTSUP)
#define TWL_ETLSCONFIG                                                         \
    (-20010) /* a certificate, key or other TLS setting is of no use */
#define TWL_ENOHOSTNAME                                                        \
    (-20011) /* no name that the certificate could be checked against */
#define TWL_ENOCERTIFICATE (-20012) /* a TLS server without a certificate */
#define TWL_ETLS (-20013) /* TLS failed: twl_tls_error() has a sentence */
#define TWL_ETRUNCATED                                                         \
    (-20014) /* TLS: the peer's end came without its close_notify */
#define TWL_ESCRIPT (-20030) /* a script raised an error */
#define TWL_ESYNTAX (-20031) /* a script cannot be compiled */
#define TWL_ETHREAD (-20032) /* a call on another thread than the owner's */
/* What name servers say: -20200 and the RCODE of RFC 1035, 4.1.1. */
#define TWL_ENOADDRESS (-20200) /* the name has no address of the family */
#define TWL_EFORMERR (-20201)
#define TWL_ESERVFAIL (-20202)
#define TWL_ENXDOMAIN (-20203) /* there is no such name */
#define TWL_ENOTIMP (-20204)
#define TWL_EREFUSED (-20205)

/* One English sentence about [code], without a full stop. Static storage. */
TWL_API const char *twl_error_message(int code);

/* The symbolic name of [code], such as "ECONNREFUSED" or "ETIMEDOUT". Static storage. */
TWL_API const char *twl_error_name(int code);

/* Replaces malloc: [new_size] 0 frees [block]; [block] NULL allocates; else the block is
 * resized and NULL means that it was not. [old_size] is always the true size. The contract is
 * that of lua_Alloc. */
typedef void *(*twl_alloc_fn)(void *context, void *block, size_t old_size,
                              size_t new_size);

/* ---- Pools ---------------------------------------------------------------------------- */

/* Memory for many small blocks, by one thread: quicker and tighter than malloc, and given back
 * to the system only as a whole. For a Lua state or a reactor of one's own; optional. */
typedef struct twl_pool twl_pool;

/* The caller owns [*out]. TWL_ENOMEM. */
TWL_API int twl_pool_open(twl_pool **out);

/* A twl_alloc_fn, and a lua_Alloc, whose context is the pool. */
TWL_API void *twl_pool_alloc(void *pool, void *block, size_t old_size,
                             size_t new_size);

/* Free the pool with its small blocks; larger ones are to be freed before. NULL does nothing. */
TWL_API void twl_pool_close(twl_pool *pool);

/* ---- Reactor ------------------------------------------------------------------------ */

typedef struct twl_reactor twl_reactor;
struct ev_loop;

typedef struct twl_reactor_config {
    size_t size; /* sizeof(twl_reactor_config): set by the initialiser */
    const char
        *backend; /* "epoll", "poll", "select", ...; NULL: the best one */
    struct ev_loop *loop; /* run on the host's loop; NULL: a loop of its own */
    twl_alloc_fn alloc;   /* NULL: realloc and free */
    void *alloc_context;
} twl_reactor_config;

#define TWL_REACTOR_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(twl_reactor_config), NULL, NULL, NULL, NULL                     \
    }

/* Open a reactor. [config] may be NULL for the defaults. The caller owns [*out] and must
 * close it. Returns TWL_EBACKEND for a backend that is unknown or does not work here. */
TWL_API int twl_reactor_open(const twl_reactor_config *config,
                             twl_reactor **out);

/* Free [reactor]. Open streams and listeners lose their descriptors and are forgotten without
 * a further callback; timers and watches are stopped; pools of workers are closed, which waits
 * for the work that has begun. NULL does nothing. Not from a callback: the caller must be outside
 * twl_reactor_run(). */
TWL_API void twl_reactor_close(twl_reactor *reactor);

/* Run until twl_reactor_break(). Returns TWL_EBUSY inside itself. */
TWL_API int twl_reactor_run(twl_reactor *reactor);

/* One turn: wait at most [timeout] seconds for events, then run what is due. */
TWL_API int twl_reactor_step(twl_reactor *reactor, double timeout);

/* For a host with a loop of another kind: it watches this descriptor for reading. Before each time
 * that it waits it calls twl_reactor_prepare(), and waits for at most twl_reactor_timeout()
 * seconds, negative: for ever; then it calls twl_reactor_step(reactor, 0). Neither of the two runs
 * a callback. The descriptor is the reactor's, and stays the same. TWL_ENOTSUP on a host's libev
 * loop, and for backends that have none: poll, select. */
TWL_API int twl_reactor_fd(twl_reactor *reactor);
TWL_API int twl_reactor_prepare(twl_reactor *reactor);
TWL_API double twl_reactor_timeout(twl_reactor *reactor);

/* Make twl_reactor_run() return when the callbacks of the present turn have. */
TWL_API void twl_reactor_break(twl_reactor *reactor);

/* Seconds on a clock that only goes forward, read now. Its zero is arbitrary. */
TWL_API double twl_reactor_seconds(twl_reactor *reactor);

/* The name of the backend in use. */
TWL_API const char *twl_reactor_backend(twl_reactor *reactor);

/* The names of the backends that work here, best first, NULL after the last. */
TWL_API const char *const *twl_reactor_backends(void);

/* "4.33" */
TWL_API const char *twl_libev_version(void);

/* Call fn(context) on the reactor's thread, in the order of posting. The one function that any
 * thread may call, as long as the reactor is open; it wakes the reactor. What waits when the
 * reactor is closed is called by twl_reactor_close(), before anything else is closed.
 * TWL_ENOMEM. */
TWL_API int twl_reactor_post(twl_reactor *reactor, void (*fn)(void *context),
                             void *context);

/* ---- Jobs: work for later in this turn ---------------------------------------------- */

struct twl__link {
    struct twl__link *next, *prev;
};

typedef struct twl_job {
    struct twl__link link; /* the reactor's; zeros to begin with */
    void (*run)(struct twl_job *job);
} twl_job;

/* Call job->run(job) before the reactor next waits, after the callback that runs now. Jobs run
 * in the order of asking; one asked for by a job runs a turn later, so that descriptors are
 * looked at in between. Asking twice is asking once. The host owns [job]. */
TWL_API void twl_reactor_soon(twl_reactor *reactor, twl_job *job);

/* Take back what twl_reactor_soon() asked for; nothing for a job that is not queued. */
TWL_API void twl_job_cancel(twl_job *job);

/* ---- Timers ------------------------------------------------------------------------- */

/* A one-shot timer. Starting, moving and stopping one costs O(log n). Timers that are due
 * together run in the order of their due times, equal ones in the order of starting. */
typedef struct twl_timer twl_timer;
typedef void (*twl_timer_fn)(twl_timer *timer);

TWL_API size_t twl_timer_size(void);
TWL_API void twl_timer_init(void *memory, twl_reactor *reactor, twl_timer_fn fn,
                            void *context);
TWL_API void *twl_timer_context(const twl_timer *timer);

/* Call the timer's function once, [delay] seconds from now. An active timer is moved. A timer
 * started by a timer's function runs in a later turn, even with a delay of 0. Returns
 * TWL_EINVAL (negative, infinite or NaN) or TWL_ENOMEM. */
TWL_API int twl_timer_start(twl_timer *timer, double delay);

/* Inside a timer's function only: take over the next timer that is due in this pass, if its
 * function is [fn]; the caller does what the function would have done. NULL if there is none.
 * A binding runs many calls in one protected frame so. */
TWL_API twl_timer *twl_timer_next(twl_reactor *reactor, twl_timer_fn fn);

/* As above, at the time [due] of twl_reactor_seconds(). */
TWL_API int twl_timer_start_at(twl_timer *timer, double due);

/* Nothing for a timer that is not active. */
TWL_API void twl_timer_stop(twl_timer *timer);
TWL_API bool twl_timer_active(const twl_timer *timer);

/* The active timers of [reactor], in no particular order: [index] is below the count, and the
 * next start or stop of one changes both. */
TWL_API size_t twl_timer_count(const twl_reactor *reactor);
TWL_API twl_timer *twl_timer_at(const twl_reactor *reactor, size_t index);

/* A small number that no other active timer of the reactor has; of one that is not active, the
 * last that it had. For a host that keeps something for each active timer, in an array. */
TWL_API uint32_t twl_timer_slot(const twl_timer *timer);

/* The slot that the next timer to become active will have. */
TWL_API uint32_t twl_timer_next_slot(const twl_reactor *reactor);

/* When the timer is, or last was, due, on the clock of twl_reactor_seconds(). */
TWL_API double twl_timer_due(const twl_timer *timer);

/* ---- Watches: readiness of a descriptor that the host owns --------------------------- */

enum { TWL_READ = 1, TWL_WRITE = 2 };

typedef struct twl_watch twl_watch;
typedef void (*twl_watch_fn)(twl_watch *watch, int events);

TWL_API size_t twl_watch_size(void);
TWL_API void twl_watch_init(void *memory, twl_reactor *reactor, int fd,
                            twl_watch_fn fn, void *context);
TWL_API void *twl_watch_context(const twl_watch *watch);

/* Watch for [events], TWL_READ, TWL_WRITE or both; 0 stops. Level-triggered. Regular files
 * count as always ready. Stop a watch before its descriptor is closed: one that lost it, or
 * whose number got a new owner, is stopped by the reactor and told so by one call with 0. */
TWL_API int twl_watch_set(twl_watch *watch, int events);
TWL_API int twl_watch_events(const twl_watch *watch);
TWL_API int twl_watch_fd(const twl_watch *watch);

/* ---- Signals ------------------------------------------------------------------------ */

typedef struct twl_signal twl_signal;
typedef void (*twl_signal_fn)(twl_signal *signal);

TWL_API size_t twl_signal_size(void);
TWL_API void twl_signal_init(void *memory, twl_reactor *reactor, int number,
                             twl_signal_fn fn, void *context);
TWL_API void *twl_signal_context(const twl_signal *signal);

/* Take over the process's handling of the signal until stopped, which restores the default
 * disposition. TWL_EBUSY when a reactor of the process has it already; TWL_EINVAL for a number
 * that is no signal or cannot be caught. */
TWL_API int twl_signal_start(twl_signal *signal);
TWL_API void twl_signal_stop(twl_signal *signal);

/* Whether the process has the default handling for signal [number]. */
TWL_API bool twl_signal_is_default(int number);

/* ---- Addresses ---------------------------------------------------------------------- */

enum twl_family { TWL_NO_FAMILY, TWL_IPV4, TWL_IPV6, TWL_UNIX };

/* A socket address; to be looked at through the functions below. */
typedef struct twl_address {
    unsigned length;
    union {
        void *align;
        unsigned char bytes[128];
    } storage;
} twl_address;

/* The longest host or path that twl_address_host() writes, with its NUL. */
#define TWL_ADDRESS_TEXT 128

/* From an IPv4 or IPv6 literal (with %scope). "" is every IPv4 address, "::" every IPv6 one.
 * TWL_EINVAL for anything else or a port outside 0..65535. */
TWL_API int twl_address_parse(twl_address *out, const char *host, long port);

/* From the path of a UNIX socket; a leading NUL byte means the abstract name space.
 * TWL_EINVAL for an empty or too long one. */
TWL_API int twl_address_unix(twl_address *out, const char *path, size_t length);

TWL_API enum twl_family twl_address_family(const twl_address *address);
TWL_API int twl_address_port(const twl_address *address);

/* Write the IP literal, or the path (which may begin with a NUL byte and be empty), with a NUL
 * after it. Returns its length. */
TWL_API size_t twl_address_host(const twl_address *address,
                                char text[TWL_ADDRESS_TEXT]);

/* ---- Streams: TCP and UNIX connections ----------------------------------------------- */

typedef struct twl_stream twl_stream;

typedef struct twl_stream_events {
    /* Bytes arrived; they are valid until this returns. */
    void (*on_read)(twl_stream *stream, const char *bytes, size_t length);
    /* The peer sent its end and may still read. NULL: its end closes the stream. */
    void (*on_end)(twl_stream *stream);
    /* What twl_stream_shutdown() asked for is done: our end was sent. May be NULL. */
    void (*on_shutdown)(twl_stream *stream);
    /* All output was handed to the kernel; see twl_stream_notify_drain(). May be NULL. */
    void (*on_drain)(twl_stream *stream);
    /* The last call, exactly one for each started stream: TWL_EEOF for a clean end, else the
     * error. The descriptor is closed; the memory may be reused from here on. */
    void (*on_closed)(twl_stream *stream, int reason);
} twl_stream_events;

TWL_API size_t twl_stream_size(void);

/* Make a stream of the connected, non-blocking socket [fd], which it owns from here on. [peer]
 * is its other end; NULL asks the kernel. It reads nothing until twl_stream_resume(). [events]
 * must outlive it. */
TWL_API void twl_stream_init(void *memory, twl_reactor *reactor, int fd,
                             const twl_address *peer,
                             const twl_stream_events *events, void *context);
TWL_API void *twl_stream_context(const twl_stream *stream);

/* Begin, or go on, reading. Nothing once the stream is closing. */
TWL_API void twl_stream_resume(twl_stream *stream);

/* Read nothing, and notice no end, until resumed. */
TWL_API void twl_stream_pause(twl_stream *stream);

/* Queue [length] bytes, copied. Nothing is sent inside the call: all that is written in one
 * turn leaves together when the stream's callback returns, or before the reactor next waits.
 * Dropped without an error after twl_stream_close(), twl_stream_shutdown(), twl_stream_abort()
 * or the end. TWL_ENOMEM. */
TWL_API int twl_stream_write(twl_stream *stream, const char *bytes,
                             size_t length);

/* As above, sent from where the bytes lie, and released exactly once, at the latest before
 * on_closed, by release(context, token). On an error, and where the bytes are dropped, it is
 * released before the call returns. */
typedef void (*twl_release_fn)(void *context, void *token);
TWL_API int twl_stream_write_held(twl_stream *stream, const char *bytes,
                                  size_t length, twl_release_fn release,
                                  void *token);

/* Queue [length] bytes of the regular file [fd] from [offset] on, which the kernel sends from its
 * cache; a file that is not there is read by the loop's thread, as any sendfile() does. [fd] stays
 * the host's, who keeps it open until release(context, token), which is called as above. A file
 * that becomes shorter, or is rewritten in its length, ends the stream with TWL_ECHANGED rather
 * than have the peer take it for whole. [known] is what twl_file_stat_fd() has said of it in this
 * turn; NULL: it is asked here. TWL_ENOTSUP with TLS: read and write it. TWL_EINVAL where it is no
 * regular file or has less to give. No SIGPIPE: it is blocked for the call that sends, and one
 * which that raises is taken away. */
typedef struct twl_file_info twl_file_info;
TWL_API int twl_stream_write_file(twl_stream *stream, int fd,
                                  const twl_file_info *known, uint64_t offset,
                                  uint64_t length, twl_release_fn release,
                                  void *token);

/* Bytes queued and not yet taken by the kernel. */
TWL_API size_t twl_stream_pending(const twl_stream *stream);

/* Those of them that are in memory, not in a file. */
TWL_API size_t twl_stream_buffered(const twl_stream *stream);

/* While [wanted], on_drain is called each time that the output queue has become empty; it
 * is called later in this turn when the queue is empty now. */
TWL_API void twl_stream_notify_drain(twl_stream *stream, bool wanted);

/* While [held], twl_stream_close() and twl_stream_shutdown() wait even with an empty queue, and
 * writing goes on. */
TWL_API void twl_stream_hold(twl_stream *stream, bool held);

/* Send our end when the queue is empty; reading goes on. */
TWL_API void twl_stream_shutdown(twl_stream *stream);

/* Stop reading, send what is queued, close. on_closed follows with TWL_EEOF. */
TWL_API void twl_stream_close(twl_stream *stream);

/* Close at once: what is queued is lost. on_closed follows in a later turn with [reason], a
 * negative code; with TWL_ECONNABORTED the peer sees a reset. */
TWL_API void twl_stream_abort(twl_stream *stream, int reason);

/* Close the descriptor at once without a reset and without any further callback. Not inside
 * one of the stream's own: its memory is still looked at when that returns. */
TWL_API void twl_stream_discard(twl_stream *stream);

/* Whether bytes may still arrive or leave: neither closing nor closed. */
TWL_API bool twl_stream_open(const twl_stream *stream);
TWL_API bool twl_stream_closing(const twl_stream *stream);
TWL_API bool twl_stream_reading(const twl_stream *stream);

/* Our end's address and the peer's, also once closed. TWL_ECLOSED for the path of a UNIX socket
 * that was too long to be kept. */
TWL_API int twl_stream_local(const twl_stream *stream, twl_address *out);
TWL_API int twl_stream_peer(const twl_stream *stream, twl_address *out);

/* -1 once closed. The stream keeps it. */
TWL_API int twl_stream_fd(const twl_stream *stream);

enum twl_option { TWL_TCP_NODELAY, TWL_TCP_KEEPALIVE };
TWL_API int twl_stream_set_option(twl_stream *stream, enum twl_option option,
                                  bool on);
TWL_API int twl_stream_get_option(const twl_stream *stream,
                                  enum twl_option option, bool *out);

/* ---- Listeners ---------------------------------------------------------------------- */

typedef struct twl_listener twl_listener;

typedef struct twl_listener_config {
    size_t size;                /* set by the initialiser */
    const twl_address *address; /* where to listen; NULL with [fd] */
    int fd;          /* adopt a duplicate of this bound socket; -1: none */
    int backlog;     /* connections that the kernel keeps waiting; 50 */
    bool reuse_port; /* SO_REUSEPORT: several processes share the port */
    int mode;        /* permissions of a UNIX socket; -1: those of the umask */
    bool lock; /* hold PATH.lock meanwhile; a socket left over is replaced */
} twl_listener_config;

#define TWL_LISTENER_CONFIG_INIT                                               \
    {                                                                          \
        sizeof(twl_listener_config), NULL, -1, 50, false, -1, false            \
    }

typedef struct twl_listener_events {
    /* A connection; [fd] is the callee's, non-blocking and close-on-exec. */
    void (*on_accept)(twl_listener *listener, int fd, const twl_address *peer);
    /* Accepting failed in a way that the next try may not mend; the listener goes on. With
     * EMFILE or ENFILE the surplus connections have been refused. May be NULL. */
    void (*on_error)(twl_listener *listener, int code);
} twl_listener_events;

TWL_API size_t twl_listener_size(void);
TWL_API void twl_listener_init(void *memory, twl_reactor *reactor,
                               const twl_listener_events *events,
                               void *context);
TWL_API void *twl_listener_context(const twl_listener *listener);

/* Bind, listen and accept. On return the port is open. */
TWL_API int twl_listener_open(twl_listener *listener,
                              const twl_listener_config *config);

/* Stop accepting and close the socket at once. The file of a UNIX socket is removed if it is
 * still the one that this listener made. Nothing for a closed one. May be opened again. */
TWL_API void twl_listener_close(twl_listener *listener);

/* Stop, or go on, accepting; the kernel keeps up to [backlog] waiting. */
TWL_API void twl_listener_pause(twl_listener *listener, bool paused);
TWL_API int twl_listener_local(const twl_listener *listener, twl_address *out);
TWL_API int twl_listener_fd(const twl_listener *listener);

/* ---- Connection attempts -------------------------------------------------------------- */

typedef struct twl_connector twl_connector;

typedef struct twl_connector_config {
    size_t size;                /* set by the initialiser */
    const twl_address *address; /* where to connect */
    const twl_address *bind;    /* the local address to use; NULL: any */
    double timeout;             /* seconds; 0: as long as the kernel tries */
} twl_connector_config;

#define TWL_CONNECTOR_CONFIG_INIT                                              \
    {                                                                          \
        sizeof(twl_connector_config), NULL, NULL, 30.0                         \
    }

/* The end of an attempt: [code] 0 and a connected [fd], which is the callee's; or a negative
 * code and -1. [binding] tells that the code is about the local address. */
typedef void (*twl_connector_fn)(twl_connector *connector, int code, int fd,
                                 bool binding);

TWL_API size_t twl_connector_size(void);
TWL_API void twl_connector_init(void *memory, twl_reactor *reactor,
                                twl_connector_fn fn, void *context);
TWL_API void *twl_connector_context(const twl_connector *connector);

/* Begin. Every outcome, also an immediate one, comes later by the function. TWL_EINVAL for a
 * missing address or a bad timeout, TWL_EBUSY while an attempt is under way. */
TWL_API int twl_connector_start(twl_connector *connector,
                                const twl_connector_config *config);

/* End an attempt; its function is not called any more. */
TWL_API void twl_connector_cancel(twl_connector *connector);
TWL_API bool twl_connector_active(const twl_connector *connector);

/* ---- Datagrams: UDP and UNIX sockets -------------------------------------------------- */

typedef struct twl_datagram twl_datagram;

typedef struct twl_datagram_config {
    size_t size;                /* set by the initialiser */
    const twl_address *address; /* where to bind; NULL: nowhere, or with [fd] */
    const twl_address *peer;    /* connect to it; NULL: to nobody */
    int fd;             /* adopt a duplicate of this socket; -1: none */
    size_t packet_size; /* the longest datagram received whole; 8192; at most
                           128 KiB */
    size_t queue_size;  /* bytes that may wait to be sent; 256 KiB */
    bool reuse_address; /* SO_REUSEADDR: several sockets hear a group */
    bool reuse_port;    /* SO_REUSEPORT: several processes share the port */
    int mode; /* permissions of a UNIX socket; -1: those of the umask */
} twl_datagram_config;

#define TWL_DATAGRAM_CONFIG_INIT                                               \
    {                                                                          \
        sizeof(twl_datagram_config), NULL, NULL, -1, 8192, 256 * 1024, false,  \
            false, -1                                                          \
    }

typedef struct twl_datagram_events {
    /* A datagram, which is valid until this returns. [truncated]: it was longer than
     * packet_size, and its rest is lost. An unbound UNIX socket has the address "". */
    void (*on_receive)(twl_datagram *datagram, const char *bytes, size_t length,
                       const twl_address *from, bool truncated);
    /* The network, or the kernel, says that something failed; the socket goes on. -ECONNREFUSED:
     * nobody is there, where we are connected to. May be NULL. */
    void (*on_error)(twl_datagram *datagram, int code);
} twl_datagram_events;

TWL_API size_t twl_datagram_size(void);
TWL_API void twl_datagram_init(void *memory, twl_reactor *reactor,
                               const twl_datagram_events *events,
                               void *context);
TWL_API void *twl_datagram_context(const twl_datagram *datagram);

/* Bind, connect, and begin to receive. */
TWL_API int twl_datagram_open(twl_datagram *datagram,
                              const twl_datagram_config *config);

/* Close the socket at once, without a further callback; what waits to be sent is lost. The file
 * of a UNIX socket is removed if it is still the one that this socket made. Nothing for a
 * closed one. May be opened again. */
TWL_API void twl_datagram_close(twl_datagram *datagram);

/* Send a datagram to [to]; NULL: to whom the socket is connected. It leaves inside the call, or
 * waits, copied, while the kernel takes none: those that wait leave in the order of sending.
 * Returns 0, -ENOBUFS where the queue is full and the datagram is dropped, -EMSGSIZE for one
 * that is too long, TWL_ECLOSED, TWL_ENOMEM or the system's error. */
TWL_API int twl_datagram_send(twl_datagram *datagram, const char *bytes,
                              size_t length, const twl_address *to);

/* Bytes that wait to be sent. */
TWL_API size_t twl_datagram_pending(const twl_datagram *datagram);

/* Send to, and receive from, [peer] only, from here on. -EISCONN the second time. */
TWL_API int twl_datagram_connect(twl_datagram *datagram,
                                 const twl_address *peer);

TWL_API int twl_datagram_local(const twl_datagram *datagram, twl_address *out);
TWL_API int twl_datagram_peer(const twl_datagram *datagram, twl_address *out);
TWL_API int twl_datagram_fd(const twl_datagram *datagram);

/* Whether it may send to broadcast addresses; how many routers its multicast datagrams pass,
 * 0 to 255; whether this machine hears them. TWL_EINVAL for a UNIX socket. */
enum twl_datagram_option {
    TWL_BROADCAST,
    TWL_MULTICAST_TTL,
    TWL_MULTICAST_LOOP
};
TWL_API int twl_datagram_set_option(twl_datagram *datagram,
                                    enum twl_datagram_option option, int value);
TWL_API int twl_datagram_get_option(const twl_datagram *datagram,
                                    enum twl_datagram_option option, int *out);

/* Hear, or hear no more, the multicast [group] on an interface: that with the IPv4 address
 * [interface], or for IPv6 the scope of [interface], such as "::%eth0"; NULL: the system's
 * choice, or the scope of [group]. */
TWL_API int twl_datagram_join(twl_datagram *datagram, const twl_address *group,
                              const twl_address *interface);
TWL_API int twl_datagram_leave(twl_datagram *datagram, const twl_address *group,
                               const twl_address *interface);

/* The interface by which multicast datagrams leave, named as above. */
TWL_API int twl_datagram_set_interface(twl_datagram *datagram,
                                       const twl_address *interface);
TWL_API int twl_datagram_get_interface(const twl_datagram *datagram,
                                       twl_address *out);

/* ---- TLS: what connections are secured with ---------------------------------------------- */

/* Certificates, keys, trust and limits, for any number of connections of both roles. It is
 * counted: the one who makes it has one reference, and each connection another. Its memory is
 * not of the host's making, and OpenSSL's part comes from malloc. */
typedef struct twl_tls_context twl_tls_context;

/* PEM text, in memory or in a file that is read at once; without both there is none. */
typedef struct twl_pem {
    const char *bytes;
    size_t length;
    const char *file;
} twl_pem;

#define TWL_PEM_NONE                                                           \
    {                                                                          \
        NULL, 0, NULL                                                          \
    }

enum twl_tls_version {
    TWL_TLS_DEFAULT,
    TWL_TLS_1_0,
    TWL_TLS_1_1,
    TWL_TLS_1_2,
    TWL_TLS_1_3
};

/* What a server does about certificates of its clients. */
enum twl_tls_clients {
    TWL_TLS_NOT_ASKED,
    TWL_TLS_OPTIONAL, /* none will do, a bad one will not */
    TWL_TLS_REQUIRED
};

typedef struct twl_tls_config {
    size_t size;         /* set by the initialiser */
    twl_pem certificate; /* ours, then what leads from it to a root */
    twl_pem key;         /* its private key; none: it is with the certificate */
    const char *passphrase; /* of an encrypted key; NULL: none */
    twl_pem extra_chain;    /* more of what leads to a root */
    twl_pem trust;          /* certificates that are trusted */
    const char *trust_directory; /* of files *.pem and *.crt with such ones */
    bool trust_system;           /* those of the system, too; true */
    enum twl_tls_clients clients;
    enum twl_tls_version minimum, maximum; /* default: 1.2, and the highest */
    bool insecurely_old; /* lets [minimum] be below 1.2, with ciphers for it */
    const char *ciphers; /* OpenSSL's list for TLS 1.2; NULL: those of */
    const char *suites;  /* Mozilla's intermediate; for TLS 1.3 likewise */
    twl_pem dh_parameters; /* none: chosen by the strength of the key */
    const char *const *protocols; /* ALPN, best first, NULL after the last */
    /* A client accepts whatever certificate: it may talk to anybody. */
    bool insecurely_skip_verification;
    /* A client accepts a trusted certificate of whatever host. */
    bool insecurely_skip_hostname;
    /* Seconds that a session can be resumed, up to a week; 0: it cannot be. A day. */
    double session_lifetime;
    twl_alloc_fn alloc;      /* NULL: realloc and free */
    void *alloc_context;
} twl_tls_config;

#define TWL_TLS_CONFIG_INIT                                                    \
    {                                                                          \
        sizeof(twl_tls_config), TWL_PEM_NONE, TWL_PEM_NONE, NULL,              \
        TWL_PEM_NONE, TWL_PEM_NONE, NULL, true, TWL_TLS_NOT_ASKED,             \
        TWL_TLS_DEFAULT, TWL_TLS_DEFAULT, false, NULL, NULL, TWL_PEM_NONE,     \
        NULL, false, false, 86400., NULL, NULL                                 \
    }

/* Make a context of [config]. On failure the code is TWL_ETLSCONFIG, or what the system said of
 * a file, and the [size] bytes at [error] hold a sentence that says which file, and what is
 * wrong with it. */
TWL_API int twl_tls_context_open(const twl_tls_config *config, char *error,
                                 size_t size, twl_tls_context **out);

/* Make all anew of [config], for the connections to come; those that are there keep what they
 * have. The allocator stays. On failure nothing has changed. */
TWL_API int twl_tls_context_reload(twl_tls_context *context,
                                   const twl_tls_config *config, char *error,
                                   size_t size);

/* Before a server answers a client that named its host (SNI), in lower case without a full stop
 * at the end: leave [*out] as it is to go on with the context asked, or put another there, whose
 * certificate, trust and protocols then count. A negative code refuses the client. NULL: none. */
typedef int (*twl_tls_choose_fn)(void *argument, const char *name,
                                 twl_tls_context **out);
TWL_API void twl_tls_context_choose(twl_tls_context *context,
                                    twl_tls_choose_fn choose, void *argument);

/* The keys that encrypt the tickets by which clients resume sessions: the first encrypts, all
 * decrypt. They are random unless set. Servers with the same keys resume each other's sessions,
 * if they treat certificates of clients alike, too. */
enum { TWL_TLS_TICKET_KEY = 80, TWL_TLS_TICKET_KEYS = 4 };

/* Write the keys, [TWL_TLS_TICKET_KEY] bytes each. Returns the length. */
TWL_API size_t twl_tls_context_ticket_keys(
    const twl_tls_context *context,
    unsigned char out[TWL_TLS_TICKET_KEY * TWL_TLS_TICKET_KEYS]);

/* TWL_EINVAL unless [length] is that of one to four keys. */
TWL_API int twl_tls_context_set_ticket_keys(twl_tls_context *context,
                                            const unsigned char *keys,
                                            size_t length);

/* Put a new random key first; the fourth oldest falls off. -EIO without random bytes. */
TWL_API int twl_tls_context_rotate_ticket_keys(twl_tls_context *context);

TWL_API twl_tls_context *twl_tls_context_retain(twl_tls_context *context);
TWL_API void twl_tls_context_release(twl_tls_context *context);

/* ---- TLS: sessions ----------------------------------------------------------------------- */

/* One connection's TLS. A stream has its own, see twl_stream_start_tls(); those that a host
 * makes know no descriptor: ciphertext goes in by feed and out by output, plaintext in by write
 * and out by read, and nothing is called back. All bytes are copied. */
typedef struct twl_tls twl_tls;

TWL_API size_t twl_tls_size(void);

/* Begin. [hostname] is what a client asks for and has checked: a name or an IP literal, NULL
 * for a server. The codes are those of a context that is of no use for this: TWL_ENOHOSTNAME,
 * TWL_ENOCERTIFICATE, TWL_EINVAL; and TWL_ENOMEM. */
TWL_API int twl_tls_init(void *memory, twl_reactor *reactor,
                         twl_tls_context *context, bool client,
                         const char *hostname);

/* Free what it has; before its reactor is closed. Nothing for a closed one. */
TWL_API void twl_tls_close(twl_tls *tls);

/* Ciphertext came from the peer. TWL_ENOMEM. */
TWL_API int twl_tls_feed(twl_tls *tls, const char *bytes, size_t length);

/* Go on with the handshake: 1 when it is done, 0 where it needs more from the peer, or what
 * twl_tls_read() returns. A client's first call makes its first message. */
TWL_API int twl_tls_handshake(twl_tls *tls);

/* Plaintext: how many bytes, or 0 where more ciphertext is needed; TWL_EEOF for the peer's
 * close_notify, TWL_ETLS, TWL_ENOMEM. Goes on with the handshake first. May make output. */
TWL_API long twl_tls_read(twl_tls *tls, char *bytes, size_t size);

/* Queue plaintext; dropped after twl_tls_shutdown(). TWL_ENOMEM. */
TWL_API int twl_tls_write(twl_tls *tls, const char *bytes, size_t length);

/* Encrypt what is queued, in records as large as may be, once the handshake is done. TWL_ETLS,
 * TWL_ENOMEM. */
TWL_API int twl_tls_flush(twl_tls *tls);

/* Say close_notify behind what was flushed: no more is written. Reading goes on. Nothing before
 * the handshake is done. */
TWL_API void twl_tls_shutdown(twl_tls *tls);

/* The front of what is to be sent to the peer: its length, 0 where there is nothing. Then tell
 * how much of it was sent. */
TWL_API size_t twl_tls_output(const twl_tls *tls, const char **bytes);
TWL_API void twl_tls_sent(twl_tls *tls, size_t length);

TWL_API bool twl_tls_established(const twl_tls *tls);

/* "TLSv1.3" and "TLS_AES_256_GCM_SHA384", as OpenSSL calls them; NULL before the handshake is
 * done. */
TWL_API const char *twl_tls_version(const twl_tls *tls);
TWL_API const char *twl_tls_cipher(const twl_tls *tls);

/* What was agreed on by ALPN, which is not NUL-terminated: its length, 0 for nothing. */
TWL_API size_t twl_tls_protocol(const twl_tls *tls, const char **name);

/* Whether an earlier session was resumed, without certificates. */
TWL_API bool twl_tls_resumed(const twl_tls *tls);

/* The certificate of the peer in DER, copied if it fits: its length, 0 for none. */
TWL_API int twl_tls_peer_certificate(const twl_tls *tls, unsigned char *der,
                                     size_t size);

/* The sentence for TWL_ETLS, such as "certificate has expired"; NULL: that of the code must
 * do. */
TWL_API const char *twl_tls_error(const twl_tls *tls);

typedef struct twl_tls_start {
    size_t size; /* set by the initialiser */
    twl_tls_context *context;
    bool client;
    const char *hostname; /* see twl_tls_init() */
    double timeout;       /* seconds for the handshake; 30; 0: none */
    /* What was read from the stream, but belongs to TLS. */
    const char *received;
    size_t received_length;
    /* The handshake is done; no plaintext has left or was delivered. Not called where another
     * session was started inside this one already. May be NULL. */
    void (*on_handshake)(twl_stream *stream);
} twl_tls_start;

#define TWL_TLS_START_INIT                                                     \
    {                                                                          \
        sizeof(twl_tls_start), NULL, false, NULL, 30., NULL, 0, NULL           \
    }

/* Go on in TLS. What was written before leaves as it is, what is written from now on is
 * encrypted, as soon as the handshake is done. On a stream with TLS, the new one runs inside the
 * old. All functions on streams keep their meaning, and:
 *   An end is a close_notify. The peer's connection may end without one: TWL_ETRUNCATED.
 *   twl_stream_close() says ours, and waits for the peer's, for a moment. Before the handshake is
 *   done, and without anything written, it is an abort.
 *   twl_stream_abort() with TWL_EEOF says ours if the kernel takes it at once.
 *   twl_stream_pause() does not stop a handshake.
 * TWL_TCP_NODELAY is set on TCP: what follows a server's tickets would wait for an answer to them.
 * Returns what twl_tls_init() does, TWL_EINVAL for a bad timeout, TWL_ECLOSED for a stream that
 * is closing, or whose one or other end is over. */
TWL_API int twl_stream_start_tls(twl_stream *stream,
                                 const twl_tls_start *start);

/* The innermost session of a stream, to be looked at, until on_closed returns; NULL if it has
 * none. */
TWL_API const twl_tls *twl_stream_tls(const twl_stream *stream);

/* ---- Names ------------------------------------------------------------------------------- */

/* The resolver of a reactor is opened by the first look-up. It answers from the hosts file,
 * from what it learnt as long as that is valid, or asks the name servers; those and the search
 * list are read again when resolv.conf has changed. It works by c-ares, whose memory is not the
 * reactor's allocator's: ares_library_init_mem() counts for the process, and is the host's. */

typedef struct twl_resolver_config {
    size_t size; /* set by the initialiser */
    const char
        *servers; /* "127.0.0.1:5353,[::1]:53"; NULL: those of resolv_conf */
    const char *resolv_conf; /* NULL: "/etc/resolv.conf" */
    const char *hosts;       /* NULL: "/etc/hosts" */
    unsigned cache_size;     /* names kept at most; 0: none */
    double ttl_min, ttl_max; /* bounds for how long addresses are kept */
    double negative_ttl_max; /* and for that there are none */
} twl_resolver_config;

#define TWL_RESOLVER_CONFIG_INIT                                               \
    {                                                                          \
        sizeof(twl_resolver_config), NULL, NULL, NULL, 1000, 0., 86400., 300.  \
    }

/* Begin anew with [config], whose strings are copied, and with nothing learnt. What is being
 * asked goes on, its next try with [config]. TWL_EINVAL: bad servers or bounds. */
TWL_API int twl_resolver_configure(twl_reactor *reactor,
                                   const twl_resolver_config *config);

/* Ask the hosts file only, at once: its first address for [name]. TWL_ENXDOMAIN,
 * TWL_ENOADDRESS. */
TWL_API int twl_resolver_hosts(twl_reactor *reactor, const char *name,
                               enum twl_family family, twl_address *out);

/* The addresses of a name; valid until the function that it was given to returns. */
typedef struct twl_answer twl_answer;
TWL_API size_t twl_answer_count(const twl_answer *answer);
TWL_API void twl_answer_address(const twl_answer *answer, size_t index,
                                long port, twl_address *out);

enum { TWL_LOOKUP_TRIES = 8 };

typedef struct twl_lookup twl_lookup;

typedef struct twl_lookup_config {
    size_t size;            /* set by the initialiser */
    const char *name;       /* with a dot at its end: as it stands */
    enum twl_family family; /* TWL_IPV4 or TWL_IPV6 */
    int tries;              /* 1 to TWL_LOOKUP_TRIES */
    double timeouts
        [TWL_LOOKUP_TRIES]; /* of each try, in which every server is asked */
} twl_lookup_config;

#define TWL_LOOKUP_CONFIG_INIT                                                 \
    {                                                                          \
        sizeof(twl_lookup_config), NULL, TWL_IPV4, 4,                          \
        {                                                                      \
            1., 3., 11., 45.                                                   \
        }                                                                      \
    }

/* The end of a look-up: [code] 0 and one address or more; or a negative code, which with
 * TWL_ENXDOMAIN and TWL_ENOADDRESS is about the name, else about the servers: TWL_ETIMEDOUT,
 * TWL_ESERVFAIL, TWL_EREFUSED, -ECONNREFUSED (none was reached) and so on. [answer] is to be
 * looked at with 0 only. */
typedef void (*twl_lookup_fn)(twl_lookup *lookup, int code,
                              const twl_answer *answer);

TWL_API size_t twl_lookup_size(void);
TWL_API void twl_lookup_init(void *memory, twl_reactor *reactor,
                             twl_lookup_fn fn, void *context);
TWL_API void *twl_lookup_context(const twl_lookup *lookup);

/* Begin. Every outcome comes later by the function. Look-ups of the same name share what is
 * sent. TWL_EINVAL: no such family, a bad time-out, or no name that can be asked for: empty or
 * too long labels, more than 253 bytes, spaces or other than ASCII; TWL_EBUSY; TWL_ENOMEM. */
TWL_API int twl_lookup_start(twl_lookup *lookup,
                             const twl_lookup_config *config);

/* End it; its function is not called any more. */
TWL_API void twl_lookup_cancel(twl_lookup *lookup);
TWL_API bool twl_lookup_active(const twl_lookup *lookup);

/* ---- Descriptors ---------------------------------------------------------------------- */

/* A duplicate of [fd], close-on-exec and non-blocking, in [*out], whose type and state fit:
 * a listening or connected stream socket. TWL_EINVAL for another kind. */
TWL_API int twl_fd_adopt(int fd, bool listening, int *out);
TWL_API void twl_fd_close(int fd);

/* Whether somebody holds the lock that twl_listener_config.lock takes for [address]. */
TWL_API bool twl_address_locked(const twl_address *address);

/* ---- Raw sockets: for hosts that watch a descriptor themselves --------------------------- */

#define TWL_EAGAIN (-EAGAIN) /* not now: watch the descriptor */

/* A listening socket, non-blocking and close-on-exec, in [*out]. */
TWL_API int twl_raw_listen(const twl_address *address, int backlog, int *out);

/* Begin to connect, non-blocking: TWL_EAGAIN while under way, then [*out] becomes writable and
 * twl_raw_outcome() tells how it went. */
TWL_API int twl_raw_connect(const twl_address *address, int *out);
TWL_API int twl_raw_outcome(int fd);
TWL_API int twl_raw_accept(int fd, int *out, twl_address *peer);
TWL_API int twl_raw_set_blocking(int fd, bool blocking);

/* Bytes moved, or a negative code; receiving 0 is the peer's end. No SIGPIPE. */
TWL_API long twl_raw_receive(int fd, char *buffer, size_t size);
TWL_API long twl_raw_send(int fd, const char *bytes, size_t length);
TWL_API int twl_raw_shutdown(int fd);
TWL_API int twl_raw_local(int fd, twl_address *out);
TWL_API int twl_raw_peer(int fd, twl_address *out);

typedef struct twl_raw_interest {
    int fd;
    bool write; /* otherwise read */
    bool ready; /* set by twl_raw_wait: also by an error or an end, which the next call tells */
} twl_raw_interest;

#define TWL_RAW_WAIT_MAX 1024

/* Block, without a reactor, until one of them is ready or [timeout] seconds have passed; a negative
 * one is for ever. A signal may end it early. Returns how many are ready, or TWL_EINVAL: more than
 * TWL_RAW_WAIT_MAX, or no number of seconds. */
TWL_API int twl_raw_wait(twl_raw_interest *interests, int count,
                         double timeout);

/* ---- Capabilities: what a sandboxed script may do ------------------------------------------ */

/* A list of rules, made once. Any thread may ask. Where a function takes it, NULL permits
 * everything, and what is not permitted is TWL_EDENIED, whether it exists or not. */
typedef struct twl_capabilities twl_capabilities;

enum twl_permission {
    TWL_PERMIT_NET,
    TWL_PERMIT_READ,
    TWL_PERMIT_WRITE,
    TWL_PERMIT_RUN,
    TWL_PERMIT_ENV
};

/* What the NULL-terminated list [words] permits: "net", "net=HOST", "net=HOST:PORT",
 * "net=ADDRESS/BITS:PORT", "net=*:PORT", "net=unix", "net=unix:PATH", "read", "read=PATH",
 * "write", "write=PATH", "run", "run=PROGRAM", "env", "env=NAME"; docs/sandbox.md tells what each
 * means. For a word that is none it is TWL_EINVAL, and [error] says why. [alloc]: NULL is realloc
 * and free. */
TWL_API int twl_capabilities_open(const char *const *words, twl_alloc_fn alloc,
                                  void *alloc_context, char *error, size_t size,
                                  twl_capabilities **out);
TWL_API void twl_capabilities_close(twl_capabilities *capabilities);

/* Whether twl_capabilities_open() takes [words]; [error] says why not. */
TWL_API int twl_capabilities_check(const char *const *words, char *error,
                                   size_t size);

/* Permit TWL_ACCESS_MODULE for the files below [directory] whose names end in ".lua". */
TWL_API int twl_capabilities_add_modules(twl_capabilities *capabilities,
                                         const char *directory);

/* Whether all of a kind is permitted, whatever its name. */
TWL_API bool twl_capabilities_all(const twl_capabilities *capabilities,
                                  enum twl_permission permission);

enum twl_use { TWL_USE_CONNECT, TWL_USE_LISTEN, TWL_USE_SEND };

TWL_API bool twl_capabilities_address(const twl_capabilities *capabilities,
                                      enum twl_use use,
                                      const twl_address *address);

/* Whether [name] may be looked up. */
TWL_API bool twl_capabilities_name(const twl_capabilities *capabilities,
                                   const char *name);

/* [name] has [address], so the rules that name it permit that from now on; but none to this machine
 * or the link, which whoever owns the name could have told. */
TWL_API void twl_capabilities_learn(twl_capabilities *capabilities,
                                    const char *name,
                                    const twl_address *address);

TWL_API bool twl_capabilities_variable(const twl_capabilities *capabilities,
                                       const char *name);

/* What files are to be used for; or'ed. What may be read may be loaded as a module, too. */
enum { TWL_ACCESS_READ = 1, TWL_ACCESS_WRITE = 2, TWL_ACCESS_MODULE = 4 };

/* 0 or TWL_EDENIED for a path, all links followed, whether there is something or not. */
TWL_API int twl_capabilities_path(const twl_capabilities *capabilities,
                                  int access, const char *path);

/* Find [program], one without a slash in the directories of [search], and write its path to [out].
 * TWL_EDENIED, or TWL_EINVAL where [size] is too small. */
TWL_API int twl_capabilities_program(const twl_capabilities *capabilities,
                                     const char *program, const char *search,
                                     char *out, size_t size);

/* A sentence for what was refused, which tells how to permit it: such as "reading /etc/passwd is
 * not permitted (--allow-read=/etc/passwd)". */
#define TWL_REFUSAL_TEXT 12400
TWL_API void twl_capabilities_explain_address(enum twl_use use,
                                              const twl_address *address,
                                              char text[TWL_REFUSAL_TEXT]);
TWL_API void twl_capabilities_explain_path(const twl_capabilities *capabilities,
                                           int access, const char *path,
                                           char text[TWL_REFUSAL_TEXT]);

/* ---- Changes of files: inotify of Linux ---------------------------------------------------- */

/* A descriptor, non-blocking and close-on-exec, in [*out], which becomes readable when there are
 * events. -ENOSYS where there is no inotify. */
TWL_API int twl_inotify_open(int *out);

/* Watch [path] for the IN_ bits of [mask]. Returns the number of the watch, from 1: that of the
 * watch that [path]'s file has already, whose mask is then replaced. */
TWL_API int twl_inotify_add(int fd, const twl_capabilities *capabilities,
                            const char *path, uint32_t mask);
TWL_API int twl_inotify_remove(int fd, int watch);

/* Read events into [buffer]: the number of bytes, TWL_EAGAIN or the system's error. */
TWL_API long twl_inotify_read(int fd, char *buffer, size_t size);

typedef struct twl_inotify_event {
    int watch; /* -1: events were lost */
    uint32_t mask;
    const char *name; /* in the watched directory; within the bytes parsed */
    size_t name_length;
} twl_inotify_event;

/* The first event in [bytes]: its size, 0 where there is no whole one. */
TWL_API size_t twl_inotify_parse(const char *bytes, size_t length,
                                 twl_inotify_event *out);

/* Call fn(context, name, whether it is a directory and no link to one) for all that is in a
 * directory, without "." and "..", until it returns false. */
typedef bool (*twl_directory_fn)(void *context, const char *name,
                                 bool directory);
TWL_API int twl_directory_list(const twl_capabilities *capabilities,
                               const char *path, twl_directory_fn fn,
                               void *context);

/* ---- Random bytes ------------------------------------------------------------------------- */

/* Fill [bytes] with what nobody can guess. -EIO where the system has none to give. */
TWL_API int twl_random(void *bytes, size_t length);

/* ---- Lock files: between processes, and given up by a crash -------------------------------- */

/* Take the lock [path] without waiting. [*clean] tells whether its last holder gave it back;
 * one that is no more does not keep it. Returns TWL_EBUSY while a process holds it, this one
 * included, TWL_EINVAL where [path] is something else, or the system's error. */
TWL_API int twl_lockfile_take(const twl_capabilities *capabilities,
                              const char *path, bool *clean);

/* Whether a process holds it. */
TWL_API bool twl_lockfile_held(const char *path);

/* Give it back. TWL_EINVAL if this process does not hold it. */
TWL_API int twl_lockfile_release(const twl_capabilities *capabilities,
                                 const char *path);

/* ---- HTTP/1: messages --------------------------------------------------------------------- */

/* Pure functions that read HTTP/1.0 and HTTP/1.1 messages to the letter of RFC 9112: bytes in;
 * consumed, need more, or bad out. They do no I/O, allocate nothing, copy nothing and keep no
 * pointers: what they find are slices of the caller's buffer. */

/* What is wrong with a message. twl_http1_status() tells what a server should answer. */
enum twl_http1_error {
    TWL_EHTTP_LINE = -20101,          /* malformed start-line */
    TWL_EHTTP_METHOD = -20102,        /* a method that is no token */
    TWL_EHTTP_TARGET = -20103,        /* a byte that no target may have */
    TWL_EHTTP_FORM = -20104,          /* a target that its method cannot have */
    TWL_EHTTP_VERSION = -20105,       /* no HTTP-version */
    TWL_EHTTP_MAJOR = -20106,         /* a version other than 1.x */
    TWL_EHTTP_CODE = -20107,          /* a status code below 100, or none */
    TWL_EHTTP_LINE_SIZE = -20108,     /* start-line over limits.line */
    TWL_EHTTP_HEAD_SIZE = -20109,     /* head over limits.head */
    TWL_EHTTP_FIELDS = -20110,        /* more fields than there is room for */
    TWL_EHTTP_BARE_CR = -20111,       /* a CR that no LF follows */
    TWL_EHTTP_BARE_LF = -20112,       /* an LF that no CR precedes */
    TWL_EHTTP_FOLD = -20113,          /* a space begins the line: obs-fold */
    TWL_EHTTP_NAME = -20114,          /* a field name that is no token */
    TWL_EHTTP_NO_NAME = -20115,       /* an empty field name */
    TWL_EHTTP_NO_COLON = -20116,      /* a field line without a colon */
    TWL_EHTTP_SPACE = -20117,         /* a space between name and colon */
    TWL_EHTTP_VALUE = -20118,         /* a control byte in value or reason */
    TWL_EHTTP_LENGTH = -20119,        /* Content-Length is no number */
    TWL_EHTTP_LENGTH_SIZE = -20120,   /* ... is 2^63 or more */
    TWL_EHTTP_LENGTH_TWICE = -20121,  /* ... is there twice */
    TWL_EHTTP_LENGTH_CODING = -20122, /* ... and Transfer-Encoding */
    TWL_EHTTP_CODING = -20123,        /* chunked is not last, or twice */
    TWL_EHTTP_CODING_UNKNOWN = -20124, /* one that is not chunked */
    TWL_EHTTP_CODING_VERSION = -20125, /* a coding in HTTP/1.0 */
    TWL_EHTTP_NO_HOST = -20126,        /* HTTP/1.1 without Host */
    TWL_EHTTP_HOST_TWICE = -20127,     /* several Host */
    TWL_EHTTP_HOST = -20128,           /* Host that is no host and port */
    TWL_EHTTP_TUNNEL = -20129,         /* CONNECT with a body */
    TWL_EHTTP_BODY_SIZE = -20130,      /* body over limits.body */
    TWL_EHTTP_CHUNK = -20131,          /* chunk size that is no number */
    TWL_EHTTP_CHUNK_SIZE = -20132,     /* ... of more than 15 digits */
    TWL_EHTTP_CHUNK_END = -20133,      /* no CRLF behind a chunk's data */
    TWL_EHTTP_EXTENSION = -20134,      /* a control byte in an extension */
    TWL_EHTTP_EXTENSION_SIZE = -20135, /* over limits.extension */
    TWL_EHTTP_TRAILER_SIZE = -20136    /* over limits.trailers */
};

/* The status that a server should answer a request with that had the error [code]: 400, 413,
 * 414, 431, 501 or 505; 400 for a code that is not one of the above. */
TWL_API int twl_http1_status(int code);

/* The standard reason phrase of [status], "" for one that has none. Static storage. */
TWL_API const char *twl_http1_reason(int status);

enum twl_method {
    TWL_METHOD_OTHER, /* see twl_http1_head.method */
    TWL_METHOD_GET,
    TWL_METHOD_HEAD,
    TWL_METHOD_POST,
    TWL_METHOD_PUT,
    TWL_METHOD_DELETE,
    TWL_METHOD_CONNECT,
    TWL_METHOD_OPTIONS,
    TWL_METHOD_TRACE,
    TWL_METHOD_PATCH
};

/* Field names that are recognised. */
enum twl_field {
    TWL_FIELD_OTHER,
    TWL_FIELD_HOST,
    TWL_FIELD_CONTENT_LENGTH,
    TWL_FIELD_TRANSFER_ENCODING,
    TWL_FIELD_CONNECTION,
    TWL_FIELD_EXPECT,
    TWL_FIELD_UPGRADE,
    TWL_FIELD_TRAILER,
    TWL_FIELD_TE,
    TWL_FIELD_ACCEPT,
    TWL_FIELD_ACCEPT_CHARSET,
    TWL_FIELD_ACCEPT_ENCODING,
    TWL_FIELD_ACCEPT_LANGUAGE,
    TWL_FIELD_ACCEPT_RANGES,
    TWL_FIELD_AGE,
    TWL_FIELD_ALLOW,
    TWL_FIELD_ALT_SVC,
    TWL_FIELD_AUTHORIZATION,
    TWL_FIELD_CACHE_CONTROL,
    TWL_FIELD_CONTENT_DISPOSITION,
    TWL_FIELD_CONTENT_ENCODING,
    TWL_FIELD_CONTENT_LANGUAGE,
    TWL_FIELD_CONTENT_LOCATION,
    TWL_FIELD_CONTENT_RANGE,
    TWL_FIELD_CONTENT_TYPE,
    TWL_FIELD_COOKIE,
    TWL_FIELD_DATE,
    TWL_FIELD_ETAG,
    TWL_FIELD_EXPIRES,
    TWL_FIELD_FORWARDED,
    TWL_FIELD_IF_MATCH,
    TWL_FIELD_IF_MODIFIED_SINCE,
    TWL_FIELD_IF_NONE_MATCH,
    TWL_FIELD_IF_RANGE,
    TWL_FIELD_IF_UNMODIFIED_SINCE,
    TWL_FIELD_KEEP_ALIVE,
    TWL_FIELD_LAST_MODIFIED,
    TWL_FIELD_LINK,
    TWL_FIELD_LOCATION,
    TWL_FIELD_MAX_FORWARDS,
    TWL_FIELD_ORIGIN,
    TWL_FIELD_PRAGMA,
    TWL_FIELD_PROXY_AUTHENTICATE,
    TWL_FIELD_PROXY_AUTHORIZATION,
    TWL_FIELD_PROXY_CONNECTION,
    TWL_FIELD_RANGE,
    TWL_FIELD_REFERER,
    TWL_FIELD_RETRY_AFTER,
    TWL_FIELD_SEC_WEBSOCKET_ACCEPT,
    TWL_FIELD_SEC_WEBSOCKET_EXTENSIONS,
    TWL_FIELD_SEC_WEBSOCKET_KEY,
    TWL_FIELD_SEC_WEBSOCKET_PROTOCOL,
    TWL_FIELD_SEC_WEBSOCKET_VERSION,
    TWL_FIELD_SERVER,
    TWL_FIELD_SET_COOKIE,
    TWL_FIELD_STRICT_TRANSPORT_SECURITY,
    TWL_FIELD_USER_AGENT,
    TWL_FIELD_VARY,
    TWL_FIELD_VIA,
    TWL_FIELD_WWW_AUTHENTICATE,
    TWL_FIELD_X_FORWARDED_FOR,
    TWL_FIELD_X_FORWARDED_HOST,
    TWL_FIELD_X_FORWARDED_PROTO,
    TWL_FIELD_COUNT
};

/* "GET", "Content-Length"; NULL for a number that has no name. Static storage. */
TWL_API const char *twl_http1_method_name(int method);
TWL_API const char *twl_http1_field_name(int field);

/* The number of a method (its case matters) and of a field name (its case does not). */
TWL_API int twl_http1_method(const char *bytes, size_t length);
TWL_API int twl_http1_field(const char *bytes, size_t length);

/* Whether the bytes may stand in a message as they are: a method or field name, a field value
 * (or reason phrase), a request target, and the value of Host. Whoever writes what others
 * supply asks first. */
TWL_API bool twl_http1_is_token(const char *bytes, size_t length);
TWL_API bool twl_http1_is_value(const char *bytes, size_t length);
TWL_API bool twl_http1_is_target(const char *bytes, size_t length);
TWL_API bool twl_http1_is_host(const char *bytes, size_t length);

typedef struct twl_http1_limits {
    size_t size;       /* set by the initialiser */
    uint32_t line;     /* bytes of the start-line: 8 KiB */
    uint32_t head;     /* bytes of the head, start-line included: 32 KiB */
    uint32_t trailers; /* bytes of the trailer section: 8 KiB */
    /* Bytes of chunk extensions, of which as many as there are of data do not count: 4 KiB. */
    uint32_t extension;
    uint64_t body; /* bytes of the body: no limit */
} twl_http1_limits;

#define TWL_HTTP1_LIMITS_INIT                                                  \
    {                                                                          \
        sizeof(twl_http1_limits), 8192, 32768, 8192, 4096, UINT64_MAX          \
    }

/* Where in the buffer something is. */
typedef struct twl_slice {
    uint32_t at, length;
} twl_slice;

typedef struct twl_http1_line {
    uint32_t name, value; /* where they are in the buffer; no spaces around */
    uint32_t value_length;
    uint16_t name_length;
    uint8_t field;  /* enum twl_field */
    bool forbidden; /* in a trailer section: to be ignored, RFC 9110 6.5.1 */
} twl_http1_line;

enum twl_target {
    TWL_TARGET_ORIGIN,
    TWL_TARGET_ABSOLUTE,
    TWL_TARGET_AUTHORITY,
    TWL_TARGET_ASTERISK
};

enum twl_body {
    TWL_BODY_NONE,
    TWL_BODY_LENGTH,  /* content_length bytes, at least one */
    TWL_BODY_CHUNKED, /* see twl_http1_chunks */
    TWL_BODY_REST     /* of a response: until the connection is closed */
};

/* The head of a message; what it says once the parse has returned its length. */
typedef struct twl_http1_head {
    twl_http1_line *lines; /* the caller's array: the fields in their order */
    uint32_t capacity;     /* its length */
    uint32_t count;        /* how many there are */
    twl_slice method;      /* of a request */
    twl_slice target;      /* of a request */
    /* Of a request: the host and port that it is for, from the target if that has them, else
     * from Host (RFC 9112 3.3). May be empty. */
    twl_slice authority;
    twl_slice reason; /* of a response */
    uint64_t present; /* bit n: there is a field of the number n */
    /* -1 when there is none, or an invalid one in a response that has no body anyway. */
    int64_t content_length;
    uint16_t status;       /* of a response */
    uint8_t method_number; /* enum twl_method */
    uint8_t target_form;   /* enum twl_target */
    uint8_t minor;         /* HTTP/1.minor, as sent */
    uint8_t body;          /* enum twl_body, RFC 9112 6.3 */
    bool keep_alive;       /* the connection goes on: RFC 9112 9.3 */
    /* A request asks for another protocol, or for a tunnel. A response says that what follows
     * its head belongs to that. */
    bool upgrade;
    bool expect_continue; /* waits for 100 before it sends its body */
    /* What is below is the parser's. */
    bool started;
    uint8_t blanks;
    uint32_t next, scanned;
} twl_http1_head;

/* Make [head] ready for a message; it will have room for [capacity] fields in [lines]. */
TWL_API void twl_http1_head_init(twl_http1_head *head, twl_http1_line *lines,
                                 uint32_t capacity);

/* Parse the head of a request, or response, that begins at [buffer], of which [length] bytes
 * are there. Returns the length of the head when it is complete, 0 if more bytes are needed, or
 * a negative code, after which the connection is of no use.
 *
 * When more bytes have come, call again with the same [head]: the bytes from [buffer] on must be
 * the same, though the buffer may have moved. The parse goes on where it stopped, so bytes that
 * come one by one cost no more than all at once. An error in a line is reported at the latest
 * when the line is complete.
 *
 * [limits] NULL means the defaults. [method] is that of the request, an enum twl_method, which
 * decides whether there is a body. */
TWL_API int twl_http1_parse_request(const char *buffer, size_t length,
                                    const twl_http1_limits *limits,
                                    twl_http1_head *head);
TWL_API int twl_http1_parse_response(const char *buffer, size_t length,
                                     int method, const twl_http1_limits *limits,
                                     twl_http1_head *head);

/* Likewise for what follows the last chunk: trailer fields, if any, and an empty line. */
TWL_API int twl_http1_parse_trailers(const char *buffer, size_t length,
                                     const twl_http1_limits *limits,
                                     twl_http1_head *head);

/* The first line of the number [field] from index [from] on; NULL if there is none. */
TWL_API const twl_http1_line *twl_http1_find(const twl_http1_head *head,
                                             int field, uint32_t from);

/* Whether the comma-separated list in [bytes] has the element [word], which is in lower case. */
TWL_API bool twl_http1_has_word(const char *bytes, size_t length,
                                const char *word);

/* ---- HTTP/1: the chunked coding ------------------------------------------------------------- */

enum twl_chunk {
    TWL_CHUNK_MORE, /* all bytes are consumed, and more are needed */
    TWL_CHUNK_DATA, /* a slice of the body */
    TWL_CHUNK_LAST  /* twl_http1_parse_trailers() takes what follows */
};

/* A body on its way: begin with zeros. */
typedef struct twl_http1_chunks {
    uint64_t total; /* of the body so far, the present chunk included */
    uint64_t left;  /* of the present chunk */
    uint64_t excess;
    uint8_t state, digits;
} twl_http1_chunks;

/* Take the next piece from [bytes]. Returns an enum twl_chunk or a negative code. [*used] is how
 * many bytes were consumed; with TWL_CHUNK_DATA, the last [*data] of them are a slice of the
 * body. Call it until it returns something else than TWL_CHUNK_DATA. */
TWL_API int twl_http1_chunks_next(twl_http1_chunks *chunks, const char *bytes,
                                  size_t length, const twl_http1_limits *limits,
                                  size_t *used, size_t *data);

/* The most that twl_http1_chunk_head() writes. */
#define TWL_CHUNK_HEAD 18

/* What ends the data of each chunk, and the body after the last one when no trailers follow. */
#define TWL_CHUNK_END "\r\n"
#define TWL_CHUNK_FINAL "0\r\n\r\n"

/* Write what precedes a chunk of [size] bytes. Returns its length, without a NUL; 0 for a [size]
 * of 0, which would end the body. */
TWL_API size_t twl_http1_chunk_head(char out[TWL_CHUNK_HEAD], uint64_t size);

/* ---- Content codings: gzip, deflate, brotli -------------------------------------------------- */

/* A coder encodes or decodes one stream, in pieces of any size, both ways bounded: it takes what
 * fits the room that its caller gives. All its memory comes from [alloc]. */
typedef struct twl_coder twl_coder;

enum twl_coding_error {
    TWL_ECODING = -20401,      /* the bytes are not of the coding */
    TWL_ECODING_END = -20402,  /* bytes behind the end of the coding */
    TWL_ECODING_SHORT = -20403 /* for who decodes: the coding has no end */
};

enum twl_coding {
    TWL_CODING_GZIP,
    /* RFC 9110 8.4.1.2. The decoder takes bare DEFLATE as well, which some servers send. */
    TWL_CODING_DEFLATE,
    TWL_CODING_RAW, /* DEFLATE without anything around it */
    TWL_CODING_BROTLI
};

typedef struct twl_coder_config {
    size_t size; /* set by the initialiser */
    int coding;  /* enum twl_coding */
    bool decode;
    /* Of an encoder: effort, 1 to 9, of brotli 0 to 11. -1: 6, of brotli 5. */
    int level;
    /* Base-two logarithm of the window: 9 to 15, of brotli 10 to 24. 0: 15, of brotli 18. A
     * decoder of brotli ignores it: the stream tells. */
    int window_bits;
    twl_alloc_fn alloc; /* NULL: realloc and free */
    void *alloc_context;
} twl_coder_config;

#define TWL_CODER_CONFIG_INIT                                                  \
    {                                                                          \
        sizeof(twl_coder_config), TWL_CODING_GZIP, false, -1, 0, NULL, NULL    \
    }

enum twl_flush {
    TWL_FLUSH_NONE, /* keep what compresses better together with more */
    TWL_FLUSH_SYNC, /* write all: the other side can decode what came so far */
    TWL_FLUSH_END   /* that was the last: write the coding's end */
};

/* What a coder takes and where it writes to; each call moves the pointers. */
typedef struct twl_coder_step {
    const char *bytes;
    size_t length;
    char *out;
    size_t room;
} twl_coder_step;

enum twl_coder_state {
    TWL_CODER_MORE,  /* all was taken and written: more bytes are needed */
    TWL_CODER_AGAIN, /* there is no more room: call again, with the rest */
    TWL_CODER_END    /* the coding is complete */
};

TWL_API size_t twl_coder_size(void);

/* TWL_EINVAL for a setting out of its range, TWL_ENOMEM. */
TWL_API int twl_coder_init(twl_coder *coder, const twl_coder_config *config);

/* Take bytes and write. [flush] is for encoders: it must stay the same, and no bytes be added,
 * until the result is other than TWL_CODER_AGAIN. A flush that ends just where the room does may
 * be followed by an empty block. After its end, a gzip decoder takes another member, a raw one
 * more blocks; others fail with TWL_ECODING_END if there are more bytes. Returns an enum
 * twl_coder_state, or TWL_ECODING, TWL_ENOMEM or TWL_EINVAL, after which the coder is of no use
 * but to be reset or closed. */
TWL_API int twl_coder_run(twl_coder *coder, twl_coder_step *step, int flush);

/* Whether the coding is complete: as TWL_CODER_END said. */
TWL_API bool twl_coder_ended(const twl_coder *coder);

/* Begin a new stream with the same settings. TWL_ENOMEM. */
TWL_API int twl_coder_reset(twl_coder *coder);

/* Free what is held. Twice does nothing. */
TWL_API void twl_coder_close(twl_coder *coder);

/* ---- Workers: threads for calls that block ------------------------------------------------ */

/* A pool of threads. It starts one when there is more work than idle threads, up to its
 * maximum; what is beyond that waits in a queue. One that has been idle for a while ends. All
 * signals are blocked in them, so that a program they start inherits that. */
typedef struct twl_workers twl_workers;

typedef struct twl_workers_config {
    size_t size;      /* set by the initialiser */
    int minimum;      /* threads that stay though idle, once they are started; 0 */
    int maximum;      /* threads at most, 1 or more; 10 */
    double idle;      /* seconds until an idle thread ends; 30 */
    size_t stack;     /* bytes of stack for each; 2 MiB */
    const char *name; /* of the threads, 15 bytes at most; static storage */
    void (*leave)(void *local); /* on a thread that ends, if it set its pointer; NULL */
} twl_workers_config;

#define TWL_WORKERS_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(twl_workers_config), 0, 10, 30.0, 2 << 20, "twistlua worker",   \
            NULL                                                               \
    }

/* Something to be done on a worker's thread. The host owns it, sets [run] and [done], the rest
 * being zeros, and leaves it alone from twl_workers_add() until [done] is entered. */
typedef struct twl_work {
    struct twl__link link;
    twl_workers *workers; /* NULL while it is the host's */
    bool begun;
    /* On a worker's thread; [local] is that thread's own pointer, NULL at first. */
    void (*run)(struct twl_work *work, void **local);
    /* On the reactor's thread, in the order in which work is finished: the last call, exactly
     * one for each that is added and not taken back. [code] 0; or TWL_ECANCELED when it had not
     * begun, and never will, because the pool is closed. */
    void (*done)(struct twl_work *work, int code);
} twl_work;

TWL_API size_t twl_workers_size(void);
TWL_API void twl_workers_init(void *memory, twl_reactor *reactor);

/* Open the pool; no thread is started yet. [config] may be NULL for the defaults. TWL_EINVAL for
 * a bad one, TWL_EBUSY for a pool that is open. */
TWL_API int twl_workers_open(twl_workers *workers,
                             const twl_workers_config *config);

/* Wait for the work that has begun, without a bound, and end the threads. Work that has not
 * begun is cancelled, and all that is finished is done, inside this call. Threads that wait for
 * an answer of the reactor get TWL_ECANCELED. Nothing for a closed one, which may be opened
 * again. twl_reactor_close() closes all pools. */
TWL_API void twl_workers_close(twl_workers *workers);
TWL_API bool twl_workers_is_open(const twl_workers *workers);

/* Set the bounds on the number of threads. TWL_EINVAL or TWL_ECLOSED. */
TWL_API int twl_workers_resize(twl_workers *workers, int minimum, int maximum);

/* Have [work] done. Returns TWL_ECLOSED, TWL_EBUSY for work that is in a pool, or where not even
 * one thread can be had, TWL_ENOMEM or the system's error. */
TWL_API int twl_workers_add(twl_workers *workers, twl_work *work);

/* Take [work] back, if it has not begun; tells whether that is so: [done] is not called then. */
TWL_API bool twl_work_cancel(twl_work *work);

typedef struct twl_workers_count {
    int threads; /* that there are */
    int idle;    /* of them */
    int queued;  /* work that waits for a thread */
    int working; /* work that has begun and is not finished */
} twl_workers_count;

TWL_API void twl_workers_counts(twl_workers *workers, twl_workers_count *out);

/* ---- Asking: from a worker's thread back to the reactor's ----------------------------------- */

/* A call on the reactor's thread. The thread that asks owns it and sets [run] and [drop], the
 * rest being zeros. */
typedef struct twl_ask {
    struct twl__link link;
    twl_workers *workers;
    int state;
    /* On the reactor's thread, in the order of asking, and before the [done] of work that asked. */
    void (*run)(struct twl_ask *ask);
    /* There instead of it, or of the answer that it owes, when the pool is closed first. */
    void (*drop)(struct twl_ask *ask);
} twl_ask;

/* On a worker's thread of the open pool: have ask->run(ask) called, and go on. [ask] belongs to
 * the reactor's thread from here on. TWL_ECANCELED once the pool is being closed. */
TWL_API int twl_workers_tell(twl_workers *workers, twl_ask *ask);

/* As above, and wait until twl_ask_answer(), or the end of the pool: TWL_ECANCELED. [ask] belongs
 * to this thread again when it returns. */
TWL_API int twl_workers_ask(twl_workers *workers, twl_ask *ask);

/* On any thread of the pool: whether it is being closed, so that long work should end. */
TWL_API bool twl_workers_closing(twl_workers *workers);

/* On the reactor's thread: let the thread that waits go on. */
TWL_API void twl_ask_answer(twl_ask *ask);

/* ---- WebSocket: frames ---------------------------------------------------------------------- */

/* Pure functions for RFC 6455, in the manner of those for HTTP/1. */

enum twl_ws_error {
    TWL_EWS_RESERVED = -20301, /* a reserved bit */
    TWL_EWS_OPCODE = -20302,   /* a reserved opcode */
    TWL_EWS_CONTROL = -20303,  /* a control frame in parts, or over 125 bytes */
    TWL_EWS_LENGTH = -20304,   /* a length in more bytes than needed */
    TWL_EWS_MASK = -20305,     /* masked from a server, or not from a client */
    TWL_EWS_SEQUENCE = -20306, /* a part of no message, or one inside another */
    TWL_EWS_SIZE = -20307,     /* message over reader.limit */
    TWL_EWS_CLOSE = -20308,    /* close frame with a bad code, or half of one */
    TWL_EWS_UTF8 = -20309,     /* text that is not UTF-8 */
    TWL_EWS_FRAMES = -20310,   /* message in too many frames: for who counts them */
    TWL_EWS_DEFLATE = -20311   /* compressed message that is not DEFLATE */
};

/* The code of the close frame that answers the error [code]: 1002, 1007, 1008 or 1009. */
TWL_API int twl_ws_status(int code);

enum twl_ws_opcode {
    TWL_WS_CONTINUATION = 0,
    TWL_WS_TEXT = 1,
    TWL_WS_BINARY = 2,
    TWL_WS_CLOSE = 8,
    TWL_WS_PING = 9,
    TWL_WS_PONG = 10
};

/* What a frame says before its payload. */
typedef struct twl_ws_frame {
    uint64_t length;  /* of the payload */
    uint8_t opcode;   /* enum twl_ws_opcode */
    uint8_t reserved; /* RSV1 is 4, RSV2 is 2, RSV3 is 1 */
    bool final;       /* the last frame of its message */
    bool masked;
    uint8_t key[4];
} twl_ws_frame;

/* One direction of a connection. */
typedef struct twl_ws_reader {
    uint64_t limit;   /* bytes of a message, all its frames together */
    bool server;      /* we are the server: frames have to be masked */
    uint8_t reserved; /* bits that an extension gave a meaning */
    uint8_t message;  /* opcode of the message that goes on; 0: none */
    uint64_t total;   /* of its payload so far */
} twl_ws_reader;

/* Parse the head of the frame that begins at [bytes]. Returns its length, 2 to 14, and then
 * [reader] counts the frame as received; 0 if more bytes are needed; or a negative code. */
TWL_API int twl_ws_parse(twl_ws_reader *reader, const char *bytes,
                         size_t length, twl_ws_frame *frame);

/* The most that twl_ws_write() writes. */
#define TWL_WS_HEAD 14

/* Write the head of [frame], its length in as few bytes as it takes. Returns the head's length. */
TWL_API size_t twl_ws_write(char out[TWL_WS_HEAD], const twl_ws_frame *frame);

/* Mask, or unmask, [length] bytes, which begin [offset] bytes into the payload. [out] may be
 * [in] itself, but not overlap it otherwise. */
TWL_API void twl_ws_mask(char *out, const char *in, size_t length,
                         const uint8_t key[4], uint64_t offset);

/* Whether a close frame may carry [code]: RFC 6455 7.4, with 1012 to 1014 of the registry. */
TWL_API bool twl_ws_is_close_code(int code);

/* Read the payload of a close frame: [*code] is 1005 when there is none. The reason is what
 * follows the first two bytes. TWL_EWS_CLOSE or TWL_EWS_UTF8. */
TWL_API int twl_ws_parse_close(const char *payload, size_t length, int *code);

/* The lengths, with a NUL, of what clients and servers prove themselves with. */
#define TWL_WS_KEY 25
#define TWL_WS_ACCEPT 29

/* Make a Sec-WebSocket-Key. False: there is no randomness. */
TWL_API bool twl_ws_key(char out[TWL_WS_KEY]);

/* Whether [key] is one: the base64 of 16 bytes. */
TWL_API bool twl_ws_is_key(const char *key, size_t length);

/* Make the Sec-WebSocket-Accept for [key]. False: it has not a key's length, or there is no
 * SHA-1. */
TWL_API bool twl_ws_accept(const char *key, char out[TWL_WS_ACCEPT]);

/* UTF-8 that comes in pieces: begin with zeros. */
typedef struct twl_utf8 {
    uint8_t left, low, high; /* bytes to come, and the bounds of the next one */
} twl_utf8;

/* Whether the text is still valid with [length] more bytes; RFC 3629. False is final. */
TWL_API bool twl_utf8_feed(twl_utf8 *text, const char *bytes, size_t length);

/* Whether it may end here. */
TWL_API bool twl_utf8_complete(const twl_utf8 *text);

/* ---- Hashes --------------------------------------------------------------------------------- */

/* Any thread may call these. */
enum { TWL_DIGEST_MAX = 64 /* bytes */ };

/* Hash by the [method] that OpenSSL knows by that name, such as "sha256". TWL_EINVAL: there is
 * none. */
TWL_API int twl_digest(const char *method, const void *bytes, size_t length,
                       unsigned char *out, size_t *out_length);

/* HMAC (RFC 2104). */
TWL_API int twl_digest_keyed(const char *method, const void *key,
                             size_t key_length, const void *bytes,
                             size_t length, unsigned char *out,
                             size_t *out_length);

/* Whether they are the same, in a time that does not depend on them. */
TWL_API bool twl_equal_bytes(const void *a, const void *b, size_t length);

/* ---- Files: calls that block, for the threads of a pool ------------------------------------- */

/* Any thread may call these. Paths are NUL-terminated, and must be among the capabilities: NULL is
 * everything, and else TWL_EDENIED the answer. */

enum twl_file_type {
    TWL_FILE_REGULAR,
    TWL_FILE_DIRECTORY,
    TWL_FILE_LINK,
    TWL_FILE_OTHER /* a socket, a pipe, a device */
};

struct twl_file_info {
    enum twl_file_type type;
    uint64_t size;   /* bytes */
    unsigned mode;   /* permission bits */
    unsigned owner, group;
    uint64_t inode, device;
    unsigned links;
    double accessed, modified, changed; /* seconds since 1970 */
};

/* Read all of a file that has at most [maximum] bytes; TWL_EFBIG for a larger one. [*bytes], which
 * free() frees, is NULL after an error. */
#define TWL_EFBIG (-EFBIG)
TWL_API int twl_file_read(const twl_capabilities *capabilities,
                          const char *path, size_t maximum, char **bytes,
                          size_t *length);

/* The same for a file that is to be run: TWL_ACCESS_MODULE. */
TWL_API int twl_module_read(const twl_capabilities *capabilities,
                            const char *path, size_t maximum, char **bytes,
                            size_t *length);

enum {
    TWL_FILE_APPEND = 1, /* behind what is there */
    TWL_FILE_ATOMIC = 2, /* in a file beside it, synced, that then takes its place and mode */
    TWL_FILE_NEW = 4     /* -EEXIST if there is one */
};

/* Write a file. [mode] is that of a new one, and [flags] some of the above; TWL_EINVAL for
 * TWL_FILE_ATOMIC with one of the others. */
TWL_API int twl_file_write(const twl_capabilities *capabilities,
                           const char *path, const char *bytes, size_t length,
                           unsigned mode, int flags);

/* Open a file as fopen() does with [mode]; [*fd] is close-on-exec. */
TWL_API int twl_file_open(const twl_capabilities *capabilities,
                          const char *path, const char *mode, int *fd);

/* What such a [mode] needs: TWL_ACCESS_READ, TWL_ACCESS_WRITE or both. */
TWL_API int twl_file_access(const char *mode);

/* What there is; with [follow] what a symbolic link points to. */
TWL_API int twl_file_stat(const twl_capabilities *capabilities,
                          const char *path, bool follow, twl_file_info *out);

TWL_API int twl_file_stat_fd(int fd, twl_file_info *out);

/* Open [path], which begins with no slash, below the directory [root] for reading; "" is [root]
 * itself. Without [follow] neither "..", nor a symbolic link in [path] is followed: -ELOOP,
 * -EXDEV or -ENOTDIR. Never waits for a FIFO. [*fd] is close-on-exec. */
TWL_API int twl_file_open_beneath(const twl_capabilities *capabilities,
                                  const char *root, const char *path,
                                  bool follow, int *fd);

/* Read up to [size] bytes from [offset] on; fewer only at the end of the file. */
TWL_API int twl_file_read_at(int fd, uint64_t offset, char *bytes, size_t size,
                             size_t *length);

/* What is in the open directory [fd], which is left as it is: for each entry its type ('f' or 'd';
 * others are left out), its size in digits, a colon, its name, a NUL. In no order. */
TWL_API int twl_file_list_fd(int fd, bool follow, char **entries,
                             size_t *length);

/* The names in a directory, sorted, each with a NUL behind it, without "." and "..". */
TWL_API int twl_file_list(const twl_capabilities *capabilities,
                          const char *path, char **names, size_t *length);

/* Put [from] into the place of [to], at once for whoever looks. */
TWL_API int twl_file_rename(const twl_capabilities *capabilities,
                            const char *from, const char *to);

/* Remove a file, a link or an empty directory. */
TWL_API int twl_file_remove(const twl_capabilities *capabilities,
                            const char *path);

/* Make a directory; with [parents] also those above it, and one that exists is fine. */
TWL_API int twl_file_make_directory(const twl_capabilities *capabilities,
                                    const char *path, unsigned mode,
                                    bool parents);

/* ---- Pipes: one direction of a pipe, a FIFO, a terminal or a file -------------------------- */

typedef struct twl_pipe twl_pipe;

typedef struct twl_pipe_events {
    /* A reading end: bytes arrived; they are valid until this returns. */
    void (*on_read)(twl_pipe *pipe, const char *bytes, size_t length);
    /* A writing end: all output was handed to the kernel; see twl_pipe_notify_drain(). */
    void (*on_drain)(twl_pipe *pipe);
    /* The last call, exactly one for each opened pipe: TWL_EEOF for the end of the input, or
     * when twl_pipe_close() is done, else the error: -EPIPE when the reader has gone. */
    void (*on_closed)(twl_pipe *pipe, int reason);
} twl_pipe_events;

TWL_API size_t twl_pipe_size(void);
TWL_API void twl_pipe_init(void *memory, twl_reactor *reactor,
                           const twl_pipe_events *events, void *context);
TWL_API void *twl_pipe_context(const twl_pipe *pipe);

/* Own [fd] from here on, for TWL_READ or for TWL_WRITE. It is made non-blocking; one that was
 * not is made blocking again at the end, when no other pipe of the reactor needs it so: other
 * processes, such as the shell, may use the same terminal. At the end it is closed; 0, 1 and 2
 * become /dev/null instead, so that what is opened next does not get their number. A reading end
 * reads nothing until twl_pipe_resume(). */
TWL_API int twl_pipe_open(twl_pipe *pipe, int fd, int direction);

/* As for streams. Of a writing end, pausing and resuming do nothing. SIGPIPE is never raised. */
TWL_API void twl_pipe_resume(twl_pipe *pipe);
TWL_API void twl_pipe_pause(twl_pipe *pipe);
TWL_API int twl_pipe_write(twl_pipe *pipe, const char *bytes, size_t length);
TWL_API size_t twl_pipe_pending(const twl_pipe *pipe);
TWL_API void twl_pipe_notify_drain(twl_pipe *pipe, bool wanted);
TWL_API void twl_pipe_hold(twl_pipe *pipe, bool held);

/* Write what is queued, then close; read no more. */
TWL_API void twl_pipe_close(twl_pipe *pipe);

/* Close at once; on_closed follows in a later turn with [reason]. */
TWL_API void twl_pipe_abort(twl_pipe *pipe, int reason);
TWL_API bool twl_pipe_is_open(const twl_pipe *pipe);
TWL_API bool twl_pipe_closing(const twl_pipe *pipe);
TWL_API int twl_pipe_fd(const twl_pipe *pipe); /* -1 once closed */

/* A new pipe: the end for [direction] is non-blocking in [*ours], the other one in [*theirs].
 * Both are close-on-exec. */
TWL_API int twl_pipe_pair(int direction, int *ours, int *theirs);

/* A new pseudo-terminal, close-on-exec: [name] is the path of the slave. */
enum { TWL_TERMINAL_NAME = 64 };
TWL_API int twl_terminal_open(int *master, int *slave,
                              char name[TWL_TERMINAL_NAME]);
TWL_API int twl_terminal_resize(int fd, int rows, int columns);

/* A duplicate of [fd], close-on-exec, in [*out]. */
TWL_API int twl_fd_duplicate(int fd, int *out);

/* ---- Processes ------------------------------------------------------------------------------ */

typedef struct twl_process twl_process;

typedef struct twl_child_fd {
    int child;  /* the number that the child sees */
    int parent; /* the descriptor of ours that it is */
} twl_child_fd;

typedef struct twl_process_config {
    size_t size;            /* set by the initialiser */
    const char *executable; /* a path; a name without a slash is looked for */
    const char *search;     /* ... in these directories, "a:b"; NULL: nowhere */
    char *const *arguments; /* from its own name on; NULL after the last */
    char *const *environment; /* NULL after the last; NULL itself: ours */
    const char *directory;    /* where it starts; NULL: where we are */
    const twl_child_fd *fds;  /* it has these and no others */
    size_t fd_count;
    int64_t uid, gid; /* -1: ours. The groups are those of [uid] */
    int terminal; /* becomes the controlling one of a new session; -1: none */
} twl_process_config;

#define TWL_PROCESS_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(twl_process_config), NULL, NULL, NULL, NULL, NULL, NULL, 0, -1, \
            -1, -1                                                             \
    }

typedef struct twl_exit {
    int code;   /* -1: it did not exit by itself */
    int signal; /* that ended it; 0: none */
    int status; /* as waitpid() tells; -1: somebody else collected it */
} twl_exit;

typedef void (*twl_process_fn)(twl_process *process, const twl_exit *how);

TWL_API size_t twl_process_size(void);
TWL_API void twl_process_init(void *memory, twl_reactor *reactor,
                              twl_process_fn fn, void *context);
TWL_API void *twl_process_context(const twl_process *process);

/* Start a child. Its signals are unblocked and have their default handling. The function is
 * called once when it has ended. On an error, also of exec, there is no child, and [*step],
 * unless NULL, says in a word what failed. Only our own children are waited for, each by its
 * number; where the kernel has no pidfd, SIGCHLD is taken over meanwhile. */
TWL_API int twl_process_spawn(twl_process *process,
                              const twl_process_config *config,
                              const char **step);

/* -ESRCH when it has ended. */
TWL_API int twl_process_signal(twl_process *process, int number);

/* 0 when it has ended. */
TWL_API long twl_process_pid(const twl_process *process);

/* ---- Deferreds: values ------------------------------------------------------------------ */

typedef struct twl_deferred twl_deferred;

enum twl_kind {
    TWL_NOTHING,
    TWL_BOOLEAN,
    TWL_INTEGER,
    TWL_NUMBER,
    TWL_BYTES, /* borrowed, unless the host keeps copies: see keep */
    TWL_POINTER,
    TWL_OPAQUE, /* something of the host's that is looked at by nobody else */
    TWL_FAILURE, /* something went wrong: [code] says what, the host may know more */
    TWL_DEFERRED, /* only as what a stage leaves behind: wait for as.deferred */
    TWL_SETTLED /* likewise: run as.deferred, which the stage settled, at once */
};

/* The result of a Deferred. It is copied freely; what [hosted] ones stand for is kept, moved and
 * dropped by the functions of the Deferred's host. */
typedef struct twl_value {
    unsigned char kind; /* enum twl_kind */
    bool hosted;        /* the host keeps something for it */
    int code;           /* of a failure: a negative TWL_E code */
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *data;
            size_t length;
        } bytes;
        void *pointer;
        twl_deferred *deferred;
    } as;
} twl_value;

TWL_API twl_value twl_nothing(void);
TWL_API twl_value twl_boolean(bool boolean);
TWL_API twl_value twl_integer(int64_t integer);
TWL_API twl_value twl_number(double number);
TWL_API twl_value twl_bytes(const char *data, size_t length);
TWL_API twl_value twl_pointer(void *pointer);
TWL_API twl_value twl_failure(int code);
TWL_API twl_value twl_wait_for(twl_deferred *d);

/* ---- Deferreds ------------------------------------------------------------------------- */

/* A Deferred is fired once, with a result or a failure. The result then runs through the
 * stages that were added, each of which sees what the one before left; stages that are added
 * later run at once. A stage that leaves another Deferred behind makes its chain wait for that
 * one, which hands its result over and is left with nothing.
 *
 * Memory. The host provides that of Deferreds and of stages, so nothing here can run out of
 *   it, and nothing needs freeing. A Deferred must stay put until it is fired and at rest, and
 *   as long as one that it waits for, or that waits for it, exists; a stage until it is run.
 * Callbacks. Stages run inside the call that made them ready: firing, adding, unpausing,
 *   cancelling. Chains run in a loop: Deferreds that wait for each other, in any number, take
 *   no stack. A stage may call any function here on any Deferred; a stage that is added to the
 *   Deferred whose stage runs waits for its turn.
 * Failures. One that no stage has taken care of stays in the Deferred as its result; the
 *   host's rest function sees it.
 * Threads. All calls on Deferreds that can reach each other are made on one thread. */

/* What runs when a result comes by, good or bad. It changes [result] in place, or leaves it:
 * a stage for good results only returns at once when the kind is TWL_FAILURE. */
typedef void (*twl_stage_fn)(twl_deferred *d, void *context, twl_value *result);

typedef struct twl_stage {
    struct twl_stage *next;
    twl_stage_fn run;
    void *context;
} twl_stage;

/* Asked to stop what would fire [d]. Returns 0, and if [d] is still unfired then, the failure
 * TWL_ECANCELED fires it; 1 if [d] is to stay unfired; or a negative code, which
 * twl_deferred_cancel() returns with [d] as it was. */
typedef int (*twl_cancel_fn)(twl_deferred *d);

/* What a host that keeps values of its own, or collects its Deferreds, is told. One that does
 * neither needs no host. All Deferreds that wait for each other have the same one. No function
 * may run stages. */
typedef struct twl_deferred_host {
    /* A value with bytes comes into [d] to stay: make it last. TWL_ENOMEM. */
    int (*keep)(twl_deferred *d, twl_value *value);
    /* The result of [d] was hosted, and its stage left one that is not: nothing is to be kept
     * for it now. (What the stage replaced was the stage's to release.) */
    void (*drop)(twl_deferred *d);
    /* [outer], whose stage left [inner] behind, begins to wait for it: keep both alive.
     * TWL_ENOMEM makes it a failure of [outer]. */
    int (*wait)(twl_deferred *outer, twl_deferred *inner);
    /* [outer], whose stage left [inner] behind, takes the result of [inner]. */
    void (*take)(twl_deferred *outer, twl_deferred *inner);
    /* [outer], which waited for [inner], takes its result. */
    void (*resume)(twl_deferred *outer, twl_deferred *inner);
    /* The run goes over from [d] to [next], which resume was called for or a stage settled, and
     * from there to [previous], unless NULL: to [d] itself, or to where it would have gone
     * from [d]. */
    void (*enter)(twl_deferred *d, twl_deferred *next, twl_deferred *previous);
    /* The run comes back from [d] to [previous]. */
    void (*leave)(twl_deferred *d, twl_deferred *previous);
    /* [d] is fired, has run all its stages, and its result is a failure. */
    void (*rest)(twl_deferred *d);
} twl_deferred_host;

/* To be looked at through the functions below; its size is public so that it can be part of
 * something else. */
struct twl_deferred {
    const twl_deferred_host *host;
    void *context;
    twl_cancel_fn cancel;
    twl_value result;
    twl_stage *last;           /* of a ring: last->next is to run next */
    twl_deferred *waiting_for; /* what twl_deferred_cancel() goes on to */
    twl_deferred *previous;    /* where the run comes back to */
    twl_stage waiter;          /* stands in the chain of [waiting_for] */
    unsigned pauses;
    bool called : 1;
    bool running : 1;    /* a stage of it is on the stack */
    bool entered : 1;    /* a run will come to it, then to [previous] */
    bool cancelling : 1; /* [cancel] is on the stack */
    bool deaf : 1;       /* it ignores one late result */
};

/* [cancel] and [host] may be NULL. */
TWL_API void twl_deferred_init(twl_deferred *d, const twl_deferred_host *host,
                               twl_cancel_fn cancel, void *context);
TWL_API void *twl_deferred_context(const twl_deferred *d);

/* Add a stage. It runs inside this call when [d] is fired and not held up. */
TWL_API void twl_deferred_add(twl_deferred *d, twl_stage *stage,
                              twl_stage_fn run, void *context);

/* Fire [d] with [value], a failure or anything else but a Deferred. Returns 0, also for one
 * late result, which is ignored, after a cancellation that only [d] knew of; TWL_EALREADY if
 * it was fired; TWL_EBUSY while twl_deferred_await() makes it wait; TWL_EINVAL for a Deferred;
 * or TWL_ENOMEM. */
TWL_API int twl_deferred_fire(twl_deferred *d, twl_value value);

/* As above, but do not run the chain: for a stage that then leaves [d] behind as TWL_SETTLED,
 * so that firing one Deferred from a stage of another takes no stack. 1 where nothing was
 * done, because the result was one to ignore. */
TWL_API int twl_deferred_settle(twl_deferred *d, twl_value value);

/* Hold the chain up; as many unpauses let it go on, and run. */
TWL_API void twl_deferred_pause(twl_deferred *d);
TWL_API int twl_deferred_unpause(twl_deferred *d); /* TWL_EINVAL: not paused */

/* Unfired: ask its cancel function, or fire it with TWL_ECANCELED. Waiting for another: cancel
 * that one. Otherwise nothing. Returns 0 or what the cancel function did. */
TWL_API int twl_deferred_cancel(twl_deferred *d);

/* Add a stage to [d] on behalf of [waiter], which is not fired and goes on when run(d, waiter,
 * result) is called; until then, cancelling [waiter] is cancelling [d]. */
TWL_API void twl_deferred_await(twl_deferred *waiter, twl_deferred *d,
                                twl_stage_fn run);

/* Fire [next] with the outcome of [d], which is left with nothing, or with TWL_EALREADY. For
 * results that are not hosted, or hosted by as.pointer alone. */
TWL_API void twl_deferred_chain(twl_deferred *d, twl_stage *stage,
                                twl_deferred *next);

TWL_API bool twl_deferred_called(const twl_deferred *d);
TWL_API bool twl_deferred_paused(const twl_deferred *d);

/* The Deferred that [d] waits for, or NULL. */
TWL_API twl_deferred *twl_deferred_waiting_for(const twl_deferred *d);

/* Whether the result is there for the taking: fired, not held up, no stage under way. */
TWL_API bool twl_deferred_ready(const twl_deferred *d);

/* The result as it is now: nothing for an unfired one. */
TWL_API twl_value twl_deferred_result(const twl_deferred *d);

/* Take the result of a ready Deferred, which is left with nothing. A hosted one is the caller's
 * business from here on: drop is not called. */
TWL_API twl_value twl_deferred_take(twl_deferred *d);

/* ---- Channels: values from thread to thread ------------------------------------------------- */

/* A queue of values, first in, first out, of a bounded length, with any number of senders and
 * receivers on any threads; each value is received once. References to it are counted, and it
 * belongs to no reactor: it outlives all that use it. All functions on channels and messages are
 * for any thread; those on ends and waits, further below, for the thread of their reactor. */
typedef struct twl_channel twl_channel;

typedef struct twl_channel_config {
    size_t size;        /* set by the initialiser */
    size_t capacity;    /* values that it holds, 1 or more; 64 */
    twl_alloc_fn alloc; /* safe on all threads; NULL: realloc and free */
    void *alloc_context;
} twl_channel_config;

#define TWL_CHANNEL_CONFIG_INIT                                                \
    {                                                                          \
        sizeof(twl_channel_config), 64, NULL, NULL                             \
    }

/* Make a channel, with one reference, the caller's. [config] may be NULL for the defaults.
 * TWL_EINVAL, TWL_ENOMEM. */
TWL_API int twl_channel_open(const twl_channel_config *config,
                             twl_channel **out);
TWL_API twl_channel *twl_channel_retain(twl_channel *channel);

/* Give up a reference; with the last, the values that nobody received go, too. NULL does
 * nothing. */
TWL_API void twl_channel_release(twl_channel *channel);

/* Nothing is sent any more; what waits to send fails with TWL_ECLOSED. What was sent can still be
 * received, and then TWL_ECLOSED. Idempotent. */
TWL_API void twl_channel_close(twl_channel *channel);
TWL_API bool twl_channel_is_open(twl_channel *channel);

/* How many values wait to be received, and how many could. */
TWL_API size_t twl_channel_count(twl_channel *channel);
TWL_API size_t twl_channel_capacity(const twl_channel *channel);

/* A value on its way, with a copy of its bytes. It is whoever's made or received it, until it is
 * sent. */
typedef struct twl_message twl_message;

/* Of nothing, a boolean, an integer, a number, bytes, or a pointer, which is passed as it is.
 * TWL_EINVAL for another kind, TWL_ENOMEM. */
TWL_API int twl_message_new(twl_channel *channel, twl_value value,
                            twl_message **out);

/* Of the bytes of something else, with the kind TWL_OPAQUE. They may mention [count] channels,
 * each of which gets a reference for as long as the message is there. TWL_ENOMEM. */
TWL_API int twl_message_new_opaque(twl_channel *channel, const char *bytes,
                                   size_t length, twl_channel *const *mentioned,
                                   size_t count, twl_message **out);

/* Its value; bytes belong to the message. A Lua table is opaque: only Lua takes it apart. */
TWL_API twl_value twl_message_value(const twl_message *message);

/* NULL does nothing. */
TWL_API void twl_message_free(twl_message *message);

/* Send a copy of [value], and take the next message; wait up to [timeout] seconds, INFINITY
 * included, for room or for a message. TWL_EAGAIN where a [timeout] of 0 was too short,
 * TWL_ETIMEDOUT for others, TWL_ECLOSED, TWL_EINVAL, TWL_ENOMEM. The thread of a reactor should
 * not wait here. */
TWL_API int twl_channel_send(twl_channel *channel, twl_value value,
                             double timeout);
TWL_API int twl_channel_receive(twl_channel *channel, double timeout,
                                twl_message **out);

/* Send [message] itself, which is the channel's then, and no more the caller's. */
TWL_API int twl_channel_pass(twl_channel *channel, twl_message *message,
                             double timeout);

/* The same on a thread of the pool [workers]; TWL_ECANCELED once the pool is being closed. */
TWL_API int twl_workers_pass(twl_workers *workers, twl_channel *channel,
                             twl_message *message, double timeout);
TWL_API int twl_workers_receive(twl_workers *workers, twl_channel *channel,
                                double timeout, twl_message **out);

/* ---- Channels: the end in a reactor ------------------------------------------------------------ */

/* Where a reactor's thread sends and receives without blocking. What waits there goes first come,
 * first served; between ends, and threads that block, it is who is quickest. An end that is closed
 * while it waits gives up its place, and no value with it. */
typedef struct twl_channel_end twl_channel_end;

TWL_API size_t twl_channel_end_size(void);

/* [channel] must stay until the end is closed. */
TWL_API void twl_channel_end_open(void *memory, twl_reactor *reactor,
                                  twl_channel *channel);

/* Waits are forgotten without a call. Idempotent. twl_reactor_close() closes all ends. */
TWL_API void twl_channel_end_close(twl_channel_end *end);

/* Send [message], which is then the channel's; receive one. TWL_EAGAIN, if it must wait for room,
 * for a message, or for others that wait at this end. TWL_ECLOSED. */
TWL_API int twl_channel_end_send(twl_channel_end *end, twl_message *message);
TWL_API int twl_channel_end_receive(twl_channel_end *end, twl_message **out);

/* Whether the present turn had so many already that whoever can wait should, lest a quick partner
 * keep the reactor from everything else. */
TWL_API bool twl_channel_end_is_spent(const twl_channel_end *end);

/* Something that waits at an end. The host owns it, the rest being zeros, until [done] is entered
 * or it is cancelled. */
typedef struct twl_channel_wait {
    struct twl__link link;
    twl_channel_end *end;
    bool sends;
    twl_message *message; /* to be sent; or what was received: the host's */
    /* [code] 0 or TWL_ECLOSED; a message that was sent is no more in [wait]. */
    void (*done)(struct twl_channel_wait *wait, int code);
} twl_channel_wait;

/* Wait for a message; or for room for the one that is in [wait]. */
TWL_API void twl_channel_wait_start(twl_channel_wait *wait,
                                    twl_channel_end *end);

/* Nothing for one that does not wait. */
TWL_API void twl_channel_wait_cancel(twl_channel_wait *wait);

/* ---- Lua ----------------------------------------------------------------------------------- */

struct lua_State;

/* The module "twistlua", for a Lua state of the host's: a table with the version. It is opened by
 * luaL_requiref(L, "twistlua", luaopen_twistlua, 0); require() then finds twistlua.reactor and
 * all the others. */
TWL_API int luaopen_twistlua(struct lua_State *L);

/* ---- Embedding: runtimes ------------------------------------------------------------------- */

/* A runtime is a Lua state, the modules of twistlua in it, and a reactor: all that a host needs
 * to run scripts. Any number of them may be open, each on a thread of its own or all on one;
 * they share nothing.
 *
 * Threads. A runtime belongs to the thread that opened it: all calls on that one, except
 *   twl_runtime_post(), twl_runtime_stop(), twl_runtime_interrupt() and twl_operation_post...(),
 *   which any thread may make while the runtime is open. Built without NDEBUG, calls on another
 *   thread return TWL_ETHREAD and do nothing.
 * Errors. A function that can fail returns 0 or a negative TWL_E code. Nothing that a script
 *   does jumps out of a call or ends the process; twl_runtime_error() tells what went wrong.
 * Host code is called from inside (functions that were registered, stages, posts, the functions
 *   of the configuration). It may call anything here, twl_runtime_close() too. It must return: no
 *   longjmp and no C++ exception may leave it.
 * Printing. The library prints nothing, but for failures that nobody handled when on_unhandled
 *   is not set: these go to twistlua.log, which writes to standard error until the script begins
 *   to log. What a script prints is the script's business.
 * Forking. A child of fork() may exec or _exit, and call nothing here. */
typedef struct twl_runtime twl_runtime;

/* What went wrong. Strings are never NULL, and valid as long as the struct is. */
typedef struct twl_error {
    int code;         /* negative: that of the error object, or TWL_ESCRIPT */
    const char *kind; /* its class, "ConnectionRefusedError"; "string" for a plain message */
    const char *message;
    const char *traceback; /* lines, the innermost last; "" if there is none */
    const char *awaits; /* places where coroutines awaited what failed, outermost first, or "" */
    const char *what; /* on_unhandled: what was being done; else "" */
} twl_error;

typedef struct twl_config {
    size_t size; /* set by the initialiser */
    void *user;  /* the host's own: twl_runtime_user() */
    struct ev_loop *loop; /* the host's libev loop, which turns the runtime; NULL: its own */
    const char *backend;  /* of a loop of its own, as for reactors; NULL: the best one */
    twl_alloc_fn alloc; /* for every byte; NULL: realloc and free. Of one thread */
    void *alloc_context;
    /* Limits; 0: none. Memory is in bytes. Past memory_limit, an allocation fails, and what script
     * asked for it; a sixteenth of it, at most 256 kB, is kept to tell of that. Past memory_soft, all
     * garbage is collected, and if more is still in use, on_memory is called, once until it is less. */
    size_t memory_soft, memory_limit;
    void (*on_memory)(twl_runtime *runtime, size_t used);
    /* Of one entry into Lua from the reactor or the host: wall time in seconds, instructions. What
     * passes one of them is suspended and goes on in a later turn, if it is a coroutine of
     * defer.inlineCallbacks or the like; all else is ended by an error that a script cannot catch.
     * task_limit is for what is suspended so: the seconds of such turns in all. Time is looked at by means
     * of SIGURG, of which twl_runtime_interrupt() tells more; counting instructions makes a script run
     * at about half its speed. */
    uint64_t instruction_limit;
    double time_limit, task_limit;
    /* A failure that nobody handled. [error] is valid until this returns. */
    void (*on_unhandled)(twl_runtime *runtime, const twl_error *error);
    /* The script has stopped the reactor, or twl_runtime_stop() has: nothing is listening or
     * connected any more. */
    void (*on_stop)(twl_runtime *runtime);
    /* Words as twl_capabilities_open() takes them, which twl_capabilities_check() explains if they
     * are refused, with a NULL behind them. NULL: everything is permitted. */
    const char *const *capabilities;
    const char *path; /* package.path; NULL: Lua's; "": modules inside the library only */
} twl_config;

#define TWL_CONFIG_INIT                                                        \
    {                                                                          \
        sizeof(twl_config), NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, 0, 0.,   \
            0., NULL, NULL, NULL, NULL                                         \
    }

/* Open a runtime with a Lua state of its own, which has the standard libraries. [config] may be
 * NULL for the defaults; it is copied. The caller owns [*out]. TWL_ENOMEM, TWL_EBACKEND, or
 * TWL_EINVAL for a configuration with fields that this library does not know. */
TWL_API int twl_runtime_open(const twl_config *config, twl_runtime **out);

/* As above, in a Lua 5.4 state of the host's, which stays the host's. That must outlive the
 * runtime, or at least no call here but twl_runtime_close() may follow its lua_close(). [alloc] is
 * the state's, [path] is not looked at. A state is attached to once: TWL_EALREADY. */
TWL_API int twl_runtime_attach(struct lua_State *L, const twl_config *config,
                               twl_runtime **out);

/* End a runtime at any moment; NULL does nothing. In this order: nothing new is taken, and what
 * listens is closed; coroutines that await something are cancelled, and those that go on awaiting
 * are closed, so that their variables <close>; operations are cancelled and calls of the host's
 * fired with TWL_ECANCELED; what was posted is called; connections, files, timers, threads and
 * child processes' handles are closed without a word to the script (children go on: end them
 * before, by twl_runtime_stop() and what the script does at `shutdown`); the Lua state is closed;
 * the memory freed. A host's loop or state goes on. From code that is called from inside, all that
 * happens when the outermost call of the runtime's functions returns, or on a host's loop before
 * that next waits; until then, all calls return TWL_ECLOSED. */
TWL_API void twl_runtime_close(twl_runtime *runtime);

/* The state, to which the host may add what it likes, in protected calls. */
TWL_API struct lua_State *twl_runtime_lua(twl_runtime *runtime);
TWL_API void *twl_runtime_user(const twl_runtime *runtime);

/* The bytes in use by the runtime, its Lua state included, and the most that it has been. Either
 * may be NULL. Of a state attached to, with neither limit of memory, Lua's part alone. */
TWL_API void twl_runtime_memory(const twl_runtime *runtime, size_t *used,
                                size_t *peak);

/* About the last call that failed, until the next one does. Never NULL. */
TWL_API const twl_error *twl_runtime_error(const twl_runtime *runtime);

/* Run the Lua source [bytes], or the file at [path], to its end, without waiting for anything: it
 * may set up servers, timers, coroutines, but not run the reactor. [name] appears in messages.
 * TWL_ESYNTAX, TWL_ESCRIPT or the code of the error that it raised; the negative errno of a file
 * that cannot be read. */
TWL_API int twl_runtime_load(twl_runtime *runtime, const char *bytes,
                             size_t length, const char *name);
TWL_API int twl_runtime_load_file(twl_runtime *runtime, const char *path);

/* Run the reactor until a script or twl_runtime_stop() stops it; at once back when there is nothing
 * to wait for. TWL_EBUSY inside itself, TWL_EALREADY when the reactor was stopped before. */
TWL_API int twl_runtime_run(twl_runtime *runtime);

/* Run a file as the program twistlua does: modules beside it are found, it may run the reactor, and
 * if it did not, that follows. */
TWL_API int twl_runtime_run_file(twl_runtime *runtime, const char *path);

/* One turn: wait at most [timeout] seconds for events, then run what is due. With a [budget] above
 * 0, start no further queued call or timer when that many seconds have passed: the rest waits for
 * the next step. (What is ready to be read or written is served whole.) */
TWL_API int twl_runtime_step(twl_runtime *runtime, double timeout,
                             double budget);

/* Whether there is something to wait for, and the reactor was not stopped. */
TWL_API bool twl_runtime_alive(twl_runtime *runtime);

/* Let scripts find [channel] by [name]: require("twistlua.channel").get(name). The runtime holds a
 * reference of its own until it is closed; NULL takes the name away. TWL_EINVAL, TWL_ENOMEM. */
TWL_API int twl_runtime_share(twl_runtime *runtime, const char *name,
                              twl_channel *channel);

/* For a host with a loop of another kind. It watches the descriptor for reading, and before each
 * time that it waits it calls twl_runtime_prepare() and waits for at most twl_runtime_timeout()
 * seconds (negative: for ever); then it calls twl_runtime_step(runtime, 0, budget). Neither of
 * the two calls into Lua. The descriptor is the runtime's, and stays the same. TWL_ENOTSUP on a
 * host's libev loop and for backends other than epoll and kqueue. */
TWL_API int twl_runtime_fd(twl_runtime *runtime);
TWL_API int twl_runtime_prepare(twl_runtime *runtime);
TWL_API double twl_runtime_timeout(twl_runtime *runtime);

/* From any thread, while the runtime is open; it is up to the host that it is not being closed
 * meanwhile. */

/* Call fn(runtime, context) on the owner's thread, in the order of posting. Each is called exactly
 * once: at the latest by twl_runtime_close(). TWL_ENOMEM. */
TWL_API int twl_runtime_post(twl_runtime *runtime,
                             void (*fn)(twl_runtime *runtime, void *context),
                             void *context);

/* Call the Lua function [name] on the owner's thread, as twl_runtime_call() does, with copies of
 * the arguments. Nobody waits for its result; a failure goes to on_unhandled. Calls that have not
 * begun when the runtime is closed are dropped. TWL_EINVAL, TWL_ENOMEM. */
TWL_API int twl_runtime_post_call(twl_runtime *runtime, const char *name,
                                  const twl_value *arguments, size_t count);

/* Stop the reactor as reactor:stop() does: the triggers of `shutdown` run, connections are lost,
 * then twl_runtime_run() returns. */
TWL_API int twl_runtime_stop(twl_runtime *runtime);

/* End what a script runs now, within milliseconds, by an error that it cannot catch; do nothing
 * where none runs. From a signal handler as well. Lua stops where it next comes to an instruction
 * of its own: a function of C that runs is waited for.
 * This is done by SIGURG, sent to the owner's thread, which must not block it. Its handler is set
 * when it is first needed, by this or by a time_limit, and passes on what is not ours; a host that
 * never asks for either has no handler of ours. A call of the system's that it interrupts is
 * restarted where that is possible. */
TWL_API void twl_runtime_interrupt(twl_runtime *runtime);
/* ---- Embedding: functions of the host's, and what scripts await of it ------------------------- */

/* A call that a script makes, valid until the function returns. Arguments are counted from 1. */
typedef struct twl_call twl_call;

/* Returns 0, or a negative code, which raises an error in the script. */
typedef int (*twl_host_fn)(twl_runtime *runtime, twl_call *call);

/* Let scripts call [fn] as require("[module]").[name]. */
TWL_API int twl_runtime_register(twl_runtime *runtime, const char *module,
                                 const char *name, twl_host_fn fn);

TWL_API size_t twl_call_count(const twl_call *call);

/* TWL_NOTHING for nil and none; TWL_OPAQUE for tables, functions and the like. */
TWL_API enum twl_kind twl_call_type(const twl_call *call, size_t index);

/* Nothing is converted, but for integers that are numbers. TWL_EINVAL, which the function should
 * return: then the script is told what was expected. Strings are borrowed until it returns, and
 * have a NUL behind them. */
TWL_API int twl_call_boolean(twl_call *call, size_t index, bool *out);
TWL_API int twl_call_integer(twl_call *call, size_t index, int64_t *out);
TWL_API int twl_call_number(twl_call *call, size_t index, double *out);
TWL_API int twl_call_string(twl_call *call, size_t index, const char **out,
                            size_t *length);

/* Add a result of the call; bytes are copied. TWL_EINVAL for failures and Deferreds; TWL_ENOMEM. */
TWL_API int twl_call_return(twl_call *call, twl_value value);

/* Have the script see [message] (truncated; NULL: the sentence for the code) when the function
 * returns [code], which this does. */
TWL_API int twl_call_fail(twl_call *call, int code, const char *message);

/* Something that the host will have done later: in the script a Deferred. A handle is copied
 * freely. */
typedef struct twl_port twl_port;
typedef struct twl_operation {
    twl_port *port;
    uint32_t index, generation;
} twl_operation;

/* The script has cancelled [operation], or the runtime ends: called once, and not after the
 * operation was settled. The host then settles it whenever it likes, maybe in here: that says that
 * it needs the handle no more. */
typedef void (*twl_cancel_operation_fn)(twl_operation operation, void *context);

/* [on_cancel] may be NULL. Each operation is to be settled some time, whatever became of it; only
 * then is its memory used again. TWL_ENOMEM. */
TWL_API int twl_operation_new(twl_runtime *runtime,
                              twl_cancel_operation_fn on_cancel, void *context,
                              twl_operation *out);

/* Add the operation's Deferred to the results of the call. TWL_EINVAL when it was settled or
 * cancelled: its Deferred is for scripts that asked before. */
TWL_API int twl_call_return_operation(twl_call *call, twl_operation operation);

/* Fire its Deferred in a later turn, with a value (anything up to TWL_POINTER; bytes are copied)
 * or with a failure: an error object with the code and [message] (NULL: the sentence for it). The
 * first two are of the owner's thread; the others of any. TWL_EALREADY if it was settled before;
 * TWL_ECANCELED and TWL_ECLOSED if the script had cancelled it or the runtime was closed, in both
 * cases for the first time only. All these do nothing. An operation that is outstanding when the
 * runtime is closed may be settled once more; after that the handle is of no use. */
TWL_API int twl_operation_settle(twl_operation operation, twl_value value);
TWL_API int twl_operation_fail(twl_operation operation, int code,
                               const char *message);
TWL_API int twl_operation_post(twl_operation operation, twl_value value);
TWL_API int twl_operation_post_failure(twl_operation operation, int code,
                                       const char *message);

/* Call the Lua function [name], "module:function" or a global, "name" or "table.name", with
 * [count] arguments, in a coroutine: it may await. [*out] is fired with its first result, where
 * tables and the like are TWL_OPAQUE, or with a failure, about which twl_runtime_error() tells
 * while the stages run. It may be so at once. It is the runtime's, and valid, with the bytes of
 * the result, until the turn after it is fired and its stages have run: add stages right away.
 * Cancelling it cancels what the function awaits. A failure that no stage takes care of goes to
 * on_unhandled. */
TWL_API int twl_runtime_call(twl_runtime *runtime, const char *name,
                             const twl_value *arguments, size_t count,
                             twl_deferred **out);

#ifdef __cplusplus
}
#endif
#endif
