/* What the tests of products and convolutions on GPUs share. */
#ifndef SINTER_TESTS_PRODUCT_KERNELS_H
#define SINTER_TESTS_PRODUCT_KERNELS_H

#include "tests/emulated.h"

/* Sets what the tile pass derives from a product kernel's other attributes, residency too: for
 * `tiled` of an emulated_request. All kernels of the module are matmul or conv2d. */
void product_kernels_derive(struct module *module, void *context);

/*
 * Compiles the kernels of such a module (stage=tile) with NVRTC for sm_80 and sm_90a; the CMocka
 * test fails where one spills at the registers that its residency leaves, or has another number
 * of tensor-core instructions than its facts promise. Prints a line SKIPPED without NVRTC.
 */
void product_kernels_lint(const char *text, size_t length);

/* The same of kernels of any skeleton, one in a function, whose attributes `derive` completes. */
void kernels_lint(const char *text, size_t length,
                  void (*derive)(struct module *module, void *context));

#endif
