/* See gpu_facts.h. */
#include "ir/gpu_facts.h"

#include "ir/gpu_attention.h"
#include "ir/gpu_blas.h"
#include "ir/gpu_gemv.h"
#include "ir/gpu_matmul.h"
#include "ir/gpu_rows.h"

/* A library's kernels are its own. */
static bool library_facts(const struct function *function, const struct kernel *kernel,
                          struct gpu_facts *out)
{
    struct gpu_blas blas;
    *out = (struct gpu_facts){0};
    return gpu_provider(kernel) != PROVIDER_COUNT && gpu_blas(function, kernel, &blas);
}

bool gpu_facts(const struct function *function, const struct kernel *kernel,
               struct gpu_facts *out)
{
    if (gpu_provider(kernel) != PROVIDER_none)
        return library_facts(function, kernel, out);
    switch (kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d: return gpu_matmul_facts(function, kernel, out);
    case SKELETON_gemv: return gpu_gemv_facts(function, kernel, out);
    case SKELETON_skinny: return gpu_skinny_facts(function, kernel, out);
    case SKELETON_attention: return gpu_attention_facts(function, kernel, out);
    case SKELETON_split_attention: return gpu_split_attention_facts(function, kernel, out);
    default: return gpu_rows_facts(function, kernel, out);
    }
}

/* The tile of a product; zeros if there is none. */
static struct gpu_tile product_tile_of(const struct function *function, const struct kernel *kernel)
{
    struct arena *arena = arena_create();
    struct product_layout layout;
    struct gpu_tile tile = {0};
    if (!product_segments(arena, function, kernel, &layout) ||
        !gpu_matmul_tile(&layout, kernel, &tile))
        tile = (struct gpu_tile){0};
    arena_destroy(arena);
    return tile;
}

void gpu_workspace(const struct function *function, const struct kernel *kernel,
                   int64_t *out_bytes, int64_t *out_counters)
{
    struct attention_layout attention;
    struct gpu_tile tile;
    *out_bytes = *out_counters = 0;
    if (gpu_provider(kernel) != PROVIDER_none)
        return;
    switch (kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d:
        tile = product_tile_of(function, kernel);
        *out_bytes = tile.workspace_bytes;
        *out_counters = tile.counters;
        break;
    case SKELETON_skinny: gpu_skinny_split(function, kernel, out_bytes, out_counters); break;
    case SKELETON_split_attention:
        if (attention_layout(function, kernel, &attention))
            gpu_split_attention_workspace(&attention, out_bytes, out_counters);
        break;
    default: gpu_rows_workspace(function, kernel, out_bytes, out_counters); break;
    }
}

static int64_t column_tiles(const struct function *function, const struct kernel *kernel)
{
    struct arena *arena = arena_create();
    struct product_layout layout;
    int64_t blocks = product_segments(arena, function, kernel, &layout) ? layout.tiles : 0;
    arena_destroy(arena);
    return blocks * attributes_int(&kernel->attributes, ATTRIBUTE_split);
}

static int64_t rows_grid(const struct function *function, const struct kernel *kernel)
{
    struct rows_domain domain;
    int64_t split = attributes_int(&kernel->attributes, ATTRIBUTE_split);
    if (!rows_domain(function, kernel, &domain) || domain.kept == 0)
        return 1;
    return rows_blocks(&domain, kernel) * split;
}

int64_t gpu_blocks(const struct function *function, const struct kernel *kernel)
{
    struct attention_layout attention;
    struct gpu_lines lines;
    if (gpu_provider(kernel) != PROVIDER_none)
        return 1;
    switch (kernel->skeleton) {
    case SKELETON_matmul:
    case SKELETON_conv2d: return product_tile_of(function, kernel).blocks;
    case SKELETON_gemv:
    case SKELETON_skinny: return column_tiles(function, kernel);
    case SKELETON_attention:
    case SKELETON_split_attention:
        return attention_layout(function, kernel, &attention) ? attention.tiles : 0;
    case SKELETON_rows: return rows_grid(function, kernel);
    case SKELETON_sort:
    case SKELETON_cumsum:
        return gpu_lines(function, kernel, &lines) && lines.lines > 0
                   ? lines.lines * lines.pieces
                   : 1;
    default: return 0;
    }
}
