/*
 * The compiler's only allocator: one arena for a compilation, freed at once. Nothing is freed
 * singly, so pointers stay valid and no pass needs ownership rules. Running out is fatal.
 */
#ifndef SINTER_ARENA_H
#define SINTER_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_create(void);

/* Runs what arena_defer registered, last first, then frees everything. NULL is allowed. */
void arena_destroy(struct arena *arena);

/* `count` zeroed elements of `size` bytes, aligned for any type. Overflow is fatal. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy of `length` bytes with a terminating zero. */
char *arena_copy(struct arena *arena, const char *bytes, size_t length);

/* A string made by printf. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls release(object) when the arena is destroyed: for what libraries allocated. */
void arena_defer(struct arena *arena, void (*release)(void *), void *object);

#define arena_new(arena, type) ((type *)arena_alloc((arena), 1, sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))

/*
 * A growable array: struct {type *items; size_t count, capacity;}. Grows by doubling; old
 * storage stays in the arena.
 */
#define ARRAY_OF(type) struct { type *items; size_t count, capacity; }
#define array_push(arena, array, item) \
    (array_grow((arena), (void **)&(array)->items, &(array)->capacity, (array)->count, \
                sizeof *(array)->items), \
     (array)->items[(array)->count++] = (item))

void array_grow(struct arena *arena, void **items, size_t *capacity, size_t count, size_t size);

#endif
