/*
 * A Feistel network over the smallest power of four that holds the count, its round function
 * Philox; places outside the count are walked on until one is inside (Black and Rogaway:
 * "Ciphers with arbitrary finite domains", CT-RSA 2002).
 */
#include "runtime/shuffle.h"

#include "runtime/philox.h"

enum { ROUNDS = 6 };

static rt_u64 permute(rt_u64 seed, rt_i64 epoch, rt_u64 value, unsigned half)
{
    const rt_u64 mask = (1ull << half) - 1;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    rt_u64 left = value >> half, right = value & mask;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t counter[4] = {(uint32_t)right, round, (uint32_t)epoch,
                                     (uint32_t)((rt_u64)epoch >> 32)};
        uint32_t random[4];
        rt_philox(counter, key, random);
        rt_u64 mixed = left ^ (random[0] & mask);
        left = right;
        right = mixed;
    }
    return left << half | right;
}

rt_i64 rt_shuffled(rt_u64 seed, rt_i64 epoch, rt_i64 position, rt_i64 count)
{
    unsigned half = 1;
    while (1ull << 2 * half < (rt_u64)count && half < 31)
        half++;
    rt_u64 value = (rt_u64)position;
    do
        value = permute(seed, epoch, value, half);
    while (value >= (rt_u64)count);
    return (rt_i64)value;
}
