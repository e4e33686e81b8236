/*
 * Kernels that a library computes: no text, but the description of the product, which a program's
 * tables hold instead. Products of equal descriptions are one kernel.
 */
#include "backends/cuda/kernel.h"

static void put_matrix(struct str *out, const struct gpu_matrix *matrix)
{
    str_printf(out, " %d:%d:%lld:%lld:%lld", matrix->operand, matrix->transposed,
               (long long)matrix->offset, (long long)matrix->pitch, (long long)matrix->stride);
}

/* A text that two products share if they are the same. */
static const char *product_key(struct arena *arena, const struct gpu_blas *p)
{
    struct str out = str_create(arena);
    str_printf(&out, "product %s %s %lld %lld %lld %lld", dtype_name(p->multiply),
               dtype_name(p->result), (long long)p->batch, (long long)p->m, (long long)p->n,
               (long long)p->k);
    put_matrix(&out, &p->a);
    put_matrix(&out, &p->b);
    put_matrix(&out, &p->c);
    put_matrix(&out, &p->d);
    put_matrix(&out, &p->bias);
    return out.text;
}

struct cuda_kernel_text cuda_provider_print(struct generator *g, const char *comment)
{
    struct gpu_blas *product = arena_new(g->arena, struct gpu_blas);
    if (!gpu_blas(g->function, g->kernel, product))
        fatal(INTERNAL, "a library cannot compute this kernel", g->kernel->name);
    return (struct cuda_kernel_text){.comment = comment,
                                     .body = product_key(g->arena, product),
                                     .blocks = 1,
                                     .threads = GPU_WARP,
                                     .residency = 1,
                                     .workspace = true,
                                     .operands = product->operands,
                                     .operand_count = (size_t)product->operand_count,
                                     .product = product};
}
