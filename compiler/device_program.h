/* From a module planned for a GPU to the unit of C text that holds its program: kernels are
 * emitted, compiled by NVRTC, examined, and embedded with the tables. */
#ifndef SINTER_DEVICE_PROGRAM_H
#define SINTER_DEVICE_PROGRAM_H

#include "backends/cuda/emit.h"
#include "compiler/job.h"
#include "compiler/toolchain/nvrtc.h"
#include "ir/gpu.h"
#include "runtime/program.h"

struct device_program {
    struct cuda_emit_result emitted;
    /* Of each kernel, zeros where a library computes it; NULL if they are not compiled. */
    struct device_code *code;
    const char *const *lint; /* of each kernel: why it is not as planned; NULL if it is */
};

/*
 * Emits and compiles the kernels of a job for a GPU with up to `threads` workers; with PTX if
 * `ptx`. `path` as for nvrtc_compile. A kernel that spills gets its next best tiles instead, while
 * that helps.
 */
struct device_program device_compile(struct job *job, const char *path, unsigned threads,
                                     bool ptx);

/* The kernels alone, not compiled. Those with text are the ones that have code. */
struct device_program device_emit(struct job *job);

/* The GPU as programs name it; without its rates. */
struct rt_target device_target(const struct gpu *gpu);

/* The program's unit: types, images, tables. It includes nothing. Of kernels that are not compiled
 * the images are a table program_images<number> of another unit: all cubins, then all PTX. */
struct str device_unit(struct job *job, const struct device_program *program,
                       const struct program_facts *facts);

#endif
