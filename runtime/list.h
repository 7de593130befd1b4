/* SPDX-License-Identifier: MIT
 * list.h -- circular doubly linked lists whose links lie in their elements.
 * A link is NULL on both sides exactly while its element is in no list, so that removing
 * twice is harmless. */
#ifndef TWL_LIST_H
#define TWL_LIST_H

#include "twistlua.h"

#define TWL__CONTAINER(type, member, pointer)                                  \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void twl__list_init(struct twl__link *list)
{
    list->next = list->prev = list;
}

static inline bool twl__list_empty(const struct twl__link *list)
{
    return list->next == list;
}

static inline bool twl__linked(const struct twl__link *link)
{
    return link->next != NULL;
}

static inline void twl__list_append(struct twl__link *list,
                                    struct twl__link *link)
{
    link->next = list;
    link->prev = list->prev;
    list->prev->next = link;
    list->prev = link;
}

static inline void twl__unlink(struct twl__link *link)
{
    if (!twl__linked(link)) return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

/* Move all of [from] to the end of the empty list [to]. */
static inline void twl__list_move(struct twl__link *from, struct twl__link *to)
{
    twl__list_init(to);
    if (twl__list_empty(from)) return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    twl__list_init(from);
}

/* Move all of [from] to the front of [to]. */
static inline void twl__list_prepend_all(struct twl__link *from,
                                         struct twl__link *to)
{
    if (twl__list_empty(from)) return;
    from->prev->next = to->next;
    to->next->prev = from->prev;
    from->next->prev = to;
    to->next = from->next;
    twl__list_init(from);
}

/* Move all of [from] to the end of [to]. */
static inline void twl__list_append_all(struct twl__link *from,
                                        struct twl__link *to)
{
    twl__list_prepend_all(to, from);
    twl__list_move(from, to);
}

#endif
