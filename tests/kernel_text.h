/*
 * What must hold of the text of every CUDA kernel, whatever it computes: nvcc and NVRTC unroll
 * loops differently unless told, so each loop says whether it is unrolled; and memory, barriers
 * and exchanges are reached through the primitives of the device library alone, which is what the
 * emulation sees.
 */
#ifndef SINTER_TESTS_KERNEL_TEXT_H
#define SINTER_TESTS_KERNEL_TEXT_H

#include <stddef.h>

/* Looks through `text`, of which the first `prelude` bytes are the device library. Writes what is
 * wrong with the first faulty line to `out`, of `size` bytes; "" if nothing is. */
void kernel_text_look(const char *text, size_t prelude, char *out, size_t size);

#endif
