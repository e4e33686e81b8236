/*
 * Philox4x32-10, the counter-based generator (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", 2011): four words from a key of two and a counter of four.
 */
#ifndef SINTER_PHILOX_H
#define SINTER_PHILOX_H

#include <stdint.h>

void philox_words(const uint32_t key[2], const uint32_t counter[4], uint32_t out_words[4]);

/* The op philox: the upper 24 bits of word 0 for key (a, b) and counter (c, d, site, 0), times
 * 2^-24. a, b, c, d are i32 values; their bits are the words. */
double philox_uniform(double a, double b, double c, double d, uint32_t site);

#endif
