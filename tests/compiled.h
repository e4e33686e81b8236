/*
 * A model compiled within the test: its kernels loaded without the runtime, and sessions of the
 * test's own runtime over them, for tests that look at numbers inside a program.
 */
#ifndef SINTER_TESTS_COMPILED_H
#define SINTER_TESTS_COMPILED_H

#include "compiler/emulation/device_emulated.h"
#include "compiler/job.h"
#include "runtime/session.h"

struct compiled {
    struct arena *arena;
    struct job job;
    struct object *objects;
    size_t object_count;
    void *library;
    const struct rt_program *program;
    struct emulated_program *emulated; /* for a GPU: its kernels, for the emulation; else NULL */
};

/*
 * Compiles by the words of a command line ("build", MODEL, ...), in one thread. Without
 * `samplers` the functions greedy and sample are left out: they are the same in every model and
 * take a large part of the time. With --target of a GPU its kernels are compiled for the emulation,
 * and sessions are of the emulated device; there are no objects then. Ends the program if anything
 * fails.
 */
struct compiled compiled_open(const char *const *words, int count, bool samplers);
void compiled_close(struct compiled *compiled);

/* A session over the program with the weights of `directory` (NULL: those it was built with). */
struct rt_session compiled_session(const struct compiled *compiled, const char *directory,
                                   int threads);

/* The function of a role with a chunk; of any chunk if that is 0. */
rt_u32 compiled_function(const struct compiled *compiled, const char *role, rt_i64 chunk);

/*
 * Launches a function of a role of generation: row b gets counts[b] tokens of tokens[b * chunk].
 */
void compiled_feed(struct rt_session *session, rt_u32 function, const rt_i32 *tokens,
                   const rt_i32 *counts);

#endif
