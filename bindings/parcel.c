/* SPDX-License-Identifier: MIT
 * parcel.c -- the bytes of a parcel. They never leave the process: numbers and lengths are in the
 * machine's own form, and what is taken out is what was put in. */
#include "parcel.h"

#include <stdlib.h>
#include <string.h>

void twl__parcel_free(struct twl__parcel *parcel)
{
    for (size_t i = 0; i < parcel->channel_count; i++)
        twl_channel_release(parcel->channels[i]);
    free(parcel->channels);
    free(parcel->bytes);
    memset(parcel, 0, sizeof *parcel);
}

static bool reserve(struct twl__parcel *parcel, size_t length)
{
    size_t wanted = parcel->length + length;
    size_t capacity = parcel->capacity ? parcel->capacity : 128;
    char *bytes;

    if (wanted < length) return false;
    if (wanted <= parcel->capacity) return true;
    while (capacity < wanted) {
        if (capacity > SIZE_MAX / 2) return false;
        capacity *= 2;
    }
    bytes = realloc(parcel->bytes, capacity);
    if (!bytes) return false;
    parcel->bytes = bytes;
    parcel->capacity = capacity;
    return true;
}

bool twl__parcel_append(struct twl__parcel *parcel, const void *bytes,
                        size_t length)
{
    if (!reserve(parcel, length)) return false;
    memcpy(parcel->bytes + parcel->length, bytes, length);
    parcel->length += length;
    return true;
}

/* Few have even one: no need to grow by more. */
bool twl__parcel_keep(struct twl__parcel *parcel, twl_channel *channel)
{
    size_t count = parcel->channel_count;
    twl_channel **channels =
        realloc(parcel->channels, (count + 1) * sizeof *channels);

    if (!channels) return false;
    channels[count] = twl_channel_retain(channel);
    parcel->channels = channels;
    parcel->channel_count = count + 1;
    return true;
}

void twl__put(lua_State *L, struct twl__parcel *parcel, const void *bytes,
              size_t length)
{
    if (!twl__parcel_append(parcel, bytes, length))
        luaL_error(L, "not enough memory to copy values between threads");
}

void twl__put_tag(lua_State *L, struct twl__parcel *parcel, enum twl__tag tag)
{
    unsigned char byte = (unsigned char)tag;
    twl__put(L, parcel, &byte, 1);
}

void twl__parcel_pack_size(lua_State *L, struct twl__parcel *parcel,
                           size_t size)
{
    twl__put(L, parcel, &size, sizeof size);
}

void twl__put_string(lua_State *L, struct twl__parcel *parcel,
                     const char *bytes, size_t length)
{
    twl__put_tag(L, parcel, TAG_STRING);
    twl__parcel_pack_size(L, parcel, length);
    twl__put(L, parcel, bytes, length);
}

void twl__take(struct twl__parcel *parcel, void *out, size_t length)
{
    memcpy(out, parcel->bytes + parcel->read, length);
    parcel->read += length;
}

enum twl__tag twl__take_tag(struct twl__parcel *parcel)
{
    return (enum twl__tag)(unsigned char)parcel->bytes[parcel->read++];
}

size_t twl__parcel_unpack_size(struct twl__parcel *parcel)
{
    size_t size;

    twl__take(parcel, &size, sizeof size);
    return size;
}

const char *twl__take_bytes(struct twl__parcel *parcel, size_t *length)
{
    const char *bytes;

    *length = twl__parcel_unpack_size(parcel);
    bytes = parcel->bytes + parcel->read;
    parcel->read += *length;
    return bytes;
}
