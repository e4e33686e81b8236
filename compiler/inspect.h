/*
 * What is in a model directory, gathered once and told twice: as text and as JSON. Opening
 * validates everything that is there; what is absent (weights, tokenizer) is told, not an error.
 */
#ifndef SINTER_INSPECT_H
#define SINTER_INSPECT_H

#include "compiler/frontends/huggingface.h"
#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/str.h"

#include <stdint.h>
#include <stdio.h>

struct inspected_file {
    const char *name;
    uint64_t bytes;
    uint32_t tensors;
    const char *sha256; /* hexadecimal; NULL if it was not asked for */
};

struct inspected_type {
    const char *name; /* as the file says: BF16 */
    uint64_t tensors, elements, bytes;
};

struct inspection {
    struct model_directory *directory;
    const char *model_type;  /* NULL if config.json has none */
    const char *description; /* the shipped description that serves it; NULL if none does */
    struct config_value architectures;
    const struct rt_checkpoint *checkpoint; /* NULL if there are no weights */
    uint64_t parameters, bytes;             /* elements and bytes of all tensors */
    struct inspected_type types[RT_STORED_COUNT];
    const struct inspected_file *files;
    const struct config_item *items; /* the configuration as the description understands it */
    size_t item_count;
    const struct tokenizer_summary *tokenizer; /* NULL if there is none */
    ARRAY_OF(const char *) warnings;
};

/* Fatal if the directory is no model directory or anything in it is invalid. */
struct inspection inspect_directory(struct arena *arena, const char *path, bool hash);

void inspect_print(const struct inspection *inspection, FILE *file);
void inspect_write_json(const struct inspection *inspection, FILE *file);

#endif
