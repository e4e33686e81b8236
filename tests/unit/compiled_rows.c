/*
 * Rows of a batch: prompts of lengths 1, 7, 17 and 40 together, then generated tokens. Every
 * row's logits after the prompt and after each token equal, bit for bit, those of a batch of
 * copies of that row; and nothing that must not matter changes a bit of any row.
 */
#include "tests/unit/compiled_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = CHECKED_BATCH, GENERATED = 4, STEPS = 1 + GENERATED, LONGEST_CHUNK = 64 };

static const int lengths[ROWS] = {1, 7, 17, 40};

/* One way of running; zero is the ordinary one. */
struct way {
    const char *what;
    int prompts[ROWS]; /* which prompt each row takes */
    int chunk;         /* of all prefill steps; 0: 64 while more than 16 tokens are left */
    rt_u32 padding;    /* seed of valid ids where no token is; 0: zeros there */
    int cache_byte;    /* what all caches hold before; 0: what the last run left */
    bool overflowed;   /* the last run's logits were NaN */
    int stops;         /* this row (from 1) generates no more than one token; 0: none */
};

struct rows {
    const struct compiled *compiled;
    struct rt_session session;
    const struct rt_port *logits;
    rt_i64 vocabulary;
    const char *name;
};

static rt_u32 mix(rt_u32 a, rt_u32 b)
{
    rt_u64 x = ((rt_u64)a << 32 | b) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
    return (rt_u32)(x >> 33);
}

static rt_i32 token_of(const struct rows *r, int prompt, int position)
{
    return (rt_i32)(mix((rt_u32)prompt + 1, (rt_u32)position) % (rt_u32)r->vocabulary);
}

static rt_i32 padding_of(const struct rows *r, const struct way *way, int place)
{
    return way->padding ? (rt_i32)(mix(way->padding, (rt_u32)place) % (rt_u32)r->vocabulary) : 0;
}

static void fill_caches(struct rows *r, int byte)
{
    const struct rt_program *program = r->compiled->program;
    for (rt_u32 i = 0; i < program->state_count; i++) {
        const struct rt_state *state = &program->states[i];
        if (state->slots == 0)
            continue;
        void *bytes = malloc(state->port.bytes);
        memset(bytes, byte, state->port.bytes);
        assert_int_equal(rt_session_write(&r->session, &state->port, bytes), 0);
        free(bytes);
    }
}

static void prefill(struct rows *r, const struct way *way)
{
    rt_i32 tokens[ROWS * LONGEST_CHUNK], counts[ROWS];
    int longest = 0;
    for (int b = 0; b < ROWS; b++)
        longest = lengths[way->prompts[b]] > longest ? lengths[way->prompts[b]] : longest;
    for (int at = 0, chunk; at < longest; at += chunk) {
        chunk = way->chunk ? way->chunk : longest - at > 16 ? 64 : 16;
        for (int b = 0; b < ROWS; b++) {
            int left = lengths[way->prompts[b]] - at;
            counts[b] = left < 0 ? 0 : left < chunk ? left : chunk;
            for (int i = 0; i < chunk; i++)
                tokens[b * chunk + i] = i < counts[b] ? token_of(r, way->prompts[b], at + i)
                                                      : padding_of(r, way, at + b * chunk + i);
        }
        compiled_feed(&r->session, compiled_function(r->compiled, "prefill", chunk), tokens,
                      counts);
    }
}

static void generate(struct rows *r, const struct way *way, int step)
{
    rt_i32 tokens[ROWS], counts[ROWS];
    for (int b = 0; b < ROWS; b++) {
        int prompt = way->prompts[b];
        counts[b] = !(way->stops == b + 1 && step > 1);
        tokens[b] =
            counts[b] ? token_of(r, prompt, lengths[prompt] + step) : padding_of(r, way, step);
    }
    compiled_feed(&r->session, compiled_function(r->compiled, "decode", 1), tokens, counts);
}

/* The logits [STEPS, ROWS, vocabulary]; the caller frees them. */
static float *run(struct rows *r, const struct way *way)
{
    size_t count = (size_t)(ROWS * r->vocabulary);
    float *logits = malloc(STEPS * count * sizeof *logits);
    if (way->cache_byte)
        fill_caches(r, way->cache_byte);
    if (way->overflowed) {
        memset(logits, 0xff, r->logits->bytes);
        assert_int_equal(rt_session_write(&r->session, r->logits, logits), 0);
    }
    assert_int_equal(rt_session_reset(&r->session, false), 0);
    prefill(r, way);
    for (int step = 0; step < STEPS; step++) {
        if (step > 0)
            generate(r, way, step);
        assert_int_equal(rt_session_read(&r->session, r->logits, logits + (size_t)step * count), 0);
    }
    return logits;
}

/* Row `row` of `got` against row `expected_row` of `expected`, in the first `steps` steps. */
static void same_row(const struct rows *r, const char *what, const float *expected,
                     int expected_row, const float *got, int row, int steps)
{
    rt_i64 v = r->vocabulary;
    for (int step = 0; step < steps; step++) {
        const float *a = expected + (step * ROWS + expected_row) * v;
        const float *b = got + (step * ROWS + row) * v;
        for (rt_i64 i = 0; i < v; i++)
            if (memcmp(&a[i], &b[i], sizeof *a) != 0)
                fail_msg("%s, %s: row %d, step %d, logit %lld: %.9g, not %.9g", r->name, what, row,
                         step, (long long)i, (double)b[i], (double)a[i]);
        assert_true(a[0] == a[0]);
    }
}

/* Rows differ from each other: the comparison compares something. */
static void rows_differ(const struct rows *r, const float *logits)
{
    for (int b = 1; b < ROWS; b++)
        assert_memory_not_equal(logits, logits + b * r->vocabulary,
                                (size_t)r->vocabulary * sizeof *logits);
}

static void against_copies(struct rows *r, const float *mixed)
{
    for (int p = 0; p < ROWS; p++) {
        struct way copies = {.what = "copies of one prompt", .prompts = {p, p, p, p}};
        float *logits = run(r, &copies);
        for (int b = 0; b < ROWS; b++)
            same_row(r, copies.what, mixed, p, logits, b, STEPS);
        free(logits);
    }
}

static void against_ways(struct rows *r, const float *mixed)
{
    static const struct way ways[] = {
        {.what = "a second run", .prompts = {0, 1, 2, 3}},
        {.what = "rows in another order", .prompts = {3, 0, 2, 1}},
        {.what = "chunks of 16", .prompts = {0, 1, 2, 3}, .chunk = 16},
        {.what = "chunks of 64", .prompts = {0, 1, 2, 3}, .chunk = 64},
        {.what = "ids in the padding", .prompts = {0, 1, 2, 3}, .padding = 5},
        {.what = "ids in the padding of chunks of 64",
         .prompts = {2, 1, 0, 3},
         .chunk = 64,
         .padding = 6},
        {.what = "caches full of NaN",
         .prompts = {0, 1, 2, 3},
         .cache_byte = 0xff,
         .overflowed = true},
        {.what = "caches full of large numbers", .prompts = {3, 1, 2, 0}, .cache_byte = 0x7e},
        {.what = "a row that stops", .prompts = {0, 1, 2, 3}, .stops = 2, .padding = 7},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        float *logits = run(r, &ways[i]);
        for (int b = 0; b < ROWS; b++)
            same_row(r, ways[i].what, mixed, ways[i].prompts[b], logits, b,
                     ways[i].stops == b + 1 ? 2 : STEPS);
        free(logits);
    }
}

static struct rows open_rows(const struct compiled *compiled, const char *name, int threads)
{
    struct rows r = {.compiled = compiled, .name = name};
    r.session = compiled_session(compiled, NULL, threads);
    r.logits = rt_session_state(&r.session, "logits");
    assert_non_null(r.logits);
    r.vocabulary = r.logits->dims[1];
    return r;
}

void check_rows(const struct compiled *compiled, const struct reference *reference)
{
    const struct way ordinary = {.what = "all lengths", .prompts = {0, 1, 2, 3}};
    struct rows r = open_rows(compiled, reference->name, 1);
    float *mixed = run(&r, &ordinary);
    rows_differ(&r, mixed);
    against_copies(&r, mixed);
    against_ways(&r, mixed);
    rt_session_close(&r.session);
    for (int threads = 2; threads <= 3; threads++) {
        struct rows other = open_rows(compiled, reference->name, threads);
        float *logits = run(&other, &ordinary);
        for (int b = 0; b < ROWS; b++)
            same_row(&other, "more threads", mixed, b, logits, b, STEPS);
        free(logits);
        rt_session_close(&other.session);
    }
    free(mixed);
}
