/*
 * Attention: lines of shared memory, and one step of online softmax on what the tensor cores
 * give (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao,
 * "FlashAttention-2", 2023). A warp's tile of mma results is tile[parts][mt][wide][4]: `parts`
 * strips of `wide` 8-column results side by side, each of mt 16-row blocks; a lane has two rows
 * of each block, so what belongs to a row is an array of 2 * mt.
 */
#ifndef SINTER_CUDA_ATTENTION
#define SINTER_CUDA_ATTENTION
#include "copy.cuh"
#include "memory.cuh"
#include "publish.cuh"

/*
 * Lines are rows of matrices in shared memory, `pitch` bytes apart. Their 16-byte chunks are
 * placed so that the same chunk of 8 lines in a row falls on different banks: chunk ^ the line's
 * swizzle, which is 0 where the pitch is an odd number of chunks.
 */
enum { LINE_ODD, LINE_XOR4, LINE_XOR8 };

DEVICE int line_swizzle(int kind, int line)
{
    return kind == LINE_XOR8 ? line & 7 : kind == LINE_XOR4 ? line >> 1 & 3 : 0;
}

DEVICE shared_t line_chunk(shared_t lines, int pitch, int kind, int line, int chunk)
{
    return lines + (shared_t)(line * pitch + (chunk ^ line_swizzle(kind, line)) * 16);
}

/*
 * All threads of a block together start the copies of `count` rows, `stride` bytes apart and of
 * `bytes` bytes, into `lines` lines of `chunks` chunks; what has no source is filled with zeros,
 * and its address is not used. Where the threads make up whole lines, a thread stays in its
 * column of chunks. The loop stays a loop: unrolled, its addresses take the registers of sums.
 */
DEVICE void copy_lines(shared_t to, int pitch, int kind, const void *from, int stride, int bytes,
                       int count, int lines, int chunks, int threads)
{
    const int items = lines * chunks, whole = threads % chunks == 0;
    UNROLL_BY(2)
    for (int first = 0; first < items; first += threads) {
        const int item = whole ? thread_index() : first + thread_index();
        const int skipped = whole ? first / chunks : 0;
        const int line = item / chunks, chunk = item % chunks;
        const int rest = bytes == chunks * 16 ? 16 : bytes - chunk * 16;
        const int valid = line >= count - skipped || rest <= 0 ? 0 : rest < 16 ? rest : 16;
        const char *source = (const char *)from + line * stride + chunk * 16 + skipped * stride;
        if (first + threads <= items || first + thread_index() < items)
            copy_async16(line_chunk(to, pitch, kind, line + skipped, chunk), source, valid);
    }
}

/* Over the four lanes that share the rows of a tile. */
DEVICE float quad_max(float x)
{
    const float y = shuffle_xor_f32(x, 1), pair = x > y ? x : y;
    const float z = shuffle_xor_f32(pair, 2);
    return pair > z ? pair : z;
}

DEVICE float quad_sum(float x)
{
    const float pair = x + shuffle_xor_f32(x, 1);
    return pair + shuffle_xor_f32(pair, 2);
}

/* The two columns of a row of result j in strip `part`. */
DEVICE float *tile_pair(float *tile, int part, int mt, int wide, int row, int j)
{
    return tile + ((part * mt + row / 2) * wide + j) * 4 + row % 2 * 2;
}

DEVICE float tile_row_max(float *tile, int parts, int mt, int wide, int row)
{
    float largest = -m_infinity;
    UNROLL
    for (int i = 0; i < parts * wide; i++) {
        const float *pair = tile_pair(tile, i / wide, mt, wide, row, i % wide);
        largest = pair[0] > largest ? pair[0] : largest;
        largest = pair[1] > largest ? pair[1] : largest;
    }
    return quad_max(largest);
}

/*
 * Scores, of which masked ones are -infinity, become weights 2^(score * scale - top), scale > 0:
 * `top` is the largest score * scale of the row so far, and `sum` this lane's part of the sum of
 * its weights. What was summed with the old top is to be multiplied by `factor`. A block without
 * a visible key changes nothing.
 */
DEVICE void softmax_tile(float *scores, int parts, int mt, int wide, float scale, float *top,
                         float *sum, float *factor)
{
    UNROLL
    for (int row = 0; row < 2 * mt; row++) {
        const float largest = tile_row_max(scores, parts, mt, wide, row) * scale;
        const float now = largest > top[row] ? largest : top[row];
        const float base = now == -m_infinity ? 0.0f : now;
        float total = 0;
        UNROLL
        for (int i = 0; i < parts * wide; i++) {
            float *pair = tile_pair(scores, i / wide, mt, wide, row, i % wide);
            pair[0] = exp2_fast(pair[0] * scale - base);
            pair[1] = exp2_fast(pair[1] * scale - base);
            total += pair[0] + pair[1];
        }
        factor[row] = exp2_fast(top[row] - base);
        sum[row] = sum[row] * factor[row] + total;
        top[row] = now;
    }
}

DEVICE void scale_tile(float *tile, int parts, int mt, int wide, const float *factor)
{
    UNROLL
    for (int i = 0; i < parts * mt * wide * 4; i++)
        tile[i] *= factor[i / (wide * 4) % mt * 2 + i / 2 % 2];
}

/* The weights of 16 keys, results 2 * step and 2 * step + 1 of a row, as the left operand
 * to[mt][4] of the product with their values: the layouts are the same. */
#define PACK_WEIGHTS(name)                                                                         \
    DEVICE void pack_weights_##name(rt_u32 *to, float *scores, int step, int mt, int wide)         \
    {                                                                                              \
        UNROLL                                                                                     \
        for (int i = 0; i < 4 * mt; i++) {                                                         \
            const int j = 2 * step + i / 2 % 2, row = i / 4 * 2 + i % 2;                           \
            const float *pair = tile_pair(scores, j / wide, mt, wide, row, j % wide);              \
            to[i] = pack_##name##x2(pair[0], pair[1]);                                             \
        }                                                                                          \
    }
PACK_WEIGHTS(bf16)
PACK_WEIGHTS(f16)
#undef PACK_WEIGHTS

/* --- partial results: four columns of a row, its maximum and the sum of its weights --- */

struct softmax_part {
    float top, sum;
    struct f32x4 columns;
};

DEVICE struct softmax_part softmax_nothing(void)
{
    struct softmax_part part = {-m_infinity, 0, {{0, 0, 0, 0}}};
    return part;
}

DEVICE struct softmax_part softmax_join(struct softmax_part a, struct softmax_part b)
{
    struct softmax_part both;
    both.top = a.top > b.top ? a.top : b.top;
    const float base = both.top == -m_infinity ? 0.0f : both.top;
    const float x = exp2_fast(a.top - base), y = exp2_fast(b.top - base);
    both.sum = a.sum * x + b.sum * y;
    UNROLL
    for (int i = 0; i < 4; i++)
        both.columns.at[i] = a.columns.at[i] * x + b.columns.at[i] * y;
    return both;
}

DEVICE struct softmax_part softmax_shared(shared_t mark, shared_t columns)
{
    const struct f32x2 two = shared_load_f32x2(mark);
    const struct softmax_part part = {two.at[0], two.at[1], shared_load_f32x4(columns)};
    return part;
}

DEVICE void softmax_publish(g_f32 *columns, g_f32 *mark, int first, struct softmax_part part)
{
    const struct f32x4 two = {{part.top, part.sum, 0, 0}};
    publish_f32x4(columns, part.columns);
    if (first)
        publish_f32x4(mark, two);
}

DEVICE struct softmax_part softmax_collect(const g_f32 *columns, const g_f32 *mark)
{
    const struct f32x4 two = collect_f32x4(mark);
    const struct softmax_part part = {two.at[0], two.at[1], collect_f32x4(columns)};
    return part;
}

/* A sum's reciprocal; 0 where no key was visible. */
DEVICE float softmax_share(float sum)
{
    return sum == 0 ? 0.0f : 1.0f / sum;
}

/* The position whose key stands in a slot of a ring when `newest` is the last position stored:
 * the largest one up to it that is congruent to the slot; negative if there is none. */
DEVICE int slot_position(int slot, int newest, int slots)
{
    const int turn = newest - newest % slots;
    return turn + slot - (slot > newest - turn ? slots : 0);
}
#endif
