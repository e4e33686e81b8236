/* Weights of a lowered module and where their values come from. */
#ifndef SINTER_CHECKPOINT_H
#define SINTER_CHECKPOINT_H

#include "compiler/frontends/huggingface.h"
#include "ir/ir.h"

/*
 * Looks each weight up in the directory's checkpoint and notes its stored type, file and offset.
 * Fatal, with the three lists, if tensors are missing, unexpected or of another shape.
 */
void bind_checkpoint(struct module *module, struct model_directory *directory);

/* The weights will be drawn at random, stored as `dtype`. */
void bind_random(struct module *module, enum dtype dtype);

#endif
