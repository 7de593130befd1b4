/* SPDX-License-Identifier: MIT
 * tls.c -- TLS sessions, as machines between plaintext and ciphertext.
 * OpenSSL reads and writes through a BIO of ours: it takes ciphertext from where it lies, and
 * what it makes goes straight into a queue. It never meets an end or a full pipe there, so that
 * what it cannot do yet always means that ciphertext is missing. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/uio.h>

#include "reactor.h"
#include "tls_context.h"

enum { ERROR_SIZE = 256 };

/* ---- What all sessions of a reactor share -------------------------------------------------- */

struct twl__scratch {
    struct twl__scratch *next;
};

char *twl__scratch_take(twl_reactor *reactor)
{
    struct twl__scratch *scratch = reactor->scratches;

    if (!scratch) return twl__alloc(reactor, TWL__SCRATCH);
    reactor->scratches = scratch->next;
    return (char *)scratch;
}

void twl__scratch_give(twl_reactor *reactor, char *bytes)
{
    struct twl__scratch *scratch = (void *)bytes;

    scratch->next = reactor->scratches;
    reactor->scratches = scratch;
}

void twl__tls_close_reactor(twl_reactor *reactor)
{
    while (reactor->scratches) {
        struct twl__scratch *scratch = reactor->scratches;
        reactor->scratches = scratch->next;
        twl__free(reactor, scratch, TWL__SCRATCH);
    }
    BIO_meth_free(reactor->tls_method);
    reactor->tls_method = NULL;
}

static int take_kept(twl_tls *tls, char *bytes, size_t size)
{
    struct iovec first;

    twl__buffer_peek(&tls->kept, &first, 1);
    if (size > first.iov_len) size = first.iov_len;
    memcpy(bytes, first.iov_base, size);
    twl__buffer_consume(tls->reactor, &tls->kept, size);
    return (int)size;
}

static int bio_read(BIO *bio, char *bytes, int wanted)
{
    twl_tls *tls = BIO_get_data(bio);
    size_t size = (size_t)wanted;

    BIO_clear_retry_flags(bio);
    if (tls->kept.length > 0) return take_kept(tls, bytes, size);
    if (tls->window_length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (size > tls->window_length) size = tls->window_length;
    memcpy(bytes, tls->window, size);
    tls->window += size;
    tls->window_length -= size;
    return (int)size;
}

static int bio_write(BIO *bio, const char *bytes, int length)
{
    twl_tls *tls = BIO_get_data(bio);
    int rc = tls->output ? twl__buffer_copy(tls->reactor, tls->output, bytes,
                                            (size_t)length)
                         : TWL_ECLOSED;

    BIO_clear_retry_flags(bio);
    if (rc == 0) return length;
    tls->code = rc;
    return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method(twl_reactor *reactor)
{
    BIO_METHOD *method = reactor->tls_method;

    if (method) return method;
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "twistlua");
    if (!method) return NULL;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    reactor->tls_method = method;
    return method;
}

/* ---- Beginning and end ---------------------------------------------------------------------- */

int twl__tls_init(twl_tls *tls, twl_reactor *reactor,
                  struct twl__buffer *output, twl_tls_context *context,
                  bool client, const char *hostname)
{
    BIO_METHOD *method = bio_method(reactor);
    BIO *bio = method ? BIO_new(method) : NULL;
    SSL *ssl = NULL;
    int rc = bio ? 0 : TWL_ENOMEM;

    if (rc == 0) rc = twl__tls_context_session(context, client, hostname, &ssl);
    if (rc < 0) {
        BIO_free(bio);
        return rc;
    }
    memset(tls, 0, sizeof *tls);
    tls->reactor = reactor;
    tls->output = output;
    tls->ssl = ssl;
    /* A chain is what the context was given: looking for more of it in the roots at each
     * handshake costs a tenth of it. */
    SSL_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return 0;
}

size_t twl_tls_size(void)
{
    return sizeof(twl_tls) + sizeof(struct twl__buffer);
}

static struct twl__buffer *own_output(twl_tls *tls)
{
    return (struct twl__buffer *)(void *)(tls + 1);
}

int twl_tls_init(void *memory, twl_reactor *reactor, twl_tls_context *context,
                 bool client, const char *hostname)
{
    twl_tls *tls = memory;

    memset(own_output(tls), 0, sizeof(struct twl__buffer));
    return twl__tls_init(tls, reactor, own_output(tls), context, client,
                         hostname);
}

void twl__tls_end(twl_tls *tls, int code, const char *error)
{
    struct twl__buffer plain = tls->plain;

    if (tls->code == 0) tls->code = code;
    if (!tls->error) tls->error = error;
    tls->output = NULL;
    tls->window_length = 0;
    memset(&tls->plain, 0, sizeof tls->plain);
    twl__buffer_clear(tls->reactor, &tls->kept);
    twl__buffer_clear(tls->reactor, &plain);
}

void twl_tls_close(twl_tls *tls)
{
    struct twl__buffer *output = tls->output;

    if (!tls->ssl) return;
    twl__tls_end(tls, TWL_ECLOSED, NULL);
    if (output == own_output(tls)) twl__buffer_clear(tls->reactor, output);
    SSL_free(tls->ssl);
    tls->ssl = NULL;
    if (tls->error_size > 0)
        twl__free(tls->reactor, (char *)(uintptr_t)tls->error, tls->error_size);
    tls->error = NULL;
    tls->error_size = 0;
}

/* ---- Failing --------------------------------------------------------------------------------- */

static void remember_error(twl_tls *tls)
{
    char text[ERROR_SIZE];
    size_t size = twl__tls_error_text(tls->ssl, text, sizeof text) + 1;
    char *copy = twl__alloc(tls->reactor, size);

    if (!copy) return; /* the code's own sentence must do */
    memcpy(copy, text, size);
    tls->error = copy;
    tls->error_size = size;
}

/* What the outcome [result] of a call means: 0 where it needs more input, or a code, which is
 * final. */
static int failed(twl_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: tls->code = TWL_EEOF; break;
    default:
        if (tls->code == 0 || tls->code == TWL_EEOF) {
            tls->code = TWL_ETLS;
            remember_error(tls);
        }
    }
    ERR_clear_error();
    tls->window_length = 0;
    twl__buffer_clear(tls->reactor, &tls->kept);
    return tls->code;
}

/* ---- In ------------------------------------------------------------------------------------- */

void twl__tls_offer(twl_tls *tls, const char *bytes, size_t length)
{
    tls->window = bytes;
    tls->window_length = length;
}

int twl__tls_keep(twl_tls *tls)
{
    size_t length = tls->window_length;

    tls->window_length = 0;
    return twl__buffer_copy(tls->reactor, &tls->kept, tls->window, length);
}

bool twl__tls_has_input(const twl_tls *tls)
{
    return tls->window_length > 0 || tls->kept.length > 0 || tls->code < 0;
}

int twl_tls_feed(twl_tls *tls, const char *bytes, size_t length)
{
    if (tls->code < 0) return 0;
    return twl__buffer_copy(tls->reactor, &tls->kept, bytes, length);
}

int twl_tls_handshake(twl_tls *tls)
{
    int result;

    if (tls->code < 0) return tls->code;
    if (tls->established) return 1;
    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    if (result != 1) return failed(tls, result);
    tls->established = true;
    return 1;
}

long twl_tls_read(twl_tls *tls, char *bytes, size_t size)
{
    int got, rc = twl_tls_handshake(tls);

    if (rc <= 0) return rc;
    ERR_clear_error();
    got = SSL_read(tls->ssl, bytes, (int)(size < INT32_MAX ? size : INT32_MAX));
    return got > 0 ? got : failed(tls, got);
}

long twl__tls_read_much(twl_tls *tls, char *bytes, size_t size)
{
    size_t total = 0;

    /* A record's end is the end of what was taken: where no input is left, asking for another
     * one would be in vain. */
    do {
        long got = twl_tls_read(tls, bytes + total, size - total);
        if (got <= 0) return total > 0 ? (long)total : got;
        total += (size_t)got;
    } while (size - total >= TWL__RECORD && twl__tls_has_input(tls));
    return (long)total;
}

/* ---- Out -------------------------------------------------------------------------------------- */

int twl_tls_write(twl_tls *tls, const char *bytes, size_t length)
{
    if (tls->end_sent || !tls->output) return 0;
    return twl__buffer_copy(tls->reactor, &tls->plain, bytes, length);
}

/* The front of the queue in one piece, of a record's length if there is as much: where it lies,
 * or else copied together at [place]. */
static struct iovec next_record(const twl_tls *tls, char *place)
{
    enum { PIECES = 16 };
    struct iovec pieces[PIECES], record = {place, 0};
    int count = twl__buffer_peek(&tls->plain, pieces, PIECES);

    if (count == 1 || pieces[0].iov_len >= TWL__RECORD) {
        record = pieces[0];
        if (record.iov_len > TWL__RECORD) record.iov_len = TWL__RECORD;
        return record;
    }
    for (int i = 0; i < count && record.iov_len < TWL__RECORD; i++) {
        size_t room = TWL__RECORD - record.iov_len;
        size_t length = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        memcpy(place + record.iov_len, pieces[i].iov_base, length);
        record.iov_len += length;
    }
    return record;
}

static int encrypt(twl_tls *tls, size_t limit, char *place)
{
    while (tls->plain.length > 0 && tls->output->length < limit) {
        struct iovec record = next_record(tls, place);
        int taken;

        ERR_clear_error();
        taken = SSL_write(tls->ssl, record.iov_base, (int)record.iov_len);
        if (taken <= 0) return failed(tls, taken);
        twl__buffer_consume(tls->reactor, &tls->plain, (size_t)taken);
        /* A release may have ended the session. */
        if (!tls->output) return tls->code;
    }
    return 0;
}

int twl__tls_encrypt(twl_tls *tls, size_t limit)
{
    char *place;
    int rc;

    if (!tls->established || !tls->output || tls->plain.length == 0) return 0;
    if (!(place = twl__scratch_take(tls->reactor))) return TWL_ENOMEM;
    rc = encrypt(tls, limit, place);
    twl__scratch_give(tls->reactor, place);
    return rc;
}

int twl_tls_flush(twl_tls *tls)
{
    return twl__tls_encrypt(tls, SIZE_MAX);
}

void twl_tls_shutdown(twl_tls *tls)
{
    if (tls->end_sent || !tls->established || tls->code == TWL_ETLS) return;
    tls->end_sent = true;
    ERR_clear_error();
    if (SSL_shutdown(tls->ssl) < 0) ERR_clear_error();
}

size_t twl_tls_output(const twl_tls *tls, const char **bytes)
{
    struct iovec first;

    if (!tls->output || tls->output->length == 0) return 0;
    twl__buffer_peek(tls->output, &first, 1);
    *bytes = first.iov_base;
    return first.iov_len;
}

void twl_tls_sent(twl_tls *tls, size_t length)
{
    twl__buffer_consume(tls->reactor, tls->output, length);
}

/* ---- Looking ------------------------------------------------------------------------------------ */

bool twl_tls_established(const twl_tls *tls)
{
    return tls->established;
}

const char *twl_tls_version(const twl_tls *tls)
{
    return tls->established ? SSL_get_version(tls->ssl) : NULL;
}

const char *twl_tls_cipher(const twl_tls *tls)
{
    return tls->established ? SSL_get_cipher_name(tls->ssl) : NULL;
}

size_t twl_tls_protocol(const twl_tls *tls, const char **name)
{
    const unsigned char *protocol = NULL;
    unsigned length = 0;

    if (tls->established) SSL_get0_alpn_selected(tls->ssl, &protocol, &length);
    *name = (const char *)protocol;
    return length;
}

bool twl_tls_resumed(const twl_tls *tls)
{
    return tls->established && SSL_session_reused(tls->ssl);
}

int twl_tls_peer_certificate(const twl_tls *tls, unsigned char *der,
                             size_t size)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    int length = certificate ? i2d_X509(certificate, NULL) : 0;

    if (length > 0 && (size_t)length <= size) i2d_X509(certificate, &der);
    ERR_clear_error();
    return length > 0 ? length : 0;
}

const char *twl_tls_error(const twl_tls *tls)
{
    return tls->error;
}
