/* SPDX-License-Identifier: MIT
 * http1_error.c -- what is wrong with an HTTP/1 message, in words and as a status. */
#include "http1.h"

static const struct entry {
    int code, status;
    const char *name, *message;
} ENTRIES[] = {
#define ENTRY(name, status, message)                                           \
    {                                                                          \
        TWL_E##name, status, "E" #name, message                                \
    }
    ENTRY(HTTP_LINE, 400, "Malformed request or status line"),
    ENTRY(HTTP_METHOD, 400, "Invalid byte in the method"),
    ENTRY(HTTP_TARGET, 400, "Invalid byte in the request target"),
    ENTRY(HTTP_FORM, 400,
          "Request target is not of a form that its method takes"),
    ENTRY(HTTP_VERSION, 400, "Malformed HTTP version"),
    ENTRY(HTTP_MAJOR, 505, "HTTP version is not 1.x"),
    ENTRY(HTTP_CODE, 400, "Malformed status code"),
    ENTRY(HTTP_LINE_SIZE, 414, "Request or status line is too long"),
    ENTRY(HTTP_HEAD_SIZE, 431, "Header section is too long"),
    ENTRY(HTTP_FIELDS, 431, "Too many header fields"),
    ENTRY(HTTP_BARE_CR, 400, "CR without LF"),
    ENTRY(HTTP_BARE_LF, 400, "LF without CR"),
    ENTRY(HTTP_FOLD, 400, "Field line begins with a space"),
    ENTRY(HTTP_NAME, 400, "Invalid byte in a field name"),
    ENTRY(HTTP_NO_NAME, 400, "Empty field name"),
    ENTRY(HTTP_NO_COLON, 400, "Field line without a colon"),
    ENTRY(HTTP_SPACE, 400, "Space between field name and colon"),
    ENTRY(HTTP_VALUE, 400, "Control byte in a field value or reason phrase"),
    ENTRY(HTTP_LENGTH, 400, "Content-Length is not a number"),
    ENTRY(HTTP_LENGTH_SIZE, 413, "Content-Length is too large"),
    ENTRY(HTTP_LENGTH_TWICE, 400, "Content-Length is given more than once"),
    ENTRY(HTTP_LENGTH_CODING, 400,
          "Both Content-Length and Transfer-Encoding are given"),
    ENTRY(HTTP_CODING, 400, "Transfer-Encoding does not end in one chunked"),
    ENTRY(HTTP_CODING_UNKNOWN, 501, "Transfer-Encoding is not implemented"),
    ENTRY(HTTP_CODING_VERSION, 400, "Transfer-Encoding in HTTP/1.0"),
    ENTRY(HTTP_NO_HOST, 400, "Host is missing"),
    ENTRY(HTTP_HOST_TWICE, 400, "Host is given more than once"),
    ENTRY(HTTP_HOST, 400, "Host is not a host and port"),
    ENTRY(HTTP_TUNNEL, 400, "CONNECT with a body"),
    ENTRY(HTTP_BODY_SIZE, 413, "Body is too long"),
    ENTRY(HTTP_CHUNK, 400, "Malformed chunk size"),
    ENTRY(HTTP_CHUNK_SIZE, 413, "Chunk size is too large"),
    ENTRY(HTTP_CHUNK_END, 400, "Chunk does not end where its size says"),
    ENTRY(HTTP_EXTENSION, 400, "Control byte in a chunk extension"),
    ENTRY(HTTP_EXTENSION_SIZE, 400, "Chunk extensions are too long"),
    ENTRY(HTTP_TRAILER_SIZE, 431, "Trailer section is too long"),
};

static const struct entry *find(int code)
{
    for (size_t i = 0; i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {
        if (ENTRIES[i].code == code) return &ENTRIES[i];
    }
    return NULL;
}

int twl_http1_status(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->status : 400;
}

const char *twl__http1_error_name(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->name : NULL;
}

const char *twl__http1_error_message(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->message : NULL;
}
