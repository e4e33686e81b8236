/*
 * A cache of files by content: the key is the hash of all that a result depends on. It stands in
 * $XDG_CACHE_HOME/sinter, or ~/.cache/sinter. Entries appear whole or not at all, carry the hash of
 * their bytes, and are ignored if they are damaged; the oldest go when the sum grows too large.
 * Nothing here fails: without a cache there are only misses.
 */
#ifndef SINTER_TOOLCHAIN_CACHE_H
#define SINTER_TOOLCHAIN_CACHE_H

#include "ir/base/arena.h"

#include <stddef.h>
#include <stdint.h>

struct cache {
    struct arena *arena;
    const char *folder; /* NULL: there is none */
};

struct cache_key {
    char text[65]; /* 64 hex digits */
};

/* Makes the folder where it is missing. */
struct cache cache_open(struct arena *arena);

/* The key of `count` byte strings, in order; where one ends matters. */
struct cache_key cache_key(struct arena *arena, const void *const *parts, const size_t *lengths,
                           size_t count);

/* The bytes of an entry, in the arena; NULL if there is no sound one. */
const void *cache_get(const struct cache *cache, const struct cache_key *key,
                      size_t *out_length);

void cache_put(const struct cache *cache, const struct cache_key *key, const void *bytes,
               size_t length);

/* Removes the least recently used entries above `most` bytes. */
void cache_trim(const struct cache *cache, uint64_t most);

#endif
