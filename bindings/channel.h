/* SPDX-License-Identifier: MIT
 * channel.h -- channels as userdata, for what carries them from one state to another. */
#ifndef TWL_LUA_CHANNEL_H
#define TWL_LUA_CHANNEL_H

#include "context.h"

/* The userdata: it holds a reference and, once it is first used with the reactor, the end there,
 * which stands behind the struct. */
struct twl__channel {
    const void *tag; /* tells these from all other userdata */
    twl_context *context;
    twl_channel *channel; /* NULL once finalized */
    bool has_end;
};

static inline twl_channel_end *twl__channel_end_of(struct twl__channel *self)
{
    return (twl_channel_end *)(void *)(self + 1);
}

/* The channel at 1, for functions of the class context->channels. Raises for one that was
 * finalized: finalizers of the script's may come after ours. */
struct twl__channel *twl__channel_check(lua_State *L);

/* Add the functions of channel_wait.c to the table at the top. [-0, +0] */
void twl__open_channel_waits(lua_State *L, twl_context *context);

/* The channel at [index], or NULL for any other value. */
twl_channel *twl__channel_at(lua_State *L, int index);

/* Push this universe's userdata for [channel]; one that is made has a reference of its own.
 * [-0, +1] May raise. */
void twl__channel_push(lua_State *L, twl_channel *channel);

/* A message for [channel] of the value at [index]. TWL_ENOMEM. Raises for what cannot be copied. */
int twl__message_make(lua_State *L, twl_channel *channel, int index,
                      twl_message **out);

/* Push its value. [-0, +1] May raise. */
void twl__message_push(lua_State *L, const twl_message *message);

#endif
