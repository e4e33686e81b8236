/* How the CUDA backend reads and writes tensors: see dialect.h. */
#include "backends/cuda/dialect.h"

#include "backends/cuda/kernel.h"

#include <string.h>

const char *cuda_cell(enum dtype dtype)
{
    static const char *const cells[DTYPE_COUNT] = {
        [DTYPE_f32] = "g_f32", [DTYPE_f64] = "g_f64", [DTYPE_bf16] = "g_bf16",
        [DTYPE_f16] = "g_f16", [DTYPE_i32] = "g_i32", [DTYPE_i64] = "g_i64",
        [DTYPE_u8] = "g_u8",   [DTYPE_bool] = "g_u8", [DTYPE_tf32] = "g_f32",
    };
    return cells[dtype];
}

const char *cuda_memory_name(enum dtype dtype)
{
    return cuda_cell(dtype) + strlen("g_");
}

/* "x0", "x0 + v1 * 8". */
static const char *address_text(struct arena *arena, const char *pointer, const char *index)
{
    if (strcmp(index, "0") == 0)
        return pointer;
    return arena_printf(arena, index[0] == '-' ? "%s + (%s)" : "%s + %s", pointer, index);
}

static const char *load_text(struct arena *arena, enum dtype dtype, const char *pointer,
                             const char *index)
{
    return arena_printf(arena, "load_%s(%s)", cuda_memory_name(dtype),
                        address_text(arena, pointer, index));
}

static const char *store_text(struct arena *arena, enum dtype dtype, const char *pointer,
                              const char *index, const char *text)
{
    return arena_printf(arena, "store_%s(%s, %s);", cuda_memory_name(dtype),
                        address_text(arena, pointer, index), text);
}

/* --- lanes --- */

/* Whether each lane decides by itself if the scope is entered. */
static bool is_alone(const struct scope *scope, bool together)
{
    return scope->conditional && !(together && scope->guard);
}

static bool lanes_of(struct generator *g, const struct index *index, bool together,
                     struct index *out_rest)
{
    const struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    if (lanes->atom < 0 || index->base % lanes->count != 0)
        return false;
    for (int i = lanes->depth; i <= g->depth; i++)
        if (is_alone(&g->scopes[i], together))
            return false;
    bool found = false;
    *out_rest = index_constant(index->base);
    for (int i = 0; i < index->count; i++) {
        bool lane = index->terms[i].atom == lanes->atom;
        found |= lane;
        if (lane ? index->terms[i].scale != 1 : index->terms[i].scale % lanes->count != 0)
            return false;
        if (!lane)
            out_rest->terms[out_rest->count++] = index->terms[i];
    }
    return found && index_depth(&g->space, out_rest) < lanes->depth;
}

bool cuda_lanes_of(struct generator *g, const struct index *index, struct index *out_rest)
{
    return lanes_of(g, index, false, out_rest);
}

bool cuda_lanes_read(struct generator *g, const struct index *index, struct index *out_rest)
{
    return lanes_of(g, index, true, out_rest);
}

static bool neighbours(struct generator *g, const struct index *index, struct index *out_rest,
                       int64_t *out_count)
{
    const struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    *out_count = lanes->count;
    if (lanes->atom < 0 || cuda_lanes_read(g, index, out_rest))
        return lanes->atom >= 0;
    *out_rest = *index;
    *out_count = 1;
    return index_depth(&g->space, index) < lanes->depth;
}

/* What the lanes have decided together, joined by "&&"; NULL: nothing. The scope that it depends
 * on, if that is a deeper one, replaces *depth. */
static const char *guard_text(struct generator *g, int *depth)
{
    struct str text = str_create(g->arena);
    for (int i = cuda_of(g)->lanes.depth; i <= g->depth; i++) {
        const struct scope *scope = &g->scopes[i];
        if (!scope->conditional)
            continue;
        str_printf(&text, "%s%s", text.length ? " && " : "", scope->guard);
        *depth = scope->guard_depth > *depth ? scope->guard_depth : *depth;
    }
    return text.length ? text.text : NULL;
}

static const char *lane_name(struct generator *g)
{
    return g->space.atoms.items[cuda_of(g)->lanes.atom].text;
}

/* The outermost scope, `depth` or deeper, that a line may stand in from the scope `from`. */
static int scope_of(const struct generator *g, int from, int depth)
{
    for (int i = from; i > depth; i--)
        if (g->scopes[i].conditional)
            return i;
    return depth;
}

struct element cuda_lanes_element(struct generator *g, const char *suffix, int depth,
                                  const char *text)
{
    const struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    const char *guard = guard_text(g, &depth);
    depth = scope_of(g, lanes->depth - 1, depth);
    int number = ++g->temporaries;
    struct writer *w = &g->scopes[depth].writer;
    writer_line(w, "%sstruct %sx%lld t%d%s%s;", guard ? "" : "const ", suffix,
                (long long)lanes->count, number, guard ? "" : " = ", guard ? "" : text);
    if (guard) {
        writer_line(w, "if (%s)", guard);
        writer_line(w, "    t%d = %s;", number, text);
    }
    return (struct element){arena_printf(g->arena, "t%d.at[%s]", number, lane_name(g)),
                            lanes->depth};
}

/* --- loads that stay in registers --- */

/* Not where a condition beyond that of the unit decides whether a load happens. */
static bool may_keep(const struct generator *g, int depth)
{
    const struct cuda_keep *keep = &cuda_of((struct generator *)g)->keep;
    if (!keep->on || depth < keep->depth)
        return false;
    for (int i = keep->depth + 1; i <= g->depth; i++)
        if (g->scopes[i].conditional)
            return false;
    return true;
}

static const char *find_kept(const struct cuda_keep *keep, const struct value *value,
                             const char *place)
{
    for (size_t i = 0; i < keep->kept.count; i++)
        if (keep->kept.items[i].value == value && strcmp(keep->kept.items[i].place, place) == 0)
            return keep->kept.items[i].name;
    return NULL;
}

/* The kept element or vector of this place: "k1[step]". The first time `load` fills it. NULL if
 * there are no registers left. */
static const char *kept_text(struct generator *g, const struct value *value, const char *place,
                             const char *type, const char *load, int depth, bool lanes)
{
    struct cuda_keep *keep = &cuda_of(g)->keep;
    int64_t count = cuda_of(g)->lanes.atom < 0 ? 1 : cuda_of(g)->lanes.count;
    bool by_lane = lanes && depth >= cuda_of(g)->lanes.depth;
    const char *name = find_kept(keep, value, place), *step = keep->step ? keep->step : "0";
    const char *at = by_lane ? arena_printf(g->arena, "%s * %lld + %s", step, (long long)count,
                                            lane_name(g))
                             : step;
    if (name)
        return arena_printf(g->arena, "%s[%s]", name, at);
    bool vector = strncmp(type, "struct", 6) == 0;
    int64_t taken = keep->steps * (by_lane || vector ? count : 1);
    if (taken > keep->left)
        return NULL;
    keep->left -= taken;
    struct cuda_kept row = {value, place, arena_printf(g->arena, "k%zu", keep->kept.count)};
    array_push(g->arena, &keep->kept, row);
    writer_line(&g->scopes[keep->scope].writer, "%s %s[%lld];", type, row.name,
                (long long)(keep->steps * (by_lane ? count : 1)));
    const char *text = arena_printf(g->arena, "%s[%s]", row.name, at);
    writer_line(&g->scopes[depth].writer, "%s = %s;", text, load);
    return text;
}

/* The type of a vector of this dtype's values; NULL if the device library has none. */
static const char *vector_suffix(enum dtype dtype, int64_t count)
{
    switch (dtype) {
    case DTYPE_f32:
    case DTYPE_tf32:
    case DTYPE_bf16:
    case DTYPE_f16: return "f32";
    case DTYPE_i32: return count == 4 ? "i32" : NULL;
    default: return NULL;
    }
}

static bool load_lanes(struct generator *g, const struct value *value, struct index index,
                       struct element *out_element)
{
    struct index rest;
    int64_t count = cuda_of(g)->lanes.count;
    const char *suffix = vector_suffix(value->type.dtype, count);
    if (!suffix || !cuda_lanes_read(g, &index, &rest))
        return false;
    const char *place = index_text(&g->space, &rest);
    const char *text = arena_printf(g->arena, "load_%sx%lld(%s)",
                                    cuda_memory_name(value->type.dtype), (long long)count,
                                    address_text(g->arena, argument_name(g, value, false), place));
    int depth = index_depth(&g->space, &rest);
    const char *type = arena_printf(g->arena, "struct %sx%lld", suffix, (long long)count);
    const char *kept = may_keep(g, depth)
                           ? kept_text(g, value, place, type, text, depth, true)
                           : NULL;
    if (!kept) {
        *out_element = cuda_lanes_element(g, suffix, depth, text);
        return true;
    }
    *out_element = (struct element){arena_printf(g->arena, "%s.at[%s]", kept, lane_name(g)),
                                    cuda_of(g)->lanes.depth};
    return true;
}

static bool load_element(struct generator *g, const struct value *value, struct index index,
                         struct element *out_element)
{
    if (load_lanes(g, value, index, out_element))
        return true;
    int depth = index_depth(&g->space, &index);
    if (!may_keep(g, depth))
        return false;
    enum dtype dtype = value->type.dtype;
    const char *place = index_text(&g->space, &index);
    const char *load = load_text(g->arena, dtype, argument_name(g, value, false), place);
    const char *kept = kept_text(g, value, place, emit_compute_type(dtype), load, depth,
                                 cuda_of(g)->lanes.atom >= 0);
    *out_element = (struct element){kept, depth};
    return kept != NULL;
}

/* The vector is declared before the loop over lanes, filled in it and written behind it. */
static bool store_lanes(struct generator *g, const struct value *value, struct index index,
                        struct element element)
{
    struct index rest;
    struct cuda_lanes *lanes = &cuda_of(g)->lanes;
    const char *suffix = vector_suffix(value->type.dtype, lanes->count);
    if (!suffix || !cuda_lanes_of(g, &index, &rest))
        return false;
    struct writer *outer = &g->scopes[lanes->depth - 1].writer;
    const char *name = arena_printf(g->arena, "s%d", ++g->temporaries);
    writer_line(outer, "struct %sx%lld %s;", suffix, (long long)lanes->count, name);
    writer_line(scope_writer(g), "%s.at[%s] = %s;", name, lane_name(g), element.text);
    struct writer after = {.text = lanes->stores, .level = outer->level};
    writer_line(&after, "store_%sx%lld(%s, %s);", cuda_memory_name(value->type.dtype),
                (long long)lanes->count,
                address_text(g->arena, argument_name(g, value, true),
                             index_text(&g->space, &rest)),
                name);
    lanes->stores = after.text;
    return true;
}

const struct dialect dialect_cuda = {
    .index_type = "int",
    .table = "static const",
    .load = load_text,
    .store = store_text,
    .load_element = load_element,
    .store_element = store_lanes,
    .neighbours = neighbours,
};

const struct dialect dialect_cuda_wide = {
    .index_type = "rt_i64",
    .table = "static const",
    .load = load_text,
    .store = store_text,
    .load_element = load_element,
    .store_element = store_lanes,
    .neighbours = neighbours,
};
