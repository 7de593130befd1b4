/* SPDX-License-Identifier: MIT
 * openfile.h -- files that are held open: lua_openfile.c makes and reads them, openfile_respond.c
 * answers requests with them. */
#ifndef TWL_OPENFILE_H
#define TWL_OPENFILE_H

#include "transport.h"

/* The descriptor is given up when the file is closed and nobody uses it any more. An anchored one
 * is in use: a thread or a transport has the descriptor. */
struct twl__openfile {
    twl_context *context;
    int fd;    /* -1: given up */
    int users; /* threads and queued output */
    int slot;
    bool closed;
    bool of_memory;     /* made of a string: it stays as it is */
    twl_file_info info; /* what it was found to be */
    double looked;      /* in that turn */
};

/* The file at [index], which is open, or an error is raised. */
struct twl__openfile *twl__openfile_check(lua_State *L, int index);

/* The file at [index] has one more user; and one less. The first may raise a memory error. */
void twl__openfile_use(lua_State *L, struct twl__openfile *file, int index);
void twl__openfile_leave(struct twl__openfile *file);

/* What it was found to be in this turn, or NULL. */
const twl_file_info *twl__openfile_known(const struct twl__openfile *file);

/* As twl_stream_write_file(). A user leaves when that is over. */
int twl__openfile_send(struct twl__openfile *file,
                       struct twl__transport *transport, uint64_t offset,
                       uint64_t length);

/* respond(file, request, transport, ...), in openfile_respond.c. */
int twl__openfile_respond(lua_State *L);

#endif
