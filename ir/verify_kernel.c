/* Rules of kernels (skeletons.def) and of places, by stage: see verify.h. */
#include "ir/verify.h"

#include "ir/gpu_blas.h"
#include "ir/gpu_facts.h"
#include "ir/product.h"
#include "ir/target.h"

#include <string.h>

enum { PLACE_ALIGNMENT = 64 };

/* --- live-outs --- */

static void mark_use(bool *outside, const struct value *value, const struct kernel *user)
{
    if (value->node->kernel != user)
        outside[value->id] = true;
}

/* By value id: used by another kernel, or given by the function. */
static bool *find_live_outs(const struct verifier *v)
{
    const struct function *function = v->function;
    bool *outside = arena_array(v->arena, bool, (size_t)v->module->next_value + 1);
    for (size_t i = 0; i < function->nodes.count; i++)
        for (int k = 0; k < function->nodes.items[i]->operand_count; k++)
            mark_use(outside, function->nodes.items[i]->operands[k],
                     function->nodes.items[i]->kernel);
    for (size_t i = 0; i < function->bindings.count; i++)
        outside[function->bindings.items[i].value->id] = true;
    return outside;
}

/* --- kernels --- */

/* Ops that every skeleton computes where they are used. */
static bool is_light(const struct node *node)
{
    const struct op_info *info = op_info(node->op);
    return info->kind == KIND_EW || (info->flags & (OP_VIEW | OP_INDEX | OP_SOURCE));
}

struct group { /* a kernel and its nodes */
    const struct kernel *kernel;
    struct node *const *nodes;
    size_t count;
    const struct node *anchor;  /* the first; NULL if none */
    const struct node *reduced; /* the first RED node */
    bool gpu, product;          /* kinds of kernels: for a GPU, around products */
};

static bool same_reduction(const struct node *x, const struct node *y)
{
    int x_count, y_count;
    const int64_t *x_axes = node_list(x, axes, &x_count);
    const int64_t *y_axes = node_list(y, axes, &y_count);
    return x_count == y_count && memcmp(x_axes, y_axes, (size_t)x_count * sizeof *x_axes) == 0 &&
           type_same_dims(&x->operands[0]->type, &y->operands[0]->type);
}

static bool same_product(const struct node *x, const struct node *y)
{
    return x->operands[0] == y->operands[0] &&
           type_same_dims(&x->results[0].type, &y->results[0].type);
}

/* Reductions stand in kernels of rows, and on GPUs before the products of few rows. */
static void check_reduction(const struct verifier *v, struct group *group, const struct node *node)
{
    enum skeleton skeleton = group->kernel->skeleton;
    int count;
    const struct type *domain = &node->operands[0]->type;
    const int64_t *axes = node_list(node, axes, &count);
    bool along_rows = count == 1 && axes[0] == domain->rank - 1;
    bool few = skeleton == SKELETON_gemv || skeleton == SKELETON_skinny;
    bool prologue = group->gpu && few && along_rows && !group->anchor;
    if (skeleton != SKELETON_rows && !prologue)
        verify_fail(v, &node->results[0], "only kernels of skeleton rows reduce");
    if (group->reduced && !same_reduction(group->reduced, node))
        verify_fail(v, &node->results[0], "all reductions of a kernel have one domain");
    group->reduced = group->reduced ? group->reduced : node;
}

static void check_heavy_node(const struct verifier *v, struct group *group, const struct node *node)
{
    bool update = group->gpu && group->product && node->op == OP_update && group->anchor;
    if (op_info(node->op)->kind == KIND_RED) {
        check_reduction(v, group, node);
        return;
    }
    if (node->op != skeleton_anchor(group->kernel->skeleton) && !update)
        verify_fail(v, &node->results[0], "this op cannot stand in a kernel of this skeleton");
    bool may_share = group->product && group->anchor;
    bool together = may_share && (group->gpu || same_product(group->anchor, node));
    if (group->anchor && !together)
        verify_fail(v, &node->results[0], "a kernel has one anchor (or two products of one %a)");
    group->anchor = group->anchor ? group->anchor : node;
}

static bool fits_rows(const struct group *group, const struct type *type)
{
    const struct type *domain = &group->reduced->operands[0]->type;
    return type_same_dims(type, domain) || type_same_dims(type, &group->reduced->results[0].type);
}

static void check_live_out(const struct verifier *v, const struct group *group,
                           const struct value *value, const struct value **first)
{
    enum skeleton skeleton = group->kernel->skeleton;
    if (skeleton == SKELETON_loop) {
        if (*first && type_elements(&(*first)->type) != type_elements(&value->type))
            verify_fail(v, value, "live-outs of a loop have one number of elements");
        *first = value;
    }
    if (skeleton == SKELETON_rows && group->reduced && !fits_rows(group, &value->type))
        verify_fail(v, value, "live-outs of rows have the domain's dimensions, or reduced ones");
    if (group->product && !group->gpu &&
        type_elements(&value->type) != type_elements(&group->anchor->results[0].type))
        verify_fail(v, value, "live-outs of a product have the product's number of elements");
}

/* On GPUs the products of a kernel form segments, and a live-out has its segment's elements. */
static void check_segments(const struct verifier *v, const struct group *group, const bool *outside)
{
    struct product_layout layout;
    if (!product_segments(v->arena, v->function, group->kernel, &layout))
        verify_fail(v, &group->anchor->results[0],
                    "products of a kernel share %a, M and K, and its tiles cover their columns");
    for (size_t i = 0; i < group->count; i++) {
        const struct value *value = &group->nodes[i]->results[0];
        int segment = product_segment_of(&layout, value);
        bool stored = outside[value->id] && value->place.kind != PLACE_VIEW &&
                      !(op_info(value->node->op)->flags & OP_EFFECT);
        if (stored && (segment < 0 || type_elements(&value->type) !=
                                          layout.e.batch * layout.e.m * layout.segments[segment].n))
            verify_fail(v, value, "live-outs of a product have the product's number of elements");
    }
}

/* Counts beyond these make no kernel, and what is computed from them stays within 64 bits. */
static bool counts_in_bounds(const struct attributes *attributes)
{
    enum { MOST = 1 << 20, MOST_LANES = 8, MOST_BLOCKS = 32 };
    static const enum attribute_id counts[] = {
        ATTRIBUTE_rows,    ATTRIBUTE_cols,    ATTRIBUTE_nr,     ATTRIBUTE_kc,    ATTRIBUTE_keys,
        ATTRIBUTE_threads, ATTRIBUTE_warps_m, ATTRIBUTE_warps_n, ATTRIBUTE_stages,
        ATTRIBUTE_split,   ATTRIBUTE_band,    ATTRIBUTE_pair,
    };
    int64_t lanes = attributes_int(attributes, ATTRIBUTE_vector);
    int64_t blocks = attributes_int(attributes, ATTRIBUTE_residency);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int64_t count = attributes_int(attributes, counts[i]);
        if (count < 0 || count > MOST)
            return false;
    }
    bool whole = lanes >= 1 && lanes <= MOST_LANES && (lanes & (lanes - 1)) == 0;
    return whole && blocks >= 1 && blocks <= MOST_BLOCKS;
}

/* What a kernel was given of its GPU is there, and enough. */
static bool fits_gpu(const struct verifier *v, const struct kernel *kernel)
{
    struct gpu_facts facts;
    int64_t workspace, counters;
    const struct attributes *attributes = &kernel->attributes;
    const struct gpu *gpu = target_find(v->module->target)->gpu;
    if (!counts_in_bounds(attributes) || !gpu_facts(v->function, kernel, &facts))
        return false;
    int64_t shared = attributes_int(attributes, ATTRIBUTE_shared);
    int threads = (int)attributes_int(attributes, ATTRIBUTE_threads);
    bool library = gpu_provider(kernel) != PROVIDER_none;
    gpu_workspace(v->function, kernel, &workspace, &counters);
    return (library || gpu_residency(gpu, &facts, threads) > 0) && shared >= facts.shared_bytes &&
           shared <= gpu->shared_block &&
           attributes_int(attributes, ATTRIBUTE_workspace) >= workspace &&
           attributes_int(attributes, ATTRIBUTE_workspace) <= gpu->memory_bytes &&
           attributes_int(attributes, ATTRIBUTE_counters) >= counters &&
           attributes_int(attributes, ATTRIBUTE_counters) <= INT32_MAX;
}

/* From tile on: the attributes make a kernel, with the blocks that they ask for. */
static void check_tiles(const struct verifier *v, const struct group *group)
{
    int64_t blocks = 0;
    bool tiled = strcmp(v->module->stage, "tile") == 0 || strcmp(v->module->stage, "plan") == 0;
    if (!tiled)
        return;
    bool fits = fits_gpu(v, group->kernel);
    if (fits)
        blocks = gpu_blocks(v->function, group->kernel);
    int64_t tiles = attributes_int(&group->kernel->attributes, ATTRIBUTE_tiles);
    if (!fits || tiles < 1 || tiles > INT32_MAX || (blocks > 0 && tiles != blocks))
        verify_fail(v, &group->nodes[0]->results[0],
                    "the attributes of a GPU kernel fit its skeleton, each other and the GPU");
}

static bool is_for_gpu(const struct module *module)
{
    const struct target *target = module->target ? target_find(module->target) : NULL;
    return target && target->gpu;
}

static void check_group(const struct verifier *v, struct group *group, const bool *outside)
{
    const struct value *first = NULL;
    enum skeleton skeleton = group->kernel->skeleton;
    group->gpu = is_for_gpu(v->module);
    group->product = skeleton_anchor(skeleton) == OP_matmul;
    for (size_t i = 0; i < group->count; i++)
        if (!is_light(group->nodes[i]))
            check_heavy_node(v, group, group->nodes[i]);
    if (skeleton_anchor(skeleton) != OP_COUNT && !group->anchor)
        verify_fail(v, NULL, "a kernel holds the op that its skeleton is built around");
    if (group->gpu && group->product)
        check_segments(v, group, outside);
    if (group->gpu && group->count > 0)
        check_tiles(v, group);
    for (size_t i = 0; i < group->count; i++)
        for (int k = 0; k < group->nodes[i]->result_count; k++) {
            const struct value *value = &group->nodes[i]->results[k];
            bool stored = outside[value->id] && value->place.kind != PLACE_VIEW;
            if (stored)
                check_live_out(v, group, value, &first);
        }
}

void verify_kernels(const struct verifier *v)
{
    const struct function *function = v->function;
    size_t at = 0;
    struct map names = map_create(v->arena);
    const bool *outside = find_live_outs(v);
    for (size_t i = 0; !function->kernels.count && i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel)
            verify_fail(v, &function->nodes.items[i]->results[0], "kernels are listed");
    for (size_t k = 0; k < function->kernels.count; k++) {
        const struct kernel *kernel = function->kernels.items[k];
        struct group group = {.kernel = kernel};
        if (at < function->nodes.count)
            group.nodes = function->nodes.items + at;
        if (map_get(&names, kernel->name))
            verify_fail(v, NULL, "names of kernels are unique");
        map_set(&names, kernel->name, (void *)kernel);
        for (; at < function->nodes.count && function->nodes.items[at]->kernel == kernel; at++)
            group.count++;
        check_group(v, &group, outside);
    }
    if (function->kernels.count && at < function->nodes.count)
        verify_fail(v, &function->nodes.items[at]->results[0],
                    "nodes stand kernel by kernel, in the order of the kernels");
}

/* --- places --- */

static void check_arena_place(const struct verifier *v, const struct value *value)
{
    uint64_t bytes = type_storage_bytes(&value->type), end;
    uint64_t limit = v->module->arena_bytes;
    if (value->node->op == OP_state)
        limit = v->module->state_bytes;
    if (value->place.offset % PLACE_ALIGNMENT ||
        __builtin_add_overflow(value->place.offset, bytes, &end) || end > limit)
        verify_fail(v, value, "places in the arena are aligned and inside");
}

static void check_place(const struct verifier *v, const struct value *value, bool outside)
{
    bool planned = v->module->arena_bytes > 0;
    enum place_kind kind = value->place.kind;
    bool stored = outside || value->node->op == OP_param || value->node->op == OP_state;
    if (strcmp(v->module->stage, "plan") == 0 && kind == PLACE_NONE && stored)
        verify_fail(v, value, "after plan every value that leaves its kernel has a place");
    if (!v->function->kernels.count && kind != PLACE_NONE && !planned &&
        type_bytes(&value->type) > 0)
        verify_fail(v, value, "values have no places before there are kernels");
    if (kind == PLACE_ARENA && !planned && type_bytes(&value->type) > 0)
        verify_fail(v, value, "offsets come from the plan");
    if (kind == PLACE_ARENA)
        check_arena_place(v, value);
    if (kind == PLACE_REG && outside)
        verify_fail(v, value, "a value that leaves its kernel is not in registers");
    if (kind == PLACE_VIEW && value->node->operand_count == 0)
        verify_fail(v, value, "a view has an operand");
    if (kind == PLACE_CONSTANT && value->node->op != OP_const)
        verify_fail(v, value, "only constants are in the program");
    if (kind == PLACE_WEIGHT && value->node->op != OP_weight)
        verify_fail(v, value, "only weights are in the checkpoint");
}

void verify_places(const struct verifier *v)
{
    const struct function *function = v->function;
    const bool *outside = find_live_outs(v);
    for (size_t i = 0; i < function->params.count; i++)
        check_place(v, &function->params.items[i]->results[0], false);
    for (size_t i = 0; i < function->nodes.count; i++)
        for (int k = 0; k < function->nodes.items[i]->result_count; k++) {
            const struct value *value = &function->nodes.items[i]->results[k];
            check_place(v, value, outside[value->id] && function->kernels.count);
        }
    for (size_t i = 0; i < v->module->states.count; i++)
        check_place(v, &v->module->states.items[i]->results[0], false);
}
