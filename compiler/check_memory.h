/* Memory for kernels that are checked: the arena, weights, random contents, elements. */
#ifndef SINTER_CHECK_MEMORY_H
#define SINTER_CHECK_MEMORY_H

#include "ir/ir.h"

/* Numbers that are a function of the seed and how many were drawn. */
struct random {
    uint64_t seed, drawn;
};

int64_t draw_below(struct random *random, int64_t bound); /* 0 where bound < 1 */

/* Fills a contiguous tensor: floats in [-1, 1), integers below `bound`. Of rank 0: floats in
 * [0.1, 1.1), and true, since such a flag says whether the kernel is to do anything. */
void fill_random(struct random *random, const struct type *type, char *bytes, int64_t bound);

/* What integers may be in an input of a kernel: rows of what it gathers from, positions that its
 * caches have room for or that fall outside, rounds of rings, counts of new rows. */
int64_t index_bound(const struct function *function, const struct kernel *kernel,
                    const struct value *value);

/* The same for counts of rows that an update stores: as many as it has, whatever the room behind
 * `pos`. 0 if the value is none. */
int64_t count_bound(const struct function *function, const struct kernel *kernel,
                    const struct value *value);

double read_element(enum dtype dtype, const char *bytes, int64_t element);
void write_elements(enum dtype dtype, char *bytes, const double *numbers, int64_t count);

/* Bytes before a kernel ran; a copy if the kernel could change them. */
struct snapshot {
    const char *bytes;
    bool copied;
};

struct snapshot snapshot_take(const char *bytes, uint64_t size, bool copy);
void snapshot_drop(struct snapshot *snapshot);

struct check_memory {
    struct module *module;
    char *arena;
    char **weights; /* by number of the weight; made when first asked for */
};

struct check_memory check_memory_create(struct module *module);
void check_memory_destroy(struct check_memory *memory);
char *check_memory_weight(struct check_memory *memory, size_t number);

/* Where a value that stands in memory is. */
char *check_memory_of(struct check_memory *memory, const struct value *value);

#endif
