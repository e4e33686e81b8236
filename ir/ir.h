/*
 * The one IR, from graph to kernels. Later stages fill more fields; no stage has structs of its
 * own. Everything lives in the module's arena; pointers are the references. Pass-private data
 * goes into side arrays indexed by value->id or node->id, never in here.
 */
#ifndef SINTER_IR_H
#define SINTER_IR_H

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/map.h"

#include <stdbool.h>
#include <stdint.h>

enum dtype {
#define DTYPE(name, ...) DTYPE_##name,
#include "ir/types.def"
    DTYPE_COUNT
};

enum op {
#define EW(name, ...) OP_##name,
#define RED(name, ...) OP_##name,
#define OP(name, ...) OP_##name,
#include "ir/ops.def"
    OP_COUNT
};

enum attribute_id {
#define ATTRIBUTE(name, ...) ATTRIBUTE_##name,
#include "ir/attributes.def"
    ATTRIBUTE_COUNT
};

enum skeleton {
    SKELETON_none,
#define SKELETON(name, ...) SKELETON_##name,
#include "ir/skeletons.def"
    SKELETON_COUNT
};

enum { MAX_RANK = 8, MAX_RESULTS = 24 };

/*
 * A tensor type. Row-major and contiguous unless `strided`: then element (i0, i1, ...) stands at
 * offset + sum(i[k] * strides[k]) elements from the base of the value it is a view of.
 */
struct type {
    enum dtype dtype;
    int rank;
    int64_t dims[MAX_RANK];
    bool strided;
    int64_t strides[MAX_RANK], offset;
};

struct function;
struct attribute {
    enum attribute_id id;
    int64_t integer;   /* INT, FLAG, TYPE; number of items of a LIST */
    double real;       /* REAL */
    const char *text;  /* TEXT */
    struct function *function; /* TEXT `body`: the function of that name */
    const int64_t *list;
};

struct attributes { /* sorted by id; those equal to their default are absent */
    struct attribute *items;
    int count;
};

/* Where a value's bytes are. NONE until fuse; then REG or VIEW or, from plan on, an offset. */
enum place_kind {
    PLACE_NONE,
    PLACE_REG,    /* never leaves its kernel */
    PLACE_VIEW,   /* aliases its first operand (type.strided says how), or is a list of segments */
    PLACE_ARENA,  /* a+offset, bytes: state, input, output or scratch, by the value's role */
    PLACE_WEIGHT, /* in the checkpoint's file */
    PLACE_CONSTANT, /* a blob in the program */
};

struct place {
    enum place_kind kind;
    uint64_t offset;
};

struct node;
struct kernel;
struct program; /* ir/program.h */

struct value {
    struct node *node;
    int result; /* which result of the node */
    struct type type;
    struct place place;
    const char *name; /* without the sigil; unique in its function (leaves: in the module) */
    uint32_t id;      /* dense in the module: index for side tables */
};

struct node {
    enum op op;
    struct value **operands;
    int operand_count;
    struct value *results;
    int result_count; /* op_info(op)->results; of a loop, as many as its body has outputs */
    struct attributes attributes;
    struct location location; /* of the model text that made it */
    const char *scope;        /* provenance: "layers.3", "" at the top */
    struct kernel *kernel;    /* NULL until fuse */
    uint32_t id;              /* dense in the module */
};

struct kernel {
    const char *name; /* unique in the function */
    enum skeleton skeleton;
    struct attributes attributes;
};

/* What a function gives: an output under a name, or the next value of a state (then the name is
 * the state's and `state` is set). */
struct binding {
    const char *name;
    struct value *value;
    struct value *state; /* NULL for an output */
    struct location location;
};

struct function {
    const char *name;
    struct attributes attributes; /* role, chunk */
    struct location location;
    ARRAY_OF(struct node *) params;
    ARRAY_OF(struct node *) nodes;     /* dependency order; from fuse on, kernel by kernel */
    ARRAY_OF(struct kernel *) kernels; /* in order of execution; empty until fuse */
    ARRAY_OF(struct binding) bindings;
    struct map names; /* of params and body values: name to struct value (kept by build.h) */
    uint32_t rebuilt_below; /* while it is rebuilt: body values of lower id are on their way out */
};

/* Constants above 64 elements, named by a hash of their content. */
struct blob {
    const char *name; /* 16 hex digits */
    const void *bytes;
    size_t size;
};

struct fact {
    const char *name, *value;
};

struct module {
    struct arena *arena;
    const char *name;   /* sanitised */
    const char *stage;  /* the last pass that ran; "lower" at first */
    const char *target; /* row of the target table; NULL until fuse */
    ARRAY_OF(struct node *) weights;
    ARRAY_OF(struct node *) states;
    ARRAY_OF(struct function *) functions;
    ARRAY_OF(struct program *) programs; /* what runs; may be empty */
    ARRAY_OF(struct blob) blobs;
    ARRAY_OF(struct fact) facts; /* for `info` */
    uint64_t arena_bytes, state_bytes; /* from plan on */
    uint32_t next_value, next_node;    /* ids */
    struct map names;                  /* of weights and states: name to struct value */
    /* by node id, of nodes that ir_parse made: the line of IR text, for ir_verify */
    ARRAY_OF(struct location) text_locations;
};

/* --- dtypes and types (type.c) --- */

const char *dtype_name(enum dtype dtype);
bool dtype_parse(const char *text, size_t length, enum dtype *out_dtype);
int dtype_bits(enum dtype dtype);
bool dtype_is_float(enum dtype dtype);
bool dtype_is_integer(enum dtype dtype);
/* Rounds to the nearest value of the type (ties to even); integers by truncation. */
double dtype_round(enum dtype dtype, double value);
/* Element `index` of an array of that dtype, little-endian (encode.c); storing rounds. */
double dtype_load(enum dtype dtype, const void *bytes, int64_t index);
void dtype_store(enum dtype dtype, void *bytes, int64_t index, double number);

struct type type_make(enum dtype dtype, int rank, const int64_t *dims);
struct type type_scalar(enum dtype dtype);
bool type_same_dims(const struct type *a, const struct type *b);
bool type_equal(const struct type *a, const struct type *b);
int64_t type_elements(const struct type *type); /* overflow was refused when it was made */
uint64_t type_bytes(const struct type *type);   /* of the contiguous tensor */
/* Of a stored value, whose rows may be padded: bytes in memory, and the place of element
 * `index`, counted in row-major order. */
uint64_t type_storage_bytes(const struct type *type);
int64_t type_place(const struct type *type, int64_t index);
/* "bf16[8,128]", with strides where strided: "bf16[8,128]/[256,1]+128". */
const char *type_text(struct arena *arena, const struct type *type);
/* The rule for all dims from outside: 0 <= d < 2^40, product with bits below 2^62. */
bool type_dims_valid(enum dtype dtype, int rank, const int64_t *dims);

/* --- ops and attributes (op.c): derived from the tables --- */

enum op_kind { KIND_EW, KIND_RED, KIND_OP };
enum op_flag { OP_VIEW = 1, OP_INDEX = 2, OP_SOURCE = 4, OP_EFFECT = 8, OP_LEAF = 16 };
enum ew_rule {
    RULE_SAME,
    RULE_EXACT,
    RULE_TEST,
    RULE_LOGIC,
    RULE_SELECT,
    RULE_CAST,
    RULE_DRAW,
    RULE_CHECK
};

struct op_info {
    const char *name;
    enum op_kind kind;
    int operands_min, operands_max, results; /* results 0: see struct node */
    unsigned flags;
    int flops;               /* of an element, EW and RED */
    enum ew_rule rule;       /* EW */
    const char *expression;  /* EW: text over a, b, c, d */
    const char *golden;      /* EW */
    const char *gradient[3]; /* EW; RED uses [0] */
    double (*reference)(double a, double b, double c, double d); /* EW */
    int parts;               /* RED */
    bool index_result;       /* RED */
    /* RED: texts of the tuple's components, separated by top-level commas. Accumulators are
     * four doubles, whatever `parts`. */
    const char *identity, *lift, *combine, *finish;
    void (*red_identity)(double *p);
    void (*red_lift)(double *p, double a, double i);
    void (*red_combine)(double *p, const double *q);
    double (*red_finish)(const double *p);
};

const struct op_info *op_info(enum op op);
bool op_parse(const char *text, size_t length, enum op *out_op);
const char *skeleton_name(enum skeleton skeleton);
bool skeleton_parse(const char *text, size_t length, enum skeleton *out_skeleton);
enum op skeleton_anchor(enum skeleton skeleton); /* OP_COUNT for none */
bool skeleton_on_gpu(enum skeleton skeleton);    /* whether the CUDA backend prints it */

enum attribute_kind { KIND_INT, KIND_REAL, KIND_FLAG, KIND_TEXT, KIND_LIST, KIND_TYPE };
struct attribute_info {
    const char *name;
    enum attribute_kind kind;
    double fallback;
};
const struct attribute_info *attribute_info(enum attribute_id id);
bool attribute_parse(const char *text, size_t length, enum attribute_id *out_id);

/* Reading gives the default where absent (0 / NULL for LIST and TEXT). */
const struct attribute *attributes_find(const struct attributes *a, enum attribute_id id);
int64_t attributes_int(const struct attributes *a, enum attribute_id id); /* INT, FLAG, TYPE */
double attributes_real(const struct attributes *a, enum attribute_id id);
const char *attributes_text(const struct attributes *a, enum attribute_id id);
const int64_t *attributes_list(const struct attributes *a, enum attribute_id id, int *out_count);
/* Setting copies lists and texts, keeps the order, drops defaults, replaces what was there. */
void attributes_set_int(struct arena *, struct attributes *a, enum attribute_id id, int64_t v);
void attributes_set_real(struct arena *, struct attributes *a, enum attribute_id id, double v);
void attributes_set_text(struct arena *, struct attributes *a, enum attribute_id id,
                         const char *text);
void attributes_set_list(struct arena *, struct attributes *a, enum attribute_id id,
                         const int64_t *list, int count);
/* Attribute `body`, by the name of the function. */
void attributes_set_body(struct arena *, struct attributes *a, struct function *body);
void attributes_remove(struct attributes *a, enum attribute_id id);
/* Attributes of their own, to be changed; lists and texts are shared. */
struct attributes attributes_copy(struct arena *arena, const struct attributes *a);

/* Shorthands for a node's attributes. */
#define node_int(node, name) attributes_int(&(node)->attributes, ATTRIBUTE_##name)
#define node_real(node, name) attributes_real(&(node)->attributes, ATTRIBUTE_##name)
#define node_text(node, name) attributes_text(&(node)->attributes, ATTRIBUTE_##name)
#define node_list(node, name, out_count) \
    attributes_list(&(node)->attributes, ATTRIBUTE_##name, (out_count))

/* --- whole modules --- */

struct module *module_create(struct arena *arena, const char *name);
struct function *module_add_function(struct module *module, const char *name);
/* A function in front of another one, named `wanted` or with a suffix ".2", ".3", ... */
struct function *module_insert_function(struct module *module, const struct function *before,
                                        const char *wanted);
struct function *module_find_function(const struct module *module, const char *name);
struct node *module_find_leaf(const struct module *module, const char *name);
void module_add_fact(struct module *module, const char *name, const char *value);
/* Adds `bytes` (copied) unless a blob of that content is there; its name. */
const char *module_add_blob(struct module *module, const void *bytes, size_t size);
const struct blob *module_find_blob(const struct module *module, const char *name);

/* Whether another kernel reads the value (any result of the node), or the function gives it. */
bool value_leaves_kernel(const struct function *function, const struct value *value);
bool node_leaves_kernel(const struct function *function, const struct node *node);

/* ir/print.c: the text of a module at any stage. print(parse(x)) == x for every x printed. */
char *ir_print(struct module *module, size_t *out_length);

/* ir/parse.c: fatal_at on any error. `file` is a source registered with diag_add_source. */
struct module *ir_parse(struct arena *arena, uint32_t file);

/* ir/verify.c: fatal (INTERNAL, naming function, value and rule) if an invariant of the module's
 * stage is broken; `after` names the pass. With `user_text`, errors are the user's (EXIT_MODEL,
 * with a caret), for IR that was read from a file. */
void ir_verify(const struct module *module, const char *after, bool user_text);

#endif
