/*
 * Conversions between the element types that weights and training states are stored in. All are
 * exact towards f32; back they round to nearest, ties to even.
 */
#ifndef SINTER_CONVERT_H
#define SINTER_CONVERT_H

#include "runtime/program.h"

#include <stdbool.h>

/* Converts `count` elements; `from` may be unaligned. False if there is no such conversion: only
 * f32, bf16 and f16 convert to each other, every type to itself. */
bool rt_convert(void *to, rt_u32 to_dtype, const void *from, rt_u32 from_dtype, rt_u64 count);

/* One element of any type as a double, and back: fractions round to nearest, ties to even. */
double rt_read_number(rt_u32 dtype, const void *at);
void rt_write_number(rt_u32 dtype, void *at, double number);

float rt_f32_of_f16(unsigned bits);
unsigned rt_f16_of_f32(float value);

#endif
