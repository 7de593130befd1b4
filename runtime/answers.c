/* SPDX-License-Identifier: MIT
 * answers.c -- what the resolver learnt, for as long as it is valid, bounded in number.
 * Invariant: an entry is in its bucket's chain and in the list of the recently used, which is
 * ordered; it holds one reference to its answer. */
#include <netinet/in.h>
#include <string.h>

#include "resolver.h"

struct twl__entry {
    struct twl__link recent;
    struct twl__entry *next; /* in the bucket */
    struct twl_answer *answer;
    double expires;
    size_t length;
    char name[];
};

/* ---- One answer ---------------------------------------------------------------------------- */

static size_t answer_size(unsigned count)
{
    return sizeof(struct twl_answer) + count * (size_t)16;
}

struct twl_answer *twl__answer_new(twl_reactor *reactor, int code,
                                   enum twl_family family, unsigned count)
{
    struct twl_answer *answer = twl__alloc(reactor, answer_size(count));

    if (!answer) return NULL;
    memset(answer, 0, answer_size(count));
    answer->references = 1;
    answer->code = code;
    answer->family = family;
    answer->count = count;
    return answer;
}

void twl__answer_release(twl_reactor *reactor, struct twl_answer *answer)
{
    if (answer && --answer->references == 0)
        twl__free(reactor, answer, answer_size(answer->count));
}

size_t twl_answer_count(const twl_answer *answer)
{
    return answer->count;
}

void twl_answer_address(const twl_answer *answer, size_t index, long port,
                        twl_address *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)port)};

    memset(out, 0, sizeof *out);
    if (answer->family == TWL_IPV4) {
        memcpy(&in.sin_addr, answer->bytes[index], sizeof in.sin_addr);
        memcpy(&out->storage, &in, out->length = sizeof in);
    } else {
        memcpy(&in6.sin6_addr, answer->bytes[index], sizeof in6.sin6_addr);
        memcpy(&out->storage, &in6, out->length = sizeof in6);
    }
}

/* ---- Many ---------------------------------------------------------------------------------- */

static size_t entry_size(size_t length)
{
    return sizeof(struct twl__entry) + length + 1;
}

/* FNV-1a. Who asks for names of his choice fills at most [capacity] entries. */
static struct twl__entry **bucket_of(const struct twl__answers *answers,
                                     const char *name, enum twl_family family)
{
    uint32_t hash = 2166136261u ^ (uint32_t)family;

    for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 16777619u;
    return &answers->buckets[hash & (answers->bucket_count - 1)];
}

static void drop(struct twl__answers *answers, struct twl__entry *entry)
{
    struct twl__entry **place =
        bucket_of(answers, entry->name, entry->answer->family);

    while (*place != entry) place = &(*place)->next;
    *place = entry->next;
    twl__unlink(&entry->recent);
    twl__answer_release(answers->reactor, entry->answer);
    twl__free(answers->reactor, entry, entry_size(entry->length));
    answers->count--;
}

static struct twl__entry *find(const struct twl__answers *answers,
                               const char *name, enum twl_family family)
{
    struct twl__entry *entry = *bucket_of(answers, name, family);

    while (entry &&
           (entry->answer->family != family || strcmp(entry->name, name) != 0))
        entry = entry->next;
    return entry;
}

int twl__answers_open(struct twl__answers *answers, twl_reactor *reactor,
                      unsigned capacity)
{
    unsigned count = 16;

    memset(answers, 0, sizeof *answers);
    answers->reactor = reactor;
    answers->capacity = capacity;
    twl__list_init(&answers->recent);
    if (capacity == 0) return 0;
    while (count < capacity && count < 65536) count *= 2;
    answers->buckets = twl__alloc(reactor, count * sizeof *answers->buckets);
    if (!answers->buckets) return TWL_ENOMEM;
    memset(answers->buckets, 0, count * sizeof *answers->buckets);
    answers->bucket_count = count;
    return 0;
}

void twl__answers_clear(struct twl__answers *answers)
{
    while (!twl__list_empty(&answers->recent))
        drop(answers,
             TWL__CONTAINER(struct twl__entry, recent, answers->recent.next));
}

void twl__answers_close(struct twl__answers *answers)
{
    twl__answers_clear(answers);
    twl__free(answers->reactor, answers->buckets,
              answers->bucket_count * sizeof *answers->buckets);
}

struct twl_answer *twl__answers_find(struct twl__answers *answers,
                                     const char *name, enum twl_family family)
{
    struct twl__entry *entry;

    if (answers->count == 0) return NULL;
    entry = find(answers, name, family);
    if (!entry) return NULL;
    if (entry->expires <= twl_reactor_seconds(answers->reactor)) {
        drop(answers, entry);
        return NULL;
    }
    twl__unlink(&entry->recent);
    twl__list_append(&answers->recent, &entry->recent);
    entry->answer->references++;
    return entry->answer;
}

void twl__answers_keep(struct twl__answers *answers, const char *name,
                       struct twl_answer *answer, double seconds)
{
    size_t length = strlen(name);
    struct twl__entry *entry, **bucket;

    if (answers->capacity == 0 || !(seconds > 0.)) return;
    if ((entry = find(answers, name, answer->family))) drop(answers, entry);
    if (answers->count == answers->capacity)
        drop(answers,
             TWL__CONTAINER(struct twl__entry, recent, answers->recent.next));
    entry = twl__alloc(answers->reactor, entry_size(length));
    if (!entry) return;
    memset(entry, 0, sizeof *entry);
    memcpy(entry->name, name, length + 1);
    entry->length = length;
    entry->expires = twl_reactor_seconds(answers->reactor) + seconds;
    entry->answer = answer;
    answer->references++;
    bucket = bucket_of(answers, name, answer->family);
    entry->next = *bucket;
    *bucket = entry;
    twl__list_append(&answers->recent, &entry->recent);
    answers->count++;
}
