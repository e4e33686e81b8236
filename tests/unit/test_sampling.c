/*
 * The same logits give the same token on every device: the function `sample` of one model, for
 * the CPU and for an emulated GPU, against its definition written out in C, over ties, infinities,
 * and options at their ends, and so does `greedy`; a row whose logits are not all finite has the
 * token -1. (Which tokens are likely is the business of `generate`.)
 */
#include "runtime/philox.h"
#include "tests/compiled.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 3, WORDS = 6007 };

static const char model[] =
    "model m\nentry text {\n    input tokens : i32[batch, seq]\n"
    "    weight table : [6007, 16] from \"table\" init random(1)\n"
    "    x = embedding(table, tokens)\n"
    "    heads = reshape(x, [batch, seq, 2, 8])\n"
    "    x = x + reshape(attention(heads, heads, heads, causal=true), [batch, seq, 16])\n"
    "    output logits = linear(x, table)\n}\n";

enum shape {
    SPREAD, TIES, FLAT, PEAK, HOLES, HUGE_ONES, RISING, NANS, ONE_NAN, ONE_INFINITY, ONE_LOW
};

struct drawing {
    enum shape shape;
    float temperature;
    rt_i32 top_k;
    float top_p, min_p, penalty;
};

static const struct drawing cases[] = {
    {SPREAD, 1, 0, 1, 0, 1},         {SPREAD, 0.7f, 40, 0.9f, 0.05f, 1.3f},
    {SPREAD, 1, 1, 1, 0, 1},         {SPREAD, 5, 0, 0.5f, 0, 0.5f},
    {SPREAD, 1, WORDS, 1, 0, 1},     {SPREAD, 1, WORDS + 1, 0.3f, 0, 1},
    {SPREAD, 1, WORDS - 1, 1, 1, 1}, {SPREAD, 1, 0, 0, 0, 1},
    {SPREAD, 1e-20f, 0, 1, 0, 1},    {SPREAD, 1, 0, 1e-9f, 0, 1},
    {SPREAD, 1, 2147483647, 1, 0, 2}, {SPREAD, 1, -5, 1, 0.2f, 1},
    {TIES, 1, 0, 1, 0, 1},           {TIES, 1, 700, 1, 0, 1},
    {TIES, 0.25f, 3, 0.999f, 0, 1},  {TIES, 1, 0, 0.4f, 0, 1.1f},
    {TIES, 2, 0, 1, 0.3f, 1},        {FLAT, 1, 0, 1, 0, 1},
    {FLAT, 1, 1, 1, 0, 1},           {FLAT, 1, 0, 0.5f, 0, 1},
    {FLAT, 1, 0, 0.1f, 1, 1},        {FLAT, 1, 17, 0.25f, 0, 2},
    {PEAK, 1, 0, 1, 0, 1},           {PEAK, 1, 0, 0.99f, 0.01f, 3},
    {HOLES, 1, 0, 1, 0, 1},          {HOLES, 1, 5000, 0.9f, 0, 1.5f},
    {HUGE_ONES, 1, 0, 1, 0, 1},      {HUGE_ONES, 1, 50, 0.9f, 0.1f, 1},
    {RISING, 1, 0, 1, 0, 1},         {RISING, 1, 6000, 0.7f, 0.001f, 1.01f},
    {NANS, 1, 0, 1, 0, 1},           {NANS, 1, 3000, 0.8f, 0, 1.5f},
    {ONE_NAN, 1, 0, 1, 0, 1},        {ONE_NAN, 0.5f, 1, 0.5f, 0, 1.5f},
    {ONE_INFINITY, 1, 0, 1, 0, 1},   {ONE_INFINITY, 2, 9, 0.5f, 0, 1.5f},
    {ONE_LOW, 1, 0, 1, 0, 1},        {ONE_LOW, 0.5f, 5, 0.9f, 0.1f, 0.5f},
};
enum { CASES = sizeof cases / sizeof *cases };

struct draw {
    struct drawing options;
    uint64_t seed;
    float logits[ROWS][WORDS];
    unsigned char seen[ROWS][WORDS];
    rt_i32 pos[ROWS], row[ROWS];
};

static uint32_t word(uint64_t seed, int row, int i)
{
    uint32_t out[4];
    rt_philox((uint32_t[4]){(uint32_t)i, (uint32_t)row, 7, 0},
              (uint32_t[2]){(uint32_t)seed, (uint32_t)(seed >> 32)}, out);
    return out[0];
}

static float logit(enum shape shape, uint32_t bits, int i)
{
    float unit = (float)(bits >> 8) * 0x1p-24f;
    switch (shape) {
    case TIES: return (float)(bits % 5) - 2;
    case FLAT: return -3.25f;
    case PEAK: return i == WORDS - 2 ? 40 : unit;
    case HOLES: return bits % 3 ? -INFINITY : unit * 10;
    case HUGE_ONES: return (unit - 0.5f) * 2 * 3e38f;
    case RISING: return (float)i * 0x1p-9f;
    case NANS: return bits % 5 ? unit * 9 : NAN;
    default: return (unit - 0.5f) * 20;
    }
}

/* In the first row and the last one, not in the middle. */
static void spoil(struct draw *d, int number)
{
    enum shape shape = d->options.shape;
    float value = shape == ONE_NAN ? NAN : shape == ONE_LOW ? -INFINITY : INFINITY;
    if (shape < ONE_NAN)
        return;
    d->logits[0][number * 131 % WORDS] = value;
    d->logits[ROWS - 1][WORDS - 1] = value;
}

static void fill(struct draw *d, int number)
{
    d->options = cases[number];
    d->seed = 0x9e3779b97f4a7c15u * (uint64_t)(number + 1);
    for (int r = 0; r < ROWS; r++) {
        d->pos[r] = (number * 7 + r * 100) % 1000;
        d->row[r] = r ? r * 1000003 : -1;
        for (int i = 0; i < WORDS; i++) {
            uint32_t bits = word(d->seed, r, i);
            d->logits[r][i] = logit(cases[number].shape, bits, i);
            d->seen[r][i] = bits % 11 == 3;
        }
    }
    spoil(d, number);
}

/* --- the definition --- */

struct candidate {
    float scaled;
    int id;
};

/* NaN last, of equals the lowest id first. */
static int larger_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (isnan(x->scaled) != isnan(y->scaled))
        return isnan(x->scaled) ? 1 : -1;
    if (x->scaled != y->scaled && !isnan(x->scaled))
        return x->scaled > y->scaled ? -1 : 1;
    return x->id - y->id;
}

static double noise(const struct draw *d, int row, int id)
{
    uint32_t out[4];
    rt_philox((uint32_t[4]){(uint32_t)d->pos[row], (uint32_t)id, 0, 0},
              (uint32_t[2]){(uint32_t)d->seed,
                            (uint32_t)(d->seed >> 32) + (uint32_t)d->row[row]},
              out);
    double u = fmax((double)(out[0] >> 8) * 0x1p-24, 0x1p-25);
    return -log(-log(u));
}

static bool is_finite(const struct draw *d, int row)
{
    for (int i = 0; i < WORDS; i++)
        if (!isfinite(d->logits[row][i]))
            return false;
    return true;
}

static int defined_greedy(const struct draw *d, int row)
{
    int best = 0;
    for (int i = 1; i < WORDS; i++)
        if (d->logits[row][i] > d->logits[row][best])
            best = i;
    return is_finite(d, row) ? best : -1;
}

static int defined_token(const struct draw *d, int row)
{
    static struct candidate sorted[WORDS];
    const struct drawing *o = &d->options;
    double total = 0, before = 0, best = -INFINITY;
    int token = -1;
    for (int i = 0; i < WORDS; i++) {
        float x = d->logits[row][i];
        float penalised = !d->seen[row][i] ? x : x > 0 ? x / o->penalty : x * o->penalty;
        sorted[i] = (struct candidate){penalised / o->temperature, i};
    }
    qsort(sorted, WORDS, sizeof *sorted, larger_first);
    int most = o->top_k > 0 && o->top_k < WORDS ? o->top_k : WORDS;
    for (int i = 0; i < most; i++)
        total += exp((double)sorted[i].scaled - (double)sorted[0].scaled);
    for (int i = 0; i < most; i++) {
        double weight = exp((double)sorted[i].scaled - (double)sorted[0].scaled);
        double noisy = (double)sorted[i].scaled + noise(d, row, sorted[i].id);
        bool inside = before < total * (double)o->top_p || i == 0;
        if (inside && weight >= (double)o->min_p && noisy > best) {
            best = noisy;
            token = sorted[i].id;
        }
        before += weight;
    }
    return is_finite(d, row) ? token : -1;
}

/* --- devices --- */

static void write_input(struct rt_session *session, rt_u32 function, const char *name,
                        enum rt_dtype dtype, const void *value)
{
    const struct rt_port *port;
    assert_int_equal(rt_session_input(session, function, name, dtype, -1, &port), 0);
    assert_int_equal(rt_session_write(session, port, value), 0);
}

static void launch(struct rt_session *session, rt_u32 function, rt_i32 *tokens)
{
    const struct rt_port *port;
    assert_int_equal(rt_session_launch(session, function), 0);
    assert_int_equal(rt_session_output(session, function, "token", RT_I32, ROWS, &port), 0);
    assert_int_equal(rt_session_read(session, port, tokens), 0);
}

/* ROWS tokens of `sample`, then those of `greedy`. */
static void draw_tokens(struct rt_session *session, rt_u32 sample, rt_u32 greedy,
                        const struct draw *d, rt_i32 *tokens)
{
    const struct rt_port *port;
    rt_i32 seed[2] = {(rt_i32)(rt_u32)d->seed, (rt_i32)(rt_u32)(d->seed >> 32)};
    write_input(session, sample, "temperature", RT_F32, &d->options.temperature);
    write_input(session, sample, "top_k", RT_I32, &d->options.top_k);
    write_input(session, sample, "top_p", RT_F32, &d->options.top_p);
    write_input(session, sample, "min_p", RT_F32, &d->options.min_p);
    write_input(session, sample, "penalty", RT_F32, &d->options.penalty);
    write_input(session, sample, "seed", RT_I32, seed);
    write_input(session, sample, "row", RT_I32, d->row);
    const struct {
        const char *name;
        const void *value;
    } states[] = {{"logits", d->logits}, {"seen", d->seen}, {"pos", d->pos}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        port = rt_session_state(session, states[i].name);
        assert_non_null(port);
        assert_int_equal(rt_session_write(session, port, states[i].value), 0);
    }
    launch(session, sample, tokens);
    launch(session, greedy, tokens + ROWS);
}

/* Tokens of all cases on one device. */
static void draw_all(const char *path, const char *target, rt_i32 (*tokens)[2 * ROWS])
{
    const char *words[] = {"build",  path,     "--task",  "generate", "--max-length", "16",
                           "--init", "random", "--batch", "3",        "--target",     target};
    static struct draw draw;
    struct compiled c = compiled_open(words, sizeof words / sizeof *words, true);
    struct rt_session session = compiled_session(&c, NULL, 1);
    rt_u32 sample = compiled_function(&c, "sample", 0);
    rt_u32 greedy = compiled_function(&c, "greedy", 0);
    for (int i = 0; i < CASES; i++) {
        fill(&draw, i);
        draw_tokens(&session, sample, greedy, &draw, tokens[i]);
    }
    rt_session_close(&session);
    compiled_close(&c);
}

static void all_draw_the_same(void **state)
{
    (void)state;
    static struct draw draw;
    static rt_i32 cpu[CASES][2 * ROWS], gpu[CASES][2 * ROWS];
    char path[] = "/tmp/sinter-sampling-XXXXXX.model";
    int descriptor = mkstemps(path, 6), distinct = 0;
    assert_true(descriptor >= 0 && write(descriptor, model, sizeof model - 1) > 0);
    close(descriptor);
    draw_all(path, "cpu", cpu);
    draw_all(path, "a100", gpu);
    remove(path);
    for (int i = 0; i < CASES; i++) {
        fill(&draw, i);
        for (int r = 0; r < 2 * ROWS; r++) {
            int defined = r < ROWS ? defined_token(&draw, r) : defined_greedy(&draw, r - ROWS);
            if (cpu[i][r] != defined || gpu[i][r] != defined)
                fail_msg("case %d, row %d: %d defined, %d on the CPU, %d on the GPU", i, r,
                         defined, cpu[i][r], gpu[i][r]);
        }
        distinct += cpu[i][0] != cpu[i][1];
    }
    assert_true(distinct > CASES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_draw_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
