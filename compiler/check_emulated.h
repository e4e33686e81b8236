/*
 * Kernels of the CUDA backend, run under the emulation, against the reference interpreter: each
 * distinct kernel of a planned module alone, on random inputs, its operands in memory of their own
 * with room between them. Then on a GPU, over the same memory, where there is one.
 */
#ifndef SINTER_CHECK_EMULATED_H
#define SINTER_CHECK_EMULATED_H

#include "backends/cuda/emit.h"
#include "compiler/check.h"
#include "compiler/check_device.h"
#include "compiler/emulation/emulation.h"

struct emulated_mode {
    bool reverse, latest, shadow;
};

struct emulated_check {
    const struct emulated_mode *modes; /* the first one's numbers are compared */
    size_t mode_count;
    bool refuse_conflicts;
    int64_t samples; /* elements of each result */
    uint64_t seed;
    /* A kernel of more floating-point operations (bytes) than this runs in part: some of its
     * blocks, and what they write is compared. Kernels whose blocks meet run whole. 0: no limit. */
    double most_work;
    /* Runs each kernel that the emulation finds nothing wrong with, too, and all its blocks; NULL:
     * nowhere else. Its program is what `emitted` belongs to. */
    struct check_device *device;
    unsigned workers; /* processes that share the kernels (workers.h); without a device only */
};

/* What a kernel did on the GPU. */
struct device_result {
    struct check_result check; /* worst is NaN where the kernel did not run to its end */
    const char *error;         /* why it did not, or what it did beside; NULL: nothing wrong */
};

struct emulated_result {
    struct check_result check; /* worst is NaN where the kernel did not run to its end */
    int runs, errors;          /* an error, or other bytes than those of the first mode */
    int blocks;                /* that ran; of a kernel in part fewer than it has */
    const char *error;         /* of the first run that failed; NULL if none did */
    struct emulation_report report; /* of the last run with shadow memory: its counts */
    struct device_result device;    /* where there is one */
};

/*
 * `emitted` is what backend_cuda_emit printed for `module`; `target` the one it is planned for.
 * Returns one result for each distinct kernel, in order. Fatal where Clang refuses the text.
 */
struct emulated_result *check_emulated(struct module *module, const struct target *target,
                                       const struct cuda_emit_result *emitted,
                                       const struct emulated_check *check, size_t *out_count);

#endif
