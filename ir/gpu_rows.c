/* See gpu_rows.h. */
#include "ir/gpu_rows.h"

static int64_t attribute(const struct kernel *kernel, enum attribute_id id, int64_t least)
{
    int64_t value = attributes_int(&kernel->attributes, id);
    return value > least ? value : least;
}

static int64_t ceil_divide(int64_t a, int64_t by)
{
    return (a + by - 1) / by;
}

static bool is_reduced(const struct node *node, int axis)
{
    int count;
    const int64_t *axes = node_list(node, axes, &count);
    for (int i = 0; i < count; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

static void measure(struct rows_domain *domain, const struct node *node)
{
    domain->type = node->operands[0]->type;
    domain->kept = domain->reduced = domain->run = 1;
    bool ended = false, begun = false;
    for (int k = domain->type.rank - 1; k >= 0; k--) {
        int64_t extent = domain->type.dims[k];
        bool kept = !is_reduced(node, k);
        *(kept ? &domain->kept : &domain->reduced) *= extent;
        if (extent == 1)
            continue;
        if (!begun)
            domain->columns = kept;
        begun = true;
        ended |= kept != domain->columns;
        if (!ended)
            domain->run *= extent;
    }
}

bool rows_domain(const struct function *function, const struct kernel *kernel,
                 struct rows_domain *out)
{
    *out = (struct rows_domain){0};
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        const struct op_info *info = op_info(node->op);
        if (node->kernel != kernel || info->kind != KIND_RED)
            continue;
        enum dtype dtype = node->operands[0]->type.dtype;
        bool wide = !dtype_is_float(dtype) || dtype == DTYPE_f64;
        measure(out, node);
        out->reductions++;
        out->parts += info->parts;
        out->bytes += info->parts * (wide ? 8 : 4);
        out->wide |= wide;
    }
    return out->reductions > 0;
}

int64_t rows_blocks(const struct rows_domain *domain, const struct kernel *kernel)
{
    if (!domain->columns)
        return ceil_divide(domain->kept, attribute(kernel, ATTRIBUTE_rows, 1));
    int64_t cols = attribute(kernel, ATTRIBUTE_cols, 1);
    return domain->kept / domain->run * ceil_divide(domain->run, cols);
}

/* Groups of rows or columns, each with a counter: threads whose operands allow no vectors have a
 * column each, and a block has fewer. */
static int64_t most_groups(const struct rows_domain *domain, const struct kernel *kernel)
{
    if (!domain->columns)
        return rows_blocks(domain, kernel);
    int64_t share = attribute(kernel, ATTRIBUTE_cols, 1) / attribute(kernel, ATTRIBUTE_vector, 1);
    return domain->kept / domain->run * ceil_divide(domain->run, share > 1 ? share : 1);
}

bool gpu_lines(const struct function *function, const struct kernel *kernel,
               struct gpu_lines *out)
{
    *out = (struct gpu_lines){0};
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel == kernel && node->op == skeleton_anchor(kernel->skeleton))
            out->node = node;
    }
    if (!out->node)
        return false;
    const struct type *type = &out->node->operands[0]->type;
    out->count = type->dims[node_int(out->node, axis)];
    out->lines = out->count > 0 ? type_elements(type) / out->count : 0;
    out->pieces = attribute(kernel, ATTRIBUTE_split, 1);
    if (kernel->skeleton != SKELETON_sort)
        return true;
    int64_t keys = attribute(kernel, ATTRIBUTE_keys, 1);
    out->pieces = ceil_divide(out->count, keys);
    out->words = out->pieces > 1 ? 4 * out->pieces * keys : 0;
    return true;
}

/* Levels of a node's operands among the nodes of its kernel, of which `count` are known. */
static int level_of_operands(const struct node *node, const struct node *const *nodes,
                             const int *levels, int count)
{
    int level = 0;
    for (int k = 0; k < node->operand_count; k++)
        for (int i = 0; i < count; i++)
            if (nodes[i] == node->operands[k]->node && levels[i] > level)
                level = levels[i];
    return level;
}

int rows_passes(const struct function *function, const struct kernel *kernel)
{
    struct arena *arena = arena_create();
    const struct node **nodes = arena_array(arena, const struct node *, function->nodes.count + 1);
    int *levels = arena_array(arena, int, function->nodes.count + 1);
    int count = 0, passes = 1;
    struct rows_domain domain;
    rows_domain(function, kernel, &domain);
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        if (node->kernel != kernel)
            continue;
        enum place_kind place = node->results[0].place.kind;
        bool out = place == PLACE_NONE || place == PLACE_ARENA;
        bool reduces = op_info(node->op)->kind == KIND_RED;
        nodes[count] = node;
        levels[count] = level_of_operands(node, nodes, levels, count) + reduces;
        bool full = type_elements(&node->results[0].type) == domain.kept * domain.reduced;
        int needed = levels[count] + (out && full && levels[count] > 0);
        passes = needed > passes ? needed : passes;
        count++;
    }
    arena_destroy(arena);
    return passes;
}

bool rows_are_kept(const struct rows_domain *domain, const struct kernel *kernel)
{
    int64_t each = attribute(kernel, ATTRIBUTE_threads, 1) / attribute(kernel, ATTRIBUTE_rows, 1);
    return !domain->columns && attribute(kernel, ATTRIBUTE_split, 1) == 1 && each > 0 &&
           ceil_divide(domain->reduced, each) <= ROWS_REGISTERS;
}

static bool is_power_of_two(int64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

/* Each warp, or each thread of a column, leaves its accumulators once; of a split, those of the
 * blocks once more. */
static bool rows_facts(const struct function *function, const struct kernel *kernel,
                       struct gpu_facts *out)
{
    struct rows_domain domain;
    int64_t threads = attribute(kernel, ATTRIBUTE_threads, 1);
    int64_t vector = attribute(kernel, ATTRIBUTE_vector, 1);
    int64_t split = attribute(kernel, ATTRIBUTE_split, 1);
    if (!rows_domain(function, kernel, &domain) || (domain.wide && split > 1))
        return false;
    int64_t bytes = split > 1 ? 2 * domain.bytes : domain.bytes;
    if (domain.columns) {
        int64_t cols = attribute(kernel, ATTRIBUTE_cols, 1);
        out->shared_bytes = threads * vector * bytes;
        out->registers = 32 + (int)(2 * vector * domain.parts);
        return cols % vector == 0 && threads % (cols / vector) == 0;
    }
    int64_t rows = attribute(kernel, ATTRIBUTE_rows, 1), each = threads / rows;
    out->shared_bytes = each > GPU_WARP ? threads / GPU_WARP * bytes : 0;
    out->registers = 40 + ROWS_REGISTERS + 2 * domain.parts;
    return threads % rows == 0 && is_power_of_two(each);
}

/* A thread holds `vector` elements of what it reads and of what it stores. */
static int loop_registers(const struct function *function, const struct kernel *kernel)
{
    int64_t words = 0, vector = attribute(kernel, ATTRIBUTE_vector, 1);
    for (size_t i = 0; i < function->nodes.count; i++) {
        const struct node *node = function->nodes.items[i];
        for (int k = 0; node->kernel == kernel && k < node->operand_count; k++)
            words += node->operands[k]->node->kernel != kernel;
        for (int k = 0; node->kernel == kernel && k < op_info(node->op)->results; k++)
            words += node->results[k].place.kind == PLACE_NONE;
    }
    int64_t registers = 24 + words * (vector + 2);
    return registers < GPU_THREAD_REGISTERS ? (int)registers : GPU_THREAD_REGISTERS;
}

bool gpu_rows_facts(const struct function *function, const struct kernel *kernel,
                    struct gpu_facts *out)
{
    int64_t threads = attribute(kernel, ATTRIBUTE_threads, 1);
    *out = (struct gpu_facts){.registers = loop_registers(function, kernel)};
    if (threads % GPU_WARP != 0 || threads > GPU_BLOCK_THREADS)
        return false;
    struct gpu_lines lines;
    int64_t keys = attribute(kernel, ATTRIBUTE_keys, 1);
    switch (kernel->skeleton) {
    case SKELETON_rows: return rows_facts(function, kernel, out);
    case SKELETON_sort:
        if (!gpu_lines(function, kernel, &lines))
            return false;
        /* a merge has half of it from each of two runs, and as many in order */
        out->shared_bytes = keys * (lines.pieces > 1 ? 12 : 8);
        return is_power_of_two(keys) && keys >= 2 * threads && is_power_of_two(threads);
    case SKELETON_cumsum:
        out->shared_bytes = (threads + GPU_WARP) * 8;
        return gpu_lines(function, kernel, &lines);
    default: return true;
    }
}

void gpu_rows_workspace(const struct function *function, const struct kernel *kernel,
                        int64_t *out_bytes, int64_t *out_counters)
{
    struct rows_domain domain;
    struct gpu_lines lines;
    int64_t split = attribute(kernel, ATTRIBUTE_split, 1);
    *out_bytes = *out_counters = 0;
    if (kernel->skeleton == SKELETON_rows && split > 1 &&
        rows_domain(function, kernel, &domain)) {
        *out_bytes = domain.kept * split * domain.parts * 4;
        *out_counters = most_groups(&domain, kernel);
    }
    if (kernel->skeleton == SKELETON_sort && gpu_lines(function, kernel, &lines) &&
        lines.pieces > 1) {
        *out_bytes = lines.lines * lines.words * 4;
        *out_counters = lines.lines * lines.pieces * 2;
    }
}
