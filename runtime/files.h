/* Whole files: read into memory, or written so that no half-written one is ever seen. */
#ifndef SINTER_FILES_H
#define SINTER_FILES_H

#include "runtime/status.h"

#include <stddef.h>
#include <stdio.h>

/* Reads a file, or standard input if path is "-", into memory that the caller frees; a zero
 * that is not counted follows. Files above `most` bytes: EXIT_DATA. */
rt_status rt_read_file(const char *path, size_t most, char **out, size_t *length);

/*
 * Opens `path`.tmp-PID for writing; rt_file_commit makes its contents durable and gives it the
 * name `path`; rt_file_discard removes it. `temporary` holds `capacity` bytes and gets its name.
 * What exists and is no regular file (a device, a pipe) is written directly.
 */
rt_status rt_file_create(const char *path, char *temporary, size_t capacity, FILE **file);
rt_status rt_file_commit(FILE *file, const char *temporary, const char *path);
void rt_file_discard(FILE *file, const char *temporary);

#endif
