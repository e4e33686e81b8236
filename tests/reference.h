/*
 * The committed checkpoints and their exact logits (tests/fixtures/checkpoints), for tests that
 * compare what we compute with Transformers.
 */
#ifndef SINTER_TESTS_REFERENCE_H
#define SINTER_TESTS_REFERENCE_H

#include "runtime/safetensors.h"

#include <jansson.h>
#include <stdbool.h>

struct reference {
    const char *name;
    struct rt_checkpoint *file;
    const int32_t *ids;   /* [rows, length] */
    const float *logits;  /* [rows, length, vocabulary] */
    int rows, length, vocabulary;
    json_t *facts; /* golden.json */
};

/* Calls visit(reference, context) for each checkpoint; returns how many there are. */
int reference_each(void (*visit)(const struct reference *reference, void *context), void *context);

/*
 * A directory with the files of a checkpoint, `config` (config.json or config.v4.json) with the
 * keys of `changes` (or NULL) put in as its config.json. `out` holds 64 bytes.
 */
void reference_directory(const struct reference *reference, const char *config, json_t *changes,
                         char *out);
void reference_remove(const char *directory);

#endif
