/* A small program for tests of devices, the same for a CPU, for the driver without a GPU, and as
 * PTX for a real one. See device_toy.c for what its functions do. */
#ifndef SINTER_DEVICE_TOY_H
#define SINTER_DEVICE_TOY_H

#include "runtime/program.h"

enum {
    TOY_COUNT = 256,                 /* elements of x and y */
    TOY_X = 0,                       /* offsets in the arena */
    TOY_Y = 1024,
    TOY_STATE = 2048,                /* i32[8]; [0] counts the runs of TOY_MAIN */
    TOY_SPARE = 4096,                /* nothing runs over it */
    TOY_SPARE_BYTES = 17 << 20,
    TOY_ARENA = TOY_SPARE + TOY_SPARE_BYTES,
    TOY_ROWS = 3, TOY_COLUMNS = 5,   /* of the weight; padded to 8 on a GPU */
    TOY_PADDED_BYTES = TOY_ROWS * 8 * 4,
    TOY_MAIN = 0, TOY_EMPTY = 1, TOY_SPACES = 2, /* functions */
};

extern const float toy_weight[TOY_ROWS * TOY_COLUMNS];
const void *const *toy_weights(void);

/* y[i] after TOY_MAIN. */
float toy_expected(float x, int i);

const struct rt_program *toy_cpu_program(void);
const struct rt_program *toy_fake_program(void); /* sm 80, images of tests/fake_cuda.h */
const struct rt_program *toy_ptx_program(void);  /* the same as PTX */
const struct rt_program *toy_emulated_program(void); /* the same for the emulated device, once */

#endif
