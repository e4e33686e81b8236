/* Open addressing over an insertion-ordered entry array; see map.h. */
#include "map.h"

#include "arena.h"

#include <string.h>

uint64_t hash_bytes(uint64_t seed, const void *bytes, size_t length)
{
    uint64_t hash = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

struct map map_create(struct arena *arena)
{
    return (struct map){.arena = arena};
}

static size_t find_slot(const struct map *map, const char *key, size_t length, uint64_t hash)
{
    size_t slot = hash & (map->slot_count - 1);
    while (map->slots[slot]) {
        const struct map_entry *entry = &map->entries[map->slots[slot] - 1];
        if (entry->hash == hash && entry->length == length &&
            memcmp(entry->key, key, length) == 0)
            break;
        slot = (slot + 1) & (map->slot_count - 1);
    }
    return slot;
}

void **map_find(const struct map *map, const char *key, size_t length)
{
    if (!map->slot_count)
        return NULL;
    size_t slot = find_slot(map, key, length, hash_bytes(0, key, length));
    return map->slots[slot] ? &map->entries[map->slots[slot] - 1].value : NULL;
}

static void grow(struct map *map)
{
    map->slot_count = map->slot_count ? map->slot_count * 2 : 16;
    map->slots = arena_array(map->arena, uint32_t, map->slot_count);
    for (size_t i = 0; i < map->count; i++) {
        const struct map_entry *entry = &map->entries[i];
        map->slots[find_slot(map, entry->key, entry->length, entry->hash)] = (uint32_t)(i + 1);
    }
}

void **map_insert(struct map *map, const char *key, size_t length)
{
    void **found = map_find(map, key, length);
    if (found)
        return found;
    if ((map->count + 1) * 2 > map->slot_count)
        grow(map);
    uint64_t hash = hash_bytes(0, key, length);
    array_grow(map->arena, (void **)&map->entries, &map->capacity, map->count,
               sizeof *map->entries);
    struct map_entry *entry = &map->entries[map->count];
    *entry = (struct map_entry){arena_copy(map->arena, key, length), length, hash, NULL};
    map->slots[find_slot(map, key, length, hash)] = (uint32_t)++map->count;
    return &entry->value;
}

void *map_get(const struct map *map, const char *key)
{
    void **value = map_find(map, key, strlen(key));
    return value ? *value : NULL;
}

void map_set(struct map *map, const char *key, void *value)
{
    *map_insert(map, key, strlen(key)) = value;
}
