/*
 * A model directory in the layout of Hugging Face: config.json, generation_config.json,
 * tokenizer_config.json, tokenizer.json or tokenizer.model, and the weights as one safetensors
 * file or as shards with an index. Nothing in it is trusted, and nothing in it is run.
 */
#ifndef SINTER_HUGGINGFACE_H
#define SINTER_HUGGINGFACE_H

#include "compiler/frontends/config.h"
#include "runtime/safetensors.h"

struct arena;

struct model_directory {
    struct arena *arena;
    const char *path;
    struct config_view *config;
    struct config_view *generation;       /* NULL if there is no such file */
    struct config_view *tokenizer_config; /* NULL if there is no such file */
    const char *tokenizer_json;           /* paths; NULL if absent; tokenizer.json wins */
    const char *tokenizer_model;
    const char *weights; /* the path that rt_checkpoint_open takes; NULL if there are none */
    struct rt_checkpoint *checkpoint; /* after model_directory_checkpoint */
};

/* Whether `path` is a directory that holds a config.json. */
bool is_model_directory(const char *path);

/* Opens everything but the weights. Fatal: there is no config.json, or a file is invalid. */
struct model_directory *model_directory_open(struct arena *arena, const char *path);

/* Opens and validates the weights on the first call; closed with the arena. Fatal if they are
 * invalid or absent. */
const struct rt_checkpoint *model_directory_checkpoint(struct model_directory *directory);

/* The model_type of config.json; fatal if it has none. */
const char *model_directory_type(struct model_directory *directory);

/*
 * The ids of a key such as "eos_token_id", one number or a list, from generation_config.json or
 * else config.json, at most `most`; none if neither has it. Fatal if an id is no i32 from 0 on.
 */
size_t model_directory_token_ids(struct model_directory *directory, const char *key, int32_t *out,
                                 size_t most);

/* A tensor that a model expects. */
struct expected_tensor {
    const char *name;
    uint32_t dtypes; /* bit i: enum rt_dtype i is allowed */
    unsigned rank;
    uint64_t shape[RT_MAX_RANK];
    bool optional; /* may be absent (the head of a model that ties it) */
};

/* How a checkpoint and a model differ. The lists name the first 20 tensors. */
struct checkpoint_differences {
    size_t missing, unexpected, mismatched;
    const char *missing_list, *unexpected_list, *mismatched_list;
};

/*
 * Compares. If `found` is not NULL, found[i] becomes the tensor of expected[i] (NULL: absent).
 * Constants that models compute themselves (IGNORED_TENSOR rows) are not counted as unexpected.
 */
struct checkpoint_differences checkpoint_compare(struct arena *arena,
                                                 const struct rt_checkpoint *checkpoint,
                                                 const struct expected_tensor *expected,
                                                 size_t count, const struct rt_tensor **found);

/* As checkpoint_compare, but a difference is fatal: one line for each list, then the error. */
void checkpoint_require(struct arena *arena, const struct rt_checkpoint *checkpoint,
                        const char *place, const struct expected_tensor *expected, size_t count,
                        const struct rt_tensor **found);

#endif
