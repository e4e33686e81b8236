/* tokenizer.json: the BPE model and the added tokens; nodes.c reads the rest. */
#include "compiler/tokenizer/nodes.h"
#include "compiler/tokenizer/read.h"

#include "ir/base/diag.h"
#include "runtime/tokenizer/text.h"

#include <string.h>

static const char mark[] = "\xe2\x96\x81"; /* U+2581 */

bool has_inner_mark(const char *text, size_t length)
{
    bool seen = false;
    for (size_t i = 0; i < length; i++) {
        bool here = length - i >= 3 && memcmp(text + i, mark, 3) == 0;
        if (here && seen)
            return true;
        seen |= !here;
        i += here ? 2 : 0;
    }
    return false;
}

static void read_vocabulary(struct node vocab)
{
    const char *key;
    json_t *value;
    if (!json_is_object(vocab.value))
        draft_invalid(vocab.draft, "%s is not an object", vocab.path);
    json_object_foreach((json_t *)(uintptr_t)vocab.value, key, value)
    {
        if (!json_is_integer(value))
            draft_invalid(vocab.draft, "the id of '%s' is not an integer",
                          draft_show(vocab.draft, key, strlen(key)));
        draft_add_piece(vocab.draft, json_integer_value(value), key, strlen(key), 0, 0);
    }
}

/* The two halves of a merge: ["a", "b"], or "a b" with exactly one blank. */
static void merge_halves(struct node merge, struct node_text halves[2])
{
    if (json_is_array(merge.value)) {
        if (node_count(merge) != 2)
            draft_invalid(merge.draft, "%s is not a pair", merge.path);
        halves[0] = node_string(node_at(merge, 0));
        halves[1] = node_string(node_at(merge, 1));
        return;
    }
    struct node_text both = node_string(merge);
    const char *blank = memchr(both.text, ' ', both.length);
    size_t first = blank ? (size_t)(blank - both.text) : 0;
    if (!blank || memchr(blank + 1, ' ', both.length - first - 1))
        draft_invalid(merge.draft, "%s is not two pieces with a blank between them", merge.path);
    halves[0] = (struct node_text){both.text, first};
    halves[1] = (struct node_text){blank + 1, both.length - first - 1};
}

static int32_t merge_part(struct node merge, struct node_text text)
{
    int32_t id = draft_find(merge.draft, text.text, text.length);
    if (id < 0)
        draft_invalid(merge.draft, "%s: '%s' is not in the vocabulary", merge.path,
                      draft_show(merge.draft, text.text, text.length));
    return id;
}

static void read_merges(struct node merges)
{
    struct draft *draft = merges.draft;
    struct str joined = str_create(draft->arena);
    draft->facts |= RT_FACT_WORDS;
    for (size_t i = 0; i < node_count(merges); i++) {
        struct node merge = node_at(merges, i);
        struct node_text halves[2];
        merge_halves(merge, halves);
        joined.length = 0;
        str_bytes(&joined, halves[0].text, halves[0].length);
        str_bytes(&joined, halves[1].text, halves[1].length);
        struct rt_merge row = {merge_part(merge, halves[0]), merge_part(merge, halves[1]), 0};
        row.result = merge_part(merge, (struct node_text){joined.text, joined.length});
        array_push(draft->arena, &draft->merges, row);
        if (has_inner_mark(joined.text, joined.length))
            draft->facts &= ~(uint32_t)RT_FACT_WORDS;
    }
}

/* Options that would change ids and are not supported must be off. */
static void refuse_options(struct node model)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        struct node affix = node_get(model, affixes[i]);
        if (affix.value && node_string(affix).length)
            node_refuse(affix, node_string(affix).text);
    }
    struct node dropout = node_get(model, "dropout");
    if (dropout.value && json_number_value(dropout.value) != 0)
        node_refuse(dropout, "random merges");
}

static void read_model(struct node model)
{
    struct draft *draft = model.draft;
    if (!model.value)
        draft_invalid(draft, "%s is missing", model.path);
    if (node_get(model, "type").value && !node_is(model, "BPE"))
        node_refuse(model, node_type(model));
    refuse_options(model);
    struct node vocab = node_get(model, "vocab");
    draft_expect(draft, json_object_size(vocab.value));
    read_vocabulary(vocab);
    read_merges(node_get(model, "merges"));
    if (node_bool(node_get(model, "byte_fallback"), false)) {
        draft->facts |= RT_FACT_BYTE_FALLBACK;
        draft_find_bytes(draft);
    }
    if (node_bool(node_get(model, "fuse_unk"), false))
        draft->facts |= RT_FACT_FUSE_UNKNOWN;
    if (node_bool(node_get(model, "ignore_merges"), false))
        draft->facts |= RT_FACT_IGNORE_MERGES;
    struct node unknown = node_get(model, "unk_token");
    if (unknown.value) {
        struct node_text text = node_string(unknown);
        draft->unknown = draft_find(draft, text.text, text.length);
        if (draft->unknown < 0)
            draft_invalid(draft, "%s '%s' is not in the vocabulary", unknown.path,
                          draft_show(draft, text.text, text.length));
    }
    /* A word's first mark must always be a piece, so that unknown characters of the word before
     * cannot run on into it; a word looked up as a whole must stay whole. */
    if (draft_find(draft, mark, 3) < 0 || (draft->facts & RT_FACT_IGNORE_MERGES))
        draft->facts &= ~(uint32_t)RT_FACT_WORDS;
}

/* Checks the id that the file gives an added token against the one that the `tokenizers`
 * library gives it: the vocabulary's if it is in there, else the next free one. */
static void add_token_piece(struct node token, struct node_text text, int64_t id, bool special,
                            int64_t *next)
{
    struct draft *draft = token.draft;
    int32_t known = draft_find(draft, text.text, text.length);
    if (id != (known >= 0 ? known : *next))
        draft_invalid(draft, "%s: '%s' has id %lld here and %lld by the vocabulary", token.path,
                      draft_show(draft, text.text, text.length), (long long)id,
                      known >= 0 ? (long long)known : (long long)*next);
    if (known < 0) {
        draft_add_piece(draft, id, text.text, text.length, 0, 0);
        draft->pieces.items[id].added = true;
        ++*next;
    }
    if (special)
        draft->pieces.items[id].attributes |= RT_PIECE_SPECIAL;
}

static uint32_t added_flags(struct node token)
{
    uint32_t flags = 0;
    flags |= node_bool(node_get(token, "single_word"), false) ? RT_ADDED_WHOLE_WORD : 0u;
    flags |= node_bool(node_get(token, "lstrip"), false) ? RT_ADDED_STRIP_LEFT : 0u;
    flags |= node_bool(node_get(token, "rstrip"), false) ? RT_ADDED_STRIP_RIGHT : 0u;
    flags |= node_bool(node_get(token, "special"), false) ? RT_ADDED_SPECIAL : 0u;
    return flags;
}

/* What a token looks like in a normalized text. */
static struct node_text normalized(struct draft *draft, struct node_text text)
{
    struct rt_text now = {0}, next = {0};
    rt_text_put(&now, (const uint8_t *)text.text, text.length);
    rt_text_cut(&now, 0, 1);
    for (size_t i = 0; i < draft->normalize.count; i++) {
        rt_step_apply(&draft->normalize.items[i], (const uint8_t *)draft->text.text, &now, &next);
        struct rt_text old = now;
        now = next;
        next = old;
    }
    size_t length = now.count ? now.spans[0].end - now.spans[0].begin : 0;
    const char *begin = now.count ? (const char *)now.bytes + now.spans[0].begin : "";
    struct node_text result = {arena_copy(draft->arena, begin, length), length};
    bool failed = now.failed || next.failed;
    rt_text_free(&now);
    rt_text_free(&next);
    if (failed)
        fatal(OUT_OF_MEMORY, text.length);
    return result;
}

/* A token that was normalized decodes in that form. */
static void show_normalized(struct draft *draft, int32_t id, struct node_text text)
{
    struct rt_shown shown = {id, 0, (uint32_t)text.length};
    struct draft_piece *piece = &draft->pieces.items[id];
    if ((piece->length == text.length && memcmp(piece->text, text.text, text.length) == 0) ||
        (piece->attributes & RT_PIECE_SHOWN))
        return;
    piece->attributes |= RT_PIECE_SHOWN;
    shown.from = draft_string(draft, text.text, text.length, SIZE_MAX);
    array_push(draft->arena, &draft->shown, shown);
}

static void read_added_token(struct node token, int64_t *next)
{
    struct draft *draft = token.draft;
    struct node_text text = node_string(node_get(token, "content"));
    if (text.length == 0)
        return; /* the library ignores it */
    uint32_t flags = added_flags(token);
    int64_t id = node_int(node_get(token, "id"));
    add_token_piece(token, text, id, flags & RT_ADDED_SPECIAL, next);
    bool after = node_bool(node_get(token, "normalized"), !(flags & RT_ADDED_SPECIAL));
    if (text.length > RT_TOKENIZER_ADDED_BYTES)
        draft_unsupported(draft, "%s of %zu bytes, at most %d", token.path, text.length,
                          RT_TOKENIZER_ADDED_BYTES);
    struct node_text seen = after ? normalized(draft, text) : text;
    show_normalized(draft, (int32_t)id, seen);
    struct draft_added added = {seen.text, seen.length, (int32_t)id, flags, after};
    array_push(draft->arena, &draft->added, added);
}

static void read_added_tokens(struct node tokens)
{
    if (node_count(tokens) > DRAFT_ADDED)
        node_refuse(tokens, "too many");
    draft_expect(tokens.draft, tokens.draft->pieces.count + node_count(tokens));
    int64_t next = (int64_t)tokens.draft->ids.count;
    for (size_t i = 0; i < node_count(tokens); i++)
        read_added_token(node_at(tokens, i), &next);
}

/* Merges that make special tokens go: text must not become one. */
static void drop_special_merges(struct draft *draft)
{
    size_t kept = 0;
    for (size_t i = 0; i < draft->merges.count; i++) {
        int32_t result = draft->merges.items[i].result;
        if (!(draft->pieces.items[result].attributes & RT_PIECE_SPECIAL))
            draft->merges.items[kept++] = draft->merges.items[i];
    }
    draft->merges.count = kept;
}

void read_tokenizer_json(struct draft *draft, const struct tokenizer_file *file)
{
    struct node root = node_parse(draft, file);
    draft->kind = RT_TOKENIZER_PAIRS;
    read_model(node_get(root, "model"));
    read_normalizer(node_get(root, "normalizer"));
    read_pre_tokenizer(node_get(root, "pre_tokenizer"));
    read_decoder(node_get(root, "decoder"));
    read_post_processor(node_get(root, "post_processor"));
    read_added_tokens(node_get(root, "added_tokens"));
    drop_special_merges(draft);
}
