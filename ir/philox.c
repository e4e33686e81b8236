/* See philox.h. */
#include "ir/philox.h"

enum { ROUNDS = 10 };

void philox_words(const uint32_t key[2], const uint32_t counter[4], uint32_t out_words[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t first = (uint64_t)0xd2511f53u * c0, second = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(second >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)second;
        c2 = (uint32_t)(first >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)first;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    out_words[0] = c0;
    out_words[1] = c1;
    out_words[2] = c2;
    out_words[3] = c3;
}

static uint32_t word_of(double value)
{
    return value > -0x1p62 && value < 0x1p62 ? (uint32_t)(int64_t)value : 0;
}

double philox_uniform(double a, double b, double c, double d, uint32_t site)
{
    uint32_t key[2] = {word_of(a), word_of(b)}, words[4];
    uint32_t counter[4] = {word_of(c), word_of(d), site, 0};
    philox_words(key, counter, words);
    return (words[0] >> 8) * 0x1p-24;
}
