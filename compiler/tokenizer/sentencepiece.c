/* tokenizer.model: a SentencePiece model of type BPE. Its checks are those that sentencepiece
 * itself makes when it opens a file. */
#include "compiler/tokenizer/node.h"
#include "compiler/tokenizer/read.h"
#include "sentencepiece.pb-c.h"

#include "ir/base/diag.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Memory for the parser: from the arena, within a budget, since a file of n bytes can ask for
 * dozens of times as much. */
struct budget {
    struct arena *arena;
    size_t left;
};

enum { BUDGET_FACTOR = 128, BUDGET_BASE = 1 << 16 };

static void *allocate(void *data, size_t size)
{
    struct budget *budget = data;
    if (size > budget->left)
        return NULL;
    budget->left -= size;
    return arena_alloc(budget->arena, 1, size);
}

static void release(void *data, void *memory)
{
    (void)data, (void)memory; /* the arena frees everything at once */
}

static SentencepieceModel *parse(struct draft *draft, const struct tokenizer_file *file)
{
    struct budget budget = {draft->arena, file->length * BUDGET_FACTOR + BUDGET_BASE};
    ProtobufCAllocator allocator = {allocate, release, &budget};
    SentencepieceModel *model =
        sentencepiece_model__unpack(&allocator, file->length, (const uint8_t *)file->text);
    if (!model)
        draft_invalid(draft, "not a SentencePiece model");
    return model;
}

static void refuse(const struct draft *draft, const SentencepieceModel *model)
{
    static const char *const kinds[] = {"?", "UNIGRAM", "BPE", "WORD", "CHAR"};
    const SentencepieceModel__Trainer *trainer = model->trainer;
    int kind = trainer ? (int)trainer->model_type : SENTENCEPIECE_MODEL__TRAINER__KIND__UNIGRAM;
    if (kind != SENTENCEPIECE_MODEL__TRAINER__KIND__BPE)
        draft_unsupported(draft, "trainer_spec.model_type (%s)",
                          kinds[kind >= 1 && kind <= 4 ? kind : 0]);
    if (trainer->treat_whitespace_as_suffix)
        draft_unsupported(draft, "trainer_spec.treat_whitespace_as_suffix");
    if (model->normalizer && model->normalizer->precompiled_charsmap.len)
        draft_unsupported(draft, "normalizer_spec.precompiled_charsmap (not identity)");
    if (model->denormalizer && model->denormalizer->precompiled_charsmap.len)
        draft_unsupported(draft, "denormalizer_spec.precompiled_charsmap");
}

static void add_symbol(struct draft *draft, int32_t id, uint32_t flags)
{
    const struct draft_piece *piece = &draft->pieces.items[id];
    struct draft_added added = {piece->text, piece->length, id, flags, !(flags & RT_ADDED_SPECIAL)};
    array_push(draft->arena, &draft->added, added);
}

static uint32_t attributes_of(const SentencepieceModel__Piece *piece)
{
    switch (piece->type) {
    case SENTENCEPIECE_MODEL__PIECE__TYPE__UNKNOWN: return RT_PIECE_UNKNOWN;
    case SENTENCEPIECE_MODEL__PIECE__TYPE__CONTROL: return RT_PIECE_CONTROL | RT_PIECE_SPECIAL;
    case SENTENCEPIECE_MODEL__PIECE__TYPE__UNUSED: return RT_PIECE_UNUSED;
    case SENTENCEPIECE_MODEL__PIECE__TYPE__BYTE: return RT_PIECE_BYTE;
    case SENTENCEPIECE_MODEL__PIECE__TYPE__USER_DEFINED: return RT_PIECE_USER;
    default: return 0;
    }
}

static void read_piece(struct draft *draft, int32_t id, const SentencepieceModel__Piece *piece)
{
    size_t length = piece->piece.len;
    const char *text = length ? (const char *)piece->piece.data : "";
    if (length == 0)
        draft_invalid(draft, "piece %d is empty", id);
    if (isnan(piece->score))
        draft_invalid(draft, "the score of piece %d is not a number", id);
    draft_add_piece(draft, id, text, length, attributes_of(piece), piece->score);
    if (piece->type == SENTENCEPIECE_MODEL__PIECE__TYPE__UNKNOWN) {
        if (draft->unknown >= 0)
            draft_invalid(draft, "pieces %d and %d are both of type UNKNOWN", draft->unknown, id);
        draft->unknown = id;
    }
    if (piece->type == SENTENCEPIECE_MODEL__PIECE__TYPE__UNUSED)
        draft->facts |= RT_FACT_UNUSED;
}

static bool is_special(const struct draft *draft, int32_t id)
{
    return draft->pieces.items[id].attributes & RT_PIECE_SPECIAL;
}

/* A token of tokenizer_config.json: its key is its id. Marks a piece special, or adds one. */
static void read_config_token(struct draft *draft, const char *key, struct node token)
{
    char *end;
    errno = 0;
    long long id = strtoll(key, &end, 10);
    if (*end || end == key || errno)
        draft_invalid(draft, "added_tokens_decoder: '%s' is not an id",
                      draft_show(draft, key, strlen(key)));
    struct node_text text = node_string(node_get(token, "content"));
    int32_t known = draft_find(draft, text.text, text.length);
    if (known >= 0 ? known != id : (size_t)id < draft->pieces.count)
        draft_invalid(draft, "%s: token '%s' contradicts the pieces of tokenizer.model", token.path,
                      draft_show(draft, text.text, text.length));
    bool special = node_bool(node_get(token, "special"), false);
    if (known < 0) {
        draft_add_piece(draft, id, text.text, text.length,
                        special ? RT_PIECE_CONTROL : RT_PIECE_USER, 0);
        draft->pieces.items[id].added = true;
    }
    if (special && !(draft->pieces.items[id].attributes & RT_PIECE_UNKNOWN))
        draft->pieces.items[id].attributes |= RT_PIECE_SPECIAL;
}

static void read_config_tokens(struct draft *draft, const struct tokenizer_file *config)
{
    if (!config->text)
        return;
    const char *file = draft->file;
    struct node tokens = node_get(node_parse(draft, config), "added_tokens_decoder");
    const char *key;
    json_t *value;
    if (tokens.value && !json_is_object(tokens.value))
        draft_invalid(draft, "%s is not an object", tokens.path);
    draft_expect(draft, draft->pieces.count + json_object_size(tokens.value));
    json_object_foreach((json_t *)(uintptr_t)tokens.value, key, value)
        read_config_token(draft, key, node_get(tokens, key));
    draft->file = file;
}

/* Which texts are symbols of their own: special ones on request, user-defined ones always. */
static void add_symbols(struct draft *draft)
{
    for (size_t i = 0; i < draft->pieces.count; i++) {
        int32_t id = (int32_t)i;
        uint32_t attributes = draft->pieces.items[i].attributes;
        if (is_special(draft, id) || (attributes & RT_PIECE_UNKNOWN))
            add_symbol(draft, id, RT_ADDED_SPECIAL);
        else if (attributes & RT_PIECE_USER)
            add_symbol(draft, id, 0);
    }
    if (draft->added.count > DRAFT_ADDED)
        draft_unsupported(draft, "more than %d control and user-defined symbols", DRAFT_ADDED);
}

static void read_bytes(struct draft *draft, bool fallback)
{
    size_t count = 0;
    for (size_t i = 0; i < draft->pieces.count; i++) {
        if (!(draft->pieces.items[i].attributes & RT_PIECE_BYTE))
            continue;
        const char *text = draft->pieces.items[i].text;
        unsigned byte;
        char end;
        if (draft->pieces.items[i].length != 6 || sscanf(text, "<0x%2X%c", &byte, &end) != 2 ||
            end != '>')
            draft_invalid(draft, "piece %zu is of type BYTE and names none", i);
        draft->byte_ids[byte] = (int32_t)i;
        count++;
    }
    if (fallback ? count != 256 : count != 0)
        draft_invalid(draft, "%zu pieces of type BYTE, with byte_fallback %s", count,
                      fallback ? "on" : "off");
    draft->facts |= fallback ? RT_FACT_BYTE_FALLBACK : 0u;
}

/* Whether words can be merged apart: runtime/tokenizer/merge.h. */
static bool has_words(const struct draft *draft)
{
    bool known =
        (draft->facts & RT_FACT_BYTE_FALLBACK) || draft_find(draft, "\xe2\x96\x81", 3) >= 0;
    if (!known || (draft->facts & RT_FACT_UNUSED))
        return false;
    for (size_t i = 0; i < draft->pieces.count; i++)
        if (has_inner_mark(draft->pieces.items[i].text, draft->pieces.items[i].length))
            return false;
    return true;
}

static void read_options(struct draft *draft, const SentencepieceModel *model)
{
    const SentencepieceModel__Normalizer *normalizer = model->normalizer;
    draft->facts |= !normalizer || normalizer->add_dummy_prefix ? RT_FACT_PREFIX : 0u;
    draft->facts |= !normalizer || normalizer->remove_extra_whitespaces ? RT_FACT_SQUEEZE : 0u;
    draft->facts |= !normalizer || normalizer->escape_whitespaces ? RT_FACT_ESCAPE : 0u;
    const SentencepieceModel__Trainer *trainer = model->trainer;
    bool own = trainer->has_unk_surface;
    draft->unknown_text = own ? (const char *)trainer->unk_surface.data : " \xe2\x81\x87 ";
    draft->unknown_length = own ? trainer->unk_surface.len : 5;
    int32_t ids[2] = {trainer->bos_id, trainer->eos_id};
    for (int i = 0; i < 2; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= draft->pieces.count || !is_special(draft, ids[i]))
            ids[i] = -1;
    draft->bos = ids[0];
    if (ids[1] >= 0)
        array_push(draft->arena, &draft->eos, ids[1]);
}

void read_sentencepiece(struct draft *draft, const struct tokenizer_file *file,
                        const struct tokenizer_file *config)
{
    SentencepieceModel *model = parse(draft, file);
    draft->kind = RT_TOKENIZER_SENTENCEPIECE;
    refuse(draft, model);
    draft_expect(draft, model->n_pieces);
    if (model->n_pieces >= DRAFT_IDS)
        draft_invalid(draft, "%zu pieces", model->n_pieces);
    for (size_t i = 0; i < model->n_pieces; i++)
        read_piece(draft, (int32_t)i, model->pieces[i]);
    if (draft->unknown < 0)
        draft_invalid(draft, "no piece of type UNKNOWN");
    read_bytes(draft, model->trainer->byte_fallback);
    read_options(draft, model);
    read_config_tokens(draft, config);
    add_symbols(draft);
    draft->facts |= has_words(draft) ? RT_FACT_WORDS : 0u;
}
