/* Values into kernels: pass_fuse. */
#include "ir/build.h"
#include "ir/target.h"
#include "passes/fuse_gpu.h"
#include "passes/fuse_move.h"
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

struct fuser {
    struct fuse_graph graph;
    struct groups groups;
    ARRAY_OF(int) * readers; /* by id of a state's value: positions of computed nodes reading it */
    bool *escapes;           /* by value id: used outside its kernel */
};

static struct group *group_at(struct fuser *f, int group)
{
    return &f->groups.list.items[group];
}

/* --- states: the old value is read before the new one takes its place --- */

static void find_readers(struct fuser *f)
{
    struct module *module = f->graph.module;
    f->readers = arena_alloc(module->arena, module->next_value, sizeof *f->readers);
    for (int p = 0; p < f->graph.count; p++)
        for (size_t i = 0; i < f->graph.states[p].count; i++)
            array_push(module->arena, &f->readers[f->graph.states[p].items[i].value->id], p);
}

static const struct value *stored_state(const struct fuser *f, const struct node *node)
{
    for (size_t i = 0; i < f->graph.function->bindings.count; i++) {
        const struct binding *binding = &f->graph.function->bindings.items[i];
        if (binding->state && binding->value->node == node)
            return binding->state;
    }
    return NULL;
}

/* Whether every read of `state` by a node is at the element that it computes. */
static bool reads_in_step(const struct fuser *f, int position, const struct value *state)
{
    if (op_info(f->graph.nodes[position]->op)->kind == KIND_OP)
        return false;
    for (size_t i = 0; i < f->graph.states[position].count; i++) {
        const struct need *need = &f->graph.states[position].items[i];
        if (need->value == state && need->access > ACCESS_FLAT)
            return false;
    }
    return true;
}

/* Whether the state can be overwritten in `group` as it computes the next value. */
static bool may_overwrite(struct fuser *f, int group, const struct value *state)
{
    for (size_t i = 0; i < f->readers[state->id].count; i++) {
        int position = f->readers[state->id].items[i], reader = groups_of(&f->groups, position);
        if (reader == group ? !reads_in_step(f, position, state)
                            : reader >= 0 && groups_depends(&f->groups, reader, group))
            return false;
    }
    return true;
}

static void run_after_readers(struct fuser *f, int position, const struct value *state)
{
    int group = groups_of(&f->groups, position);
    for (size_t i = 0; i < f->readers[state->id].count; i++) {
        int reader = groups_of(&f->groups, f->readers[state->id].items[i]);
        if (reader == group)
            continue;
        if (groups_depends(&f->groups, reader, group))
            fatal_at(f->graph.nodes[position]->location, INTERNAL,
                     "a state is read after it was overwritten", state->name);
        array_push(f->graph.module->arena, &group_at(f, group)->after, reader);
    }
}

/* --- grouping --- */

/* The living groups of what a node needs, latest first, each once. */
static int candidates(struct fuser *f, int position, int *out_groups, int room)
{
    int count = 0;
    for (size_t i = 0; i < f->graph.needs[position].count && count < room; i++) {
        int producer = fuse_position(&f->graph, f->graph.needs[position].items[i].value);
        int group = groups_of(&f->groups, producer), at = 0;
        while (at < count && out_groups[at] != group)
            at++;
        if (at < count)
            continue;
        for (at = count++;
             at > 0 && group_at(f, out_groups[at - 1])->last < group_at(f, group)->last; at--)
            out_groups[at] = out_groups[at - 1];
        out_groups[at] = group;
    }
    return count;
}

static bool try_join(struct fuser *f, int group, int position, const struct value *state)
{
    if (!groups_accept(&f->groups, group, position) ||
        !groups_can_join(&f->groups, group, position) || (state && !may_overwrite(f, group, state)))
        return false;
    groups_join(&f->groups, group, position);
    return true;
}

static void place_node(struct fuser *f, int position)
{
    enum { ROOM = 64 };
    int found[ROOM];
    const struct node *node = f->graph.nodes[position];
    const struct value *state = stored_state(f, node);
    int count = op_info(node->op)->kind == KIND_OP ? 0 : candidates(f, position, found, ROOM);
    int joined = -1;
    for (int i = 0; i < count && joined < 0; i++)
        if (try_join(f, found[i], position, state))
            joined = found[i];
    if (joined < 0)
        joined = groups_add(&f->groups, position);
    for (int i = 0; i < count; i++)
        if (found[i] != joined && groups_accept(&f->groups, found[i], position))
            groups_merge(&f->groups, joined, found[i]);
    if (state)
        run_after_readers(f, position, state);
}

/* --- assembly --- */

static void find_escapes(struct fuser *f)
{
    f->escapes = arena_array(f->graph.module->arena, bool, f->graph.module->next_value);
    for (int p = 0; p < f->graph.count; p++)
        for (size_t i = 0; i < f->graph.needs[p].count; i++) {
            const struct value *value = f->graph.needs[p].items[i].value;
            if (groups_of(&f->groups, fuse_position(&f->graph, value)) != groups_of(&f->groups, p))
                f->escapes[value->id] = true;
        }
    for (size_t i = 0; i < f->graph.function->bindings.count; i++)
        f->escapes[f->graph.function->bindings.items[i].value->id] = true;
}

struct assembly {
    struct fuser *fuser;
    struct rebuild rebuild;
    struct kernel *kernel;
    bool *emitted;               /* by group */
    struct kernel **cheap_owner; /* by position: the kernel that its last copy is in */
};

static void copy_node(struct assembly *a, int position)
{
    const struct fuser *f = a->fuser;
    const struct node *old = f->graph.nodes[position];
    struct node *node = rebuild_copy(&a->rebuild, old);
    const struct op_info *info = op_info(old->op);
    node->kernel = a->kernel;
    enum place_kind inside = info->flags & OP_VIEW   ? PLACE_VIEW
                             : node_text(node, blob) ? PLACE_CONSTANT
                                                     : PLACE_REG;
    for (int i = 0; i < info->results; i++) {
        bool memory = f->escapes[old->results[i].id] && !f->graph.cheap[position];
        if (!memory && !(info->flags & OP_EFFECT))
            node->results[i].place.kind = inside;
    }
}

/* Copies the cheap nodes under `value` into the kernel, once each. */
static void copy_cheap(struct assembly *a, const struct value *value)
{
    const struct fuse_graph *graph = &a->fuser->graph;
    int position = fuse_position(graph, value);
    if (position < 0 || !graph->cheap[position] || a->cheap_owner[position] == a->kernel)
        return;
    for (int i = 0; i < value->node->operand_count; i++)
        copy_cheap(a, value->node->operands[i]);
    copy_node(a, position);
    a->cheap_owner[position] = a->kernel;
}

static int by_position(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void name_kernel(struct assembly *a, struct group *group)
{
    struct fuser *f = a->fuser;
    for (size_t i = 0; i < group->nodes.count; i++) {
        const struct value *value = &f->graph.nodes[group->nodes.items[i]]->results[0];
        if (!a->kernel->name || f->escapes[value->id])
            a->kernel->name = value->name;
    }
}

static void assemble_group(struct assembly *a, int number)
{
    struct fuser *f = a->fuser;
    struct arena *arena = f->graph.module->arena;
    struct group *group = group_at(f, number);
    qsort(group->nodes.items, group->nodes.count, sizeof(int), by_position);
    a->kernel = arena_new(arena, struct kernel);
    a->kernel->skeleton = group->skeleton;
    name_kernel(a, group);
    array_push(arena, &f->graph.function->kernels, a->kernel);
    for (size_t i = 0; i < group->nodes.count; i++) {
        const struct node *node = f->graph.nodes[group->nodes.items[i]];
        for (int o = 0; o < node->operand_count; o++)
            copy_cheap(a, node->operands[o]);
        copy_node(a, group->nodes.items[i]);
    }
}

/* Groups in order of their last node, what they need first. */
static void assemble_with_needs(struct assembly *a, int number)
{
    struct fuser *f = a->fuser;
    if (a->emitted[number])
        return;
    a->emitted[number] = true;
    struct group *group = group_at(f, number);
    for (size_t i = 0; i < group->after.count; i++)
        assemble_with_needs(a, groups_find(&f->groups, group->after.items[i]));
    for (size_t i = 0; i < group->nodes.count; i++) {
        int position = group->nodes.items[i];
        for (size_t k = 0; k < f->graph.needs[position].count; k++) {
            const struct value *value = f->graph.needs[position].items[k].value;
            assemble_with_needs(a, groups_of(&f->groups, fuse_position(&f->graph, value)));
        }
    }
    assemble_group(a, number);
}

static void assemble(struct fuser *f)
{
    struct module *module = f->graph.module;
    struct assembly a = {.fuser = f};
    a.emitted = arena_array(module->arena, bool, f->groups.list.count + 1);
    a.cheap_owner = arena_array(module->arena, struct kernel *, (size_t)f->graph.count + 1);
    a.rebuild = rebuild_begin(module, f->graph.function);
    for (int p = 0; p < f->graph.count; p++)
        for (int group = groups_of(&f->groups, p);
             group >= 0 && group_at(f, group)->last == p && !a.emitted[group];)
            assemble_with_needs(&a, group);
    rebuild_end(&a.rebuild);
}

static void group_nodes(struct fuser *f, bool pairs)
{
    f->groups = groups_create(&f->graph, pairs);
    for (int p = 0; p < f->graph.count; p++)
        if (!f->graph.cheap[p])
            place_node(f, p);
    move_nodes_to_readers(&f->groups);
    if (f->graph.gpu)
        merge_for_gpu(&f->groups);
}

static void fuse_function(struct module *module, struct function *function, bool gpu)
{
    struct fuser f = {.graph = fuse_graph_create(module, function, gpu)};
    find_readers(&f);
    group_nodes(&f, gpu);
    if (gpu && leaves_in_halves(&f.groups))
        group_nodes(&f, false);
    find_escapes(&f);
    assemble(&f);
}

/*
 * Requires: layout; no kernels.
 * Preserves: every value, bit for bit: nodes are grouped and cheap ones repeated, none changes.
 * Breaks: node order; from here on a function's nodes stand kernel by kernel, and rebuild is over.
 *   skeletons.def says what a kernel of each skeleton holds.
 */
void pass_fuse(struct module *module, const struct target *target)
{
    module->target = target ? target->name : NULL;
    for (size_t i = 0; i < module->functions.count; i++)
        fuse_function(module, module->functions.items[i], target && target->gpu);
}
