/*
 * Device library of the CUDA backend: the intrinsics of ir/intrinsics.def, at most 2 ulp. Their
 * text is that of all backends (backends/lib/math.h), so that what the tests of the host find is
 * what the device computes.
 */
#ifndef SINTER_CUDA_MATH
#define SINTER_CUDA_MATH
#include "core.cuh"

#include "../../lib/math.h"

#endif
