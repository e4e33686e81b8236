/*
 * Emitted kernels against the reference interpreter, each alone, on random inputs. Elements are
 * sampled, and the interpreter computes only what they need, so that checks of models of real
 * size end in seconds.
 */
#ifndef SINTER_CHECK_H
#define SINTER_CHECK_H

#include "compiler/toolchain/toolchain.h"
#include "ir/ir.h"

struct check_result {
    const char *function, *kernel; /* the first use of the kernel */
    const char *skeleton;
    int64_t compared; /* elements */
    double worst;     /* error, in units of the expected value or, where that is smaller, of the
                         root mean square of all of them */
    double limit;     /* of worst, from the element types */
};

/*
 * Runs every distinct kernel of a planned module, whose compiled code is in `objects`, once.
 * `samples`: elements of each result that are compared. Returns the results in order.
 */
struct check_result *check_kernels(struct module *module, const struct object *objects,
                                   size_t object_count, int64_t samples, uint64_t seed,
                                   size_t *out_count);

#endif
