/* Tensors in the text of the C backend: plain arrays of memory types. */
#ifndef SINTER_BACKENDS_C_DIALECT_H
#define SINTER_BACKENDS_C_DIALECT_H

#include "backends/element/value.h"

extern const struct dialect dialect_c;

/* The text that reads element `index` of memory of this type. */
const char *load_text(struct arena *arena, enum dtype dtype, const char *pointer,
                      const char *index);
const char *store_text(struct arena *arena, enum dtype dtype, const char *text);

/* The C type that memory of this dtype is read as: "float", "rt_u16", ... */
const char *memory_type(enum dtype dtype);

#endif
