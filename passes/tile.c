/*
 * Tiles, register blocks and grids: pass_tile.
 *
 * requires   kernels with skeleton and members (fuse)
 * preserves  everything but the attributes of kernels
 *
 * The grid is a function of shapes and target alone, never of the number of threads: about
 * TILES tiles where there is work enough, each with at least GRAIN elements. Buffers of a
 * kernel stay within BUFFER bytes of its stack (runtime/program.h, RT_KERNEL_STACK). A panel
 * stays within PANEL bytes, so that it and some rows fit the second cache.
 */
#include "ir/product.h"
#include "ir/target.h"
#include "passes/passes.h"
#include "passes/tile_gpu.h"

enum {
    TILES = 256,
    GRAIN = 8192,
    BUFFER = 3 << 20,
    ROWS = 1024,
    WEIGHT_TILE = 256 << 10,
    PANEL = 640 << 10,
};

struct tiler {
    struct arena *arena;
    const struct target *target;
    const struct function *function;
    struct kernel *kernel;
};

static void set(struct tiler *t, enum attribute_id id, int64_t value)
{
    attributes_set_int(t->arena, &t->kernel->attributes, id, value);
}

static int64_t at_least(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t ceil_divide(int64_t a, int64_t by)
{
    return (a + by - 1) / by;
}

static int64_t round_up(int64_t a, int64_t to)
{
    return ceil_divide(a, to) * to;
}

/* Tiles for work of so many elements in at most `pieces` parts. */
static int64_t share(int64_t elements, int64_t pieces)
{
    return at_least(1, at_most(at_most(ceil_divide(elements, GRAIN), TILES), pieces));
}

/* The first node of the kernel with this op; NULL if none. */
static const struct node *find_node(const struct tiler *t, enum op op)
{
    for (size_t i = 0; i < t->function->nodes.count; i++)
        if (t->function->nodes.items[i]->kernel == t->kernel &&
            t->function->nodes.items[i]->op == op)
            return t->function->nodes.items[i];
    return NULL;
}

/* --- elementwise and rows --- */

/* The largest number of elements that a node of the kernel reads or makes. */
static int64_t kernel_elements(const struct tiler *t)
{
    int64_t most = 1;
    for (size_t i = 0; i < t->function->nodes.count; i++) {
        const struct node *node = t->function->nodes.items[i];
        if (node->kernel != t->kernel)
            continue;
        most = at_least(most, type_elements(&node->results[0].type));
        for (int k = 0; op_info(node->op)->kind == KIND_RED && k < node->operand_count; k++)
            most = at_least(most, type_elements(&node->operands[k]->type));
    }
    return most;
}

static void tile_elements(struct tiler *t)
{
    int64_t elements = kernel_elements(t);
    set(t, ATTRIBUTE_tiles, share(elements, elements));
    set(t, ATTRIBUTE_lanes, t->target->lanes);
}

/* --- products --- */

/* Columns that an epilogue needs together, because it moves elements along its rows (the
 * rotation of positions joins halves of a head). */
static int64_t granule(const struct tiler *t)
{
    int64_t wanted = 1;
    for (size_t i = 0; i < t->function->nodes.count; i++) {
        const struct node *node = t->function->nodes.items[i];
        if (node->kernel != t->kernel || (node->op != OP_concat && node->op != OP_pad))
            continue;
        const struct type *type = &node->results[0].type;
        int64_t extent = 1;
        for (int k = node->op == OP_pad ? type->rank - 1 : (int)node_int(node, axis);
             k < type->rank; k++)
            extent *= type->dims[k];
        wanted = at_least(wanted, extent);
    }
    return wanted;
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

/* Columns of a tile: whole register blocks and granules that divide n, at most `wanted` of
 * them; all n where nothing divides. */
static int64_t choose_cols(const struct tiler *t, int64_t n, int64_t wanted, int64_t unit)
{
    int64_t step = common_multiple(t->target->nr, unit);
    for (int64_t cols = round_up(at_least(wanted, step), step); cols >= step; cols -= step)
        if (cols <= at_least(wanted, step) && n % cols == 0)
            return cols;
    if (unit > 1)
        return n % unit == 0 ? unit : n;
    return n <= wanted ? n : step;
}

static bool uses_pairs(const struct tiler *t, const struct node *node)
{
    return t->target->dots && node->op == OP_matmul &&
           node->operands[0]->type.dtype == DTYPE_bf16 &&
           node->operands[1]->type.dtype == DTYPE_bf16;
}

static int count_nodes(const struct tiler *t, enum op op)
{
    int count = 0;
    for (size_t i = 0; i < t->function->nodes.count; i++)
        count += t->function->nodes.items[i]->kernel == t->kernel &&
                 t->function->nodes.items[i]->op == op;
    return count;
}

/* Whether rows of the left operand can be read where they stand; else each tile copies them,
 * which more columns in a tile pay for. */
static bool reads_left(const struct tiler *t, const struct node *node)
{
    enum dtype wanted = uses_pairs(t, node) ? DTYPE_bf16 : DTYPE_f32;
    return node->op == OP_matmul && !node_int(node, transa) &&
           node->operands[0]->type.dtype == wanted && node->operands[0]->node->kernel != t->kernel;
}

struct shape {
    int64_t rows, cols, kc;
};

/* All of K at once while a panel fits; K in parts, with the sums in a buffer, beyond. */
static struct shape choose_shape(struct tiler *t, const struct node *node,
                                 struct product_extents e, int products)
{
    enum { DEEP = 512, DEEP_ROWS = 128, DEEP_COLS = 256, COPY_COLS = 256 };
    int64_t bytes = uses_pairs(t, node) ? 2 : 4, unit = granule(t);
    int64_t panel = at_least(1, e.k * bytes * products);
    bool left = reads_left(t, node), filter = node->op == OP_conv2d_filter;
    bool turned = node->op == OP_matmul && node_int(node, transa);
    if ((filter || turned) && e.k > DEEP) {
        int64_t cols = e.n > 4 * t->target->nr ? e.n / 4 : t->target->nr;
        cols = choose_cols(t, e.n, at_most(cols, DEEP_COLS), unit);
        return (struct shape){at_most(e.m, DEEP_ROWS), cols, DEEP};
    }
    if (left && e.m > t->target->mr && panel / products * t->target->nr > PANEL) {
        int64_t parts = ceil_divide(panel / products * t->target->nr, PANEL / 2);
        int64_t kc = round_up(ceil_divide(e.k, parts), 64);
        return (struct shape){at_most(e.m, ROWS), choose_cols(t, e.n, t->target->nr, unit), kc};
    }
    int64_t fit = at_least(1, (BUFFER - t->target->mr * e.k * 4) / panel);
    int64_t wanted = left ? t->target->nr : at_most(COPY_COLS, fit);
    int64_t cols = choose_cols(t, e.n, at_most(wanted, fit), unit);
    if (round_up(cols, t->target->nr) * panel > BUFFER) {
        int64_t room = BUFFER / (round_up(cols, t->target->nr) * bytes * products);
        int64_t kc = at_least(64, room / 2 / 64 * 64);
        return (struct shape){at_most(e.m, DEEP_ROWS), cols, kc};
    }
    return (struct shape){at_most(e.m, ROWS), cols, 0};
}

/* Fewer rows in a tile where there would be too few tiles to share. */
static int64_t split_rows(const struct tiler *t, struct product_extents e, struct shape s)
{
    enum { ENOUGH = 32, LEAST = 4 };
    int64_t others = e.batch * ceil_divide(e.n, s.cols);
    int64_t work = e.m * s.cols * e.k;
    int64_t pieces = at_most(ceil_divide(ENOUGH, others), at_least(1, work / (64 * GRAIN)));
    int64_t rows = round_up(ceil_divide(e.m, pieces), t->target->mr);
    return at_most(s.rows, at_least(rows, LEAST * t->target->mr));
}

static void set_product(struct tiler *t, const struct node *node, struct product_extents e,
                        struct shape s)
{
    set(t, ATTRIBUTE_tiles,
        at_least(1, e.batch * ceil_divide(e.m, at_least(1, s.rows)) *
                        ceil_divide(e.n, at_least(1, s.cols))));
    set(t, ATTRIBUTE_rows, s.rows);
    set(t, ATTRIBUTE_cols, s.cols);
    set(t, ATTRIBUTE_kc, s.kc);
    set(t, ATTRIBUTE_mr, t->target->mr);
    set(t, ATTRIBUTE_nr, t->target->nr);
    set(t, ATTRIBUTE_lanes, t->target->lanes);
    set(t, ATTRIBUTE_prefetch, t->target->prefetch);
    set(t, ATTRIBUTE_dots, uses_pairs(t, node));
}

static void tile_product(struct tiler *t, const struct node *node)
{
    struct product_extents e = product_extents(node);
    struct shape s = choose_shape(t, node, e, count_nodes(t, node->op));
    if (e.m > 0 && e.n > 0 && e.batch > 0)
        s.rows = split_rows(t, e, s);
    set_product(t, node, e, s);
}

/* All rows in every tile; as many columns as make a good run of the stored weights. */
static void tile_gemv(struct tiler *t, const struct node *node)
{
    struct product_extents e = product_extents(node);
    int64_t bytes = at_least(1, e.k * (dtype_bits(node->operands[1]->type.dtype) / 8));
    int64_t wanted = at_least(t->target->nr, WEIGHT_TILE / bytes);
    int products = count_nodes(t, node->op);
    int64_t panel = at_least(1, e.k * 4 * products);
    wanted = at_most(wanted, at_least(1, (BUFFER - t->target->mr * e.k * 4) / panel));
    struct shape s = {e.m, choose_cols(t, e.n, wanted, granule(t)), 0};
    int64_t pitch = round_up(s.cols, t->target->nr);
    if (pitch * panel > BUFFER)
        s.kc = at_least(64, BUFFER / (pitch * 4 * products) / 2 / 64 * 64);
    set_product(t, node, e, s);
}

/* --- attention --- */

static void tile_attention(struct tiler *t, const struct node *node)
{
    enum { TILE_ROWS = 64, KEYS = 128 };
    const struct type *q = &node->operands[0]->type, *k = &node->operands[1]->type;
    int64_t heads = at_least(1, q->dims[2] / at_least(1, k->dims[2]));
    int64_t rows = at_least(1, at_most(q->dims[1], TILE_ROWS / heads));
    set(t, ATTRIBUTE_tiles,
        at_least(1, q->dims[0] * k->dims[2] * ceil_divide(q->dims[1], rows)));
    set(t, ATTRIBUTE_rows, rows);
    set(t, ATTRIBUTE_keys, at_most(KEYS, round_up(at_least(1, k->dims[1]), t->target->nr)));
    set(t, ATTRIBUTE_mr, t->target->mr);
    set(t, ATTRIBUTE_nr, t->target->nr);
    set(t, ATTRIBUTE_lanes, t->target->lanes);
    set(t, ATTRIBUTE_dots, t->target->dots && q->dtype == DTYPE_bf16 && k->dtype == DTYPE_bf16);
}

/* --- by index --- */

/* Lines along the axis of a sort or a running sum. */
static int64_t line_count(const struct node *node)
{
    const struct type *type = &node->operands[0]->type;
    return type_elements(type) / at_least(1, type->dims[node_int(node, axis)]);
}

static void tile_lines(struct tiler *t, const struct node *node)
{
    set(t, ATTRIBUTE_tiles, at_least(1, at_most(TILES, line_count(node))));
}

static void tile_update(struct tiler *t, const struct node *node)
{
    const struct type *new = &node->operands[1]->type;
    set(t, ATTRIBUTE_tiles, at_least(1, at_most(TILES, new->dims[0] * new->dims[1])));
}

static void tile_mark(struct tiler *t, const struct node *node)
{
    set(t, ATTRIBUTE_tiles, at_least(1, node->operands[0]->type.dims[0]));
}

static void tile_scatter(struct tiler *t, const struct node *node)
{
    int64_t ids = at_least(1, type_elements(&node->operands[0]->type));
    int64_t width = type_elements(&node->operands[1]->type) / ids;
    set(t, ATTRIBUTE_tiles, at_least(1, at_most(TILES, width / (2 * t->target->lanes))));
}

static void tile_kernel(struct tiler *t)
{
    enum op anchor = skeleton_anchor(t->kernel->skeleton);
    const struct node *node = anchor == OP_COUNT ? NULL : find_node(t, anchor);
    if (anchor != OP_COUNT && !node)
        fatal(INTERNAL, "a kernel lacks the op of its skeleton", t->kernel->name);
    switch (t->kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d:
    case SKELETON_conv2d_input:
    case SKELETON_conv2d_filter: tile_product(t, node); break;
    case SKELETON_gemv: tile_gemv(t, node); break;
    case SKELETON_attention: tile_attention(t, node); break;
    case SKELETON_update: tile_update(t, node); break;
    case SKELETON_mark: tile_mark(t, node); break;
    case SKELETON_scatter_add: tile_scatter(t, node); break;
    case SKELETON_sort:
    case SKELETON_cumsum: tile_lines(t, node); break;
    default: tile_elements(t); break;
    }
}

void pass_tile(struct module *module, const struct target *target)
{
    struct tiler t = {.arena = module->arena, .target = target};
    if (target->gpu) {
        tile_gpu(module, &(struct tile_rules){.gpu = target->gpu}, 0);
        return;
    }
    for (size_t f = 0; f < module->functions.count; f++) {
        t.function = module->functions.items[f];
        for (size_t k = 0; k < t.function->kernels.count; k++) {
            t.kernel = t.function->kernels.items[k];
            tile_kernel(&t);
        }
    }
}
