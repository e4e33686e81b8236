/* See lines.h. */
#include "backends/cuda/lines.h"

struct gpu_lines lines_create(struct generator *g)
{
    struct gpu_lines lines;
    struct gpu_facts facts;
    if (!gpu_rows_facts(g->function, g->kernel, &facts) ||
        !gpu_lines(g->function, g->kernel, &lines))
        fatal(INTERNAL, "the attributes of a kernel of lines do not fit", g->kernel->name);
    cuda_of(g)->blocks = lines.lines * lines.pieces;
    cuda_of(g)->shared = facts.shared_bytes;
    cuda_of(g)->mma_count = 0;
    return lines;
}

static void line_dims(const struct gpu_lines *lines, int64_t out_dims[3])
{
    const struct type *type = &lines->node->operands[0]->type;
    int axis = (int)node_int(lines->node, axis);
    for (int k = 0; k < 3; k++)
        out_dims[k] = 1;
    for (int k = 0; k < type->rank; k++)
        out_dims[(k > axis) - (k < axis) + 1] *= type->dims[k];
}

void lines_variables(struct generator *g, const struct gpu_lines *lines)
{
    int64_t dims[3];
    line_dims(lines, dims);
    for (int k = 0; k < 3; k++)
        variable_add(g, dims[k], k, false);
}

void lines_open(struct generator *g, const struct gpu_lines *lines)
{
    const char *type = g->dialect->index_type;
    struct writer *w = scope_writer(g);
    int after = g->variable_count - 1;
    bool one = lines->pieces == 1, inner = g->extents[after] > 1;
    writer_line(w, one ? "const %s line = block_index();" : "const %s line = block_index() / %lld;",
                type, (long long)lines->pieces);
    if (!one)
        writer_line(w, "const int piece = block_index() %% %lld;", (long long)lines->pieces);
    writer_line(w, inner ? "const %s v0 = line / %lld;" : "const %s v0 = line;", type,
                (long long)g->extents[after]);
    if (inner)
        writer_line(w, "const %s v%d = line %% %lld;", type, after,
                    (long long)g->extents[after]);
    variable_open(g, 0, "v0", 0, g->extents[0] - 1);
    if (inner)
        variable_open(g, after, arena_printf(g->arena, "v%d", after), 0, g->extents[after] - 1);
}

struct index lines_index(struct generator *g, const struct gpu_lines *lines, struct index along)
{
    int64_t dims[3];
    int after = g->variable_count - 1;
    line_dims(lines, dims);
    struct index axes[3] = {index_of_atom(g->variables[0].atom), along, index_constant(0)};
    if (dims[2] > 1)
        axes[2] = index_of_atom(g->variables[after].atom);
    return index_put_together(&g->space, 3, dims, axes);
}
