/*
 * A configuration file of a model directory (config.json, generation_config.json,
 * tokenizer_config.json) as one flat view: values by dotted path, whatever version of
 * Transformers wrote the file (config_keys.def says which paths are the same thing). The view
 * remembers which keys were read, so that those nobody understands can be listed once.
 */
#ifndef SINTER_CONFIG_H
#define SINTER_CONFIG_H

#include "compiler/language/language.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct config_view;

/* Reads the file at `path`. Fatal: it cannot be read, is too large, is not one JSON object,
 * nests too deeply, repeats a key, or asks for what we refuse (REFUSED rows). */
struct config_view *config_open(struct arena *arena, const char *path);

/* The same of a text in memory; `name` is for messages. */
struct config_view *config_parse(struct arena *arena, const char *name, const char *text,
                                 size_t length);

/*
 * The value at a path such as "hidden_size" or "rope_scaling.factor". The path itself is tried
 * first, then its aliases, and the first that is neither absent nor null counts: a key that is
 * null (CONFIG_NULL) may mean something else than one that is absent. Marks it read.
 */
struct config_value config_get(struct config_view *view, const char *path);

/* The view as the model language takes it. */
struct config_source config_source_of(struct config_view *view);

/* Key `index` of the top level in the order of the file; NULL after the last. */
const char *config_key(const struct config_view *view, size_t index);

/*
 * Typed reads: false (NULL for a text) if the key is absent or null; fatal if it is of another
 * type. An integer may be written as 4096.0, a float as 1.
 */
bool config_int(struct config_view *view, const char *path, int64_t *out);
bool config_float(struct config_view *view, const char *path, double *out);
bool config_bool(struct config_view *view, const char *path, bool *out);
const char *config_text(struct config_view *view, const char *path);

/* The name that messages give the file. */
const char *config_name(const struct config_view *view);

/* Warns once, in one line, of all keys that were never read, are not null and stand in no
 * HARMLESS row. Returns the same list ("a, b"), or NULL if there is none. */
const char *config_warn_unknown(struct config_view *view);

/* The list alone, without a warning. */
const char *config_unknown(struct config_view *view);

#endif
