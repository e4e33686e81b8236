/* Reading of whole small files (descriptions, configurations) into the arena. */
#ifndef SINTER_FILE_H
#define SINTER_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

/* The bytes of a regular file with a terminating zero. Fatal if it cannot be read or has more
 * than `most` bytes. */
char *file_read(struct arena *arena, const char *path, size_t most, size_t *length);

/* "directory/name", in the arena. */
char *file_join(struct arena *arena, const char *directory, const char *name);

bool file_exists(const char *path);

#endif
