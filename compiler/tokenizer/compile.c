/* From the files of a model directory to a compiled tokenizer: see tokenizer.h. */
#include "compiler/tokenizer/tokenizer.h"

#include "compiler/frontends/file.h"
#include "compiler/tokenizer/node.h"
#include "compiler/tokenizer/read.h"
#include "compiler/tokenizer/sha256.h"
#include "ir/base/diag.h"

#include <string.h>

enum { FILE_MOST = 256 << 20, CONFIG_MOST = 16 << 20 };

/* An id of a configuration file, -1 if the node is absent. */
static int32_t read_id(struct node node)
{
    if (!node.value)
        return -1;
    int64_t id = node_int(node);
    if (id < 0 || id > INT32_MAX)
        draft_invalid(node.draft, "%s is %lld", node.path, (long long)id);
    return (int32_t)id;
}

static void read_eos(struct draft *draft, struct node node)
{
    size_t count = json_is_array(node.value) ? node_count(node) : node.value ? 1 : 0;
    if (count == 0)
        return;
    if (count > RT_TOKENIZER_EOS_IDS)
        node_refuse(node, "too many ids");
    draft->eos.count = 0;
    for (size_t i = 0; i < count; i++)
        array_push(draft->arena, &draft->eos,
                   read_id(json_is_array(node.value) ? node_at(node, i) : node));
}

/* The id of a token that tokenizer_config.json names: "<s>" or {"content": "<s>", ...}. */
static int32_t read_named(struct draft *draft, struct node node)
{
    if (json_is_object(node.value))
        node = node_get(node, "content");
    if (!node.value)
        return -1;
    struct node_text text = node_string(node);
    return draft_find(draft, text.text, text.length);
}

static void read_token_ids(struct draft *draft, const struct tokenizer_file *file)
{
    if (!file->text)
        return;
    struct node root = node_parse(draft, file);
    int32_t bos = read_id(node_get(root, "bos_token_id"));
    draft->bos = bos >= 0 ? bos : draft->bos;
    read_eos(draft, node_get(root, "eos_token_id"));
}

/* Puts BOS before every text, or takes it away. */
static void set_adds_bos(struct draft *draft, bool wanted)
{
    bool has = draft->before.count > 0 && draft->before.items[0] == draft->bos;
    if (draft->bos < 0 || has == wanted)
        return;
    size_t count = draft->before.count;
    if (wanted) {
        array_push(draft->arena, &draft->before, draft->bos);
        memmove(draft->before.items + 1, draft->before.items, count * sizeof(int32_t));
        draft->before.items[0] = draft->bos;
    } else {
        memmove(draft->before.items, draft->before.items + 1, (count - 1) * sizeof(int32_t));
        draft->before.count--;
    }
}

/* The least of the sources comes first, and each overwrites what came before. */
void read_special_ids(struct draft *draft, const struct tokenizer_files *files)
{
    const char *file = draft->file;
    int adds = draft->kind == RT_TOKENIZER_SENTENCEPIECE ? 1 : -1; /* -1: as the file says */
    if (draft->bos < 0 && draft->before.count)
        draft->bos = draft->before.items[0];
    if (files->tokenizer_config.text) {
        struct node root = node_parse(draft, &files->tokenizer_config);
        int32_t bos = read_named(draft, node_get(root, "bos_token"));
        int32_t eos = read_named(draft, node_get(root, "eos_token"));
        draft->bos = bos >= 0 ? bos : draft->bos;
        if (eos >= 0) {
            draft->eos.count = 0;
            array_push(draft->arena, &draft->eos, eos);
        }
        struct node choice = node_get(root, "add_bos_token");
        adds = choice.value ? node_bool(choice, false) : adds;
    }
    read_token_ids(draft, &files->config);
    read_token_ids(draft, &files->generation_config);
    if (adds >= 0)
        set_adds_bos(draft, adds);
    if (draft->before.count > 0 && draft->before.items[0] == draft->bos)
        draft->facts |= RT_FACT_ADDS_BOS;
    draft->file = file;
}

static const char *kind_text(const struct draft *draft)
{
    if (draft->kind == RT_TOKENIZER_SENTENCEPIECE)
        return draft->facts & RT_FACT_BYTE_FALLBACK ? "SentencePiece BPE with byte fallback"
                                                    : "SentencePiece BPE";
    if (draft->facts & RT_FACT_TAKES_BYTES)
        return "byte-level BPE";
    return draft->facts & RT_FACT_BYTE_FALLBACK ? "BPE with byte fallback" : "BPE";
}

struct tokenizer_blob tokenizer_compile_files(struct arena *arena,
                                              const struct tokenizer_files *files)
{
    const struct tokenizer_file *file = files->json.text ? &files->json : &files->model;
    struct draft draft = draft_create(arena, file->name);
    if (files->json.text)
        read_tokenizer_json(&draft, file);
    else
        read_sentencepiece(&draft, file, &files->tokenizer_config);
    read_special_ids(&draft, files);
    sha256(file->text, file->length, draft.sha256);
    struct tokenizer_blob blob = draft_finish(&draft);
    blob.summary.kind = kind_text(&draft);
    if (files->json.text && files->model.text)
        blob.summary.ignored = files->model.name;
    return blob;
}

static bool has(struct arena *arena, const char *directory, const char *name)
{
    return file_exists(file_join(arena, directory, name));
}

bool tokenizer_present(const char *directory)
{
    struct arena *arena = arena_create();
    bool present = has(arena, directory, "tokenizer.json") ||
                   has(arena, directory, "tokenizer.model");
    arena_destroy(arena);
    return present;
}

static void read_file(struct arena *arena, const char *directory, const char *name, size_t most,
                      struct tokenizer_file *file)
{
    const char *path = file_join(arena, directory, name);
    if (!file_exists(path))
        return;
    file->name = path;
    file->text = file_read(arena, path, most, &file->length);
}

struct tokenizer_blob tokenizer_compile(struct arena *arena, const char *directory)
{
    struct tokenizer_files files = {0};
    read_file(arena, directory, "tokenizer.json", FILE_MOST, &files.json);
    read_file(arena, directory, "tokenizer.model", FILE_MOST, &files.model);
    read_file(arena, directory, "tokenizer_config.json", CONFIG_MOST, &files.tokenizer_config);
    read_file(arena, directory, "generation_config.json", CONFIG_MOST, &files.generation_config);
    read_file(arena, directory, "config.json", CONFIG_MOST, &files.config);
    if (!files.json.text && !files.model.text)
        fatal(TOKENIZER_MISSING, directory);
    return tokenizer_compile_files(arena, &files);
}
