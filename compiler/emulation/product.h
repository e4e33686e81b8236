/*
 * Products that a library computes on a GPU, on the host: the same description over the same
 * memory, in tiles that stand for the blocks of a kernel.
 */
#ifndef SINTER_EMULATION_PRODUCT_H
#define SINTER_EMULATION_PRODUCT_H

#include "compiler/emulation/emulation.h"
#include "ir/gpu_blas.h"
#include "runtime/program.h"

/* As a program's tables say it; with so many bytes of workspace. */
struct rt_product emulation_product_of(const struct gpu_blas *blas, int64_t workspace);

/* Tiles of the result; INT32_MAX if there are more. */
int emulation_product_blocks(const struct rt_product *product);

/*
 * Computes the product, or those of its tiles that launch->chosen names. Of the launch only the
 * name, operands, regions and chosen blocks count. Reports matrices that reach out of their
 * regions, stores into what is only read, results over operands, and a workspace that is too
 * small. Returns report->error.
 */
enum emulation_error emulation_product(const struct rt_product *product,
                                       const struct emulation_launch *launch,
                                       struct emulation_report *report);

#endif
