/* What the files behind weights.h share. */
#ifndef SINTER_WEIGHTS_INTERNAL_H
#define SINTER_WEIGHTS_INTERNAL_H

#include "runtime/weights.h"

/*
 * The file or directory to take the weights from, by the order of weights.h; `first` is the base
 * name of the table's first file. *out is allocated and the caller's. EXIT_FILE if no place has
 * the file.
 */
rt_status weights_find(const char *given, const char *recorded, const char *first, char **out);

/* Allocates and draws all weights of the program: philox.h. */
rt_status weights_draw(const struct rt_program *program, struct rt_weights *weights);

/* Elements first .. first + count - 1 of a random weight of a floating type, as stored. */
void weights_fill(const struct rt_weight *weight, rt_u64 seed, rt_u64 first, rt_u64 count,
                  void *out);

#endif
