/*
 * Random numbers that are pure functions of their place, so that every device, the interpreter
 * and every number of threads draw the same ones: Philox4x32-10 (Salmon, Moraes, Dror, Shaw:
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and the random weights made of it.
 */
#ifndef SINTER_RT_PHILOX_H
#define SINTER_RT_PHILOX_H

#include <stdint.h>

/* Four random words of a counter and a key. */
void rt_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/*
 * Element `element` of random weight number `tensor`, as the bits of a bf16. With word w =
 * element % 4 of philox(counter = {element / 4 low, element / 4 high, tensor, 0}, key = {seed
 * low, seed high}) and u = (w >> 8) * 2^-24 the value is scale * (2u - 1): 2u - 1 is exact in
 * f32, the product is rounded to f32, and that to bf16 (to nearest, ties to even), whatever type
 * it is stored as. rt_random_scale gives the scale.
 */
uint16_t rt_random_bf16(uint64_t seed, uint32_t tensor, uint64_t element, float scale);

/* sqrt(3) * initializer range, rounded once: the half-width of the uniform distribution with
 * that standard deviation. */
float rt_random_scale(float initializer_range);

/* rt_random_bf16 of elements first .. first + count - 1. */
void rt_random_fill_bf16(uint64_t seed, uint32_t tensor, uint64_t first, uint64_t count,
                         float scale, uint16_t *out);

/* Bits of a bf16 of an f32, to nearest, ties to even; NaN stays NaN. */
uint16_t rt_bf16_of_f32(float value);

#endif
