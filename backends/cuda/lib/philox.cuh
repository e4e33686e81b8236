/* Device library of the CUDA backend: random numbers, with the bits of all other devices. */
#ifndef SINTER_CUDA_PHILOX
#define SINTER_CUDA_PHILOX
#include "core.cuh"
#include "math.cuh"

#include "../../lib/philox.h"

#endif
