/* What every check of one kernel does, wherever it runs: random inputs, results compared with the
 * interpreter element by element. */
#ifndef SINTER_CHECK_KERNEL_H
#define SINTER_CHECK_KERNEL_H

#include "compiler/check.h"
#include "compiler/check_memory.h"

struct kernel_check {
    struct module *module;
    const struct function *function;
    const struct kernel *kernel;
    struct random *random;
    int64_t samples; /* elements of each result */
    bool partial;    /* not all of the kernel runs: only what it has written is compared */
    /* Where a value is stored, as its type says (strides too). */
    char *(*memory)(void *context, const struct value *value);
    void *context;
    struct kernel_state *state; /* between begin and end */
};

/* Spoils the results and fills the inputs. */
void kernel_check_begin(struct kernel_check *check);

/* After the kernel has run; as often as it runs on the same inputs. */
struct check_result kernel_check_compare(struct kernel_check *check);

/* Frees what begin has made. */
void kernel_check_end(struct kernel_check *check);

/* The largest error that rounding explains, in units of check_result.worst: the coarsest element
 * type among what the kernel reads and makes sets it. */
double kernel_check_limit(const struct function *function, const struct kernel *kernel);

/* Calls visit for each value that the kernel reads from (writes to) memory; an input that several
 * nodes read comes several times. */
void kernel_each_input(const struct function *function, const struct kernel *kernel,
                       void (*visit)(void *context, const struct value *value), void *context);
void kernel_each_result(const struct function *function, const struct kernel *kernel,
                        void (*visit)(void *context, const struct value *value), void *context);

#endif
