/* Chunks of doubling size, linked; see arena.h. */
#include "arena.h"

#include "diag.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 64 * 1024, ALIGNMENT = 16 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(ALIGNMENT) char bytes[];
};

struct deferred {
    struct deferred *next;
    void (*release)(void *);
    void *object;
};

struct arena {
    struct chunk *chunks;
    struct deferred *deferred;
};

struct arena *arena_create(void)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (!arena)
        fatal(OUT_OF_MEMORY, sizeof *arena);
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    for (struct deferred *d = arena->deferred; d; d = d->next)
        d->release(d->object);
    for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

static struct chunk *add_chunk(struct arena *arena, size_t need)
{
    size_t size = arena->chunks ? arena->chunks->size * 2 : FIRST_CHUNK;
    if (size > 64 * 1024 * 1024)
        size = 64 * 1024 * 1024;
    if (size < need)
        size = need;
    struct chunk *chunk = NULL;
    if (size <= SIZE_MAX - sizeof *chunk)
        chunk = calloc(1, sizeof *chunk + size);
    if (!chunk)
        fatal(OUT_OF_MEMORY, size);
    chunk->size = size;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - ALIGNMENT)
        fatal(OUT_OF_MEMORY, SIZE_MAX);
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < bytes)
        chunk = add_chunk(arena, bytes);
    void *result = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return result;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t length)
{
    if (length == SIZE_MAX)
        fatal(OUT_OF_MEMORY, length);
    char *copy = arena_alloc(arena, length + 1, 1);
    if (length)
        memcpy(copy, bytes, length);
    return copy;
}

/* Most texts are short: printed once, and a second time only where they do not fit. */
char *arena_printf(struct arena *arena, const char *format, ...)
{
    char line[256];
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t length = (size_t)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    char *text = arena_alloc(arena, length + 1, 1);
    if (length < sizeof line)
        memcpy(text, line, length);
    else
        vsnprintf(text, length + 1, format, again);
    va_end(again);
    return text;
}

void arena_defer(struct arena *arena, void (*release)(void *), void *object)
{
    struct deferred *deferred = arena_new(arena, struct deferred);
    deferred->next = arena->deferred;
    deferred->release = release;
    deferred->object = object;
    arena->deferred = deferred;
}

void array_grow(struct arena *arena, void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return;
    size_t grown = *capacity ? *capacity * 2 : 8;
    void *moved = arena_alloc(arena, grown, size);
    if (count)
        memcpy(moved, *items, count * size);
    *items = moved;
    *capacity = grown;
}
