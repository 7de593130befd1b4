/* SPDX-License-Identifier: MIT
 * http1_names.c -- the names that HTTP/1 messages are made of: methods, fields, reasons, and
 * which bytes may be part of what. */
#include "http1.h"
#include "http1_scan.h"

/* RFC 9110 5.6.2 (token), 5.5 (field-value), RFC 3986 3.2.2 (reg-name). A target may have all
 * that is visible but four: the grammar of RFC 3986 has neither these nor \ ^ ` { | }, which
 * browsers do send. */
const unsigned char twl__http1_class[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 15, 2, 3, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15, 6,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 14, 2, 14, 2, 6,
    6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 6, 6, 7, 15,
    7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 6, 7, 6, 15, 0,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    /* clang-format on */
};

/* ---- Methods ------------------------------------------------------------- */

static const char *const METHODS[] = {
    NULL,     "GET",     "HEAD",    "POST",  "PUT",
    "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
};

enum { METHODS_COUNT = sizeof METHODS / sizeof METHODS[0] };

const char *twl_http1_method_name(int method)
{
    return method >= 0 && method < METHODS_COUNT ? METHODS[method] : NULL;
}

int twl_http1_method(const char *bytes, size_t length)
{
    for (int i = 1; i < METHODS_COUNT; i++) {
        if (strlen(METHODS[i]) == length && METHODS[i][0] == bytes[0] &&
            memcmp(METHODS[i], bytes, length) == 0)
            return i;
    }
    return TWL_METHOD_OTHER;
}

/* ---- Field names ----------------------------------------------------------- */

/* Where a name is, if it is one of ours, by its length and its first, middle and last byte in
 * lower case. The factors were searched for so that no two names meet; should a new one do, the
 * compiler says so (-Woverride-init), and others have to be found. */
#define HASH(length, first, middle, last)                                      \
    (((length)*2u + (first)*8u + (middle)*7u + (last)*23u) & 255u)

static const struct name {
    char text[31]; /* the longest has 25 */
    unsigned char length;
} NAMES[TWL_FIELD_COUNT] = {
    [TWL_FIELD_HOST] = {"Host", 4},
    [TWL_FIELD_CONTENT_LENGTH] = {"Content-Length", 14},
    [TWL_FIELD_TRANSFER_ENCODING] = {"Transfer-Encoding", 17},
    [TWL_FIELD_CONNECTION] = {"Connection", 10},
    [TWL_FIELD_EXPECT] = {"Expect", 6},
    [TWL_FIELD_UPGRADE] = {"Upgrade", 7},
    [TWL_FIELD_TRAILER] = {"Trailer", 7},
    [TWL_FIELD_TE] = {"TE", 2},
    [TWL_FIELD_ACCEPT] = {"Accept", 6},
    [TWL_FIELD_ACCEPT_CHARSET] = {"Accept-Charset", 14},
    [TWL_FIELD_ACCEPT_ENCODING] = {"Accept-Encoding", 15},
    [TWL_FIELD_ACCEPT_LANGUAGE] = {"Accept-Language", 15},
    [TWL_FIELD_ACCEPT_RANGES] = {"Accept-Ranges", 13},
    [TWL_FIELD_AGE] = {"Age", 3},
    [TWL_FIELD_ALLOW] = {"Allow", 5},
    [TWL_FIELD_ALT_SVC] = {"Alt-Svc", 7},
    [TWL_FIELD_AUTHORIZATION] = {"Authorization", 13},
    [TWL_FIELD_CACHE_CONTROL] = {"Cache-Control", 13},
    [TWL_FIELD_CONTENT_DISPOSITION] = {"Content-Disposition", 19},
    [TWL_FIELD_CONTENT_ENCODING] = {"Content-Encoding", 16},
    [TWL_FIELD_CONTENT_LANGUAGE] = {"Content-Language", 16},
    [TWL_FIELD_CONTENT_LOCATION] = {"Content-Location", 16},
    [TWL_FIELD_CONTENT_RANGE] = {"Content-Range", 13},
    [TWL_FIELD_CONTENT_TYPE] = {"Content-Type", 12},
    [TWL_FIELD_COOKIE] = {"Cookie", 6},
    [TWL_FIELD_DATE] = {"Date", 4},
    [TWL_FIELD_ETAG] = {"ETag", 4},
    [TWL_FIELD_EXPIRES] = {"Expires", 7},
    [TWL_FIELD_FORWARDED] = {"Forwarded", 9},
    [TWL_FIELD_IF_MATCH] = {"If-Match", 8},
    [TWL_FIELD_IF_MODIFIED_SINCE] = {"If-Modified-Since", 17},
    [TWL_FIELD_IF_NONE_MATCH] = {"If-None-Match", 13},
    [TWL_FIELD_IF_RANGE] = {"If-Range", 8},
    [TWL_FIELD_IF_UNMODIFIED_SINCE] = {"If-Unmodified-Since", 19},
    [TWL_FIELD_KEEP_ALIVE] = {"Keep-Alive", 10},
    [TWL_FIELD_LAST_MODIFIED] = {"Last-Modified", 13},
    [TWL_FIELD_LINK] = {"Link", 4},
    [TWL_FIELD_LOCATION] = {"Location", 8},
    [TWL_FIELD_MAX_FORWARDS] = {"Max-Forwards", 12},
    [TWL_FIELD_ORIGIN] = {"Origin", 6},
    [TWL_FIELD_PRAGMA] = {"Pragma", 6},
    [TWL_FIELD_PROXY_AUTHENTICATE] = {"Proxy-Authenticate", 18},
    [TWL_FIELD_PROXY_AUTHORIZATION] = {"Proxy-Authorization", 19},
    [TWL_FIELD_PROXY_CONNECTION] = {"Proxy-Connection", 16},
    [TWL_FIELD_RANGE] = {"Range", 5},
    [TWL_FIELD_REFERER] = {"Referer", 7},
    [TWL_FIELD_RETRY_AFTER] = {"Retry-After", 11},
    [TWL_FIELD_SEC_WEBSOCKET_ACCEPT] = {"Sec-WebSocket-Accept", 20},
    [TWL_FIELD_SEC_WEBSOCKET_EXTENSIONS] = {"Sec-WebSocket-Extensions", 24},
    [TWL_FIELD_SEC_WEBSOCKET_KEY] = {"Sec-WebSocket-Key", 17},
    [TWL_FIELD_SEC_WEBSOCKET_PROTOCOL] = {"Sec-WebSocket-Protocol", 22},
    [TWL_FIELD_SEC_WEBSOCKET_VERSION] = {"Sec-WebSocket-Version", 21},
    [TWL_FIELD_SERVER] = {"Server", 6},
    [TWL_FIELD_SET_COOKIE] = {"Set-Cookie", 10},
    [TWL_FIELD_STRICT_TRANSPORT_SECURITY] = {"Strict-Transport-Security", 25},
    [TWL_FIELD_USER_AGENT] = {"User-Agent", 10},
    [TWL_FIELD_VARY] = {"Vary", 4},
    [TWL_FIELD_VIA] = {"Via", 3},
    [TWL_FIELD_WWW_AUTHENTICATE] = {"WWW-Authenticate", 16},
    [TWL_FIELD_X_FORWARDED_FOR] = {"X-Forwarded-For", 15},
    [TWL_FIELD_X_FORWARDED_HOST] = {"X-Forwarded-Host", 16},
    [TWL_FIELD_X_FORWARDED_PROTO] = {"X-Forwarded-Proto", 17},
};

static const unsigned char SLOTS[256] = {
    [HASH(4, 'h', 's', 't')] = TWL_FIELD_HOST,
    [HASH(14, 'c', '-', 'h')] = TWL_FIELD_CONTENT_LENGTH,
    [HASH(17, 't', '-', 'g')] = TWL_FIELD_TRANSFER_ENCODING,
    [HASH(10, 'c', 'c', 'n')] = TWL_FIELD_CONNECTION,
    [HASH(6, 'e', 'e', 't')] = TWL_FIELD_EXPECT,
    [HASH(7, 'u', 'r', 'e')] = TWL_FIELD_UPGRADE,
    [HASH(7, 't', 'i', 'r')] = TWL_FIELD_TRAILER,
    [HASH(2, 't', 'e', 'e')] = TWL_FIELD_TE,
    [HASH(6, 'a', 'e', 't')] = TWL_FIELD_ACCEPT,
    [HASH(14, 'a', 'c', 't')] = TWL_FIELD_ACCEPT_CHARSET,
    [HASH(15, 'a', 'e', 'g')] = TWL_FIELD_ACCEPT_ENCODING,
    [HASH(15, 'a', 'l', 'e')] = TWL_FIELD_ACCEPT_LANGUAGE,
    [HASH(13, 'a', '-', 's')] = TWL_FIELD_ACCEPT_RANGES,
    [HASH(3, 'a', 'g', 'e')] = TWL_FIELD_AGE,
    [HASH(5, 'a', 'l', 'w')] = TWL_FIELD_ALLOW,
    [HASH(7, 'a', '-', 'c')] = TWL_FIELD_ALT_SVC,
    [HASH(13, 'a', 'i', 'n')] = TWL_FIELD_AUTHORIZATION,
    [HASH(13, 'c', 'c', 'l')] = TWL_FIELD_CACHE_CONTROL,
    [HASH(19, 'c', 'i', 'n')] = TWL_FIELD_CONTENT_DISPOSITION,
    [HASH(16, 'c', 'e', 'g')] = TWL_FIELD_CONTENT_ENCODING,
    [HASH(16, 'c', 'l', 'e')] = TWL_FIELD_CONTENT_LANGUAGE,
    [HASH(16, 'c', 'l', 'n')] = TWL_FIELD_CONTENT_LOCATION,
    [HASH(13, 'c', 't', 'e')] = TWL_FIELD_CONTENT_RANGE,
    [HASH(12, 'c', 't', 'e')] = TWL_FIELD_CONTENT_TYPE,
    [HASH(6, 'c', 'k', 'e')] = TWL_FIELD_COOKIE,
    [HASH(4, 'd', 't', 'e')] = TWL_FIELD_DATE,
    [HASH(4, 'e', 'a', 'g')] = TWL_FIELD_ETAG,
    [HASH(7, 'e', 'i', 's')] = TWL_FIELD_EXPIRES,
    [HASH(9, 'f', 'a', 'd')] = TWL_FIELD_FORWARDED,
    [HASH(8, 'i', 'a', 'h')] = TWL_FIELD_IF_MATCH,
    [HASH(17, 'i', 'i', 'e')] = TWL_FIELD_IF_MODIFIED_SINCE,
    [HASH(13, 'i', 'e', 'h')] = TWL_FIELD_IF_NONE_MATCH,
    [HASH(8, 'i', 'a', 'e')] = TWL_FIELD_IF_RANGE,
    [HASH(19, 'i', 'f', 'e')] = TWL_FIELD_IF_UNMODIFIED_SINCE,
    [HASH(10, 'k', 'a', 'e')] = TWL_FIELD_KEEP_ALIVE,
    [HASH(13, 'l', 'o', 'd')] = TWL_FIELD_LAST_MODIFIED,
    [HASH(4, 'l', 'n', 'k')] = TWL_FIELD_LINK,
    [HASH(8, 'l', 't', 'n')] = TWL_FIELD_LOCATION,
    [HASH(12, 'm', 'r', 's')] = TWL_FIELD_MAX_FORWARDS,
    [HASH(6, 'o', 'g', 'n')] = TWL_FIELD_ORIGIN,
    [HASH(6, 'p', 'g', 'a')] = TWL_FIELD_PRAGMA,
    [HASH(18, 'p', 'h', 'e')] = TWL_FIELD_PROXY_AUTHENTICATE,
    [HASH(19, 'p', 'h', 'n')] = TWL_FIELD_PROXY_AUTHORIZATION,
    [HASH(16, 'p', 'n', 'n')] = TWL_FIELD_PROXY_CONNECTION,
    [HASH(5, 'r', 'n', 'e')] = TWL_FIELD_RANGE,
    [HASH(7, 'r', 'e', 'r')] = TWL_FIELD_REFERER,
    [HASH(11, 'r', '-', 'r')] = TWL_FIELD_RETRY_AFTER,
    [HASH(20, 's', 'k', 't')] = TWL_FIELD_SEC_WEBSOCKET_ACCEPT,
    [HASH(24, 's', 't', 's')] = TWL_FIELD_SEC_WEBSOCKET_EXTENSIONS,
    [HASH(17, 's', 'o', 'y')] = TWL_FIELD_SEC_WEBSOCKET_KEY,
    [HASH(22, 's', 'e', 'l')] = TWL_FIELD_SEC_WEBSOCKET_PROTOCOL,
    [HASH(21, 's', 'k', 'n')] = TWL_FIELD_SEC_WEBSOCKET_VERSION,
    [HASH(6, 's', 'v', 'r')] = TWL_FIELD_SERVER,
    [HASH(10, 's', 'o', 'e')] = TWL_FIELD_SET_COOKIE,
    [HASH(25, 's', 'p', 'y')] = TWL_FIELD_STRICT_TRANSPORT_SECURITY,
    [HASH(10, 'u', 'a', 't')] = TWL_FIELD_USER_AGENT,
    [HASH(4, 'v', 'r', 'y')] = TWL_FIELD_VARY,
    [HASH(3, 'v', 'i', 'a')] = TWL_FIELD_VIA,
    [HASH(16, 'w', 'e', 'e')] = TWL_FIELD_WWW_AUTHENTICATE,
    [HASH(15, 'x', 'r', 'r')] = TWL_FIELD_X_FORWARDED_FOR,
    [HASH(16, 'x', 'd', 't')] = TWL_FIELD_X_FORWARDED_HOST,
    [HASH(17, 'x', 'd', 'o')] = TWL_FIELD_X_FORWARDED_PROTO,
};

const char *twl_http1_field_name(int field)
{
    if (field <= TWL_FIELD_OTHER || field >= TWL_FIELD_COUNT) return NULL;
    return NAMES[field].text;
}

static inline unsigned lower(char byte)
{
    return (unsigned char)byte | 0x20u;
}

/* In a token, only letters become letters, and only a dash a dash, by setting this bit. */
static bool equal_names(const char *token, const char *name, size_t length)
{
    const uint64_t bit = EACH_BYTE(0x20);
    size_t i = 0;

    if (length >= 8) {
        for (; i + 8 < length; i += 8) {
            if ((load_word(token + i) | bit) != (load_word(name + i) | bit))
                return false;
        }
        i = length - 8;
        return (load_word(token + i) | bit) == (load_word(name + i) | bit);
    }
    while (i < length && lower(token[i]) == lower(name[i])) i++;
    return i == length;
}

int twl__http1_field(const char *name, size_t length)
{
    unsigned at = HASH((unsigned)length, lower(name[0]),
                       lower(name[length / 2]), lower(name[length - 1]));
    unsigned field = SLOTS[at];

    if (NAMES[field].length != length) return TWL_FIELD_OTHER;
    return equal_names(name, NAMES[field].text, length) ? (int)field
                                                        : TWL_FIELD_OTHER;
}

int twl_http1_field(const char *bytes, size_t length)
{
    if (!twl_http1_is_token(bytes, length)) return TWL_FIELD_OTHER;
    return twl__http1_field(bytes, length);
}

/* ---- Bytes --------------------------------------------------------------- */

bool twl_http1_is_token(const char *bytes, size_t length)
{
    return length > 0 && scan_token(bytes, bytes + length) == bytes + length;
}

bool twl_http1_is_value(const char *bytes, size_t length)
{
    return length == 0 || scan_value(bytes, bytes + length) == bytes + length;
}

bool twl_http1_is_target(const char *bytes, size_t length)
{
    return length > 0 && scan_target(bytes, bytes + length) == bytes + length;
}

/* ---- Reasons --------------------------------------------------------------- */

const char *twl_http1_reason(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 305: return "Use Proxy";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 418: return "I'm a Teapot";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    case 511: return "Network Authentication Required";
    default: return "";
    }
}
