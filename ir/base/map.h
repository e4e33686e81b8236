/*
 * A hash map from byte strings to pointers, in an arena. Keys are copied. Iteration order is
 * insertion order (entries[0..count)), so that nothing printed depends on hashing.
 */
#ifndef SINTER_MAP_H
#define SINTER_MAP_H

#include <stddef.h>
#include <stdint.h>

struct arena;

struct map_entry {
    const char *key;
    size_t length;
    uint64_t hash;
    void *value;
};

struct map {
    struct arena *arena;
    struct map_entry *entries;
    size_t count, capacity;
    uint32_t *slots; /* entry index + 1, 0 = empty */
    size_t slot_count;
};

struct map map_create(struct arena *arena);

/* The place of the value of a key; NULL if it is absent. */
void **map_find(const struct map *map, const char *key, size_t length);

/* The place of the value of a key, inserted as NULL if it is absent. Valid until the next
 * insertion. */
void **map_insert(struct map *map, const char *key, size_t length);

/* For zero-terminated keys: the value, NULL if absent; and insert or replace. */
void *map_get(const struct map *map, const char *key);
void map_set(struct map *map, const char *key, void *value);

/* FNV-1a, 64 bits; `seed` chains several calls, start with 0. */
uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length);

#endif
