/* See fuse_move.h. */
#include "passes/fuse_move.h"

/* Who reads the values of a node or a loop, outside its group. */
struct readers {
    int group;  /* the only one; -1 if there is none or several */
    int count;  /* reads */
    bool plain; /* every read takes each element at most once, by one path */
    bool flat;  /* and at the element's own index */
};

struct mover {
    struct groups *groups;
    struct fuse_graph *graph;
    bool *bound;             /* by position: a result of the function */
    struct readers *readers; /* by position */
};

static void find_bound(struct mover *m)
{
    const struct function *function = m->graph->function;
    for (size_t i = 0; i < function->bindings.count; i++) {
        int position = fuse_position(m->graph, function->bindings.items[i].value);
        if (position >= 0)
            m->bound[position] = true;
    }
}

static void note_read(struct mover *m, int reader, const struct need *need)
{
    int producer = fuse_position(m->graph, need->value);
    int group = groups_of(m->groups, reader);
    struct readers *r = &m->readers[producer];
    if (producer < 0 || group == groups_of(m->groups, producer))
        return;
    r->group = r->count == 0 || r->group == group ? group : -1;
    r->count++;
    r->plain &= need->access != ACCESS_ROW && need->access <= ACCESS_ONCE &&
                !m->graph->twice[reader] && r->count == 1;
    r->flat &= need->access <= ACCESS_FLAT && !m->graph->twice[reader];
}

static void find_readers(struct mover *m)
{
    for (int p = 0; p < m->graph->count; p++)
        m->readers[p] = (struct readers){-1, 0, true, true};
    for (int p = 0; p < m->graph->count; p++)
        for (size_t i = 0; i < m->graph->needs[p].count; i++)
            note_read(m, p, &m->graph->needs[p].items[i]);
}

/* --- single nodes --- */

/* Whether all that a node needs from its own group leaves that group anyway. */
static bool needs_escape(const struct mover *m, int position, int group)
{
    for (size_t i = 0; i < m->graph->needs[position].count; i++) {
        int producer = fuse_position(m->graph, m->graph->needs[position].items[i].value);
        if (groups_of(m->groups, producer) == group && m->readers[producer].count == 0 &&
            !m->bound[producer])
            return false;
    }
    return true;
}

/* Whether another node of the group needs the value of this one. */
static bool needed_inside(const struct mover *m, int position, int group)
{
    const struct group *g = &m->groups->list.items[group];
    for (size_t n = 0; n < g->nodes.count; n++) {
        int other = g->nodes.items[n];
        for (size_t i = 0; i < m->graph->needs[other].count; i++)
            if (fuse_position(m->graph, m->graph->needs[other].items[i].value) == position)
                return true;
    }
    return false;
}

static bool should_move(const struct mover *m, int position)
{
    int group = groups_of(m->groups, position);
    const struct readers *r = &m->readers[position];
    if (group < 0 || m->bound[position] || r->group < 0 || !r->flat ||
        m->graph->states[position].count > 0 ||
        op_info(m->graph->nodes[position]->op)->kind != KIND_EW)
        return false;
    const struct group *from = &m->groups->list.items[group];
    const struct group *into = &m->groups->list.items[r->group];
    bool runs_over = (into->skeleton == SKELETON_loop || into->skeleton == SKELETON_rows) &&
                     type_same_dims(&into->domain, &m->graph->nodes[position]->results[0].type);
    return from->nodes.count > 1 && runs_over && needs_escape(m, position, group) &&
           !needed_inside(m, position, group);
}

static void move_node(struct mover *m, int position)
{
    struct group *from = &m->groups->list.items[groups_of(m->groups, position)];
    size_t kept = 0;
    for (size_t i = 0; i < from->nodes.count; i++)
        if (from->nodes.items[i] != position)
            from->nodes.items[kept++] = from->nodes.items[i];
    from->nodes.count = kept;
    from->first = from->last = from->nodes.items[0];
    for (size_t i = 0; i < kept; i++) {
        int node = from->nodes.items[i];
        from->first = node < from->first ? node : from->first;
        from->last = node > from->last ? node : from->last;
    }
    groups_join(m->groups, m->readers[position].group, position);
}

/* --- whole loops --- */

static bool takes_loops(enum skeleton skeleton)
{
    return skeleton == SKELETON_loop || skeleton == SKELETON_update || skeleton == SKELETON_mark;
}

/* The group that alone reads a loop's values, each element once; -1 if there is none. */
static int sole_reader(const struct mover *m, int loop)
{
    const struct group *group = &m->groups->list.items[loop];
    int reader = -1;
    for (size_t i = 0; i < group->nodes.count; i++) {
        int position = group->nodes.items[i];
        const struct readers *r = &m->readers[position];
        if (m->bound[position] || m->graph->states[position].count > 0)
            return -1;
        if (r->count == 0)
            continue;
        if (r->group < 0 || !r->plain || (reader >= 0 && reader != r->group))
            return -1;
        reader = r->group;
    }
    return reader;
}

static void absorb_loop(struct mover *m, int loop)
{
    const struct group *group = &m->groups->list.items[loop];
    if (group->merged >= 0 || group->skeleton != SKELETON_loop)
        return;
    find_readers(m);
    int reader = sole_reader(m, loop);
    if (reader >= 0 && takes_loops(m->groups->list.items[reader].skeleton))
        groups_take(m->groups, reader, loop);
}

void move_nodes_to_readers(struct groups *groups)
{
    size_t count = (size_t)groups->graph->count + 1;
    struct arena *arena = groups->graph->module->arena;
    struct mover m = {groups, groups->graph, arena_array(arena, bool, count),
                      arena_array(arena, struct readers, count)};
    find_bound(&m);
    find_readers(&m);
    for (int p = groups->graph->count; p-- > 0;)
        if (should_move(&m, p)) {
            move_node(&m, p);
            find_readers(&m);
        }
    for (int group = 0; group < (int)groups->list.count; group++)
        absorb_loop(&m, group);
}
