/* Rows of matrix operands that start on 16 bytes: the part of plan that is for GPUs. */
#ifndef SINTER_PLAN_PITCH_H
#define SINTER_PLAN_PITCH_H

#include "ir/ir.h"

/*
 * Gives what kernels of products, convolutions and attention read from memory a type whose last
 * axis is padded to a multiple of 16 bytes, where it is not one already: weights, states and
 * computed values. Inputs and outputs of functions stay contiguous.
 */
void pitch_operands(struct module *module);

#endif
