/* SPDX-License-Identifier: MIT
 * tls.h -- a TLS session: bytes in, bytes out, no descriptor.
 *
 *   peer -> kept, window -> [SSL] -> twl_tls_read()
 *   twl_tls_write() -> plain -> [SSL] -> *output -> peer
 *
 * The window is ciphertext that lies in a buffer of somebody else's for the time of a call; what
 * is not taken by its end is kept. An idle session has neither, nor plaintext. */
#ifndef TWL_TLS_H
#define TWL_TLS_H

#include "buffer.h"
#include "twistlua.h"

struct ssl_st;

enum {
    TWL__RECORD = 16 * 1024, /* plaintext of the largest record */
    TWL__SCRATCH = 64 * 1024 /* of the reactor's buffers for plaintext */
};

struct twl_tls {
    twl_reactor *reactor;
    struct ssl_st *ssl;
    struct twl__buffer *output; /* takes the ciphertext; NULL: nobody does */
    const char *window;
    size_t window_length;
    struct twl__buffer kept;  /* ciphertext from before the window */
    struct twl__buffer plain; /* to be encrypted */
    const char *error;        /* why it failed, where there is more to say */
    size_t error_size;        /* of its memory; 0: it has none */
    int code;                 /* 0, or why nothing more can be read */
    bool established;         /* the handshake is done */
    bool end_sent;            /* our close_notify */
};

/* A session whose ciphertext goes to [output]. See twl_tls_init(). */
int twl__tls_init(twl_tls *tls, twl_reactor *reactor,
                  struct twl__buffer *output, twl_tls_context *context,
                  bool client, const char *hostname);

/* Let it take ciphertext from [bytes]; to be followed by twl__tls_keep(). */
void twl__tls_offer(twl_tls *tls, const char *bytes, size_t length);

/* Copy what is left of the window, which ends. TWL_ENOMEM. */
int twl__tls_keep(twl_tls *tls);

/* Whether a read may have something to tell: of ciphertext that is there, or its end. */
bool twl__tls_has_input(const twl_tls *tls);

/* As twl_tls_read(), of several records at once; [size] is at least TWL__RECORD. */
long twl__tls_read_much(twl_tls *tls, char *bytes, size_t size);

/* Encrypt until [limit] bytes wait in the output. 0 or a code. */
int twl__tls_encrypt(twl_tls *tls, size_t limit);

/* It is over for [code]: give up all bytes. */
void twl__tls_end(twl_tls *tls, int code, const char *error);

/* A buffer of TWL__SCRATCH bytes, to be given back soon. NULL: no memory. */
char *twl__scratch_take(twl_reactor *reactor);
void twl__scratch_give(twl_reactor *reactor, char *bytes);

/* Free what sessions have in common. */
void twl__tls_close_reactor(twl_reactor *reactor);

#endif
