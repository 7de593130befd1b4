/* SPDX-License-Identifier: MIT
 * parcel.h -- a parcel's bytes, for what packs and unpacks it: transfer.c and chunk.c. */
#ifndef TWL_PARCEL_H
#define TWL_PARCEL_H

#include "transfer.h"

enum twl__tag {
    TAG_NIL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_INTEGER,
    TAG_NUMBER,
    TAG_STRING,
    TAG_TABLE,
    TAG_OBJECT, /* of a class of errors: module, name, then the table */
    TAG_SEEN,   /* a table that came before, by its number */
    TAG_CHUNK,  /* a function, as lua_dump writes it */
    TAG_C_FUNCTION,
    TAG_CHANNEL /* its address */
};

/* False without memory; the others raise then. */
bool twl__parcel_append(struct twl__parcel *parcel, const void *bytes,
                        size_t length);
void twl__put(lua_State *L, struct twl__parcel *parcel, const void *bytes,
              size_t length);
void twl__put_tag(lua_State *L, struct twl__parcel *parcel, enum twl__tag tag);
void twl__put_string(lua_State *L, struct twl__parcel *parcel,
                     const char *bytes, size_t length);

/* Have the parcel keep [channel]. False without memory. */
bool twl__parcel_keep(struct twl__parcel *parcel, twl_channel *channel);

void twl__take(struct twl__parcel *parcel, void *out, size_t length);
enum twl__tag twl__take_tag(struct twl__parcel *parcel);
const char *twl__take_bytes(struct twl__parcel *parcel, size_t *length);

#endif
