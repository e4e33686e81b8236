/*
 * Files mapped read-only, and what happens when one of them shrinks while it is in use: the
 * kernel then raises SIGBUS at the first access beyond the new end, or where the disk fails.
 */
#ifndef SINTER_MAPPING_H
#define SINTER_MAPPING_H

#include "runtime/status.h"

#include <stdint.h>

/*
 * Maps the regular file at `path` (kept, not copied, until it is unmapped). An empty file gives
 * a NULL address. EXIT_FILE if it cannot be opened or is no regular file.
 */
rt_status rt_map_file(const char *path, const uint8_t **address, uint64_t *size);

/* NULL is allowed. */
void rt_unmap_file(const uint8_t *address, uint64_t size);

/*
 * From now on a SIGBUS inside a mapped file ends the process with EXIT_DATA and a message that
 * begins with `program` (kept, not copied); any other SIGBUS goes its default way. For the main
 * functions of executables and of the compiler.
 */
void rt_map_guard(const char *program);

#endif
