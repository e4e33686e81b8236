/*
 * Candidates by skeleton: the tile lists of products and attention, and shapes that follow from
 * extents for all others; libraries last, so that of equals ours come first. tile_gpu.c ranks
 * them.
 */
#include "ir/gpu_attention.h"
#include "ir/gpu_rows.h"
#include "ir/product.h"
#include "passes/tile_gpu.h"

#include <string.h>

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

static int64_t power_up(int64_t value)
{
    int64_t power = 1;
    while (power < value)
        power *= 2;
    return power;
}

static void add(struct tile_list *list, struct tile_candidate candidate)
{
    if (list->count < TILE_CANDIDATES)
        list->items[list->count++] = candidate;
}

/* Whether the function is one of several that take a prompt in chunks of their own sizes: all must
 * add up the same terms in the same order, so what they add is not shared out. */
static bool in_chunks(const struct tile_subject *s)
{
    const char *role = attributes_text(&s->function->attributes, ATTRIBUTE_role);
    return role && (strcmp(role, "prefill") == 0 || strcmp(role, "score") == 0);
}

/* --- products by tiles --- */

static const struct {
    short rows, cols, depth, stages, warps_m, warps_n;
} tiles[] = {
#define TILE_PRODUCT(...) {__VA_ARGS__},
#include "passes/tile_shapes.def"
};

enum { TILES = sizeof tiles / sizeof *tiles };

/* Parts of K that give each multiprocessor a block or two. */
static void add_splits(const struct tile_subject *s, struct tile_list *list,
                       struct tile_candidate candidate, int64_t blocks, int64_t steps)
{
    static const int64_t splits[] = {1, 2, 3, 4, 6, 8, 12, 16};
    size_t count = in_chunks(s) ? 1 : sizeof splits / sizeof *splits;
    for (size_t i = 0; i < count; i++) {
        int64_t split = splits[i], part = ceil_divide(steps, split);
        candidate.split = split;
        if (split == 1 || (blocks * split <= 2 * s->gpu->multiprocessors && part >= 4 &&
                           (split - 1) * part < steps))
            add(list, candidate);
    }
}

static int64_t pair_of(const struct product_layout *layout)
{
    for (int i = 0; i < layout->count; i++)
        if (layout->segments[i].distance > 0)
            return layout->segments[i].distance;
    return 0;
}

/* Results of 16 bits leave eight at a time, others four: 16 bytes. */
static int64_t result_vector(const struct product_layout *layout)
{
    for (int i = 0; i < layout->node_count; i++)
        if (layout->reach[i] && dtype_bits(layout->nodes[i]->results[0].type.dtype) == 16)
            return 8;
    return 4;
}

static void list_tiles(const struct tile_subject *s, struct tile_list *list)
{
    struct product_layout layout;
    if (!product_segments(s->arena, s->function, s->kernel, &layout))
        return;
    int64_t partners = layout.segments[0].count;
    int bits = dtype_bits(layout.segments[0].anchors[0]->operands[0]->type.dtype);
    int64_t vector = result_vector(&layout);
    for (int i = 0; i < TILES; i++) {
        struct tile_candidate c = {.rows = tiles[i].rows, .cols = tiles[i].cols / partners,
                                   .kc = tiles[i].depth * 16 / bits, .stages = tiles[i].stages,
                                   .warps_m = tiles[i].warps_m, .warps_n = tiles[i].warps_n,
                                   .pair = pair_of(&layout), .vector = vector};
        c.threads = GPU_WARP * c.warps_m * c.warps_n;
        if (!product_tile(&layout, c.cols, c.pair))
            continue;
        int64_t row_tiles = ceil_divide(layout.e.m, c.rows);
        c.band = at_least(1, at_most(8, row_tiles));
        add_splits(s, list, c, layout.e.batch * row_tiles * layout.tiles,
                   ceil_divide(layout.e.k, c.kc));
    }
}

/* --- products of few rows --- */

/* As many columns a block as give all multiprocessors the same number of blocks. */
static void list_gemv(const struct tile_subject *s, struct tile_list *list)
{
    enum { WIDTHS = 13 };
    struct product_layout layout;
    if (!product_segments(s->arena, s->function, s->kernel, &layout))
        return;
    int64_t pair = pair_of(&layout); /* tiles of two of its runs are always whole */
    const int64_t widths[WIDTHS] = {8, 16, 24, 32, 40, 48, 56, 64, 96, 128, 192, 256, 2 * pair};
    for (size_t i = 0; i < (pair > 0 ? WIDTHS : WIDTHS - 1); i++) {
        struct tile_candidate c = {.threads = 256, .cols = widths[i], .pair = pair};
        if (!product_tile(&layout, c.cols, c.pair))
            continue;
        for (c.stages = 1; c.stages <= 8; c.stages *= 2)
            for (c.nr = 1; c.nr <= 4; c.nr *= 2)
                if (c.nr * c.stages * layout.segments[0].count <= 8 &&
                    (c.nr == 1 || c.nr * 8 <= c.cols))
                    add(list, c);
    }
}

/* The weights are the rows of the tile: a row of a stage has 64 or 128 bytes. */
static void list_skinny(const struct tile_subject *s, struct tile_list *list)
{
    struct product_layout layout;
    if (!product_segments(s->arena, s->function, s->kernel, &layout))
        return;
    int64_t partners = layout.segments[0].count;
    int bits = dtype_bits(layout.segments[0].anchors[0]->operands[0]->type.dtype);
    struct tile_candidate c = {.pair = pair_of(&layout)};
    for (c.kc = 512 / bits; c.kc <= 1024 / bits; c.kc *= 2)
        for (int64_t rows = 256; rows >= 32; rows /= 2)
            for (c.stages = 6; c.stages >= 2; c.stages -= 2) {
                c.cols = rows / partners;
                c.threads = rows > 32 ? 128 : 64;
                if (product_tile(&layout, c.cols, c.pair))
                    add_splits(s, list, c, layout.tiles, ceil_divide(layout.e.k, c.kc));
            }
}

/* --- attention --- */

static const struct node *find_node(const struct tile_subject *s, enum op op)
{
    for (size_t i = 0; i < s->function->nodes.count; i++)
        if (s->function->nodes.items[i]->kernel == s->kernel &&
            s->function->nodes.items[i]->op == op)
            return s->function->nodes.items[i];
    return NULL;
}

static const struct {
    short rows, stages, warps;
} whole[] = {
#define TILE_ATTENTION(...) {__VA_ARGS__},
#include "passes/tile_shapes.def"
};

/* Blocks of keys are no choice: all chunks of a prompt sum in the same order. */
static void list_attention(const struct tile_subject *s, struct tile_list *list)
{
    const struct node *node = find_node(s, OP_attention);
    for (size_t i = 0; node && i < sizeof whole / sizeof *whole; i++) {
        struct tile_candidate c = {.rows = whole[i].rows,
                                   .keys = attention_keys(node),
                                   .stages = whole[i].stages,
                                   .warps_m = whole[i].warps};
        c.threads = GPU_WARP * c.warps_m;
        add(list, c);
    }
}

/* At most as many parts as there are blocks of keys. */
static void list_split_attention(const struct tile_subject *s, struct tile_list *list)
{
    static const int64_t keys[] = {128, 64, 32, 16};
    const struct node *node = find_node(s, OP_attention);
    struct tile_candidate c = {.stages = 2};
    for (size_t i = 0; node && i < sizeof keys / sizeof *keys; i++) {
        c.keys = keys[i];
        for (c.warps_n = 4; c.warps_n > 0; c.warps_n /= 2) {
            c.threads = GPU_WARP * c.warps_n;
            int64_t most = ceil_divide(at_least(1, node->operands[1]->type.dims[1]), c.keys);
            for (c.split = 1; c.split <= at_most(64, most); c.split *= 2)
                add(list, c);
        }
    }
}

/* --- rows and lines --- */

/* Threads of a row hold up to ROWS_REGISTERS of its elements; long rows beside few others are
 * shared by several blocks. */
static void list_reduced_rows(const struct tile_subject *s, struct tile_list *list,
                              const struct rows_domain *domain)
{
    enum { CHUNK_THREADS = 256 }; /* of a row, where all chunks have the same number */
    bool chunks = in_chunks(s);
    for (int64_t threads = chunks ? CHUNK_THREADS : 128; threads <= 1024; threads *= 2) {
        int64_t wanted = power_up(ceil_divide(domain->reduced, ROWS_REGISTERS / 2));
        int64_t each = at_most(chunks ? CHUNK_THREADS : threads, at_least(1, wanted));
        struct tile_candidate c = {.threads = threads, .rows = threads / each, .vector = 4,
                                   .split = 1};
        add(list, c);
        int64_t most = domain->reduced / (threads * c.vector * 4);
        int64_t blocks = ceil_divide(domain->kept, c.rows);
        while (!domain->wide && !chunks && c.rows == 1 && 2 * c.split <= most &&
               2 * c.split * blocks <= 2 * s->gpu->multiprocessors) {
            c.split *= 2;
            add(list, c);
        }
    }
}

static void list_reduced_columns(const struct tile_subject *s, struct tile_list *list,
                                 const struct rows_domain *domain)
{
    for (int64_t vector = 4; vector > 0; vector /= 2)
        for (int64_t cols = 128; cols >= 32 && domain->run % vector == 0; cols /= 2) {
            struct tile_candidate c = {.threads = 256, .cols = cols, .vector = vector, .split = 1};
            int64_t blocks = domain->kept / at_least(1, domain->run) *
                             ceil_divide(domain->run, cols);
            add(list, c);
            while (!domain->wide && 2 * c.split * blocks <= 2 * s->gpu->multiprocessors &&
                   2 * c.split * 64 <= domain->reduced) {
                c.split *= 2;
                add(list, c);
            }
        }
}

static void list_rows(const struct tile_subject *s, struct tile_list *list)
{
    struct rows_domain domain;
    if (!rows_domain(s->function, s->kernel, &domain))
        return;
    if (domain.columns)
        list_reduced_columns(s, list, &domain);
    else
        list_reduced_rows(s, list, &domain);
}

static void list_sort(struct tile_list *list, int64_t count)
{
    enum { MOST = 4096 };
    for (int64_t keys = 256; keys <= MOST; keys *= 2) {
        struct tile_candidate c = {.threads = at_least(GPU_WARP, at_most(512, keys / 4)),
                                   .keys = keys, .vector = 4};
        if (keys / 2 < count || keys == 256)
            add(list, c);
    }
}

/* Each block of a line also reads what stands before its part: no more blocks than run at once,
 * and a tile of threads for each. */
static void list_cumsum(const struct tile_subject *s, struct tile_list *list, int64_t lines,
                        int64_t count)
{
    enum { VECTOR = 4 };
    for (int64_t threads = 128; threads <= 1024; threads *= 2) {
        int64_t most = at_most(2 * s->gpu->multiprocessors / at_least(1, lines),
                               count / (threads * VECTOR));
        struct tile_candidate c = {.threads = threads, .split = at_least(1, most),
                                   .vector = VECTOR};
        if (threads == 128 || threads * VECTOR / 2 < count)
            add(list, c);
    }
}

static void list_lines(const struct tile_subject *s, struct tile_list *list)
{
    const struct node *node = find_node(s, skeleton_anchor(s->kernel->skeleton));
    const struct type *type = &node->operands[0]->type;
    int64_t count = at_least(1, type->dims[node_int(node, axis)]);
    if (s->kernel->skeleton == SKELETON_sort)
        list_sort(list, count);
    else
        list_cumsum(s, list, type_elements(type) / count, count);
}

/* --- loops --- */

/* Elements that all threads of the grid share out. */
static int64_t element_count(const struct tile_subject *s)
{
    int64_t most = 1;
    for (size_t i = 0; i < s->function->nodes.count; i++) {
        const struct node *node = s->function->nodes.items[i];
        bool effect = op_info(node->op)->flags & OP_EFFECT;
        if (node->kernel == s->kernel)
            most = at_least(most, type_elements(effect ? &node->operands[1]->type
                                                       : &node->results[0].type));
    }
    return most;
}

static void list_loop(const struct tile_subject *s, struct tile_list *list)
{
    enum { ROUNDS = 8 };
    int64_t elements = element_count(s);
    for (int64_t vector = 8; vector > 0; vector /= 2) {
        int64_t threads = elements >= 256 * vector * s->gpu->multiprocessors ? 256 : 128;
        int64_t blocks = ceil_divide(elements, threads * vector);
        struct tile_candidate c = {.threads = threads, .vector = vector};
        c.tiles = at_most(blocks, (int64_t)ROUNDS * s->gpu->multiprocessors);
        add(list, c);
    }
}

static void list_mark(const struct tile_subject *s, struct tile_list *list)
{
    const struct node *node = find_node(s, OP_mark);
    int64_t rows = node ? at_least(1, node->operands[0]->type.dims[0]) : 1;
    add(list, (struct tile_candidate){.tiles = rows, .threads = 32});
}

/* --- libraries --- */

static void list_libraries(const struct tile_subject *s, struct tile_list *list)
{
    struct gpu_blas blas;
    if (s->blas != TILE_BLAS_never && gpu_blas(s->function, s->kernel, &blas))
        add(list, (struct tile_candidate){.provider = PROVIDER_cublaslt});
}

void tile_list_kernel(const struct tile_subject *s, struct tile_list *out)
{
    out->count = 0;
    switch (s->kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d: list_tiles(s, out); break;
    case SKELETON_gemv: list_gemv(s, out); break;
    case SKELETON_skinny: list_skinny(s, out); break;
    case SKELETON_attention: list_attention(s, out); break;
    case SKELETON_split_attention: list_split_attention(s, out); break;
    case SKELETON_rows: list_rows(s, out); break;
    case SKELETON_sort:
    case SKELETON_cumsum: list_lines(s, out); break;
    case SKELETON_mark: list_mark(s, out); break;
    default: list_loop(s, out); break;
    }
    list_libraries(s, out);
}
