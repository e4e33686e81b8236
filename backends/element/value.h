/*
 * From IR values to C expressions, by substitution of indices.
 *
 * value_at(g, value, index) gives the C expression of one element of a value: a load where the
 * value is in memory, else the expression of its op over the elements of its operands that it
 * needs. Every element is computed once (a memo by value and index), as a named constant in the
 * outermost scope that knows its index, so that what does not change leaves the inner loops.
 */
#ifndef SINTER_BACKENDS_ELEMENT_VALUE_H
#define SINTER_BACKENDS_ELEMENT_VALUE_H

#include "backends/element/index.h"
#include "backends/emit.h"
#include "ir/target.h"

struct generator;

enum { SCOPES = 24, VARIABLES = 16, CUTS = 4 };

/* An element: a name or literal of emitted code. */
struct element {
    const char *text;
    int depth;
};

struct remembered {
    const struct value *value;
    struct index index;
    struct element element;
};

/* An integer that was given a name. */
struct named_index {
    const char *text;
    int atom;
};

/* A block of emitted code that is open. Lines go to it until it is closed. */
struct scope {
    struct writer writer;
    size_t remembered, named; /* entries of the memos before it was opened */
    bool conditional;  /* nothing inside may move out */
    /* Of a condition that neighbours of a thread share: what it is outside of their loop, and
     * the innermost scope that it depends on. NULL: it has to be asked for each. */
    const char *guard;
    int guard_depth;
};

/* A tensor that the kernel reads or writes, in the order of its argument. */
struct argument {
    const struct value *value;
    bool read, written;
};

/* A loop of a skeleton. `role` is the skeleton's own. */
struct variable {
    int64_t extent;
    int role;
    int64_t cuts[CUTS];
    int cut_count;
    bool may_cut; /* its loop can run in pieces */
    int atom;     /* while its loop is open */
};

/*
 * How a backend writes what the expression generator needs. Texts of load and store take the
 * index as text; `store` is a whole statement.
 */
struct dialect {
    const char *index_type; /* of loop variables and named indices: "rt_i64" */
    const char *table;      /* storage of constant tables: "static const" */
    const char *(*load)(struct arena *arena, enum dtype dtype, const char *pointer,
                        const char *index);
    const char *(*store)(struct arena *arena, enum dtype dtype, const char *pointer,
                         const char *index, const char *text);
    /* Not NULL: loads and stores of its own (vectors); false: the plain one will do. `index` is
     * the place in memory. */
    bool (*load_element)(struct generator *g, const struct value *value, struct index index,
                         struct element *out_element);
    bool (*store_element)(struct generator *g, const struct value *value, struct index index,
                          struct element element);
    /* Not NULL: whether an index is `out_rest`, a multiple of *out_count that stands outside of
     * the loop over so many neighbours, plus their variable; or, with 1, has nothing of it. */
    bool (*neighbours)(struct generator *g, const struct index *index, struct index *out_rest,
                       int64_t *out_count);
};

struct generator {
    const struct dialect *dialect;
    struct arena *arena;
    const struct module *module;
    const struct function *function;
    const struct kernel *kernel;
    const struct target *target;
    struct index_space space;
    struct scope scopes[SCOPES];
    int depth; /* the innermost open scope */
    ARRAY_OF(struct remembered) memo;
    ARRAY_OF(struct named_index) named;
    ARRAY_OF(struct argument) arguments;
    struct variable variables[VARIABLES];
    bool may_split[VARIABLES];
    int64_t extents[VARIABLES];
    int variable_count;
    int temporaries, indices;
    struct str tables; /* constants of the kernel, before its body */
    int table_count;
    /* Elements that the skeleton computes itself (its anchor, reductions). True if it did. */
    bool (*provide)(struct generator *g, const struct value *value, struct index index,
                    struct element *out_element);
    void *skeleton;
};

/* --- scopes --- */

/* Opens a scope one level below the innermost one. */
void scope_open(struct generator *g);
/* Opens a scope of which nothing moves out, to be closed into the scope `depth`. */
void scope_open_conditional(struct generator *g, int depth);
/* As scope_open_conditional, where the condition is the same for all neighbours: see guard. */
void scope_open_guarded(struct generator *g, int depth, const char *guard, int guard_depth);
/* Closes the innermost scope and appends it, with this head ("for (...)"; braces are added), to
 * the scope `depth` (usually the one that is then innermost). */
void scope_close_into(struct generator *g, int depth, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define scope_close(g, ...) scope_close_into((g), (g)->depth - 1, __VA_ARGS__)
/* As scope_close, as a block without a head. */
void scope_close_bare(struct generator *g);
struct writer *scope_writer(struct generator *g); /* of the innermost scope */
/* Names an integer without effects in the scope `depth`, whatever conditions stand between. */
struct index index_named_at(struct generator *g, const char *text, int depth, int64_t low,
                            int64_t high);

/* --- loop variables --- */

void variables_reset(struct generator *g);
int variable_add(struct generator *g, int64_t extent, int role, bool may_split);
/* Makes the variable's atom with this name, in the innermost scope: values low..high. */
struct index variable_open(struct generator *g, int variable, const char *name, int64_t low,
                           int64_t high);
/* Carries out g->space.split on the variables; false if nothing was wanted. The new inner
 * variable follows the old one, which becomes the outer. */
bool variables_apply_split(struct generator *g);

/* --- kernel text --- */

/* Forgets what an abandoned attempt emitted; arguments stay. */
void generator_restart(struct generator *g);

/* The name of the argument that is this value: "x3" to read, "y1" to write (same storage). */
const char *argument_name(struct generator *g, const struct value *value, bool write);

/* --- elements --- */

struct element value_at(struct generator *g, const struct value *value, struct index index);
/* A new constant of `type` with this text in scope `depth` (or the innermost conditional). */
struct element element_new(struct generator *g, const char *type, int depth, const char *format,
                           ...) __attribute__((format(printf, 4, 5)));
/* Index maps (view.c): the operand's index of an affine view; elements of the others. */
struct index view_index(struct generator *g, const struct node *node, struct index index);
struct element concat_at(struct generator *g, const struct node *node, struct index index);
struct element pad_at(struct generator *g, const struct node *node, struct index index);
struct element gather_at(struct generator *g, const struct node *node, struct index index);
struct element decode_at(struct generator *g, const struct node *node, struct index index);
/* Where the element at a row-major index of a tensor in memory stands: elements from its base,
 * through the strides of padded rows. */
struct index memory_index(struct generator *g, const struct value *value, struct index index);
/* Stores an element of a live-out; the line goes to the innermost scope. */
void value_store(struct generator *g, const struct value *value, struct index index,
                 struct element element);
/* `text` rounded to the values of a dtype, as the IR states for every value. */
const char *round_text(struct arena *arena, enum dtype dtype, const char *text);

/* Whether a value is in memory when the kernel starts. */
bool is_loaded(const struct generator *g, const struct value *value);
bool is_live_out(const struct generator *g, const struct value *value);

/* Of a value at an index with open variables: the memory that it is, through views and casts
 * that only widen. False if it is computed. */
struct memory {
    const struct value *value; /* in memory */
    struct index index;        /* elements from its base (memory_index) */
};
bool value_memory(struct generator *g, const struct value *value, struct index index,
                  bool through_casts, struct memory *out_memory);

#endif
