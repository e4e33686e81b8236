/*
 * Device library of the C backend: a stable sort of indices by 32-bit keys, least significant
 * digit first, 11 bits at a time (Knuth, "The Art of Computer Programming" vol. 3, 5.2.5).
 */
#include "base.h"

#include "../../lib/keys.h"

/* Sorts 0..count-1 by keys[]; the order comes in `order`, `other` is work space. */
LIBRARY_CODE void sort_order(const rt_u32 *keys, rt_u32 *order, rt_u32 *other, rt_i64 count)
{
    enum { BITS = 11, DIGITS = 1 << BITS };
    for (rt_i64 i = 0; i < count; i++)
        other[i] = (rt_u32)i;
    for (int shift = 0; shift < 33; shift += BITS) {
        rt_u32 *from = shift == BITS ? order : other, *to = shift == BITS ? other : order;
        rt_u32 starts[DIGITS + 1];
        for (int d = 0; d <= DIGITS; d++)
            starts[d] = 0;
        for (rt_i64 i = 0; i < count; i++)
            starts[(keys[i] >> shift & (DIGITS - 1)) + 1]++;
        for (int d = 1; d < DIGITS; d++)
            starts[d] += starts[d - 1];
        for (rt_i64 i = 0; i < count; i++)
            to[starts[keys[from[i]] >> shift & (DIGITS - 1)]++] = from[i];
    }
}
