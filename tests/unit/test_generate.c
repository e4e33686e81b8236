/*
 * The generate and score verbs on a toy program: schedules, batches, text, stop strings, lengths,
 * failures with their exit codes. The reference is the toy's rule applied to a plain list.
 */
#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/arena.h"
#include "runtime/feeder.h"
#include "runtime/generator.h"
#include "runtime/roles.h"
#include "runtime/stops.h"
#include "runtime/tokenizer.h"
#include "tests/unit/run_program.h"
#include "tests/unit/toy_program.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 64, BATCH = 3 };

static struct arena *arena;
static struct tokenizer_blob blob;
static struct rt_tokenizer tokenizer;

static const struct rt_program *program_of(rt_i64 batch, rt_i64 length)
{
    return toy_generate_program(batch, length, blob.bytes, blob.size);
}

/* The toy's greedy continuation of a prompt up to `limit` tokens in all; returns the number of
 * new tokens, EOS included. */
static rt_i64 continuation(const rt_i32 *prompt, rt_i64 count, rt_i64 limit, rt_i32 *ids)
{
    rt_i32 history[4096];
    rt_i64 new_count = 0;
    memcpy(history, prompt, (size_t)count * sizeof *history);
    while (count + new_count < limit) {
        rt_i32 next = toy_next(history, count + new_count);
        ids[new_count] = history[count + new_count] = next;
        new_count++;
        if (next == TOY_EOS)
            break;
    }
    return new_count;
}

/* The text that a continuation should print. */
static char *text_of(const rt_i32 *prompt, rt_i64 count, const rt_i32 *ids, rt_i64 new_count)
{
    struct rt_detokenizer detokenizer;
    size_t bound = rt_detokenizer_bound(&tokenizer), length;
    char *text = calloc((size_t)new_count + 2, bound), *piece = malloc(bound), *at = text;
    rt_detokenizer_init(&detokenizer, &tokenizer, 0);
    for (rt_i64 i = 0; i < count; i++)
        assert_int_equal(rt_detokenizer_push(&detokenizer, prompt[i], piece, bound, &length), 0);
    for (rt_i64 i = 0; i < new_count; i++) {
        if (ids[i] == TOY_EOS)
            break;
        assert_int_equal(rt_detokenizer_push(&detokenizer, ids[i], at, bound, &length), 0);
        at += length;
    }
    assert_int_equal(rt_detokenizer_finish(&detokenizer, at, bound, &length), 0);
    at[length] = '\0';
    free(piece);
    return text;
}

static char *expected_text(const char *prompt, rt_i64 limit, rt_i32 *ids, rt_i64 *new_count)
{
    int32_t *prompt_ids;
    size_t count;
    assert_int_equal(rt_tokenizer_encode(&tokenizer, prompt, strlen(prompt), RT_TOKENIZER_TEMPLATE,
                                         &prompt_ids, &count), 0);
    *new_count = continuation(prompt_ids, (rt_i64)count, limit, ids);
    char *text = text_of(prompt_ids, (rt_i64)count, ids, *new_count);
    free(prompt_ids);
    return text;
}

static void test_schedule(void **state)
{
    struct rt_feeder feeder = {.function_count = 3};
    const rt_i64 chunks[] = {256, 64, 16};
    (void)state;
    for (int i = 0; i < 3; i++)
        feeder.functions[i].chunk = chunks[i];
    const struct { rt_i64 remaining, chunk; } cases[] = {
        {1, 16}, {16, 16}, {17, 16}, {32, 16}, {33, 64}, {64, 64}, {65, 64}, {128, 64},
        {129, 256}, {256, 256}, {257, 256}, {5000, 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(feeder.functions[rt_feeder_choose(&feeder, cases[i].remaining)].chunk,
                         cases[i].chunk);
}

/* One run of the generator with rows of given prompt lengths, against the toy's rule. */
static void check_batch(struct rt_generator *generator, const rt_i64 *lengths, rt_i64 count)
{
    static rt_i32 prompts[BATCH][LENGTH], ids[BATCH][LENGTH], expected[LENGTH];
    struct rt_row rows[BATCH];
    for (rt_i64 i = 0; i < count; i++) {
        for (rt_i64 k = 0; k < lengths[i]; k++)
            prompts[i][k] = (rt_i32)(3 + (k * 37 + i * 11 + lengths[i]) % 500);
        rows[i] = (struct rt_row){.prompt = {prompts[i], lengths[i]}, .ids = ids[i],
                                  .most = LENGTH - lengths[i], .number = i};
    }
    assert_int_equal(rt_generator_run(generator, rows, count, NULL, NULL), 0);
    for (rt_i64 i = 0; i < count; i++) {
        rt_i64 new_count = continuation(prompts[i], lengths[i], LENGTH, expected);
        assert_int_equal(rows[i].count, new_count);
        assert_memory_equal(ids[i], expected, (size_t)new_count * sizeof *expected);
        assert_int_equal(rows[i].reason, expected[new_count - 1] == TOY_EOS ? RT_STOP_EOS
                                                                            : RT_STOP_LENGTH);
    }
}

static void test_batches(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads += 2) {
        struct rt_session session;
        struct rt_generator generator;
        struct rt_session_options options = {.threads = threads};
        struct rt_sampling sampling = {.top_p = 1, .penalty = 1};
        assert_int_equal(rt_session_open(&session, program_of(BATCH, LENGTH), &options), 0);
        assert_int_equal(rt_generator_open(&generator, &session, &sampling), 0);
        for (rt_i64 length = 1; length < LENGTH; length++) {
            check_batch(&generator, (rt_i64[]){length}, 1);
            check_batch(&generator, (rt_i64[]){length, 1, LENGTH - length}, 3);
            check_batch(&generator, (rt_i64[]){1 + length / 2, length}, 2);
        }
        assert_true(generator.times.decode_steps >= 0);
        rt_generator_close(&generator);
        rt_session_close(&session);
    }
}

static void test_text(void **state)
{
    static const char *const prompts[] = {"Once upon a time", "", "x", "caf\xc3\xa9 \xe2\x82\xac"};
    rt_i32 ids[LENGTH];
    rt_i64 count;
    (void)state;
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        char line[256], *text = expected_text(prompts[i], LENGTH, ids, &count);
        snprintf(line, sizeof line, "generate '%s'", prompts[i]);
        struct run run = run_line(program_of(1, LENGTH), NULL, line);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.out_length, strlen(text) + 1);
        assert_memory_equal(run.out, text, strlen(text));
        run = run_line(program_of(BATCH, LENGTH), NULL, line); /* the same beside dead rows */
        assert_memory_equal(run.out, text, strlen(text));
        struct run_setting setting = {.input = prompts[i]};
        run = run_line(program_of(1, LENGTH), &setting, "generate -t 2");
        assert_memory_equal(run.out, text, strlen(text));
        free(text);
    }
}

static void test_json(void **state)
{
    rt_i32 ids[LENGTH];
    rt_i64 count;
    char wanted[4096], *text = expected_text("Once upon a time", LENGTH, ids, &count);
    size_t used = (size_t)snprintf(wanted, sizeof wanted, "\"ids\":");
    struct run run = run_line(program_of(1, LENGTH), NULL, "generate --json 'Once upon a time'");
    (void)state;
    assert_int_equal(run.code, 0);
    for (char *from = run.out, *to = run.out; (*to = *from); from++)
        to += *from != ' ' && *from != '\n';
    for (rt_i64 i = 0; i < count; i++)
        used += (size_t)snprintf(wanted + used, sizeof wanted - used, "%s%d", i ? "," : "[",
                                 ids[i]);
    assert_non_null(strstr(run.out, wanted));
    assert_non_null(strstr(run.out, "\"prompt_ids\":[1,"));
    assert_non_null(strstr(run.out, ids[count - 1] == TOY_EOS ? "\"stop_reason\":\"eos\""
                                                             : "\"stop_reason\":\"length\""));
    free(text);
}

/* Every place of the text as a stop string of 1 to 9 bytes: what is printed ends before it. */
static void test_stop_strings(void **state)
{
    rt_i32 ids[LENGTH];
    rt_i64 count;
    char prompt[] = "It was", *text = expected_text(prompt, LENGTH, ids, &count);
    (void)state;
    for (; strlen(text) < 60; text = expected_text(prompt, LENGTH, ids, &count)) {
        free(text); /* EOS came early: another prompt */
        assert_true(++prompt[5] <= 'z');
    }
    size_t length = strlen(text);
    for (size_t at = 0; at + 9 < length; at += 5) {
        char stop[10] = "";
        size_t width = 1 + at % 9;
        memcpy(stop, text + at, width);
        char *words[] = {"toy", "generate", prompt, "--stop", "never there", "--stop", stop,
                         NULL};
        struct run run = run_words(program_of(1, LENGTH), NULL, words);
        size_t end = (size_t)(strstr(text, stop) - text);
        assert_int_equal(run.code, 0);
        assert_int_equal(run.out_length, end + 1);
        assert_memory_equal(run.out, text, end);
    }
    free(text);
}

/* Settled text never takes anything back, whatever the pieces are. */
static void test_stop_pieces(void **state)
{
    static const char text[] = "aabaabaaabcaabaabab";
    struct rt_list list = {.items = {"aabaabab", "", "abcd"}, .count = 3};
    struct rt_stops stops;
    (void)state;
    rt_stops_open(&stops, &list);
    for (size_t piece = 1; piece < sizeof text; piece++) {
        size_t settled = 0;
        rt_stops_start(&stops);
        for (size_t at = 0; at + 1 < sizeof text; at += piece) {
            size_t left = sizeof text - 1 - at;
            assert_int_equal(rt_stops_push(&stops, text + at, left < piece ? left : piece), 0);
            assert_true(stops.settled >= settled);
            assert_memory_equal(stops.text, text, stops.settled);
            settled = stops.settled;
        }
        rt_stops_finish(&stops);
        assert_true(stops.matched);
        assert_int_equal(stops.settled, 11);
    }
    rt_stops_close(&stops);
}

static void test_batch_file(void **state)
{
    static const char *const prompts[] = {"one", "", "three and a half", "four", "f", "6", "seven"};
    char path[] = "/tmp/sinter-prompts-XXXXXX", line[128], expected[16384] = "";
    size_t used = 0;
    FILE *file = fdopen(mkstemp(path), "w");
    (void)state;
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        rt_i32 ids[LENGTH];
        rt_i64 count;
        char *text = expected_text(prompts[i], LENGTH, ids, &count);
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s\n", i ? "\n" : "",
                                 text);
        fprintf(file, "%s\r\n", prompts[i]);
        free(text);
    }
    fclose(file);
    snprintf(line, sizeof line, "generate --batch-file %s", path);
    for (rt_i64 batch = 1; batch <= 8; batch += 2) {
        struct run run = run_line(program_of(batch, LENGTH), NULL, line);
        assert_int_equal(run.code, 0);
        assert_string_equal(run.out, expected);
    }
    unlink(path);
}

static void test_sampling(void **state)
{
    char *first, *third;
    (void)state;
    first = strdup(run_line(program_of(1, LENGTH), NULL, "generate -n 9 --temperature 1 a").out);
    assert_string_equal(
        run_line(program_of(1, LENGTH), NULL, "generate -n 9 --temperature 1 -s 0 a").out, first);
    assert_string_not_equal(
        run_line(program_of(1, LENGTH), NULL, "generate -n 9 --temperature 1 -s 7 a").out, first);
    assert_string_not_equal( /* the seed has 64 bits */
        run_line(program_of(1, LENGTH), NULL,
                 "generate -n 9 --temperature 1 -s 4294967296 a").out, first);
    assert_string_not_equal(
        run_line(program_of(1, LENGTH), NULL, "generate -n 9 --temperature 2 a").out, first);
    /* a sample depends on its number in the run, not on the size of the batches */
    third = strdup(run_line(program_of(1, LENGTH), NULL,
                            "generate --json -n 9 --temperature 1 a a a a").out);
    assert_string_equal(run_line(program_of(BATCH, LENGTH), NULL,
                                 "generate --json -n 9 --temperature 1 a a a a").out, third);
    free(first);
    free(third);
}

static void test_interactive(void **state)
{
    rt_i32 ids[LENGTH];
    rt_i64 count;
    char expected[4096], *first = expected_text("one", LENGTH, ids, &count);
    char *second = expected_text("two", LENGTH, ids, &count);
    struct run_setting setting = {.input = "one\n\ntwo\n"};
    struct run run = run_line(program_of(1, LENGTH), &setting, "generate -i");
    (void)state;
    snprintf(expected, sizeof expected, "> %s\n> > %s\n> \n", first, second);
    assert_int_equal(run.code, 0);
    assert_string_equal(run.out, expected);
    free(first);
    free(second);
}

/* A prompt of ids "5 6 7 ..." with `count` of them. */
static char *id_words(rt_i64 count)
{
    char *text = calloc((size_t)count + 1, 8);
    for (rt_i64 i = 0, used = 0; i < count; i++)
        used += snprintf(text + used, 8, "%d ", (int)(300 + i % 100));
    return text;
}

static void test_lengths(void **state)
{
    const struct { rt_i64 count; int code; } cases[] = {
        {1, 0}, {LENGTH - 1, 0}, {LENGTH, 2}, {LENGTH + 1, 2}, {10 * LENGTH, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char numbers[64], *ids = id_words(cases[i].count);
        char *words[] = {"toy", "generate", "--ids", ids, "--truncate", "left", NULL};
        char *plain[] = {"toy", "generate", "--ids", ids, NULL};
        struct run run = run_words(program_of(1, LENGTH), NULL, plain);
        assert_int_equal(run.code, cases[i].code);
        snprintf(numbers, sizeof numbers, "has %d tokens; at most %d fit", (int)cases[i].count,
                 LENGTH - 1);
        assert_int_equal(strstr(run.err, numbers) != NULL, cases[i].code != 0);
        assert_int_equal(run_words(program_of(1, LENGTH), NULL, words).code, 0);
        words[5] = "right";
        assert_int_equal(run_words(program_of(1, LENGTH), NULL, words).code, 0);
        free(ids);
    }
}

static void test_truncate(void **state)
{
    struct run run = run_line(program_of(1, 8), NULL,
                              "generate --json --ids '1 11 12 13 14 15 16 17 18 19' "
                              "--truncate left -n 3");
    (void)state;
    assert_non_null(strstr(run.out, "[1, 16, 17, 18, 19]"));
    assert_non_null(strstr(run.err, "warning: prompt 1 has 10 tokens, only 5 are used"));
    run = run_line(program_of(1, 8), NULL,
                   "generate --json --ids 1,11,12,13,14,15,16,17,18,19 --truncate right");
    assert_non_null(strstr(run.out, "[1, 11, 12, 13, 14, 15, 16]"));
}

static void test_failures(void **state)
{
    const struct { const char *line; int code; const char *words; } cases[] = {
        {"generate --max-length 65 x", 2, "--max-length 65 is too large"},
        {"generate --ids '1 512'", 2, "not a token id; '512' in --ids; give numbers from 0 to 511"},
        {"generate --ids -1", 2, "not a token id; '-1'"},
        {"generate --ids 1x", 2, "not a token id; '1x'"},
        {"generate --ids 1 text", 2, "prompts from two places"},
        {"generate --batch-file /nonexistent", 7, "cannot open '/nonexistent'"},
        {"generate --batch-file /", 7, "cannot read '/'"},
        {"generate --wieghts", 2, "did you mean --weights"},
        {"genrate x", 2, "did you mean generate"},
        {"fit x", 2, "no verb 'fit' here"},
        {"generate --temperature hot x", 2, "'hot' is not a number"},
        {"generate --top-p 1.5 x", 2, "1.5 is out of range; option --top-p"},
        {"generate --truncate middle x", 2, "'middle' is no choice"},
        {"generate --seed", 2, "option '--seed' needs a value"},
        {"generate --echo=1 x", 2, "option '--echo' takes no value"},
        {"score", 2, "an argument is missing"},
        {"score /nonexistent", 7, "cannot open '/nonexistent'"},
        {"generate x --weights /nonexistent", 7, "/nonexistent"},
        {"", 2, "no verb"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run = run_line(program_of(1, LENGTH), NULL, cases[i].line);
        if (run.code != cases[i].code || !strstr(run.err, cases[i].words))
            fail_msg("'%s' ended with %d: %s", cases[i].line, run.code, run.err);
        assert_memory_equal(run.err, "toy: error: ", 12);
        assert_int_equal(strchr(run.err, '\n') - run.err + 1, run.err_length); /* one line */
    }
}

static void test_json_error(void **state)
{
    struct run run = run_line(program_of(1, LENGTH), NULL, "generate --json --max-length 99 x");
    (void)state;
    assert_int_equal(run.code, 2);
    assert_non_null(strstr(run.err, "{\"error\": {\"what\": \"--max-length 99 is too large\""));
    assert_non_null(strstr(run.err, "\"code\": 2}}"));
}

static void test_streams(void **state)
{
    struct run_setting full = {.output = "/dev/full"}, closed = {.closed_pipe = 1};
    struct run_setting stopped = {.interrupt_ms = 300}, small = {.stack = 1 << 20};
    struct run run = run_line(program_of(1, LENGTH), &full, "generate x");
    (void)state;
    assert_int_equal(run.code, 7);
    assert_non_null(strstr(run.err, "cannot write 'standard output'"));
    run = run_line(program_of(1, LENGTH), &closed, "generate x");
    assert_int_equal(run.code, 141);
    assert_int_equal(run.err_length, 0);
    run = run_line(program_of(1, LENGTH), &closed, "generate -h");
    assert_int_equal(run.code, 141);
    run = run_line(program_of(1, 30000), &stopped, "generate --ignore-eos --ids 300");
    assert_int_equal(run.code, 130);
    assert_non_null(strstr(run.err, "interrupted"));
    assert_true(run.out_length > 100 && run.out[run.out_length - 1] == '\n');
    run = run_line(program_of(1, LENGTH), &small, "generate x");
    assert_int_equal(run.code, 0);
}

static void test_cpu(void **state)
{
    static const char *const needed[] = {"sse2", "warp-drive", NULL};
    struct rt_program program = *program_of(1, LENGTH);
    (void)state;
    program.cpu_features = needed;
    struct run run = run_line(&program, NULL, "generate x");
    assert_int_equal(run.code, 5);
    assert_non_null(strstr(run.err, "lacks warp-drive;"));
    assert_int_equal(run_line(&program, NULL, "info").code, 0);
}

static double number_after(const char *text, const char *label)
{
    const char *at = strstr(text, label);
    assert_non_null(at);
    return strtod(at + strlen(label), NULL);
}

/* Mean negative log-likelihood by the definition: windows of LENGTH - 1 tokens behind a BOS. */
static double reference_nll(const int32_t *ids, size_t count)
{
    double sum = 0;
    rt_i32 history[LENGTH];
    for (size_t i = 0; i < count; i++) {
        float logits[TOY_VOCABULARY];
        double total = 0;
        size_t place = i % (LENGTH - 1);
        history[0] = TOY_BOS;
        toy_logits(history, (rt_i64)place + 1, logits);
        for (int v = 0; v < TOY_VOCABULARY; v++)
            total += exp((double)logits[v]);
        sum += log(total) - (double)logits[ids[i]];
        history[place + 1] = ids[i];
    }
    return sum / (double)count;
}

static void check_score(const int32_t *ids, size_t count, rt_i64 batch, const char *line)
{
    struct run run = run_line(program_of(batch, LENGTH), NULL, line);
    assert_int_equal(run.code, 0);
    assert_int_equal((int)number_after(run.out, "\"tokens\":"), count);
    double nll = reference_nll(ids, count), got = number_after(run.out, "\"nll\":");
    assert_true(fabs(got - nll) < 1e-6 * nll);
    assert_true(fabs(number_after(run.out, "\"perplexity\":") - exp(nll)) < 1e-5 * exp(nll));
}

/* The dump holds the logits of every position, BOS included, window by window. */
static void check_dump(const char *path, const int32_t *ids, size_t count)
{
    FILE *file = fopen(path, "rb");
    size_t windows = (count + LENGTH - 2) / (LENGTH - 1), used = 0;
    float stored[TOY_VOCABULARY], logits[TOY_VOCABULARY];
    char header[129] = "", shape[64];
    assert_int_equal(fread(header, 1, 128, file), 128);
    snprintf(shape, sizeof shape, "'shape': (%zu, %d)", count + windows, TOY_VOCABULARY);
    assert_non_null(strstr(header + 10, shape));
    while (used < count) {
        rt_i32 history[LENGTH] = {TOY_BOS};
        size_t window = count - used < LENGTH - 1 ? count - used : LENGTH - 1;
        for (size_t i = 0; i <= window; i++) {
            if (i > 0)
                history[i] = ids[used + i - 1];
            toy_logits(history, (rt_i64)i + 1, logits);
            assert_int_equal(fread(stored, sizeof stored, 1, file), 1);
            assert_memory_equal(stored, logits, sizeof logits);
        }
        used += window;
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
}

static void test_score(void **state)
{
    static const char text[] =
        "Once upon a time there was a little girl. She had a red ball and a small dog, and they "
        "played in the park all day. One day the ball rolled into the river and was gone. ";
    char path[] = "/tmp/sinter-score-XXXXXX", line[256], dump[64];
    FILE *file = fdopen(mkstemp(path), "w");
    int32_t *ids;
    size_t count;
    (void)state;
    for (int i = 0; i < 5; i++)
        fputs(text, file);
    fclose(file);
    char *whole = calloc(5, sizeof text);
    for (int i = 0; i < 5; i++)
        strcat(whole, text);
    assert_int_equal(rt_tokenizer_encode(&tokenizer, whole, strlen(whole), 0, &ids, &count), 0);
    free(whole);
    snprintf(dump, sizeof dump, "%s.npy", path);
    for (rt_i64 batch = 1; batch <= 4; batch += 3) {
        snprintf(line, sizeof line, "score --json %s --dump-logits %s", path, dump);
        check_score(ids, count, batch, line);
        check_dump(dump, ids, count);
        snprintf(line, sizeof line, "score --json %s --limit 100 -t 2", path);
        check_score(ids, 100, batch, line);
    }
    snprintf(line, sizeof line, "score %s --dump-logits /dev/full", path);
    assert_int_equal(run_line(program_of(1, LENGTH), NULL, line).code, 7);
    file = fopen(path, "w");
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%d\n", ids[i]);
    fclose(file);
    snprintf(line, sizeof line, "score --json %s --as-ids --dump-logits %s", path, dump);
    check_score(ids, count, 1, line);
    check_dump(dump, ids, count);
    file = fopen(path, "w");
    fputs("300 word", file);
    fclose(file);
    snprintf(line, sizeof line, "score %s --as-ids", path);
    assert_int_equal(run_line(program_of(1, LENGTH), NULL, line).code, 2);
    free(ids);
    unlink(path);
    unlink(dump);
}

static void test_no_tokenizer(void **state)
{
    rt_i32 ids[16], prompt[] = {300, 301};
    char expected[256] = "";
    (void)state;
    rt_i64 count = continuation(prompt, 2, 16, ids);
    for (rt_i64 i = 0; i < count; i++)
        snprintf(expected + strlen(expected), 16, "%s%d", i ? " " : "", ids[i]);
    strcat(expected, "\n");
    struct run run = run_line(toy_generate_program(1, 16, NULL, 0), NULL,
                              "generate --ids '300 301' --ignore-eos -n 3");
    assert_int_equal(run.code, 0);
    run = run_line(toy_generate_program(1, 16, NULL, 0), NULL, "generate --ids '300 301' --json");
    assert_non_null(strstr(run.out, "\"text\": null"));
    run = run_line(toy_generate_program(2, 16, NULL, 0), NULL,
                   "generate --ids '300 301' --ids '300 301'");
    if (ids[count - 1] != TOY_EOS)
        assert_memory_equal(run.out, expected, strlen(expected));
    assert_int_equal(run_line(toy_generate_program(1, 16, NULL, 0), NULL, "generate x").code, 2);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_create();
    blob = tokenizer_compile(arena, "tests/fixtures/tiny");
    return rt_tokenizer_open(&tokenizer, blob.bytes, blob.size);
}

static int tear_down(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),     cmocka_unit_test(test_batches),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_json),
        cmocka_unit_test(test_stop_strings), cmocka_unit_test(test_stop_pieces),
        cmocka_unit_test(test_batch_file),   cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_interactive),  cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_truncate),     cmocka_unit_test(test_failures),
        cmocka_unit_test(test_json_error),   cmocka_unit_test(test_streams),
        cmocka_unit_test(test_cpu),          cmocka_unit_test(test_score),
        cmocka_unit_test(test_no_tokenizer),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
