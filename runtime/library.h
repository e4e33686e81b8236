/*
 * The C interface of a model that `sinter build --lib` made into a shared library.
 *
 * Every function that returns int returns 0, or the exit code that the same failure has in an
 * executable (2 usage, 4 data, 5 device, 6 memory, 7 files, 70 internal); sinter_message says
 * what happened. The library starts no signal handlers and writes to no standard stream.
 *
 * One call at a time in a process: models, too, share the record of the last failure. A model may
 * be used from any thread, whatever its stack: the kernels run on threads of the model's own.
 */
#ifndef SINTER_LIBRARY_H
#define SINTER_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sinter_model;

/*
 * Opens the model with its weights in the directory `weights` (NULL: beside the program, else
 * where they were at build time) and `threads` threads (0: one for each CPU). On failure *model
 * is NULL. Everything is allocated here; sinter_close frees it (NULL is allowed).
 */
int sinter_open(struct sinter_model **model, const char *weights, int threads);
void sinter_close(struct sinter_model *model);

/* "WHAT; WHERE; WHAT TO DO" of the last failure, until the next call of the library; "" if there
 * was none. */
const char *sinter_message(void);

/* --- models built with --task generate --- */

struct sinter_generate_options {
    double temperature;        /* 0: the likeliest token */
    double top_p;              /* 1: off */
    double min_p;              /* 0: off */
    double repetition_penalty; /* 1: off */
    int64_t top_k;             /* 0: off */
    int64_t max_new_tokens;    /* 0: as many as fit */
    uint64_t seed;
    const char *const *stop; /* strings to stop before */
    int stop_count;          /* at most 64 */
    int special;             /* 1: text of the prompt may become control tokens */
    int ignore_eos;          /* 1: do not stop at EOS */
};

/* Sets every option to its ordinary value, as written above. */
void sinter_generate_defaults(struct sinter_generate_options *options);

/*
 * Hears each new token, with the text that is certain since the last call: not always text of
 * this token only, and often none. Text is UTF-8, not terminated. After the last token it is called
 * once more with id -1 and the text that was held back. A result other than 0 ends the
 * generation.
 */
typedef int sinter_token(void *context, int32_t id, const char *text, size_t length);

/* Continues a prompt of `length` bytes; options NULL: the ordinary ones. */
int sinter_generate(struct sinter_model *model, const char *prompt, size_t length,
                    const struct sinter_generate_options *options, sinter_token *token,
                    void *context);

/* The same from token ids. */
int sinter_generate_ids(struct sinter_model *model, const int32_t *ids, size_t count,
                        const struct sinter_generate_options *options, sinter_token *token,
                        void *context);

/* --- models built with --task predict or fit --- */

enum sinter_type {
    SINTER_F32,
    SINTER_F64,
    SINTER_BF16,
    SINTER_F16,
    SINTER_I32,
    SINTER_I64,
    SINTER_U8,
    SINTER_BOOL
};

/* A contiguous tensor, the last dimension running fastest. */
struct sinter_tensor {
    const char *name;
    enum sinter_type type;
    int rank;
    int64_t dims[8];
    size_t bytes;
};

/* Describes input or output number `index`; 2 if there is none. */
int sinter_input(const struct sinter_model *model, int index, struct sinter_tensor *tensor);
int sinter_output(const struct sinter_model *model, int index, struct sinter_tensor *tensor);

/* Copies a whole input in, computes, copies a whole output out. `bytes` must be its size. */
int sinter_set_input(struct sinter_model *model, const char *name, const void *data,
                     size_t bytes);
int sinter_predict(struct sinter_model *model);
int sinter_get_output(struct sinter_model *model, const char *name, void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
