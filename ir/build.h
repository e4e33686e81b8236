/*
 * Making nodes. Every node of the compiler is made here: the shape rule of its op runs at once,
 * so that types are always there and errors carry the builder's location.
 */
#ifndef SINTER_BUILD_H
#define SINTER_BUILD_H

#include "ir/ir.h"

/* Where new nodes go and what they inherit. */
struct builder {
    struct module *module;
    struct function *function;
    struct location location;
    const char *scope; /* "" or "layers.3" */
};

/*
 * Appends a node to the function. `attributes` is kept, not copied. A result is named `name`
 * (NULL: after its op), made unique with a suffix ".2", ".3"... Returns the node; its first
 * result is &node->results[0]. Fatal at the builder's location if the shape rule refuses.
 */
struct node *build_node(struct builder *b, enum op op, struct value *const *operands, int count,
                        struct attributes attributes, const char *name);

/* Shorthands: the first result of a new node. */
struct value *build_unary(struct builder *b, enum op op, struct value *a);
struct value *build_binary(struct builder *b, enum op op, struct value *x, struct value *y);
struct value *build_select(struct builder *b, struct value *c, struct value *x, struct value *y);
struct value *build_constant(struct builder *b, enum dtype dtype, double value); /* rank 0 */
struct value *build_cast(struct builder *b, struct value *a, enum dtype dtype); /* a if equal */
struct value *build_iota(struct builder *b, enum dtype, int rank, const int64_t *dims, int axis);
struct value *build_reshape(struct builder *b, struct value *a, int rank, const int64_t *dims);
struct value *build_transpose(struct builder *b, struct value *a, const int64_t *perm);
/* Repeats axes of extent 1; a operand of lower rank is first reshaped with leading 1s. */
struct value *build_broadcast(struct builder *b, struct value *a, int rank, const int64_t *dims);
struct value *build_slice(struct builder *b, struct value *a, int axis, int64_t at, int64_t len);
struct value *build_concat(struct builder *b, struct value *const *parts, int count, int axis);
struct value *build_reduce(struct builder *b, enum op op, struct value *a, const int64_t *axes,
                           int count);
struct value *build_matmul(struct builder *b, struct value *x, struct value *y, bool transa,
                           bool transb);
struct value *build_gather(struct builder *b, struct value *table, struct value *ids, int batch);

/* Leaves. Names are the module's; a second one of the same name gets a suffix. */
struct value *build_param(struct builder *b, const char *name, struct type type);
struct value *build_weight(struct builder *b, const char *name, struct type type,
                           struct attributes attributes);
struct value *build_state(struct builder *b, const char *name, struct type type,
                          struct attributes attributes);

/* Function results. */
void build_output(struct builder *b, const char *name, struct value *value);
void build_store(struct builder *b, struct value *state, struct value *value);

/*
 * Rewriting. A pass rebuilds a function: it moves the old node list out with rebuild_begin,
 * walks it, appends copies or replacements, and maps old values to new ones. Nodes without a
 * kernel only (before fuse).
 */
struct rebuild {
    struct builder builder;
    struct node **old;
    size_t old_count;
    struct value **mapped; /* by old value id; NULL = not mapped; leaves and params map to self */
    uint32_t mapped_count;
};
struct rebuild rebuild_begin(struct module *module, struct function *function);
struct value *rebuild_get(const struct rebuild *r, const struct value *old);
void rebuild_set(struct rebuild *r, const struct value *old, struct value *replacement);
/* Appends a copy of a node with mapped operands and maps its results. The copy keeps name,
 * location and scope. */
struct node *rebuild_copy(struct rebuild *r, const struct node *old);
/* Sets builder.location and scope from `old` (for replacements). */
void rebuild_at(struct rebuild *r, const struct node *old);
/* Maps the bindings; the function is whole again. */
void rebuild_end(struct rebuild *r);

/* Drops nodes whose results nobody uses (EFFECT nodes too: an update that no binding keeps is
 * dead), and unused weights. */
void remove_dead(struct module *module);

/* The shape rule of any op (shape.c): writes the types of the results. Fatal at `location`. */
void infer_types(enum op op, struct value *const *operands, int count,
                 const struct attributes *attributes, struct location location,
                 struct type *out_types);

#endif
