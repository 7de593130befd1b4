/* SPDX-License-Identifier: MIT
 * transfer.h -- Lua values on their way from one state to another: a parcel is packed on one
 * thread and unpacked on another. Its memory is malloc's, which is safe between threads.
 *
 * Copied are nil, booleans, numbers, strings, and tables of these, nested up to TWL__DEPTH. A
 * channel goes by reference: the parcel has one to each. What is one table within a range of values is one table in the copy, cycles included. A table with
 * a metatable is refused, unless it is an object of a class in twistlua.error or
 * twistlua.defer.errors, which has that class in the other state, too. */
#ifndef TWL_TRANSFER_H
#define TWL_TRANSFER_H

#include "context.h"

enum { TWL__DEPTH = 200 };

struct twl__parcel {
    char *bytes;
    size_t length, capacity;
    size_t read;            /* where unpacking goes on */
    twl_channel **channels; /* that the bytes mention, each retained */
    size_t channel_count;
};

/* Free what it holds, and leave it empty. */
void twl__parcel_free(struct twl__parcel *parcel);

/* All of these may raise errors, and leave the parcel to be freed by the caller. */

/* Append [count] values from the absolute index [first] on. [what] is a format that names them in
 * an error, by their numbers from 1: "argument %d"; or "the result". */
void twl__parcel_pack(lua_State *L, struct twl__parcel *parcel, int first,
                      int count, const char *what);

/* Append what is to be called there: a function without upvalues but _ENV, or a string. */
void twl__parcel_pack_function(lua_State *L, struct twl__parcel *parcel,
                               int index);

void twl__parcel_pack_size(lua_State *L, struct twl__parcel *parcel,
                           size_t size);
size_t twl__parcel_unpack_size(struct twl__parcel *parcel);

/* Push a range of values, and return their number; or the function or string. */
int twl__parcel_unpack(lua_State *L, struct twl__parcel *parcel);
void twl__parcel_unpack_function(lua_State *L, struct twl__parcel *parcel);

#endif
