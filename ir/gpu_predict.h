/*
 * Predicted times of GPU kernels, from their attributes and the rates of gpus.def. Each resource
 * takes its time alone; the slowest sets the pace, and a kernel pays besides for its start, the
 * first loads and its dependent phases:
 *   hbm      compulsory bytes that no cache holds, slower while too few of them are in flight
 *   l2       all bytes that blocks read, neighbours' copies included
 *   compute  operations of whole tiles by their family, in whole rounds of blocks, and the part of
 *            a product's epilogue that no other block's products hide
 *   shared   bytes of shared memory that warps read and write, likewise
 * See shared memory and registers in gpu_facts.h.
 */
#ifndef SINTER_GPU_PREDICT_H
#define SINTER_GPU_PREDICT_H

#include "ir/gpu.h"
#include "ir/ir.h"

struct gpu_prediction {
    double us; /* from the end of the kernel before to its own */
    double hbm_us, l2_us, compute_us, shared_us;
    double start_us; /* boundary, first loads, phases */
    /* Of kernels that are predicted to be as fast, the one with less is the safer choice: shares of
     * what it takes longer if memory answers half as fast, and of what has to overlap. */
    double doubt_us;
    enum gpu_family family;
    const char *bound; /* "HBM", "L2", "shared", "latency" or the family's name */
    int residency;     /* blocks of a multiprocessor */
    double occupancy;  /* share of its threads */
    double rounds;     /* blocks by what runs at once */
};

/* False if the attributes make no kernel that fits. */
bool gpu_predict(const struct gpu *gpu, const struct function *function,
                 const struct kernel *kernel, struct gpu_prediction *out);

#endif
