/*
 * Safetensors files read in place: mapped read-only, never copied, and always validated as a
 * whole before the first tensor can be seen (there is no other way to open one).
 *
 * A file is an 8-byte little-endian length, a JSON header of that length and the data. Checked:
 * the length (at most RT_HEADER_BYTES and within the file), a header that starts with '{' and is
 * padded with blanks only, no duplicate keys, known types, ranks, sizes without overflow, sizes
 * that equal the offsets, and tensors that cover the data exactly, without a hole or an overlap.
 * The work is O(n log n) in the number of tensors, whatever the file says.
 */
#ifndef SINTER_SAFETENSORS_H
#define SINTER_SAFETENSORS_H

#include "runtime/program.h"
#include "runtime/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    RT_HEADER_BYTES = 100000000, /* of the format; for an index too */
    RT_MAX_TENSORS = 1 << 20,    /* in a checkpoint */
    RT_MAX_SHARDS = 4096,
    RT_MAX_NAME = 512, /* bytes of a tensor's name */
};

enum rt_stored {
#define STORED(name, bits, dtype) RT_STORED_##name,
#include "runtime/stored_types.def"
    RT_STORED_COUNT
};

struct rt_tensor {
    const char *name; /* UTF-8 without control bytes */
    uint64_t shape[RT_MAX_RANK];
    uint64_t offset, bytes; /* of the data, from the start of the file */
    uint32_t file;          /* index into rt_checkpoint.files */
    uint8_t stored;         /* enum rt_stored */
    uint8_t rank;
};

struct rt_tensor_file {
    char *path;
    const char *name;   /* the last component of path */
    const uint8_t *map; /* NULL for an empty file */
    uint64_t size;
    uint64_t data;         /* where the tensors begin */
    char *names;           /* storage of the tensors' names */
    char *format;          /* the `format` entry of __metadata__, NULL if absent */
    uint32_t first, count; /* its tensors, in the order of the header */
};

struct rt_checkpoint {
    struct rt_tensor_file *files;
    struct rt_tensor *tensors;
    uint32_t *by_name; /* indices of tensors, sorted by name */
    uint32_t file_count, file_capacity, tensor_count, tensor_capacity;
};

/*
 * Opens `path`: a .safetensors file, an index (*.json) whose shards stand beside it, or a
 * directory with model.safetensors or model.safetensors.index.json. On failure *out is NULL.
 * Errors: EXIT_FILE (cannot be read), EXIT_DATA (anything wrong with the contents), EXIT_MEMORY.
 */
rt_status rt_checkpoint_open(const char *path, struct rt_checkpoint **out);

/* Unmaps and frees everything; NULL is allowed. */
void rt_checkpoint_close(struct rt_checkpoint *checkpoint);

/* The tensor of a name, or NULL. */
const struct rt_tensor *rt_checkpoint_find(const struct rt_checkpoint *checkpoint,
                                           const char *name);

/* The tensor's bytes in the mapping: row-major, little-endian, at any alignment. */
const void *rt_tensor_data(const struct rt_checkpoint *checkpoint, const struct rt_tensor *tensor);

const char *rt_stored_name(enum rt_stored stored);

/* The enum rt_dtype of a stored type, or -1 if the compiler has none. */
int rt_stored_dtype(enum rt_stored stored);

/* Writes "[2, 3]" and returns `out`; 256 bytes suffice for every shape. */
char *rt_shape_text(const uint64_t *shape, unsigned rank, char *out, size_t capacity);

#endif
