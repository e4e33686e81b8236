/*
 * Device library of the CUDA backend: the intrinsics of ir/intrinsics.def, at most 2 ulp. Their
 * text is that of all backends (backends/lib/math.h), so that what the tests of the host find is
 * what the device computes; NVRTC knows the compilers' builtins by their names in C.
 */
#include "core.cuh"

#define LIBRARY DEVICE

#ifdef __CUDACC_RTC__
#define __builtin_inff() f32_of_bits(0x7f800000u)
#define __builtin_nanf(text) f32_of_bits(0x7fc00000u)
#define __builtin_nan(text) ((double)f32_of_bits(0x7fc00000u))
#define __builtin_fabsf fabsf
#define __builtin_sqrtf sqrtf
#define __builtin_floorf floorf
#define __builtin_rintf rintf
#define __builtin_copysignf copysignf
#define __builtin_fabs fabs
#define __builtin_sqrt sqrt
#define __builtin_floor floor
#define __builtin_rint rint
#define __builtin_exp exp
#define __builtin_log log
#define __builtin_sin sin
#define __builtin_cos cos
#define __builtin_tanh tanh
#define __builtin_erf erf
#define __builtin_pow pow
#endif

#include "../../lib/math.h"
