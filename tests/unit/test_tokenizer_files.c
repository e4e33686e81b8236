/*
 * The compiler of tokenizers: which file and which ids win, what is refused and how it is
 * named, and files that lie. All from memory, so that a case is a few lines.
 */
#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/str.h"
#include "runtime/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int open_arena(void **state)
{
    (void)state;
    arena = arena_create();
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

/* Compiles; returns 0 or the exit code of the fatal message. */
static int compile(const struct tokenizer_files *files, struct tokenizer_blob *blob)
{
    jmp_buf trap;
    diag_set_trap(&trap);
    int code = setjmp(trap);
    if (code == 0)
        *blob = tokenizer_compile_files(arena, files);
    diag_set_trap(NULL);
    return code;
}

static struct tokenizer_file text_file(const char *name, const char *text)
{
    return (struct tokenizer_file){name, text, text ? strlen(text) : 0};
}

/* A small tokenizer.json: `model` holds members of the model, `rest` those of the top level. */
static const char *small_json(const char *model, const char *rest)
{
    return arena_printf(arena,
                        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"<u>\": 0, \"<s>\": 1, "
                        "\"a\": 2, \"b\": 3, \"ab\": 4, \"c\": 5, \"abc\": 6, \"\u2581\": 7}, "
                        "\"merges\": [\"a b\", [\"ab\", \"c\"]]%s}%s}",
                        model, rest);
}

struct case_of_json {
    const char *model, *rest; /* see small_json */
    int code;
    const char *word; /* of the message */
};

static const struct case_of_json json_cases[] = {
    {"", "", 0, ""},
    {", \"dropout\": null, \"unk_token\": \"<u>\"", "", 0, ""},
    {", \"dropout\": 0.1", "", 4, "model.dropout"},
    {", \"unk_token\": \"<x>\"", "", 4, "model.unk_token '<x>' is not in the vocabulary"},
    {", \"continuing_subword_prefix\": \"##\"", "", 4, "model.continuing_subword_prefix (##)"},
    {", \"end_of_word_suffix\": \"</w>\"", "", 4, "model.end_of_word_suffix (</w>)"},
    {", \"type\": \"Unigram\"", "", 4, "model (Unigram)"},
    {", \"merges\": [\"a  b\"]", "", 4, "model.merges[0]"},
    {", \"merges\": [\"ab\"]", "", 4, "model.merges[0]"},
    {", \"merges\": [\"a x\"]", "", 4, "'x' is not in the vocabulary"},
    {", \"merges\": [\"b a\"]", "", 4, "'ba' is not in the vocabulary"},
    {", \"merges\": [[\"a\", \"b\", \"c\"]]", "", 4, "not a pair"},
    {", \"merges\": [[\"a\", 1]]", "", 4, "is not a string"},
    {", \"merges\": {}", "", 4, "model.merges is not an array"},
    /* cycles: a merge whose result is one of its parts does not exist for non-empty halves */
    {", \"merges\": [[\"\", \"a\"]]", "", 4, "not in the vocabulary"},
    {", \"merges\": [\"a b\", \"a b\", \"ab c\", \"a b\"]", "", 0, ""},
    {", \"vocab\": {\"a\": 0, \"b\": 0}", "", 4, "id 0 has two pieces, 'a' and 'b'"},
    {", \"vocab\": {\"a\": -1}", "", 4, "the id of 'a' is -1"},
    {", \"vocab\": {\"a\": 16777216}", "", 4, "the id of 'a' is 16777216"},
    {", \"vocab\": {\"a\": 1.5}", "", 4, "not an integer"},
    {", \"vocab\": {\"a\": 99999999999999999999}", "", 4, "not an integer"},
    {", \"vocab\": []", "", 4, "model.vocab is not an object"},
    {"", ", \"normalizer\": {\"type\": \"NFKC\"}", 4, "normalizer (NFKC)"},
    {"",
     ", \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}, "
     "{\"type\": \"Lowercase\"}]}",
     4, "normalizer.normalizers[1] (Lowercase)"},
    {"",
     ", \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a+\"}, "
     "\"content\": \"\"}",
     4, "normalizer.pattern.Regex (regular expression)"},
    {"",
     ", \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \"\"}, "
     "\"content\": \"\"}",
     4, "normalizer.pattern.String (empty)"},
    {"", ", \"normalizer\": {\"type\": \"Prepend\"}", 4, "normalizer.prepend is not a string"},
    {"", ", \"normalizer\": {}", 4, "normalizer.type is not a string"},
    {"", ", \"pre_tokenizer\": {\"type\": \"Whitespace\"}", 4, "pre_tokenizer (Whitespace)"},
    {"",
     ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"\\\\w+\"}, "
     "\"behavior\": \"Isolated\", \"invert\": false}",
     4, "pre_tokenizer.pattern.Regex"},
    {"",
     ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \"x\"}, "
     "\"behavior\": \"Sideways\", \"invert\": false}",
     4, "pre_tokenizer.behavior (Sideways)"},
    {"", ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"xy\"}", 4,
     "not one character"},
    {"",
     ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\", "
     "\"prepend_scheme\": \"last\"}",
     4, "prepend_scheme (last)"},
    {"", ", \"post_processor\": {\"type\": \"BertProcessing\"}", 4,
     "post_processor (BertProcessing)"},
    {"", ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": []}", 4,
     "post_processor.single (without the text)"},
    {"", ", \"decoder\": {\"type\": \"WordPiece\"}", 4, "decoder (WordPiece)"},
    {"",
     ", \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Fuse\"}, "
     "{\"type\": \"ByteLevel\"}]}",
     4, "decoder.decoders[1] (ByteLevel after"},
    {"",
     ", \"decoder\": {\"type\": \"Strip\", \"content\": \" \", \"start\": -1, "
     "\"stop\": 0}",
     4, "decoder (strips too much)"},
    {"", ", \"added_tokens\": [{\"id\": 9, \"content\": \"<x>\"}]", 4,
     "'<x>' has id 9 here and 8 by the vocabulary"},
    {"", ", \"added_tokens\": [{\"id\": 3, \"content\": \"<s>\"}]", 4,
     "'<s>' has id 3 here and 1 by the vocabulary"},
    {"",
     ", \"added_tokens\": [{\"id\": 8, \"content\": \"\"}, "
     "{\"id\": 8, \"content\": \"<x>\", \"special\": true}]",
     0, ""},
};

static void test_json_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof json_cases / sizeof *json_cases; i++) {
        const struct case_of_json *one = &json_cases[i];
        struct tokenizer_files files = {0};
        struct tokenizer_blob blob;
        files.json = text_file("tokenizer.json", small_json(one->model, one->rest));
        int code = compile(&files, &blob);
        if (code != one->code || (code && !strstr(diag_last_message(), one->word)))
            fail_msg("case %zu: %d, %s", i, code, code ? diag_last_message() : "");
    }
}

/* Every prefix of a valid file, and every byte of it changed, is refused or compiled. */
static void test_cut_and_changed(void **state)
{
    (void)state;
    const char *text =
        small_json(", \"unk_token\": \"<u>\"", ", \"decoder\": {\"type\": \"Fuse\"}");
    size_t length = strlen(text);
    struct tokenizer_blob blob;
    for (size_t i = 0; i < length; i++) {
        struct tokenizer_files files = {0};
        char *copy = arena_copy(arena, text, length);
        files.json = (struct tokenizer_file){"tokenizer.json", copy, i};
        assert_int_equal(compile(&files, &blob), 4);
        copy[i] ^= 0x15;
        files.json.length = length;
        int code = compile(&files, &blob);
        assert_true(code == 0 || code == 4);
    }
}

static void test_deep_nesting(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = arena_alloc(arena, DEPTH + 1, 1);
    memset(text, '[', DEPTH);
    struct tokenizer_files files = {.json = {"tokenizer.json", text, DEPTH}};
    struct tokenizer_blob blob;
    assert_int_equal(compile(&files, &blob), 4);
    struct str nested = {.arena = arena, .text = ""};
    str_printf(&nested, ", \"normalizer\": ");
    for (int i = 0; i < 30; i++)
        str_printf(&nested, "{\"type\": \"Sequence\", \"normalizers\": [");
    for (int i = 0; i < 30; i++)
        str_printf(&nested, "]}");
    files.json = text_file("tokenizer.json", small_json("", nested.text));
    assert_int_equal(compile(&files, &blob), 4);
    assert_non_null(strstr(diag_last_message(), "nested too deeply"));
}

/* --- which ids win --- */

static struct rt_tokenizer open_blob(const struct tokenizer_blob *blob)
{
    struct rt_tokenizer tokenizer;
    assert_int_equal(rt_tokenizer_open(&tokenizer, blob->bytes, blob->size), 0);
    return tokenizer;
}

static void check_ids(const struct tokenizer_files *files, int32_t bos, int32_t eos, bool adds)
{
    struct tokenizer_blob blob;
    int code = compile(files, &blob);
    if (code)
        fail_msg("%s", diag_last_message());
    struct rt_tokenizer tokenizer = open_blob(&blob);
    const int32_t *ends;
    size_t count = rt_tokenizer_eos(&tokenizer, &ends);
    assert_int_equal(rt_tokenizer_bos(&tokenizer), bos);
    assert_int_equal(count ? ends[0] : -1, eos);
    assert_int_equal(rt_tokenizer_adds_bos(&tokenizer), adds);
    int32_t *ids;
    assert_int_equal(rt_tokenizer_encode(&tokenizer, "", 0, RT_TOKENIZER_TEMPLATE, &ids, &count),
                     0);
    assert_int_equal(count, bos >= 0 ? 1 : 0); /* an empty prompt is BOS alone */
    assert_true(bos < 0 || ids[0] == bos);
    free(ids);
}

#define TEMPLATE                                                                              \
    ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "                   \
    "[{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", " \
    "\"type_id\": 0}}], \"special_tokens\": {\"<s>\": {\"id\": \"<s>\", \"ids\": [1], "       \
    "\"tokens\": [\"<s>\"]}}}"

static void test_special_ids(void **state)
{
    (void)state;
    struct tokenizer_files files = {.json = text_file("j", small_json("", ""))};
    check_ids(&files, -1, -1, false);
    files.tokenizer_config =
        text_file("t", "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"c\", "
                       "\"model_max_length\": 1000000000000000019884624838656}");
    check_ids(&files, 1, 5, false);
    files.config = text_file("c", "{\"bos_token_id\": 2, \"eos_token_id\": 3}");
    check_ids(&files, 2, 3, false);
    files.generation_config = text_file("g", "{\"eos_token_id\": [4, 6]}");
    check_ids(&files, 2, 4, false);
    files.generation_config = text_file("g", "{\"bos_token_id\": 1, \"eos_token_id\": null}");
    check_ids(&files, 1, 3, false);
    files.json = text_file("j", small_json("", TEMPLATE));
    check_ids(&files, 1, 3, true);
    files.tokenizer_config = text_file("t", "{\"add_bos_token\": false}");
    check_ids(&files, 1, 3, false);
    files.json = text_file("j", small_json("", ""));
    files.tokenizer_config = text_file("t", "{\"add_bos_token\": true}");
    check_ids(&files, 1, 3, true);
    struct tokenizer_blob blob;
    files.config = text_file("c", "{\"bos_token_id\": -5}");
    assert_int_equal(compile(&files, &blob), 4);
    files.config = text_file("c", "{\"bos_token_id\": \"1\"}");
    assert_int_equal(compile(&files, &blob), 4);
}

/* --- special tokens only on request, also where a merge or a whole word would make one --- */

static void check_encoded(const char *json, const char *text, unsigned flags, size_t expected,
                          const int32_t *golden)
{
    struct tokenizer_files files = {.json = text_file("j", json)};
    struct tokenizer_blob blob;
    int code = compile(&files, &blob);
    if (code)
        fail_msg("%s", diag_last_message());
    struct rt_tokenizer tokenizer = open_blob(&blob);
    int32_t *ids;
    size_t count;
    assert_int_equal(rt_tokenizer_encode(&tokenizer, text, strlen(text), flags, &ids, &count), 0);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ids[i], golden[i]);
    free(ids);
}

static void test_special_on_request(void **state)
{
    (void)state;
    const char *added = ", \"added_tokens\": [{\"id\": 4, \"content\": \"ab\", "
                        "\"special\": true, \"normalized\": false}]";
    check_encoded(small_json("", ""), "abc", 0, 1, (int32_t[]){6});
    check_encoded(small_json("", added), "abc", 0, 3, (int32_t[]){2, 3, 5});
    check_encoded(small_json("", added), "abc", RT_TOKENIZER_SPECIAL, 2, (int32_t[]){4, 5});
    check_encoded(small_json(", \"ignore_merges\": true", added), "ab", 0, 2, (int32_t[]){2, 3});
}

/* --- tokenizer.model --- */

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(1 << 20);
    assert_non_null(file);
    assert_non_null(bytes);
    *length = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void test_model_cut_and_changed(void **state)
{
    (void)state;
    size_t length;
    char *bytes = read_file("tests/fixtures/tokenizers/squeezed/tokenizer.model", &length);
    struct tokenizer_files files = {.model = {"tokenizer.model", bytes, 0}};
    struct tokenizer_blob blob;
    for (size_t i = 0; i < length; i += 23) {
        struct arena *whole = arena;
        arena = arena_create();
        files.model.length = i;
        int code = compile(&files, &blob);
        assert_true(code == 0 || code == 4); /* a cut between pieces leaves a valid file */
        files.model.length = length;
        bytes[i] ^= (char)(1 + i % 255);
        code = compile(&files, &blob);
        bytes[i] ^= (char)(1 + i % 255);
        assert_true(code == 0 || code == 4);
        arena_destroy(arena);
        arena = whole;
    }
    free(bytes);
}

/* Appends a protobuf field: a length-delimited one, then a number. */
static size_t put_bytes(char *out, int field, const char *bytes, size_t length)
{
    out[0] = (char)(field << 3 | 2);
    out[1] = (char)length;
    memcpy(out + 2, bytes, length);
    return length + 2;
}

static size_t put_piece(char *out, const char *text, int type)
{
    char piece[64];
    size_t length = put_bytes(piece, 1, text, strlen(text));
    piece[length++] = 3 << 3;
    piece[length++] = (char)type;
    return put_bytes(out, 1, piece, length);
}

static void check_model(const char *model, size_t length, int code, const char *word)
{
    struct tokenizer_files files = {.model = {"tokenizer.model", model, length}};
    struct tokenizer_blob blob;
    int got = compile(&files, &blob);
    if (got != code || (got && !strstr(diag_last_message(), word)))
        fail_msg("%d, %s, expected %s", got, got ? diag_last_message() : "", word);
}

static void test_model_cases(void **state)
{
    (void)state;
    static const char bpe[] = {3 << 3, 2}, unigram[] = {3 << 3, 1};
    static const char suffix[] = {3 << 3, 2, (char)(24 << 3 | 0x80), 1, 1};
    static const char charsmap[] = {2 << 3 | 2, 3, 'x', 'y', 'z'};
    char model[256];
    size_t pieces = put_piece(model, "<unk>", 2), length;
    pieces += put_piece(model + pieces, "a", 1);
    length = pieces + put_bytes(model + pieces, 2, bpe, sizeof bpe);
    check_model(model, length, 0, "");
    check_model(model, length + put_bytes(model + length, 3, charsmap, sizeof charsmap), 4,
                "normalizer_spec.precompiled_charsmap");
    check_model(model, length + put_bytes(model + length, 5, charsmap, sizeof charsmap), 4,
                "denormalizer_spec.precompiled_charsmap");
    check_model(model, length + put_piece(model + length, "a", 1), 4, "piece 'a' has two ids");
    check_model(model, length + put_piece(model + length, "", 1), 4, "piece 2 is empty");
    check_model(model, length + put_piece(model + length, "u", 2), 4, "both of type UNKNOWN");
    check_model(model, length + put_piece(model + length, "<0x41>", 6), 4, "of type BYTE");
    check_model(model, length + put_piece(model + length, "\xff", 1), 4, "not valid UTF-8");
    check_model(model, pieces + put_bytes(model + pieces, 2, unigram, sizeof unigram), 4,
                "trainer_spec.model_type (UNIGRAM)");
    check_model(model, pieces + put_bytes(model + pieces, 2, suffix, sizeof suffix), 4,
                "treat_whitespace_as_suffix");
    check_model(model, pieces, 4, "model_type (UNIGRAM)");
    check_model("", 0, 4, "model_type");
    check_model("{}", 2, 4, "not a SentencePiece model");
}

static void test_json_wins(void **state)
{
    (void)state;
    size_t length;
    char *bytes = read_file("tests/fixtures/tokenizers/sentencepiece/tokenizer.model", &length);
    struct tokenizer_files files = {.model = {"tokenizer.model", bytes, length}};
    struct tokenizer_blob blob;
    assert_int_equal(compile(&files, &blob), 0);
    assert_string_equal(blob.summary.file, "tokenizer.model");
    assert_null(blob.summary.ignored);
    assert_int_equal(blob.summary.vocabulary, 900);
    assert_true(blob.summary.adds_bos);
    assert_int_equal(blob.summary.special_count, 3);
    assert_string_equal(blob.summary.special[0].text, "<s>");
    files.json = text_file("tokenizer.json", small_json("", ""));
    assert_int_equal(compile(&files, &blob), 0);
    assert_string_equal(blob.summary.file, "tokenizer.json");
    assert_string_equal(blob.summary.ignored, "tokenizer.model");
    assert_int_equal(blob.summary.vocabulary, 8);
    assert_int_equal(strlen(blob.summary.sha256), 64);
    free(bytes);
}

/* A user-defined symbol that tokenizer_config.json calls special is one. */
static void test_config_marks_special(void **state)
{
    (void)state;
    size_t length, count;
    char *bytes = read_file("tests/fixtures/tokenizers/sentencepiece/tokenizer.model", &length);
    struct tokenizer_files files = {.model = {"tokenizer.model", bytes, length}};
    struct tokenizer_blob blob;
    int32_t *ids;
    for (int marked = 0; marked < 2; marked++) {
        if (marked)
            files.tokenizer_config = text_file(
                "t", "{\"added_tokens_decoder\": {\"4\": {\"content\": \"<tool>\", "
                     "\"special\": true}, \"900\": {\"content\": \"<new>\", \"special\": true}}}");
        assert_int_equal(compile(&files, &blob), 0);
        struct rt_tokenizer tokenizer = open_blob(&blob);
        for (unsigned flags = 0; flags <= RT_TOKENIZER_SPECIAL; flags++) {
            assert_int_equal(rt_tokenizer_encode(&tokenizer, "<tool>", 6, flags, &ids, &count), 0);
            bool found = count > 0 && ids[count - 1] == 4;
            assert_int_equal(found, !marked || flags);
            free(ids);
        }
        assert_int_equal(rt_tokenizer_vocabulary(&tokenizer), 900 + marked);
    }
    files.tokenizer_config = text_file(
        "t", "{\"added_tokens_decoder\": {\"5\": {\"content\": \"<tool>\", \"special\": true}}}");
    assert_int_equal(compile(&files, &blob), 4);
    free(bytes);
}

static void test_foreign_blob(void **state)
{
    (void)state;
    struct tokenizer_files files = {.json = text_file("j", small_json("", ""))};
    struct tokenizer_blob blob;
    struct rt_tokenizer tokenizer;
    assert_int_equal(compile(&files, &blob), 0);
    assert_int_equal(rt_tokenizer_open(&tokenizer, blob.bytes, blob.size), 0);
    assert_int_equal(rt_tokenizer_open(&tokenizer, blob.bytes, blob.size - 8), EXIT_INTERNAL);
    assert_int_equal(rt_tokenizer_open(&tokenizer, (const char *)blob.bytes + 8, blob.size - 8),
                     EXIT_INTERNAL);
    assert_int_equal(rt_tokenizer_open(&tokenizer, NULL, 0), EXIT_INTERNAL);
    rt_status_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json_cases, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_cut_and_changed, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_deep_nesting, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_special_ids, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_special_on_request, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_model_cut_and_changed, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_model_cases, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_json_wins, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_config_marks_special, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(test_foreign_blob, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
