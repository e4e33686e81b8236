/* What the kernels of a program must compute, as a list that executables read on other machines
 * (runtime/bench_verify.h describes it). */
#ifndef SINTER_CHECK_FIXTURES_H
#define SINTER_CHECK_FIXTURES_H

#include "ir/base/str.h"
#include "ir/ir.h"

struct fixture_options {
    const char *target; /* as the program calls it */
    int64_t samples;    /* elements of each result */
    uint64_t seed;      /* of the random weights, and of what the kernels read */
};

/*
 * The list of every step of a planned module, each by itself; what it must compute comes from the
 * interpreter, element by element. Nothing of the size of a tensor is held in memory: contents are
 * functions of their place, weights those that the runtime draws.
 */
struct str check_fixtures(struct module *module, const struct fixture_options *options);

#endif
