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

/* Waits for this block of keys, and starts the copies into the stage that the last one left. */
static void emit_stage(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long ahead = a->l.stages - 1, bytes = a->l.stage_bytes;
    writer_line(w, "const int block_key = first_key + block * %lld;", (long long)a->l.keys);
    writer_line(w, "copy_async_wait(%lld);", ahead - 1);
    writer_line(w, "block_barrier();");
    scope_open(g);
    emit_copies(g, a, "shared + next",
                arena_printf(g->arena, "block_key + %lld", ahead * a->l.keys));
    scope_close(g, "if (block + %lld < end)", ahead);
    writer_line(w, "copy_async_commit();");
    writer_line(w, "next = next == %lld ? 0 : next + %lld;", ahead * bytes, bytes);
    if (a->split) {
        long long own = a->l.warp_keys;
        writer_line(w, "const int key = block_key + warp * %lld;", own);
        writer_line(w, "const shared_t keys = shared + now + warp * %lld;", own * a->l.pitch);
    } else {
        writer_line(w, "const int key = block_key;");
        writer_line(w, "const shared_t keys = shared + now;");
    }
}

void attention_loop(struct generator *g, struct attention *a)
{
    long long last = (a->l.stages - 1) * a->l.stage_bytes;
    writer_line(scope_writer(g), "int now = 0, next = %lld; /* bytes: the stages in use */", last);
    scope_open(g);
    emit_stage(g, a);
    if (a->l.form == ATTENTION_F32)
        attention_scalar_block(g, a);
    else
        attention_tensor_block(g, a);
    writer_line(scope_writer(g), "now = now == %lld ? 0 : now + %lld;", last,
                (long long)a->l.stage_bytes);
    writer_line(&g->scopes[g->depth - 1].writer, "NO_UNROLL");
    scope_close(g, "for (int block = begin; block < end; block++)");
}
