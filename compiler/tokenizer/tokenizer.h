/*
 * Reads the tokenizer of a model directory and compiles it to the table that
 * runtime/tokenizer.h uses. tokenizer.json wins over tokenizer.model. The ids are those of the
 * `tokenizers` library for the first and of sentencepiece for the second; what neither table
 * can express is fatal (EXIT_DATA) and named.
 *
 * One rule goes beyond both: without RT_TOKENIZER_SPECIAL no text becomes a special token, also
 * not by merging. Special are added tokens marked so, control pieces, and pieces that
 * tokenizer_config.json marks so.
 */
#ifndef SINTER_COMPILER_TOKENIZER_H
#define SINTER_COMPILER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* A file in memory; text NULL: there is none. The text needs no terminating zero. */
struct tokenizer_file {
    const char *name; /* for messages */
    const char *text;
    size_t length;
};

struct tokenizer_files {
    struct tokenizer_file json;              /* tokenizer.json */
    struct tokenizer_file model;             /* tokenizer.model */
    struct tokenizer_file tokenizer_config;  /* tokenizer_config.json */
    struct tokenizer_file generation_config; /* generation_config.json */
    struct tokenizer_file config;            /* config.json */
};

struct tokenizer_special {
    int32_t id;
    const char *text; /* zero-terminated */
};

/* What `sinter inspect` tells. */
struct tokenizer_summary {
    const char *file;    /* the one that won, as its name was given */
    const char *ignored; /* the other one, NULL if there is none */
    const char *kind;    /* a few words */
    size_t vocabulary;   /* highest id + 1 */
    size_t merges;
    int32_t bos; /* -1: none */
    const int32_t *eos;
    size_t eos_count;
    bool adds_bos, takes_bytes;
    const struct tokenizer_special *special;
    size_t special_count;
    char sha256[65]; /* of the file that won, in hexadecimal */
};

struct tokenizer_blob {
    const void *bytes; /* 8-aligned, in the arena */
    size_t size;
    struct tokenizer_summary summary;
};

/* Whether a directory holds a tokenizer at all. */
bool tokenizer_present(const char *directory);

/* Fatal if there is none, a file cannot be read, or is invalid or not supported. */
struct tokenizer_blob tokenizer_compile(struct arena *arena, const char *directory);

/* The same from memory: touches no file. */
struct tokenizer_blob tokenizer_compile_files(struct arena *arena,
                                              const struct tokenizer_files *files);

#endif
