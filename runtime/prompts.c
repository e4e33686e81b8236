/* Prompts: see prompts.h. */
#include "runtime/prompts.h"

#include "runtime/files.h"
#include "runtime/report.h"
#include "runtime/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rt_status rt_prompts_open(struct rt_prompts *prompts, const struct rt_program *program,
                          rt_i64 vocabulary, bool special)
{
    *prompts = (struct rt_prompts){.program = program, .vocabulary = vocabulary,
                                   .special = special};
    prompts->has_tokenizer = program->tokenizer != NULL;
    if (!prompts->has_tokenizer)
        return 0;
    return rt_tokenizer_open(&prompts->tokenizer, program->tokenizer,
                             (size_t)program->tokenizer_bytes);
}

void rt_prompts_clear(struct rt_prompts *prompts)
{
    for (rt_i64 i = 0; i < prompts->count; i++) {
        free(prompts->items[i].ids);
        free(prompts->items[i].text);
    }
    prompts->count = 0;
}

void rt_prompts_close(struct rt_prompts *prompts)
{
    rt_prompts_clear(prompts);
    free(prompts->items);
    *prompts = (struct rt_prompts){0};
}

rt_status rt_check_tokens(const rt_i32 *ids, rt_i64 count, rt_i64 vocabulary)
{
    for (rt_i64 i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return rt_fail(TOKEN_OUTSIDE, ids[i], (long long)vocabulary);
    return 0;
}

/* Takes over the memory of ids and text, also on failure. */
static rt_status add(struct rt_prompts *prompts, struct rt_prompt prompt)
{
    rt_status status = rt_check_tokens(prompt.ids, prompt.count, prompts->vocabulary);
    if (status) {
        free(prompt.ids);
        free(prompt.text);
        return status;
    }
    if (prompts->count == prompts->capacity) {
        rt_i64 larger = prompts->capacity ? 2 * prompts->capacity : 16;
        struct rt_prompt *items = realloc(prompts->items, (size_t)larger * sizeof *items);
        if (!items) {
            free(prompt.ids);
            free(prompt.text);
            return rt_fail(OUT_OF_MEMORY, (size_t)larger * sizeof *items);
        }
        prompts->items = items;
        prompts->capacity = larger;
    }
    prompts->items[prompts->count++] = prompt;
    return 0;
}

rt_status rt_prompts_add_text(struct rt_prompts *prompts, const char *text, size_t length)
{
    struct rt_prompt prompt = {.length = length};
    size_t count = 0;
    if (!prompts->has_tokenizer)
        return rt_fail(NO_TOKENIZER, "the model directory");
    unsigned flags = RT_TOKENIZER_TEMPLATE | (prompts->special ? RT_TOKENIZER_SPECIAL : 0);
    rt_status status = rt_tokenizer_encode(&prompts->tokenizer, text, length, flags, &prompt.ids,
                                           &count);
    if (status)
        return status;
    prompt.count = (rt_i64)count;
    prompt.text = malloc(length + 1);
    if (count == 0 || !prompt.text) {
        free(prompt.ids);
        free(prompt.text);
        return count == 0 ? rt_fail(PROMPT_EMPTY, (long long)prompts->count + 1)
                          : rt_fail(OUT_OF_MEMORY, length);
    }
    memcpy(prompt.text, text, length);
    prompt.text[length] = '\0';
    return add(prompts, prompt);
}

/* One id at *text, moved behind it; false at the end. A bad word is EXIT_USAGE. */
static bool next_id(const char **text, rt_i64 vocabulary, rt_i32 *id, rt_status *status)
{
    const char *start = *text + strspn(*text, " ,\t\r\n");
    char word[64], *end;
    if (*start == '\0')
        return false;
    size_t length = strcspn(start, " ,\t\r\n");
    errno = 0;
    long long value = strtoll(start, &end, 10);
    if (end != start + length || errno || value < 0 || value >= vocabulary) {
        size_t shown = length < sizeof word - 1 ? length : sizeof word - 1;
        memcpy(word, start, shown);
        word[shown] = '\0';
        *status = rt_fail(IDS_SYNTAX, word, (long long)vocabulary - 1);
        return false;
    }
    *id = (rt_i32)value;
    *text = end;
    return true;
}

rt_status rt_prompts_add_ids(struct rt_prompts *prompts, const char *text)
{
    struct rt_prompt prompt = {.ids = malloc((strlen(text) / 2 + 2) * sizeof *prompt.ids)};
    rt_status status = 0;
    if (!prompt.ids)
        return rt_fail(OUT_OF_MEMORY, strlen(text));
    while (next_id(&text, prompts->vocabulary, &prompt.ids[prompt.count], &status))
        prompt.count++;
    if (!status && prompt.count == 0) {
        if (prompts->program->bos_id < 0)
            status = rt_fail(IDS_EMPTY, 1);
        prompt.ids[prompt.count++] = prompts->program->bos_id;
    }
    if (status) {
        free(prompt.ids);
        return status;
    }
    return add(prompts, prompt);
}

rt_status rt_prompts_copy_ids(struct rt_prompts *prompts, const rt_i32 *ids, rt_i64 count)
{
    struct rt_prompt prompt = {.count = count};
    char word[24];
    if (count < 1)
        return rt_fail(IDS_EMPTY, 1);
    for (rt_i64 i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= prompts->vocabulary) {
            snprintf(word, sizeof word, "%d", ids[i]);
            return rt_fail(IDS_SYNTAX, word, (long long)prompts->vocabulary - 1);
        }
    prompt.ids = malloc((size_t)count * sizeof *ids);
    if (!prompt.ids)
        return rt_fail(OUT_OF_MEMORY, (size_t)count * sizeof *ids);
    memcpy(prompt.ids, ids, (size_t)count * sizeof *ids);
    return add(prompts, prompt);
}

static bool is_utf8(const char *text, size_t length)
{
    const char *end = text + length;
    while (text < end) {
        size_t bytes = rt_utf8_length(text, end);
        if (bytes == 0)
            return false;
        text += bytes;
    }
    return true;
}

rt_status rt_prompts_add_lines(struct rt_prompts *prompts, const char *path)
{
    char *text = NULL;
    size_t length = 0;
    long long number = 0;
    rt_status status = rt_read_file(path, RT_PROMPT_BYTES, &text, &length);
    for (char *at = text; !status && at < text + length;) {
        char *end = memchr(at, '\n', (size_t)(text + length - at));
        end = end ? end : text + length;
        size_t line = (size_t)(end - at);
        line -= line > 0 && at[line - 1] == '\r';
        number++;
        status = rt_prompts_add_text(prompts, at, line);
        if (status && !is_utf8(at, line)) { /* a tokenizer of bytes would have taken it */
            rt_status_clear();
            status = rt_fail(PROMPT_UTF8, path, number);
        }
        at = end + 1;
    }
    free(text);
    return status;
}

rt_status rt_prompts_add_input(struct rt_prompts *prompts)
{
    char *text = NULL;
    size_t length = 0;
    rt_status status = rt_read_file("-", RT_PROMPT_BYTES, &text, &length);
    if (status)
        return status;
    length -= length > 0 && text[length - 1] == '\n';
    length -= length > 0 && text[length - 1] == '\r';
    status = rt_prompts_add_text(prompts, text, length);
    free(text);
    return status;
}

/* Keeps `keep` tokens, the first ones or the last ones. */
static void cut(struct rt_prompt *prompt, rt_i64 keep, enum rt_truncate side, rt_i32 bos)
{
    if (side == RT_TRUNCATE_LEFT) {
        rt_i64 kept_start = keep > 1 && prompt->ids[0] == bos;
        memmove(prompt->ids + kept_start, prompt->ids + prompt->count - (keep - kept_start),
                (size_t)(keep - kept_start) * sizeof *prompt->ids);
    }
    prompt->count = keep;
}

rt_status rt_prompts_fit(struct rt_prompts *prompts, rt_i64 index, rt_i64 limit, rt_i64 wanted,
                         enum rt_truncate truncate, rt_i64 *most)
{
    struct rt_prompt *prompt = &prompts->items[index];
    rt_i64 room = wanted > 0 ? wanted : 1;
    room = room < limit - 1 ? room : limit - 1; /* one token of the prompt stays */
    rt_i64 fits = truncate && room > 0 ? limit - room : limit - 1;
    if (fits < 1)
        return rt_fail(LENGTH_NO_ROOM, (long long)limit);
    if (prompt->count > fits && !truncate)
        return rt_fail(PROMPT_TOO_LONG, (long long)index + 1, (long long)prompt->count,
                       (long long)fits, (long long)limit);
    if (prompt->count > fits) {
        rt_warn(PROMPT_CUT, (long long)index + 1, (long long)prompt->count, (long long)fits,
                truncate == RT_TRUNCATE_LEFT ? "left" : "right");
        cut(prompt, fits, truncate, prompts->program->bos_id);
    }
    *most = limit - prompt->count;
    if (wanted > 0 && wanted < *most)
        *most = wanted;
    return 0;
}
