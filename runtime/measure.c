/*
 * Measuring loops: see measure.h. They use vector extensions under target attributes, one copy
 * for each instruction set, and are chosen at run time.
 */
#include "runtime/measure.h"

#include "runtime/cpu_features.h"
#include "runtime/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    ROUNDS = 50000,             /* of a peak tile: about 0.1 ms */
    PEAK_TILES_PER_THREAD = 8,  /* a burst of about 1 ms: mostly not interrupted */
    BURSTS = 8,                 /* a sample is the best of them */
    CHAINS = 12,                /* covers 2 units with a latency of 4 to 5 */
    PIECE = 1 << 20,
    READ_SAMPLE = 256 << 20,    /* bytes of one sample of the bandwidth, at most */
    READ_LEAST = 32 << 20,      /* small weights are read several times */
};

/* Keeps results alive; every thread writes it, nobody reads it. */
static volatile float sink;

#define CHAINS_OF(step)                             \
    step(0) step(1) step(2) step(3) step(4) step(5) \
    step(6) step(7) step(8) step(9) step(10) step(11)

/* A tile of fused multiply-adds in vectors of `lanes` floats. */
#define PEAK_KERNEL(name, lanes, attributes)                                              \
    attributes static void name(void *const *operands, rt_i64 begin, rt_i64 end)          \
    {                                                                                     \
        typedef float vector __attribute__((vector_size((lanes) * 4)));                   \
        const float *numbers = operands[0];                                               \
        vector factor = numbers[0] - (vector){0}, term = numbers[1] - (vector){0};        \
        vector sums[CHAINS];                                                              \
        for (int i = 0; i < CHAINS; i++)                                                  \
            sums[i] = numbers[2 + i] - (vector){0};                                       \
        for (rt_i64 i = 0; i < (end - begin) * ROUNDS; i++) {                             \
            CHAINS_OF(PEAK_STEP)                                                          \
        }                                                                                 \
        for (int i = 1; i < CHAINS; i++)                                                  \
            sums[0] += sums[i];                                                           \
        sink = sums[0][0];                                                                \
    }
#define PEAK_STEP(i) sums[i] = sums[i] * factor + term;

/* Reads pieces of memory in vectors of `lanes` 64-bit words. */
#define READ_KERNEL(name, lanes, attributes)                                              \
    attributes static void name(void *const *operands, rt_i64 begin, rt_i64 end)          \
    {                                                                                     \
        typedef rt_u64 vector __attribute__((vector_size((lanes) * 8), aligned(1)));      \
        const struct rt_piece *pieces = operands[0];                                      \
        vector a = {0}, b = {0}, c = {0}, d = {0};                                        \
        for (rt_i64 p = begin; p < end; p++) {                                            \
            const vector *at = (const vector *)pieces[p].at;                              \
            rt_u64 groups = pieces[p].bytes / (4 * sizeof a);                             \
            for (rt_u64 i = 0; i < groups; i++, at += 4) {                                \
                a ^= at[0];                                                               \
                b ^= at[1];                                                               \
                c ^= at[2];                                                               \
                d ^= at[3];                                                               \
            }                                                                             \
        }                                                                                 \
        a ^= b ^ c ^ d;                                                                   \
        sink = (float)a[0];                                                               \
    }

PEAK_KERNEL(peak_portable, 4, )
READ_KERNEL(read_portable, 2, )

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
#define AVX512_BF16 __attribute__((target("avx512f,avx512bf16")))

PEAK_KERNEL(peak_avx2, 8, AVX2)
READ_KERNEL(read_avx2, 4, AVX2)
PEAK_KERNEL(peak_avx512, 16, AVX512)
READ_KERNEL(read_avx512, 8, AVX512)

#define BF16_STEP(i) sums[i] = _mm512_dpbf16_ps(sums[i], factor, factor);

AVX512_BF16 static void peak_avx512_bf16(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const float *numbers = operands[0];
    __m512 wide = _mm512_set1_ps(numbers[0]), sums[CHAINS];
    __m512bh factor = _mm512_cvtne2ps_pbh(wide, wide);
    for (int i = 0; i < CHAINS; i++)
        sums[i] = _mm512_set1_ps(numbers[2 + i]);
    for (rt_i64 i = 0; i < (end - begin) * ROUNDS; i++) {
        CHAINS_OF(BF16_STEP)
    }
    for (int i = 1; i < CHAINS; i++)
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    sink = sums[0][0];
}
#endif

/* Whether the program may use a feature; an empty list means that nothing is known. */
static bool allowed(const struct rt_program *program, const char *feature)
{
    for (const char *const *f = program->cpu_features; f && *f; f++)
        if (strcmp(*f, feature) == 0)
            return rt_cpu_has(feature);
    return false;
}

static rt_kernel *choose_peak(const struct rt_program *program, double *flops)
{
#if defined(__x86_64__)
    if (strcmp(program->dtype, "bf16") == 0 && allowed(program, "avx512bf16")) {
        *flops = 64; /* 32 products and 32 sums */
        return peak_avx512_bf16;
    }
    if (allowed(program, "avx512f")) {
        *flops = 32;
        return peak_avx512;
    }
    if (allowed(program, "avx2") && allowed(program, "fma")) {
        *flops = 16;
        return peak_avx2;
    }
#endif
    (void)allowed;
    (void)program;
    *flops = 8;
    return peak_portable;
}

static rt_kernel *choose_read(const struct rt_program *program)
{
#if defined(__x86_64__)
    if (allowed(program, "avx512f"))
        return read_avx512;
    if (allowed(program, "avx2"))
        return read_avx2;
#endif
    (void)program;
    return read_portable;
}

static int threads_of(struct rt_session *session)
{
    struct rt_device_facts facts;
    session->device->table->describe(session->device, &facts);
    return facts.threads > 0 ? facts.threads : 1;
}

double rt_measure_peak(struct rt_session *session)
{
    float numbers[2 + CHAINS] = {0.999f, 0.001f}; /* tends to 1: no denormals */
    void *operands[] = {numbers};
    double flops;
    rt_kernel *kernel = choose_peak(session->program, &flops);
    rt_i64 tiles = (rt_i64)threads_of(session) * PEAK_TILES_PER_THREAD;
    for (int i = 0; i < CHAINS; i++) /* all different, or the compiler makes them one chain */
        numbers[2 + i] = 1 + (float)i;
    double best = 0;
    for (int burst = 0; burst < BURSTS; burst++) {
        rt_u64 start = rt_now();
        session->device->table->run(session->device, kernel, operands, tiles);
        double seconds = (double)(rt_now() - start) * 1e-9;
        double rate = (double)tiles * ROUNDS * CHAINS * flops / seconds;
        best = seconds > 0 && rate > best ? rate : best;
    }
    return best;
}

rt_status rt_reader_open(struct rt_reader *reader, const struct rt_session *session)
{
    const struct rt_program *program = session->program;
    size_t count = 0;
    *reader = (struct rt_reader){0};
    for (rt_u32 i = 0; i < program->weight_count; i++)
        count += (size_t)((program->weights[i].bytes + PIECE - 1) / PIECE);
    reader->pieces = calloc(count + 1, sizeof *reader->pieces);
    if (!reader->pieces)
        return rt_fail(OUT_OF_MEMORY, count * sizeof *reader->pieces);
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        const unsigned char *at = session->weights.data[i];
        for (rt_u64 left = program->weights[i].bytes; left > 0;) {
            rt_u64 bytes = left < PIECE ? left : PIECE;
            reader->pieces[reader->count++] = (struct rt_piece){at, bytes};
            at += bytes;
            left -= bytes;
        }
    }
    return 0;
}

void rt_reader_close(struct rt_reader *reader)
{
    free(reader->pieces);
    *reader = (struct rt_reader){0};
}

/* The pieces from `next` on that one launch reads: up to the end, at most `most` bytes. */
static rt_i64 span(const struct rt_reader *reader, rt_u64 most, rt_u64 *bytes)
{
    rt_i64 count = 0;
    for (*bytes = 0; reader->next + count < reader->count && *bytes < most; count++)
        *bytes += reader->pieces[reader->next + count].bytes;
    return count;
}

double rt_measure_bandwidth(struct rt_session *session, struct rt_reader *reader)
{
    rt_kernel *kernel = choose_read(session->program);
    rt_u64 total = 0, start = rt_now();
    while (reader->count > 0 && total < READ_LEAST) {
        rt_u64 bytes;
        rt_i64 count = span(reader, READ_SAMPLE, &bytes);
        void *operands[] = {reader->pieces + reader->next};
        session->device->table->run(session->device, kernel, operands, count);
        reader->next = reader->next + count < reader->count ? reader->next + count : 0;
        total += bytes;
    }
    double seconds = (double)(rt_now() - start) * 1e-9;
    return total > 0 && seconds > 0 ? (double)total / seconds : 0;
}

/* "Anonymous: N kB" of the kernel's summary of all mappings. */
rt_u64 rt_measure_anonymous(void)
{
    unsigned long long kilobytes = 0;
    char line[256];
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "Anonymous:", 10) == 0)
            kilobytes = strtoull(line + 10, NULL, 10);
    fclose(file);
    return kilobytes * 1024;
}
