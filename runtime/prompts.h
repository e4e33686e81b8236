/*
 * Prompts as token ids: from text through the program's tokenizer, or as written numbers; fitted
 * to the length that a program was built for.
 */
#ifndef SINTER_PROMPTS_H
#define SINTER_PROMPTS_H

#include "runtime/feeder.h"
#include "runtime/program.h"
#include "runtime/status.h"
#include "runtime/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>

enum { RT_PROMPT_BYTES = 1 << 30 };
enum rt_truncate { RT_TRUNCATE_NO, RT_TRUNCATE_LEFT, RT_TRUNCATE_RIGHT };

struct rt_prompt {
    rt_i32 *ids;
    rt_i64 count;
    char *text; /* zero-terminated; NULL if the prompt was given as ids */
    size_t length;
};

struct rt_prompts {
    struct rt_prompt *items;
    rt_i64 count, capacity;
    const struct rt_program *program;
    struct rt_tokenizer tokenizer;
    bool has_tokenizer, special;
    rt_i64 vocabulary;
};

/* `special`: control tokens in texts count. `vocabulary` bounds written ids. */
rt_status rt_prompts_open(struct rt_prompts *prompts, const struct rt_program *program,
                          rt_i64 vocabulary, bool special);
void rt_prompts_close(struct rt_prompts *prompts);

/* Forgets the prompts, keeps the rest. */
void rt_prompts_clear(struct rt_prompts *prompts);

/* Each adds prompts at the end. A file holds one prompt a line, "-" is standard input. */
rt_status rt_prompts_add_text(struct rt_prompts *prompts, const char *text, size_t length);
rt_status rt_prompts_add_ids(struct rt_prompts *prompts, const char *text);
rt_status rt_prompts_copy_ids(struct rt_prompts *prompts, const rt_i32 *ids, rt_i64 count);
rt_status rt_prompts_add_lines(struct rt_prompts *prompts, const char *path);
rt_status rt_prompts_add_input(struct rt_prompts *prompts); /* all of standard input as one */

/*
 * Fits a prompt into `limit` positions beside its new tokens: at least one, `wanted` of them if
 * not 0. Without `truncate` a prompt above limit - 1 tokens is EXIT_USAGE. A BOS at the start
 * survives cutting on the left. Returns the most new tokens in *most.
 */
rt_status rt_prompts_fit(struct rt_prompts *prompts, rt_i64 index, rt_i64 limit, rt_i64 wanted,
                         enum rt_truncate truncate, rt_i64 *most);

/* EXIT_DATA if an id is no row of the model's vocabulary: a tokenizer of another model. */
rt_status rt_check_tokens(const rt_i32 *ids, rt_i64 count, rt_i64 vocabulary);

#endif
