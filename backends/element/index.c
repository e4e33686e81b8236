/* See index.h. */
#include "backends/element/index.h"

#include "ir/base/str.h"

int index_new_atom(struct index_space *space, struct atom atom)
{
    array_push(space->arena, &space->atoms, atom);
    return (int)space->atoms.count - 1;
}

struct index index_constant(int64_t value)
{
    return (struct index){.base = value};
}

struct index index_of_atom(int atom)
{
    return (struct index){.count = 1, .terms = {{1, atom}}};
}

/* More terms than fit become one named integer. */
static struct index named(struct index_space *space, const struct index *a)
{
    int64_t low, high;
    index_range(space, a, &low, &high);
    int depth = index_depth(space, a);
    return index_of_atom(space->name(space->context, index_text(space, a), depth, low, high));
}

struct index index_add(struct index_space *space, struct index a, struct index b)
{
    if (a.count + b.count > INDEX_TERMS)
        b = named(space, &b);
    if (a.count + b.count > INDEX_TERMS)
        a = named(space, &a);
    struct index sum = {.base = a.base + b.base};
    int i = 0, j = 0;
    while (i < a.count || j < b.count) {
        bool first = j == b.count || (i < a.count && a.terms[i].atom <= b.terms[j].atom);
        bool both = i < a.count && j < b.count && a.terms[i].atom == b.terms[j].atom;
        int64_t scale = first ? a.terms[i].scale : b.terms[j].scale;
        int atom = first ? a.terms[i].atom : b.terms[j].atom;
        if (both)
            scale += b.terms[j].scale;
        i += first;
        j += !first || both;
        if (scale != 0) {
            sum.terms[sum.count].scale = scale;
            sum.terms[sum.count++].atom = atom;
        }
    }
    return sum;
}

struct index index_scale(struct index a, int64_t factor)
{
    if (factor == 0)
        return index_constant(0);
    a.base *= factor;
    for (int i = 0; i < a.count; i++)
        a.terms[i].scale *= factor;
    return a;
}

struct index index_offset(struct index a, int64_t offset)
{
    a.base += offset;
    return a;
}

void index_range(const struct index_space *space, const struct index *a, int64_t *out_low,
                 int64_t *out_high)
{
    *out_low = *out_high = a->base;
    for (int i = 0; i < a->count; i++) {
        const struct atom *atom = &space->atoms.items[a->terms[i].atom];
        int64_t scale = a->terms[i].scale;
        *out_low += scale * (scale > 0 ? atom->low : atom->high);
        *out_high += scale * (scale > 0 ? atom->high : atom->low);
    }
}

int index_depth(const struct index_space *space, const struct index *a)
{
    int depth = 0;
    for (int i = 0; i < a->count; i++) {
        int other = space->atoms.items[a->terms[i].atom].depth;
        depth = other > depth ? other : depth;
    }
    return depth;
}

const char *index_text(const struct index_space *space, const struct index *a)
{
    struct str out = str_create(space->arena);
    for (int i = 0; i < a->count; i++) {
        int64_t scale = a->terms[i].scale;
        const char *sign = scale < 0 ? (i ? " - " : "-") : (i ? " + " : "");
        int64_t size = scale < 0 ? -scale : scale;
        str_printf(&out, "%s%s", sign, space->atoms.items[a->terms[i].atom].text);
        if (size != 1)
            str_printf(&out, " * %lld", (long long)size);
    }
    if (a->count == 0)
        str_printf(&out, "%lld", (long long)a->base);
    else if (a->base != 0)
        str_printf(&out, a->base < 0 ? " - %lld" : " + %lld",
                   (long long)(a->base < 0 ? -a->base : a->base));
    return out.text;
}

bool index_equal(const struct index *a, const struct index *b)
{
    bool same = a->base == b->base && a->count == b->count;
    for (int i = 0; same && i < a->count; i++)
        same = a->terms[i].atom == b->terms[i].atom && a->terms[i].scale == b->terms[i].scale;
    return same;
}

static int64_t floor_divide(int64_t a, int64_t by)
{
    return a / by - (a % by < 0);
}

/* a = by * quotient + rest, where the rest has all that `by` does not divide. */
static struct index separate(const struct index *a, int64_t by, struct index *out_rest)
{
    struct index quotient = {.base = floor_divide(a->base, by)};
    *out_rest = index_constant(a->base - quotient.base * by);
    for (int i = 0; i < a->count; i++) {
        if (a->terms[i].scale % by == 0) {
            quotient.terms[quotient.count] = a->terms[i];
            quotient.terms[quotient.count++].scale /= by;
        } else {
            out_rest->terms[out_rest->count++] = a->terms[i];
        }
    }
    return quotient;
}

static bool fits(const struct index_space *space, const struct index *a, int64_t by)
{
    int64_t low, high;
    index_range(space, a, &low, &high);
    return low >= 0 && high < by;
}

/* Asks for the loop variable in `rest` to be split at the boundary that `by` makes. */
static bool ask_split(struct index_space *space, const struct index *rest, int64_t by)
{
    for (int i = 0; i < rest->count && !space->split.wanted; i++) {
        int variable = space->atoms.items[rest->terms[i].atom].variable;
        int64_t scale = rest->terms[i].scale;
        if (variable < 0 || !space->may_split[variable] || scale <= 0 || by % scale != 0)
            continue;
        int64_t inner = by / scale, extent = space->extents[variable];
        if (inner < 2 || inner >= extent || extent % inner != 0)
            continue;
        space->split = (struct split){.wanted = true, .variable = variable, .inner = inner};
    }
    return space->split.wanted;
}

static int64_t common_factor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * index = factor * coarse + fine, with fine in 0..factor-1 and factor a divisor of `by`: then
 * index / by = coarse / (by / factor), which does not depend on fine, and the rest is
 * factor * (coarse % (by / factor)) + fine. The factor, or 1.
 */
static int64_t separate_fine(const struct index_space *space, const struct index *index,
                             int64_t by, struct index *out_coarse, struct index *out_fine)
{
    int64_t factor = by;
    for (int i = 0; i < index->count; i++)
        if (index->terms[i].scale != 1)
            factor = common_factor(factor, index->terms[i].scale < 0 ? -index->terms[i].scale
                                                                     : index->terms[i].scale);
    if (factor <= 1)
        return 1;
    *out_coarse = separate(index, factor, out_fine);
    return fits(space, out_fine, factor) && out_fine->count && out_coarse->count ? factor : 1;
}

struct index index_divide(struct index_space *space, struct index a, int64_t by)
{
    struct index rest, coarse, fine;
    if (by <= 1)
        return a;
    struct index quotient = separate(&a, by, &rest);
    if (fits(space, &rest, by))
        return quotient;
    if (ask_split(space, &rest, by))
        return quotient;
    int64_t low, high, factor = separate_fine(space, &rest, by, &coarse, &fine);
    if (factor > 1)
        return index_add(space, quotient, index_divide(space, coarse, by / factor));
    index_range(space, &rest, &low, &high);
    const char *text = index_text(space, &rest);
    const char *c = arena_printf(space->arena, low >= 0 ? "(%s) / %lld" : "m_div_i64(%s, %lld)",
                                 text, (long long)by);
    int atom = space->name(space->context, c, index_depth(space, &rest), floor_divide(low, by),
                           floor_divide(high, by));
    return index_add(space, quotient, index_of_atom(atom));
}

struct index index_modulo(struct index_space *space, struct index a, int64_t by)
{
    struct index rest, coarse, fine;
    if (by <= 1)
        return index_constant(0);
    separate(&a, by, &rest);
    if (fits(space, &rest, by) || ask_split(space, &rest, by))
        return rest;
    int64_t low, high, factor = separate_fine(space, &rest, by, &coarse, &fine);
    if (factor > 1)
        return index_add(space, index_scale(index_modulo(space, coarse, by / factor), factor),
                         fine);
    index_range(space, &rest, &low, &high);
    const char *text = index_text(space, &rest);
    const char *c = arena_printf(space->arena, low >= 0 ? "(%s) %% %lld" : "m_mod_i64(%s, %lld)",
                                 text, (long long)by);
    return index_of_atom(
        space->name(space->context, c, index_depth(space, &rest), 0, by - 1));
}

void index_take_apart(struct index_space *space, struct index linear, int rank,
                      const int64_t *dims, struct index *out_axes)
{
    for (int k = rank - 1; k > 0; k--) {
        out_axes[k] = index_modulo(space, linear, dims[k]);
        linear = index_divide(space, linear, dims[k]);
    }
    if (rank > 0)
        out_axes[0] = linear;
}

struct index index_put_together(struct index_space *space, int rank, const int64_t *dims,
                                const struct index *axes)
{
    struct index linear = index_constant(0);
    for (int k = 0; k < rank; k++)
        linear = index_add(space, index_scale(linear, dims[k]), axes[k]);
    return linear;
}
