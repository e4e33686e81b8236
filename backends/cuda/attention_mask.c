/* Attention: the keys that a block runs over, which of them a query sees, and what is added to
 * the scores. */
#include "backends/cuda/attention.h"

static struct index open_index(struct generator *g, int variable)
{
    return index_of_atom(g->variables[variable].atom);
}

/* --- keys --- */

void attention_start(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    if (!a->cached) {
        writer_line(w, "const int start = 0;");
        return;
    }
    struct element e = value_at(g, a->position, open_index(g, a->v_batch));
    writer_line(w, "const int start = %s > 0 ? %s : 0;", e.text, e.text);
    if (a->ring)
        writer_line(w, "const int newest = start + %lld;", (long long)a->l.queries - 1);
}

void attention_range(struct generator *g, struct attention *a, const char *first, const char *last)
{
    struct writer *w = scope_writer(g);
    long long slots = a->l.slots, keys = a->l.keys;
    const char *end = a->ring     ? "newest + 1"
                      : a->causal ? arena_printf(g->arena, "start + %s + 1", last)
                                  : NULL;
    if (end)
        writer_line(w, "const int last_key = %s < %lld ? %s : %lld;", end, slots, end, slots);
    else
        writer_line(w, "const int last_key = %lld;", slots);
    if (a->window > 0 && !a->ring) {
        writer_line(w, "const int oldest = start + %s - %lld;", first, (long long)a->window - 1);
        writer_line(w, "const int first_key = oldest > 0 ? oldest / %lld * %lld : 0;", keys, keys);
    } else {
        writer_line(w, "const int first_key = 0;");
    }
}

/* --- masks --- */

/* A loop over the elements `i` of the scores. */
static void close_scores(struct generator *g, const struct attention *a)
{
    attention_close_unrolled(g, arena_printf(g->arena, "for (int i = 0; i < %lld; i++)",
                                             (long long)a->l.mt * a->l.warp_keys / 2));
}

/* Row and column in the warp's tile of element i of the scores. */
static void emit_place(struct generator *g, struct attention *a)
{
    struct writer *w = scope_writer(g);
    long long mt = a->l.mt, wide = a->l.key_wide;
    writer_line(w, "const int row = (lane >> 2) + i / %lld %% %lld * 16 + (i >> 1 & 1) * 8;",
                wide * 4, mt);
    if (a->l.form == ATTENTION_F32)
        writer_line(w, "const int column = (lane & 3) + i / %lld * 8 + (i & 1) * 4;", mt * 4);
    else
        writer_line(w,
                    "const int column = (lane & 3) * 2 + (i / %lld * %lld + i / 4 %% %lld) * 8 + "
                    "(i & 1);",
                    mt * wide * 4, wide, wide);
}

bool attention_masks(const struct attention *a)
{
    return a->causal || a->window > 0 || a->ring || a->l.slots % a->l.keys != 0;
}

void attention_ahead(struct generator *g, struct attention *a, const char *query)
{
    struct writer *w = scope_writer(g);
    if (a->ring)
        writer_line(w, "const int position = slot_position(slot, newest, %lld);",
                    (long long)a->l.slots);
    if (a->causal || a->window > 0)
        writer_line(w, "const int ahead = start + %s - %s;", query, a->ring ? "position" : "slot");
}

const char *attention_visible(struct generator *g, struct attention *a)
{
    struct str out = str_create(g->arena);
    if (a->l.slots % a->l.keys != 0)
        str_printf(&out, " && slot < %lld", (long long)a->l.slots);
    if (a->ring)
        str_printf(&out, " && position >= 0");
    if (a->causal)
        str_printf(&out, " && ahead >= 0");
    if (a->window > 0)
        str_printf(&out, " && ahead < %lld", (long long)a->window);
    return out.length ? out.text + 4 : "1";
}

/* The condition under which the mask hides something from this warp; NULL: always. */
static const char *mask_needed(struct generator *g, struct attention *a)
{
    struct str out = str_create(g->arena);
    long long last = a->split ? 0 : a->l.mt * 16 - 1;
    if (a->ring)
        return NULL;
    if (a->causal)
        str_printf(&out, " || key + %lld > start + warp_query", (long long)a->l.warp_keys - 1);
    if (a->window > 0)
        str_printf(&out, " || key <= start + warp_query - %lld", a->window - last);
    if (a->l.slots % a->l.keys != 0)
        str_printf(&out, " || key > %lld", (long long)(a->l.slots - a->l.warp_keys));
    return out.text + 4;
}

void attention_mask(struct generator *g, struct attention *a)
{
    if (!attention_masks(a))
        return;
    const char *needed = mask_needed(g, a);
    scope_open(g);
    scope_open(g);
    emit_place(g, a);
    writer_line(scope_writer(g), "const int slot = key + column;");
    attention_ahead(g, a, a->split ? "warp_query" : "warp_query + row");
    writer_line(scope_writer(g), "scores[i] = %s ? scores[i] : -m_infinity;",
                attention_visible(g, a));
    close_scores(g, a);
    if (needed)
        scope_close(g, "if (%s)", needed);
    else
        scope_close_bare(g);
}

const char *attention_seen(struct generator *g, struct attention *a)
{
    struct str out = str_create(g->arena);
    if (a->ring || !a->l.skips)
        return NULL;
    if (a->causal)
        str_printf(&out, " && key <= start + warp_query + %lld",
                   a->split ? 0 : (long long)a->l.mt * 16 - 1);
    if (a->window > 0)
        str_printf(&out, " && key + %lld > start + warp_query",
                   (long long)a->l.warp_keys - 1 + a->window);
    return out.length ? out.text + 4 : NULL;
}

/* --- bias --- */

struct element attention_bias(struct generator *g, struct attention *a, struct index head,
                              struct index query, struct index slot)
{
    const int64_t *dims = a->bias->type.dims;
    struct index axes[4] = {open_index(g, a->v_batch), head, query, slot};
    for (int i = 0; i < 4; i++)
        if (dims[i] == 1)
            axes[i] = index_constant(0);
    return value_at(g, a->bias, index_put_together(&g->space, 4, dims, axes));
}

/* Opens `name`, which is `text` or, beyond the end, the last one. */
static struct index open_within(struct generator *g, int variable, const char *name,
                                const char *text)
{
    long long last = g->variables[variable].extent - 1;
    return attention_open(g, variable, name,
                          arena_printf(g->arena, "%s < %lld ? %s : %lld", text, last, text, last));
}

void attention_bias_scores(struct generator *g, struct attention *a)
{
    if (!attention_scaled(a))
        return;
    scope_open(g);
    const char *scale = attention_scale(g, a);
    if (!a->bias) {
        writer_line(scope_writer(g), "scores[i] *= %s;", scale);
    } else {
        emit_place(g, a);
        struct index head = open_index(g, a->v_head);
        if (a->split)
            head = open_within(g, a->v_head, "head", "first_head + row");
        struct index query =
            open_within(g, a->v_query, "query", a->split ? "0" : "warp_query + row");
        struct index slot = open_within(g, a->v_slot, "slot", "key + column");
        struct element e = attention_bias(g, a, head, query, slot);
        writer_line(scope_writer(g), "scores[i] = scores[i] * %s + %s * 1.44269504f;", scale,
                    e.text);
    }
    close_scores(g, a);
}

bool attention_scaled(const struct attention *a)
{
    return a->bias || !(a->scale > 0);
}

const char *attention_scale(struct generator *g, const struct attention *a)
{
    static const double log2_of_e = 1.44269504088896340736;
    return emit_real(g->arena, DTYPE_f32, a->scale * log2_of_e);
}
