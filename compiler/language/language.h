/*
 * The model language: text to IR. A description (a .model file) says what a model computes; its
 * grammar and meaning stand in docs/model_language.md. Errors in the text are fatal at their
 * place (diag.h); errors in configuration values are one-line messages with exit code 3.
 */
#ifndef SINTER_LANGUAGE_H
#define SINTER_LANGUAGE_H

#include "ir/ir.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct description;

/* A value of a config.json. Lists are shallow: their items are no lists. */
enum config_kind {
    CONFIG_ABSENT,
    CONFIG_NULL,
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_REAL,
    CONFIG_TEXT,
    CONFIG_LIST,
    CONFIG_OTHER, /* an object, or a list that is not shallow */
};

struct config_value {
    enum config_kind kind;
    bool truth;
    int64_t integer;
    double real; /* also set for CONFIG_INTEGER */
    const char *text;
    const struct config_value *items;
    size_t count;
};

/*
 * Where configuration comes from. get() looks up a path of keys joined by dots
 * ("rope_parameters.rope_theta"); what it returns lives as long as the arena. A missing parent,
 * or one that is null, makes the value absent.
 */
struct config_source {
    struct config_value (*get)(void *context, const char *path);
    void *context;
};

/*
 * `--set NAME=TEXT`: replaces a configuration value, named as in the description or by one of
 * its keys. The text is true, false, null, a number, or else a string.
 */
struct setting {
    const char *name, *text;
};

struct lower_options {
    const char *entry;      /* which entry; NULL: the first */
    const char *model_type; /* whose overrides apply; NULL: the description's own defaults */
    int64_t batch, seq;     /* values of these names in the entry; 0: not given */
    bool training;          /* labels, loss, updates of states, dropout */
    const struct config_source *config; /* NULL: nothing but defaults */
    const struct setting *settings;
    size_t setting_count;
};

/* Parses the source with this index (diag_add_source); the text must outlive the description. */
struct description *description_parse(struct arena *arena, uint32_t source);

/* The name after `model`, for messages and the module. */
const char *description_name(const struct description *description);

/* NULL-terminated list of what its `serves` lines name. */
const char *const *description_model_types(const struct description *description);

/* The shipped description that serves a model_type; NULL if none does. */
struct description *description_find(struct arena *arena, const char *model_type);

/* A shipped description by its own name; NULL if there is none. */
struct description *description_shipped(struct arena *arena, const char *name);

/* Calls visit for every model_type that a shipped description serves, in order. */
void description_each_type(struct arena *arena, void (*visit)(void *context, const char *type),
                           void *context);

/* NULL-terminated list of the key paths that it reads for a model_type (NULL: none named), so
 * that a frontend can name the keys of a config.json that it does not. */
const char *const *description_keys(struct arena *arena, const struct description *description,
                                    const char *model_type);

/* The configuration after defaults, keys, maps, settings and `require` lines, in order. */
struct config_item {
    const char *name; /* in the description */
    const char *key;  /* its first key; NULL if it has none */
    const char *text; /* its value: 4096, 1e-05, "silu", true, none, ["a", "b"] */
};
const struct config_item *description_config(struct arena *arena,
                                             const struct description *description,
                                             const struct lower_options *options,
                                             size_t *out_count);

/* The number of layers and such: the whole number of a config item, -1 if it is none. */
int64_t description_config_integer(struct arena *arena, const struct description *description,
                                   const struct lower_options *options, const char *name);

/*
 * Lowers an entry to a new function of the module. Called several times on one module (other
 * batch or seq, training and not), the functions share weights by the name of their tensor and
 * states by their name. Weights and states are logical f32 and contiguous, with attributes
 * tensor, init, fill and ordinal; a weight's dims are those of the tensor in the checkpoint.
 * Outputs are bound under their names, the loss as output "loss" (f32, rank 0). Every node
 * carries the place of the text that made it and the scope of its layer ("layers.3").
 *
 * A state that names a tensor is a weight where training is false and no function of the module
 * holds it as a state; where training is true it is a state that starts as a copy of the weight.
 */
struct function *description_lower(struct module *module, struct description *description,
                                   const char *function_name, const struct lower_options *options);

#endif
