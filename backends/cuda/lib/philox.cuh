/* Device library of the CUDA backend: random numbers, with the bits of all other devices. */
#include "core.cuh"
#include "math.cuh"

#include "../../lib/philox.h"
