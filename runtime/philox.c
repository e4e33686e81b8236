/* See philox.h. A fill computes LANES independent blocks at a time, in loops over lanes that
 * compilers turn into vectors. */
#include "runtime/philox.h"

#include <math.h>
#include <string.h>

/* Multipliers, and the Weyl constants that advance the key, from the paper. */
#define MULTIPLIER_0 UINT32_C(0xD2511F53)
#define MULTIPLIER_1 UINT32_C(0xCD9E8D57)
#define WEYL_0 UINT32_C(0x9E3779B9)
#define WEYL_1 UINT32_C(0xBB67AE85)

enum { ROUNDS = 10, LANES = 16 };

void rt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];
    uint32_t key_0 = key[0], key_1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product_0 = (uint64_t)MULTIPLIER_0 * a, product_1 = (uint64_t)MULTIPLIER_1 * c;
        a = (uint32_t)(product_1 >> 32) ^ b ^ key_0;
        c = (uint32_t)(product_0 >> 32) ^ d ^ key_1;
        b = (uint32_t)product_1;
        d = (uint32_t)product_0;
        key_0 += WEYL_0;
        key_1 += WEYL_1;
    }
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
}

uint16_t rt_bf16_of_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* scale * (2u - 1), see philox.h. */
static uint16_t weight_of_word(uint32_t word, float scale)
{
    float unit = (float)((int32_t)(word >> 8) - (1 << 23)) * 0x1p-23f;
    return rt_bf16_of_f32(scale * unit);
}

float rt_random_scale(float initializer_range)
{
    return (float)(sqrt(3.0) * (double)initializer_range);
}

uint16_t rt_random_bf16(uint64_t seed, uint32_t tensor, uint64_t element, float scale)
{
    uint64_t block = element / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), tensor, 0};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, words[4];
    rt_philox(counter, key, words);
    return weight_of_word(words[element % 4], scale);
}

/* One round of all lanes: a, b, c, d are the four words of the counters. */
static void round_of_lanes(uint32_t words[4][LANES], uint32_t key_0, uint32_t key_1)
{
    for (int lane = 0; lane < LANES; lane++) {
        uint64_t product_0 = (uint64_t)MULTIPLIER_0 * words[0][lane];
        uint64_t product_1 = (uint64_t)MULTIPLIER_1 * words[2][lane];
        words[0][lane] = (uint32_t)(product_1 >> 32) ^ words[1][lane] ^ key_0;
        words[2][lane] = (uint32_t)(product_0 >> 32) ^ words[3][lane] ^ key_1;
        words[1][lane] = (uint32_t)product_1;
        words[3][lane] = (uint32_t)product_0;
    }
}

/* The 4 * LANES elements of blocks block .. block + LANES - 1. */
static void fill_lanes(uint64_t seed, uint32_t tensor, uint64_t block, float scale, uint16_t *out)
{
    uint32_t words[4][LANES];
    uint32_t key_0 = (uint32_t)seed, key_1 = (uint32_t)(seed >> 32);
    for (int lane = 0; lane < LANES; lane++) {
        words[0][lane] = (uint32_t)(block + (uint64_t)lane);
        words[1][lane] = (uint32_t)((block + (uint64_t)lane) >> 32);
        words[2][lane] = tensor;
        words[3][lane] = 0;
    }
    for (int round = 0; round < ROUNDS; round++, key_0 += WEYL_0, key_1 += WEYL_1)
        round_of_lanes(words, key_0, key_1);
    for (int lane = 0; lane < LANES; lane++)
        for (int word = 0; word < 4; word++)
            out[4 * lane + word] = weight_of_word(words[word][lane], scale);
}

void rt_random_fill_bf16(uint64_t seed, uint32_t tensor, uint64_t first, uint64_t count,
                         float scale, uint16_t *out)
{
    uint64_t done = 0;
    while (done < count && (first + done) % 4 != 0) {
        out[done] = rt_random_bf16(seed, tensor, first + done, scale);
        done++;
    }
    for (; count - done >= 4 * LANES; done += 4 * LANES)
        fill_lanes(seed, tensor, (first + done) / 4, scale, out + done);
    for (; done < count; done++)
        out[done] = rt_random_bf16(seed, tensor, first + done, scale);
}
