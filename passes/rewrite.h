/* The engine of rules.def: it holds no rule itself. */
#ifndef SINTER_REWRITE_H
#define SINTER_REWRITE_H

#include "ir/build.h"

struct rewriter; /* the rules, parsed and indexed by op */

struct rewriter *rewriter_create(struct arena *arena);

/*
 * What a node of `op` over `operands` and of type `type` becomes by the first rule that fits, built
 * with the builder; NULL if none does.
 */
struct value *rewriter_apply(const struct rewriter *rewriter, struct builder *builder, enum op op,
                             struct value *const *operands, int count, const struct type *type);

#endif
