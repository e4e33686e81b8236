/* What the files of the safetensors reader share. */
#ifndef SINTER_SAFETENSORS_INTERNAL_H
#define SINTER_SAFETENSORS_INTERNAL_H

#include "runtime/safetensors.h"

/* Adds the file at `path` (copied) to the checkpoint: maps it and reads its header. */
rt_status safetensors_add_file(struct rt_checkpoint *checkpoint, const char *path);

/* Reads and validates the header of checkpoint->files[file], appending its tensors. */
rt_status safetensors_read_header(struct rt_checkpoint *checkpoint, uint32_t file);

/* Opens the index at `path` and all its shards, and checks the one against the others. */
rt_status safetensors_read_index(struct rt_checkpoint *checkpoint, const char *path);

/* The same of an index that is in memory; its shards stand beside `path`. */
rt_status safetensors_read_index_text(struct rt_checkpoint *checkpoint, const char *path,
                                      const char *text, uint64_t size);

/* Sorts by_name; a name that two tensors have is an error. */
rt_status safetensors_sort_names(struct rt_checkpoint *checkpoint);

/* Fails with WEIGHTS_CORRUPT, the path and a detail made by printf. */
rt_status safetensors_corrupt(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Sorts zero-terminated texts and returns the first that stands there twice, or NULL. */
const char *safetensors_duplicate(const char **texts, size_t count);

/* Appends a pointer to a growing list; EXIT_MEMORY if there is no room. */
struct text_list {
    const char **items;
    size_t count, capacity;
};
rt_status text_list_add(struct text_list *list, const char *text);

#endif
