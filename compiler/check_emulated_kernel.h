/* Between the list of kernels (check_emulated_all.c) and the check of one (check_emulated.c). */
#ifndef SINTER_CHECK_EMULATED_KERNEL_H
#define SINTER_CHECK_EMULATED_KERNEL_H

#include "compiler/check_emulated.h"
#include "compiler/check_memory.h"

struct emulated_session {
    struct module *module;
    const struct target *target;
    const struct cuda_emit_result *emitted;
    const struct emulated_check *options;
    struct emulation *emulation;
    struct emulation_unit *units[2]; /* without and with shadow */
    struct random random;            /* of the kernel that is checked */
    struct emulated_task *tasks;
};

/* Kernel k of function f. */
struct emulated_result emulated_check_kernel(struct emulated_session *session, size_t f, size_t k);

/* Of a kernel that did not run to its end. */
struct check_result emulated_not_compared(const struct function *function,
                                          const struct kernel *kernel);

#endif
