/* Values of the model language: see lower.h. */
#include "lower.h"

#include "ir/base/str.h"

#include <inttypes.h>
#include <string.h>

struct datum datum_bool(bool truth)
{
    return (struct datum){.kind = DATUM_BOOL, .integer = truth, .real = truth};
}

struct datum datum_integer(int64_t value)
{
    return (struct datum){.kind = DATUM_INTEGER, .integer = value, .real = (double)value};
}

struct datum datum_real(double value)
{
    return (struct datum){.kind = DATUM_REAL, .real = value};
}

struct datum datum_text(const char *text)
{
    return (struct datum){.kind = DATUM_TEXT, .text = text};
}

struct datum datum_tensor(struct value *value)
{
    return (struct datum){.kind = DATUM_TENSOR, .tensor = value};
}

bool datum_is_number(const struct datum *d)
{
    return d->kind == DATUM_INTEGER || d->kind == DATUM_REAL;
}

bool datum_is_scalar(const struct datum *d)
{
    return datum_is_number(d) || d->kind == DATUM_BOOL;
}

bool datum_whole(const struct datum *d, int64_t *out)
{
    bool real = d->kind == DATUM_REAL && d->real >= -9e15 && d->real <= 9e15 &&
                d->real == (double)(int64_t)d->real;
    *out = real ? (int64_t)d->real : d->integer;
    return real || d->kind == DATUM_INTEGER;
}

bool datum_equal(struct lowering *l, const struct datum *a, const struct datum *b,
                 struct location location)
{
    spend(l, 1, location);
    if (datum_is_number(a) && datum_is_number(b))
        return a->kind == DATUM_INTEGER && b->kind == DATUM_INTEGER ? a->integer == b->integer
                                                                    : a->real == b->real;
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case DATUM_NONE: return true;
    case DATUM_BOOL: return a->integer == b->integer;
    case DATUM_TEXT: return strcmp(a->text, b->text) == 0;
    default: break;
    }
    for (size_t i = 0; i < a->count; i++)
        if (!datum_equal(l, &a->items[i], &b->items[i], location))
            return false;
    return a->kind == DATUM_LIST;
}

const char *datum_kind_name(const struct datum *d)
{
    static const char *const names[] = {"none",   "a truth value", "a whole number", "a number",
                                        "a text", "a list",        "a tensor"};
    return names[d->kind];
}

static void show(struct str *out, const struct datum *d, int depth)
{
    switch (d->kind) {
    case DATUM_NONE: str_printf(out, "none"); break;
    case DATUM_BOOL: str_printf(out, d->integer ? "true" : "false"); break;
    case DATUM_INTEGER: str_printf(out, "%" PRId64, d->integer); break;
    case DATUM_REAL: str_double(out, d->real); break;
    case DATUM_TEXT: str_printf(out, "\"%s\"", d->text); break;
    case DATUM_TENSOR: str_printf(out, "%s", type_text(out->arena, &d->tensor->type)); break;
    case DATUM_LIST:
        str_printf(out, "[");
        for (size_t i = 0; i < d->count && depth < 4 && out->length < SHOWN_LIMIT; i++) {
            str_printf(out, i ? ", " : "");
            show(out, &d->items[i], depth + 1);
        }
        str_printf(out, depth == 4 || out->length >= SHOWN_LIMIT ? "...]" : "]");
        break;
    }
}

const char *datum_show(struct arena *arena, const struct datum *d)
{
    struct str out = str_create(arena);
    show(&out, d, 0);
    return out.text;
}
