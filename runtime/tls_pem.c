/* SPDX-License-Identifier: MIT
 * tls_pem.c -- PEM text from files and memory, and saying what is wrong with it.
 * Files are read whole, by a descriptor that no child inherits, and so that the system's error
 * is at hand. */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls_parts.h"

enum { LARGEST = 16 * 1024 * 1024 }; /* bytes of a file: a device has no end */

int twl__complain(struct twl__complaint *complaint, int code,
                  const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (complaint->size > 0)
        vsnprintf(complaint->text, complaint->size, format, arguments);
    va_end(arguments);
    return code;
}

int twl__pem_complain(const struct twl__pem_source *source, int code,
                      const char *what)
{
    const char *file = source->pem->file;

    return twl__complain(source->complaint, code, "%s%s%s: %s", source->role,
                         file ? " " : "", file ? file : "", what);
}

const char *twl__tls_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? reason : "unknown error";
}

bool twl__pem_given(const twl_pem *pem)
{
    return pem->bytes || pem->file;
}

static int copy_file(int fd, BIO *to)
{
    char block[4096];
    int rc = 0, total = 0;
    ssize_t count;

    while (rc == 0 && (count = read(fd, block, sizeof block)) != 0) {
        if (count < 0 && errno == EINTR) continue;
        if (count < 0)
            rc = -errno;
        else if ((total += (int)count) > LARGEST)
            rc = -EFBIG;
        else if (BIO_write(to, block, (int)count) != count)
            rc = TWL_ENOMEM;
    }
    OPENSSL_cleanse(block, sizeof block);
    return rc;
}

static int read_file(const char *file, BIO *to)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0) return -errno;
    rc = copy_file(fd, to);
    close(fd);
    return rc;
}

int twl__pem_open(const struct twl__pem_source *source, BIO **out)
{
    const twl_pem *pem = source->pem;
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = 0;

    if (!bio) return TWL_ENOMEM;
    BIO_set_mem_eof_return(bio, 0);
    if (pem->file)
        rc = read_file(pem->file, bio);
    else if (pem->length > LARGEST)
        rc = -EFBIG;
    else if (BIO_write(bio, pem->bytes, (int)pem->length) < (int)pem->length)
        rc = TWL_ENOMEM;
    if (rc < 0) {
        BIO_free(bio);
        return twl__pem_complain(source, rc, twl_error_message(rc));
    }
    *out = bio;
    return 0;
}

/* The text ended, or never had what was looked for: not an error of its own. */
static bool nothing_left(void)
{
    unsigned long error = ERR_peek_last_error();

    return ERR_GET_LIB(error) == ERR_LIB_PEM &&
           ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

int twl__pem_certificates(const struct twl__pem_source *source,
                          bool (*found)(void *context, X509 *certificate),
                          void *context)
{
    X509 *certificate;
    BIO *bio = NULL;
    int count = 0, rc = twl__pem_open(source, &bio);

    if (rc < 0) return rc;
    ERR_clear_error();
    while (rc == 0 &&
           (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        count++;
        if (!found(context, certificate))
            rc = twl__pem_complain(source, TWL_ETLSCONFIG, twl__tls_reason());
    }
    BIO_free(bio);
    if (rc == 0 && !nothing_left())
        rc = twl__pem_complain(source, TWL_ETLSCONFIG, twl__tls_reason());
    else if (rc == 0 && count == 0)
        rc = twl__pem_complain(source, TWL_ETLSCONFIG,
                               "no certificate in PEM in it");
    ERR_clear_error();
    return rc;
}
