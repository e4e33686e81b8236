/*
 * Device library of the C backend: one step of online softmax (Milakov and Gimelshein, "Online
 * normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022).
 */
#include "math.h"

/* Maximum and sum of a block of scores, in LANES chains and a fixed tree. `count` is a multiple
 * of LANES. */
LIBRARY float block_maximum(const float *x, rt_i64 count)
{
    float lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = x[l];
    for (rt_i64 i = LANES; i < count; i += LANES)
        for (int l = 0; l < LANES; l++)
            lanes[l] = m_max_f32(lanes[l], x[i + l]);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] = m_max_f32(lanes[l], lanes[l + half]);
    return lanes[0];
}

LIBRARY float block_sum(const float *x, rt_i64 count)
{
    float lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = x[l];
    for (rt_i64 i = LANES; i < count; i += LANES)
        for (int l = 0; l < LANES; l++)
            lanes[l] += x[i + l];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

/*
 * Scores (masked ones are -infinity) become weights relative to the new maximum; what was
 * summed before is scaled to it. A block without a visible key changes nothing.
 */
LIBRARY_CODE void softmax_block(float *scores, rt_i64 count, float *top, float *sum, float *out,
                                rt_i64 width)
{
    float now = m_max_f32(*top, block_maximum(scores, count));
    float base = now == -m_infinity ? 0.0f : now;
    float scale = m_exp_f32(*top - base);
    for (rt_i64 j = 0; j < count; j++)
        scores[j] = m_exp_f32(scores[j] - base);
    *sum = *sum * scale + block_sum(scores, count);
    *top = now;
    if (scale != 1.0f)
        for (rt_i64 c = 0; c < width; c++)
            out[c] *= scale;
}

LIBRARY void round_block(rt_u16 *to, const float *from, rt_i64 count)
{
    for (rt_i64 j = 0; j < count; j++)
        to[j] = to_bf16(from[j]);
}

/* The position whose key stands in a slot of a ring when `newest` is the last position stored:
 * the largest one up to it that is congruent to the slot; negative if there is none. */
LIBRARY rt_i64 slot_position(rt_i64 slot, rt_i64 newest, rt_i64 slots)
{
    rt_i64 rest = (newest - slot) % slots;
    return newest - (rest < 0 ? rest + slots : rest);
}
