/* Device library of the C backend: the intrinsics, which all backends share. */
#include "base.h"

#include "../../lib/math.h"
#include "../../lib/philox.h"
