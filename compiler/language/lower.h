/*
 * Evaluation of a description, shared by the files of this folder. Numbers, text and lists are
 * computed at once; operations on tensors append nodes to the function being lowered.
 */
#ifndef SINTER_LOWER_H
#define SINTER_LOWER_H

#include "compiler/language/ast.h"
#include "compiler/language/language.h"
#include "compiler/language/lexer.h"
#include "ir/build.h"

enum {
    STEP_LIMIT = 500000, /* evaluated expressions, list items and nodes of one lowering */
    DEPTH_LIMIT = 600,   /* nested evaluations: bounds the stack */
    CALL_LIMIT = 60,     /* nested calls */
    NODE_STEPS = 16,     /* what a node or a leaf counts as */
    LIST_LIMIT = 100000, /* items of a list */
    SHOWN_LIMIT = 4000,  /* bytes of a value in a message */
    TEXT_LIMIT = 4096,   /* bytes of a computed text */
    NAME_LIMIT = 40,     /* longer identifiers do not reach the IR */
};

enum datum_kind {
    DATUM_NONE,
    DATUM_BOOL,
    DATUM_INTEGER,
    DATUM_REAL,
    DATUM_TEXT,
    DATUM_LIST,
    DATUM_TENSOR,
};

struct datum {
    enum datum_kind kind;
    int64_t integer; /* BOOL, INTEGER */
    double real;     /* REAL; also set for INTEGER */
    const char *text;
    struct datum *items;
    size_t count;
    struct value *tensor;
};

struct frame {
    struct map variables; /* struct datum */
    const struct description *unit;
    const char *hint; /* name for the value that it returns */
    bool is_entry, returned;
    struct datum result;
};

struct lowering {
    struct arena *arena;
    struct builder builder; /* function is NULL while the configuration is evaluated */
    struct description *unit;
    const struct lower_options *options;
    struct map globals;   /* struct datum: configuration values */
    struct map tensors;   /* struct value: weights by the name of their tensor */
    struct location site; /* of the call into the prelude, if in there */
    int64_t next_ordinal; /* of the next new weight */
    int64_t steps;
    int depth, calls;
    int64_t sites; /* places that draw random numbers, so far */
    struct loop_scope *loop; /* the innermost whose body is being lowered, or NULL (loop.c) */
};

/* --- data (datum.c) --- */

struct datum datum_bool(bool truth);
struct datum datum_integer(int64_t value);
struct datum datum_real(double value);
struct datum datum_text(const char *text);
struct datum datum_tensor(struct value *value);
bool datum_is_number(const struct datum *d);
bool datum_is_scalar(const struct datum *d);        /* a number or a truth value */
const char *datum_kind_name(const struct datum *d); /* "a number", "f32[2,3]" */
/* As text: 4096, 1e-05, "silu", true, none, [1, 2]. */
const char *datum_show(struct arena *arena, const struct datum *d);

/* --- evaluation (eval.c, call.c) --- */

/* The place for nodes and errors: the model's line, also inside prelude functions. */
struct location place_of(const struct lowering *l, struct location location);
/* Where an expression begins. */
struct location start_of(const struct expr *e);
/* Counts `count` units of work; fatal beyond STEP_LIMIT. */
void spend(struct lowering *l, size_t count, struct location location);

/* Counts the items of lists; `location` is for the message that there are too many. */
bool datum_equal(struct lowering *l, const struct datum *a, const struct datum *b,
                 struct location location);

/* `hint` names the node that gives the value; NULL: after its op. */
struct datum evaluate(struct lowering *l, struct frame *f, const struct expr *e, const char *hint);
int64_t evaluate_integer(struct lowering *l, struct frame *f, const struct expr *e,
                         const char *what);
bool evaluate_bool(struct lowering *l, struct frame *f, const struct expr *e);
const char *evaluate_text(struct lowering *l, struct frame *f, const struct expr *e);

/* Variables of the frame, then configuration, then batch, seq and training. */
bool find_name(const struct lowering *l, const struct frame *f, const char *name,
               struct datum *out);
/* The whole number that a datum is, if it is one; 4.0 is. */
bool datum_whole(const struct datum *d, int64_t *out);

struct frame frame_create(struct lowering *l, const struct description *unit);
void frame_set(struct lowering *l, struct frame *f, const char *name, struct datum value);
struct datum evaluate_call(struct lowering *l, struct frame *f, const struct expr *e,
                           const char *hint);
/* Calls a function of the unit, the prelude or the op table with values. */
struct call;
struct datum call_by_name(struct lowering *l, const struct description *unit, const char *name,
                          struct call *call);
/* Checks a value against a written type; binds dims that are names not yet defined. */
void check_pattern(struct lowering *l, struct frame *f, const struct pattern *pattern,
                   const struct datum *value, const char *name, struct location location);

/* --- statements (statements.c, leaves.c) --- */

void run_block(struct lowering *l, struct frame *f, const struct block *block);
void run_weight(struct lowering *l, struct frame *f, const struct statement *s);
void run_state(struct lowering *l, struct frame *f, const struct statement *s);
void run_update(struct lowering *l, struct frame *f, const struct statement *s);
void run_input(struct lowering *l, struct frame *f, const struct statement *s);
void run_output(struct lowering *l, struct frame *f, const struct statement *s);
void run_require(struct lowering *l, struct frame *f, const struct statement *s);
/* A name from model text that may stand in the IR; `otherwise` if it is too long. */
const char *safe_name(const char *name, const char *otherwise);

/* --- loops (loop.c) --- */

void run_loop(struct lowering *l, struct frame *f, const struct statement *s);
void run_collect(struct lowering *l, struct frame *f, const struct statement *s);
/* A value of a variable: what comes from outside of a loop's body is captured. */
struct datum seen_in_loop(struct lowering *l, struct datum value);
/* x[index] of a tensor: a part of axis 0. */
struct datum tensor_part(struct lowering *l, const struct expr *e, struct value *x,
                         const struct datum *index);
/* The number of the iteration over all loops that we are in, i32[]; NULL outside of loops. */
struct value *loop_number(struct lowering *l);
/* How often the innermost body runs in all, over the loops that we are in. */
int64_t loop_count(const struct lowering *l);
/* The function of the entry, also while the body of a loop is lowered. */
struct function *entry_function(const struct lowering *l);
/* Fatal in the body of a loop. */
void refuse_in_loop(const struct lowering *l, struct location location, const char *what);
/* Whether the frame is the one whose statements stand in the innermost loop. */
bool returns_from_loop(const struct lowering *l, const struct frame *f);

/* uniform(dims): random numbers (draws.c). */
struct call;
struct datum run_uniform(struct lowering *l, const struct call *call);

/* --- configuration (config.c) --- */

void evaluate_config(struct lowering *l);

/* --- operators and ops (operate.c) --- */

/* A call with evaluated arguments. */
struct call {
    const char *name;
    struct location location;
    const char *hint;
    struct datum *values;
    struct location *places; /* of the arguments */
    const char **names;      /* of named arguments, else NULL */
    size_t count;
};

struct datum operate(struct lowering *l, const struct expr *e, struct datum a, struct datum b,
                     const char *hint);
struct datum operate_unary(struct lowering *l, const struct expr *e, struct datum a,
                           const char *hint);
/* An elementwise row of the op table on numbers and tensors, with broadcasting. */
struct datum elementwise(struct lowering *l, enum op op, const struct call *call);
/* The axes that argument 1 of a reduction gives for `type`, sorted; all of them for none. */
int reduced_axes(struct lowering *l, const struct call *call, const struct type *type,
                 int64_t *out_axes);
/* A reduction row: x, axis (none, a number or a list), keep. */
struct datum reduction(struct lowering *l, enum op op, const struct call *call);
struct datum cast_datum(struct lowering *l, enum dtype dtype, const struct call *call);
/* Appends a node at `location`. */
struct datum emit(struct lowering *l, struct location location, enum op op,
                  struct value *const *operands, int count, struct attributes attributes,
                  const char *hint);
void need_function(struct lowering *l, struct location location);

/* --- arguments of builtins (arguments.c) --- */

struct value *argument_tensor(struct lowering *l, const struct call *call, size_t i);
int64_t argument_integer(struct lowering *l, const struct call *call, size_t i);
double argument_real(struct lowering *l, const struct call *call, size_t i);
bool argument_bool(struct lowering *l, const struct call *call, size_t i);
const char *argument_text(struct lowering *l, const struct call *call, size_t i);
/* An axis of `type`, counted from the end if negative. */
int argument_axis(struct lowering *l, const struct call *call, size_t i, const struct type *type);
/* A list of numbers (or one number); at most `limit`; returns their count. */
int argument_list(struct lowering *l, const struct call *call, size_t i, int64_t *out_list,
                  int limit);
/* Dimensions: as argument_list, each at least 0 and below 2^40. */
int argument_dims(struct lowering *l, const struct call *call, size_t i, int64_t *out_dims);
_Noreturn void argument_wrong(struct lowering *l, const struct call *call, size_t i,
                              const char *wanted);

/* The C side of a builtin: its arguments are complete and in the order of the prelude's line. */
struct builtin {
    const char *name;
    struct datum (*run)(struct lowering *l, const struct call *call);
};

#endif
