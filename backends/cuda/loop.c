/*
 * The skeleton `loop`: one pass over the elements of the live-outs by all threads of the grid.
 * It begins as a single variable over all elements; views split it, the last part into the
 * neighbours of a thread.
 */
#include "backends/cuda/skeletons.h"

static void attempt(struct generator *g)
{
    struct nest nest = nest_of_grid(g, 0);
    for (int v = 0; v < g->variable_count; v++)
        g->variables[v].atom = -1;
    nest_emit(g, &nest, live_outs_store);
}

void cuda_emit_loop(struct generator *g)
{
    cuda_of(g)->mma_count = 0;
    emit_attempts(g, live_outs_variable, attempt);
}
