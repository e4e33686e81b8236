/* Attention: the ring of stages through which keys and values pass, and the loop over it. */
#include "backends/cuda/attention.h"

const char *attention_at(struct generator *g, int64_t offset)
{
    return offset ? arena_printf(g->arena, "shared + %lld", (long long)offset) : "shared";
}

/* The copies of the block of keys that starts at `key` into the stage at `to`. */
static void emit_copies(struct generator *g, struct attention *a, const char *to, const char *key)
{
    struct line_block block = {.which = 1,
                               .to = to,
                               .first = key,
                               .count = arena_printf(g->arena, "last_key - (%s)", key),
                               .lines = a->l.keys};
    attention_fill(g, a, &block);
    block.which = 2;
    block.to = arena_printf(g->arena, "%s + %lld", to, (long long)a->l.stage_bytes / 2);
    attention_fill(g, a, &block);
}

void attention_copies(struct generator *g, struct attention *a, const struct line_block *queries)
{
    attention_fill(g, a, queries);
    writer_line(scope_writer(g), "copy_async_commit();");
    scope_open(g);
    scope_open(g);
    emit_copies(g, a, arena_printf(g->arena, "shared + stage * %lld", (long long)a->l.stage_bytes),
                arena_printf(g->arena, "first_key + (begin + stage) * %lld", (long long)a->l.keys));
    scope_close(g, "if (begin + stage < end)");
    writer_line(scope_writer(g), "copy_async_commit();");
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int stage = 0; stage < %lld; stage++)", (long long)a->l.stages - 1);
}

static bool is_power(int64_t number)
{
    return (number & (number - 1)) == 0;
}

/* Where in the ring the block `ahead` of this one stands. */
static const char *stage_text(struct generator *g, struct attention *a, int64_t ahead)
{
    if (is_power(a->l.stages))
        return arena_printf(g->arena, "shared + ((block - begin + %lld) & %lld) * %lld",
                            (long long)ahead, (long long)a->l.stages - 1,
                            (long long)a->l.stage_bytes);
    return ahead ? "shared + next" : "shared + now";
}

/* The stages in use, as bytes, where they are not told by the number of the block. */
static void emit_advance(struct generator *g, struct attention *a, const char *stage)
{
    long long last = (a->l.stages - 1) * a->l.stage_bytes;
    if (!is_power(a->l.stages))
        writer_line(scope_writer(g), "%s = %s == %lld ? 0 : %s + %lld;", stage, stage, last, stage,
                    (long long)a->l.stage_bytes);
}

/* Waits for this block of keys, and starts the copies into the stage that the last one left. */
static void emit_stage(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long ahead = a->l.stages - 1, own = a->l.warp_keys;
    writer_line(w, "const int block_key = first_key + block * %lld;", (long long)a->l.keys);
    writer_line(w, "copy_async_wait(%lld);", ahead - 1);
    writer_line(w, "block_barrier();");
    scope_open(g);
    emit_copies(g, a, stage_text(g, a, ahead),
                arena_printf(g->arena, "block_key + %lld", ahead * a->l.keys));
    scope_close(g, "if (block + %lld < end)", ahead);
    writer_line(w, "copy_async_commit();");
    emit_advance(g, a, "next");
    if (a->split) {
        writer_line(w, "const int key = block_key + warp * %lld;", own);
        writer_line(w, "const shared_t keys = %s + warp * %lld;", stage_text(g, a, 0),
                    own * a->l.pitch);
    } else {
        writer_line(w, "const int key = block_key;");
        writer_line(w, "const shared_t keys = %s;", stage_text(g, a, 0));
    }
}

void attention_loop(struct generator *g, struct attention *a)
{
    if (!is_power(a->l.stages))
        writer_line(scope_writer(g), "int now = 0, next = %lld;",
                    (a->l.stages - 1) * (long long)a->l.stage_bytes);
    scope_open(g);
    emit_stage(g, a);
    if (a->l.form == ATTENTION_F32)
        attention_scalar_block(g, a);
    else
        attention_tensor_block(g, a);
    emit_advance(g, a, "now");
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int block = begin; block < end; block++)");
}
