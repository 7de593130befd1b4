/* SPDX-License-Identifier: MIT
 * coding.c -- gzip, deflate and brotli, in pieces: zlib and brotli behind one interface.
 * Invariant: what the libraries hold is theirs only while [open]. */
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <limits.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "abi.h"
#include "list.h"
#include "reactor.h"
#include "twistlua.h"

enum { WINDOW = 32768 }; /* the largest that DEFLATE has */

struct twl_coder {
    twl_coder_config config;
    bool open;
    bool begun;              /* has seen its first byte */
    bool ended;              /* complete */
    bool dirty;              /* failed: only a reset helps */
    struct twl__link blocks; /* all memory that was taken */
    jmp_buf *rescue;         /* where to go when there is none; NULL: say so */
    union {
        z_stream zlib;
        BrotliEncoderState *encoder;
        BrotliDecoderState *decoder;
    } with;
};

size_t twl_coder_size(void)
{
    return sizeof(twl_coder);
}

/* ---- Memory: neither library tells how large what it frees is -------------------------- */

struct block {
    struct twl__link link;
    size_t size;
    max_align_t memory[];
};

static void *take_memory(void *context, size_t size)
{
    twl_coder *coder = context;
    struct block *block = NULL;

    if (size <= SIZE_MAX - sizeof *block) {
        size += sizeof *block;
        block = coder->config.alloc(coder->config.alloc_context, NULL, 0, size);
    }
    if (!block) {
        if (coder->rescue) longjmp(*coder->rescue, 1);
        return NULL;
    }
    block->size = size;
    twl__list_append(&coder->blocks, &block->link);
    return block->memory;
}

static void give_memory(void *context, void *memory)
{
    twl_coder *coder = context;
    struct block *block;

    if (!memory) return;
    block = TWL__CONTAINER(struct block, memory, memory);
    twl__unlink(&block->link);
    coder->config.alloc(coder->config.alloc_context, block, block->size, 0);
}

static void *take_items(void *context, unsigned items, unsigned size)
{
    return take_memory(context, (size_t)items * size);
}

/* ---- zlib -------------------------------------------------------------------------------- */

/* What zlib takes for its window and the format around: a negative number for none. */
static int zlib_bits(const twl_coder_config *config)
{
    int bits = config->window_bits ? config->window_bits : 15;

    if (config->coding == TWL_CODING_GZIP) return bits + 16;
    return config->coding == TWL_CODING_RAW ? -bits : bits;
}

static int zlib_code(int rc)
{
    switch (rc) {
    case Z_OK: return 0;
    case Z_MEM_ERROR: return TWL_ENOMEM;
    case Z_STREAM_ERROR: return TWL_EINVAL;
    default: return TWL_ECODING;
    }
}

static int zlib_open(twl_coder *coder)
{
    const twl_coder_config *config = &coder->config;
    z_stream *zlib = &coder->with.zlib;

    memset(zlib, 0, sizeof *zlib);
    zlib->zalloc = take_items;
    zlib->zfree = give_memory;
    zlib->opaque = coder;
    if (config->decode) return zlib_code(inflateInit2(zlib, zlib_bits(config)));
    return zlib_code(deflateInit2(zlib, config->level < 0 ? 6 : config->level,
                                  Z_DEFLATED, zlib_bits(config), 8,
                                  Z_DEFAULT_STRATEGY));
}

static unsigned at_most_uint(size_t size)
{
    return size > UINT_MAX ? UINT_MAX : (unsigned)size;
}

static void zlib_before(z_stream *zlib, const twl_coder_step *step)
{
    zlib->next_in = (z_const Bytef *)(uintptr_t)step->bytes;
    zlib->avail_in = at_most_uint(step->length);
    zlib->next_out = (Bytef *)step->out;
    zlib->avail_out = at_most_uint(step->room);
}

static void zlib_after(const z_stream *zlib, twl_coder_step *step)
{
    size_t taken = (size_t)((const char *)zlib->next_in - step->bytes);
    size_t written = (size_t)((char *)zlib->next_out - step->out);

    step->bytes += taken;
    step->length -= taken;
    step->out += written;
    step->room -= written;
}

/* More blocks behind a last one may refer to what came before it: RFC 7692 7.2.3.5. */
static int inflate_on(z_stream *zlib)
{
    Bytef window[WINDOW];
    uInt length = 0;
    int rc = inflateGetDictionary(zlib, window, &length);

    if (rc == Z_OK) rc = inflateReset(zlib);
    if (rc == Z_OK && length > 0)
        rc = inflateSetDictionary(zlib, window, length);
    return zlib_code(rc);
}

/* The first byte of what zlib puts around DEFLATE has an 8 where DEFLATE itself would have a
 * block without compression, padded with something else than zeros. */
static int find_wrapper(twl_coder *coder, char first)
{
    bool wrapped = ((unsigned char)first & 0x0f) == Z_DEFLATED;
    int bits = zlib_bits(&coder->config);

    return zlib_code(inflateReset2(&coder->with.zlib, wrapped ? bits : -bits));
}

/* What there is to do before the next byte is decoded. */
static int prepare_to_inflate(twl_coder *coder, const twl_coder_step *step)
{
    int coding = coder->config.coding;

    if (step->length == 0) return 0;
    if (!coder->begun) {
        coder->begun = true;
        return coding == TWL_CODING_DEFLATE
                   ? find_wrapper(coder, step->bytes[0])
                   : 0;
    }
    if (!coder->ended) return 0;
    if (coding == TWL_CODING_DEFLATE) return TWL_ECODING_END;
    coder->ended = false;
    if (coding == TWL_CODING_RAW) return inflate_on(&coder->with.zlib);
    return zlib_code(inflateReset(&coder->with.zlib));
}

static int run_inflate(twl_coder *coder, twl_coder_step *step)
{
    z_stream *zlib = &coder->with.zlib;
    int rc = prepare_to_inflate(coder, step);

    if (rc < 0) return rc;
    if (coder->ended) return TWL_CODER_END;
    zlib_before(zlib, step);
    rc = inflate(zlib, Z_SYNC_FLUSH);
    zlib_after(zlib, step);
    if (rc == Z_STREAM_END) {
        coder->ended = true;
        return step->length > 0 ? TWL_CODER_AGAIN : TWL_CODER_END;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR) return zlib_code(rc);
    return step->room == 0 || step->length > 0 ? TWL_CODER_AGAIN
                                               : TWL_CODER_MORE;
}

static int run_deflate(twl_coder *coder, twl_coder_step *step, int flush)
{
    static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *zlib = &coder->with.zlib;
    int rc;

    zlib_before(zlib, step);
    /* Bytes beyond what zlib can count in one call are not flushed yet. */
    rc = deflate(zlib, step->length > UINT_MAX ? Z_NO_FLUSH : flushes[flush]);
    zlib_after(zlib, step);
    if (rc == Z_STREAM_END) {
        coder->ended = true;
        return TWL_CODER_END;
    }
    if (rc != Z_OK && rc != Z_BUF_ERROR) return zlib_code(rc);
    return step->room == 0 || step->length > 0 ? TWL_CODER_AGAIN
                                               : TWL_CODER_MORE;
}

/* ---- brotli ------------------------------------------------------------------------------ */

static int brotli_open(twl_coder *coder)
{
    const twl_coder_config *config = &coder->config;
    uint32_t level = config->level < 0 ? 5 : (uint32_t)config->level;
    uint32_t bits = config->window_bits ? (uint32_t)config->window_bits : 18;
    BrotliEncoderState *encoder;

    if (config->decode) {
        coder->with.decoder =
            BrotliDecoderCreateInstance(take_memory, give_memory, coder);
        return coder->with.decoder ? 0 : TWL_ENOMEM;
    }
    encoder = BrotliEncoderCreateInstance(take_memory, give_memory, coder);
    if (!encoder) return TWL_ENOMEM;
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, level);
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_LGWIN, bits);
    coder->with.encoder = encoder;
    return 0;
}

static int run_brotli_encoder(twl_coder *coder, twl_coder_step *step, int flush)
{
    static const BrotliEncoderOperation operations[] = {
        BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH,
        BROTLI_OPERATION_FINISH};
    BrotliEncoderState *encoder = coder->with.encoder;
    const uint8_t *bytes = (const uint8_t *)step->bytes;
    uint8_t *out = (uint8_t *)step->out;
    bool ok =
        BrotliEncoderCompressStream(encoder, operations[flush], &step->length,
                                    &bytes, &step->room, &out, NULL);

    step->bytes = (const char *)bytes;
    step->out = (char *)out;
    if (!ok) return TWL_ENOMEM;
    if (BrotliEncoderIsFinished(encoder)) {
        coder->ended = true;
        return TWL_CODER_END;
    }
    return BrotliEncoderHasMoreOutput(encoder) || step->length > 0
               ? TWL_CODER_AGAIN
               : TWL_CODER_MORE;
}

/* Without memory the encoder would exit the process, unless its allocator does not return. What
 * it held is then ours to free. */
static int run_guarded(twl_coder *coder, twl_coder_step *step, int flush)
{
    jmp_buf rescue;
    int rc;

    coder->rescue = &rescue;
    if (setjmp(rescue) != 0) {
        coder->rescue = NULL;
        coder->open = false;
        while (!twl__list_empty(&coder->blocks)) {
            struct twl__link *link = coder->blocks.next;
            give_memory(coder,
                        TWL__CONTAINER(struct block, link, link)->memory);
        }
        return TWL_ENOMEM;
    }
    rc = run_brotli_encoder(coder, step, flush);
    coder->rescue = NULL;
    return rc;
}

static bool is_memory_error(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static int run_brotli_decoder(twl_coder *coder, twl_coder_step *step)
{
    BrotliDecoderState *decoder = coder->with.decoder;
    const uint8_t *bytes = (const uint8_t *)step->bytes;
    uint8_t *out = (uint8_t *)step->out;
    BrotliDecoderResult result;

    if (coder->ended) return step->length > 0 ? TWL_ECODING_END : TWL_CODER_END;
    result = BrotliDecoderDecompressStream(decoder, &step->length, &bytes,
                                           &step->room, &out, NULL);
    step->bytes = (const char *)bytes;
    step->out = (char *)out;
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
        coder->ended = true;
        return step->length > 0 ? TWL_ECODING_END : TWL_CODER_END;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return TWL_CODER_MORE;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: return TWL_CODER_AGAIN;
    default:
        return is_memory_error(BrotliDecoderGetErrorCode(decoder))
                   ? TWL_ENOMEM
                   : TWL_ECODING;
    }
}

/* ---- Coders ------------------------------------------------------------------------------ */

static bool within(int value, int least, int most)
{
    return value >= least && value <= most;
}

static bool makes_sense(const twl_coder_config *config)
{
    bool brotli = config->coding == TWL_CODING_BROTLI;

    return within(config->coding, TWL_CODING_GZIP, TWL_CODING_BROTLI) &&
           (config->level == -1 ||
            within(config->level, brotli ? 0 : 1, brotli ? 11 : 9)) &&
           (config->window_bits == 0 ||
            within(config->window_bits, brotli ? 10 : 9, brotli ? 24 : 15));
}

static int open_coder(twl_coder *coder)
{
    int rc = coder->config.coding == TWL_CODING_BROTLI ? brotli_open(coder)
                                                       : zlib_open(coder);

    coder->open = rc == 0;
    return rc;
}

int twl_coder_init(twl_coder *coder, const twl_coder_config *config)
{
    static const twl_coder_config defaults = TWL_CODER_CONFIG_INIT;
    int rc;

    memset(coder, 0, sizeof *coder);
    twl__list_init(&coder->blocks);
    coder->config = defaults;
    if ((rc = twl__config_read(&coder->config, config)) < 0) return rc;
    if (!makes_sense(&coder->config)) return TWL_EINVAL;
    if (!coder->config.alloc) coder->config.alloc = twl__default_alloc;
    return open_coder(coder);
}

int twl_coder_run(twl_coder *coder, twl_coder_step *step, int flush)
{
    bool brotli = coder->config.coding == TWL_CODING_BROTLI;
    int rc;

    if (!coder->open || coder->dirty || step->room == 0 ||
        !within(flush, TWL_FLUSH_NONE, TWL_FLUSH_END))
        return TWL_EINVAL;
    if (coder->config.decode)
        rc =
            brotli ? run_brotli_decoder(coder, step) : run_inflate(coder, step);
    else if (coder->ended)
        rc = step->length > 0 ? TWL_EINVAL : TWL_CODER_END;
    else
        rc = brotli ? run_guarded(coder, step, flush)
                    : run_deflate(coder, step, flush);
    if (rc < 0) coder->dirty = true;
    return rc;
}

bool twl_coder_ended(const twl_coder *coder)
{
    return coder->ended;
}

int twl_coder_reset(twl_coder *coder)
{
    bool brotli = coder->config.coding == TWL_CODING_BROTLI;

    coder->begun = coder->ended = coder->dirty = false;
    if (coder->open && !brotli) {
        z_stream *zlib = &coder->with.zlib;
        return zlib_code(coder->config.decode
                             ? inflateReset2(zlib, zlib_bits(&coder->config))
                             : deflateReset(zlib));
    }
    twl_coder_close(coder);
    return open_coder(coder);
}

void twl_coder_close(twl_coder *coder)
{
    if (!coder->open) return;
    coder->open = false;
    if (coder->config.coding != TWL_CODING_BROTLI) {
        if (coder->config.decode)
            inflateEnd(&coder->with.zlib);
        else
            deflateEnd(&coder->with.zlib);
    } else if (coder->config.decode) {
        BrotliDecoderDestroyInstance(coder->with.decoder);
    } else {
        BrotliEncoderDestroyInstance(coder->with.encoder);
    }
}
