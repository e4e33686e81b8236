/*
 * Files that the compiler makes: complete or not at all. Written beside their place under a
 * temporary name, then renamed; a device or pipe is written in place.
 */
#ifndef SINTER_TOOLCHAIN_OUTPUT_H
#define SINTER_TOOLCHAIN_OUTPUT_H

#include <stddef.h>

/* Writes a file with permission bits `mode`, reduced by the umask. Failure is fatal (exit 7). */
void output_write(const char *path, const void *bytes, size_t length, unsigned mode);

/* Writes all bytes to a descriptor. Returns 0, or the errno of the failure. */
int output_write_all(int descriptor, const void *bytes, size_t length);

#endif
