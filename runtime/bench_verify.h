/*
 * Lists of kernels with what they must compute, made by `sinter check --fixtures` on one machine
 * and read by `bench --verify` on another. A list is text, a record a line:
 *
 *     program TARGET SEED             what follows is of the program for TARGET, whose weights
 *                                     were drawn at random with SEED
 *     kernel FUNCTION STEP NAME       this step by itself, after
 *     spoil OFFSET BYTES              0xff over its results, and
 *     fill OFFSET DTYPE BOUND FIRST RANK { DIM STRIDE }
 *                                     numbers for a tensor that it reads, see rt_verify_number
 *     expect OFFSET DTYPE VALUE TOLERANCE
 *                                     must give this element; the first one runs the step
 *     end COUNT                       of the program's list, which had COUNT kernels
 *
 * Offsets are bytes of the arena; FIRST and strides count elements, from OFFSET; DTYPE counts as
 * rt_dtype; VALUE and TOLERANCE are as printf's %a. Several lists may follow each other.
 */
#ifndef SINTER_BENCH_VERIFY_H
#define SINTER_BENCH_VERIFY_H

#include "runtime/session.h"

/* What a tensor is filled with. */
struct rt_verify_fill {
    rt_u64 seed;
    rt_u32 function, step; /* of the kernel that reads it */
    rt_u32 dtype;
    rt_i64 bound; /* integers are below it */
    bool single;  /* one element: not false or near zero, it may say whether there is work */
};

/*
 * The number at a byte address of the arena: a function of the fill and the address alone, so that
 * views of the same memory agree, and exact in the type: floats in [-1, 1] (singles in
 * [0.125, 1.125)), integers in [0, bound) (singles not 0 where the bound allows), flags of which
 * every fourth is true.
 */
double rt_verify_number(const struct rt_verify_fill *fill, rt_u64 address);

/*
 * Runs the kernels of the list in file `path` that are for the session's program, each alone, and
 * compares: a line for each, or one JSON array. EXIT_NUMERIC if one is wrong, EXIT_DATA if the list
 * is damaged or of another program.
 */
rt_status bench_verify(struct rt_session *session, const char *path, bool json);

#endif
