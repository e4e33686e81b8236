/*
 * The skeleton `loop`: one pass over the elements of the live-outs by all threads of the grid.
 * It begins as a single variable over all elements; views split it, the last part into the
 * neighbours of a thread.
 */
#include "backends/cuda/skeletons.h"

static void prepare(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    variable_add(g, outs.count ? type_elements(&outs.items[0]->type) : 0, 0, true);
}

static void store_all(struct generator *g)
{
    struct value_list outs = kernel_live_outs(g);
    struct index index = linear_index(g, -1);
    struct element *elements = arena_array(g->arena, struct element, (size_t)outs.count + 1);
    for (int i = 0; i < outs.count; i++)
        elements[i] = value_at(g, outs.items[i], index);
    for (int i = 0; i < outs.count; i++)
        value_store(g, outs.items[i], index, elements[i]);
}

static void attempt(struct generator *g)
{
    struct nest nest = nest_of_grid(g, 0);
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    nest_emit(g, &nest, store_all);
}

void cuda_emit_loop(struct generator *g)
{
    cuda_of(g)->mma_count = 0;
    emit_attempts(g, prepare, attempt);
}
