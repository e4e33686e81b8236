/*
 * Kernels for a GPU on the GPU of this machine, where there is one that runs them: one kernel at
 * a time, over memory that the caller lays out, through the runtime's device.
 */
#ifndef SINTER_CHECK_DEVICE_H
#define SINTER_CHECK_DEVICE_H

#include "compiler/device_program.h"
#include "runtime/device.h"

struct check_device {
    struct arena *arena;
    const char *name;  /* of the GPU */
    bool ptx;          /* the driver translates PTX: the kernels must be compiled with it */
    unsigned seconds;  /* that a kernel may take, copies included */
    const struct device_program *program; /* set by the caller before kernels run */
    struct rt_target target;
    struct rt_device *keeper; /* keeps the driver's context from kernel to kernel */
};

/* Memory of a kernel, as the host sees it. */
struct check_block {
    char *bytes;
    size_t size;
    bool written; /* comes back from the GPU */
};

/*
 * The GPU that runs what NVRTC (see nvrtc_find) compiles for the job's target. NULL with the reason
 * where there is no driver, no GPU, no NVRTC, or no code for the GPU comes of the target; if
 * `needed`, that is fatal.
 */
struct check_device *check_device_find(struct job *job, bool needed, const char **out_reason);
void check_device_close(struct check_device *device);

/*
 * Copies the blocks to the GPU, runs a kernel of the program on them, and copies back those that
 * are written. Operands are addresses inside of blocks, in the order of the kernel's parameters.
 * Returns NULL, or what went wrong, in the device's arena; the next kernel begins anew. A kernel
 * that does not end cannot be left: then a line says so, and the process ends.
 */
const char *check_device_run(struct check_device *device, int kernel,
                             const struct check_block *blocks, size_t block_count,
                             void *const *operands, size_t operand_count);

#endif
