/* Arguments of builtins, with errors at the argument's place: see lower.h. */
#include "lower.h"

#include <inttypes.h>

void argument_wrong(struct lowering *l, const struct call *call, size_t i, const char *wanted)
{
    const struct datum *d = &call->values[i];
    bool shown = d->kind == DATUM_TENSOR || datum_is_scalar(d);
    const char *found = shown ? datum_show(l->arena, d) : datum_kind_name(d);
    fatal_at(place_of(l, call->places[i]), LANGUAGE_ARGUMENT, call->name, wanted, found);
}

struct value *argument_tensor(struct lowering *l, const struct call *call, size_t i)
{
    if (call->values[i].kind != DATUM_TENSOR)
        argument_wrong(l, call, i, "a tensor");
    return call->values[i].tensor;
}

int64_t argument_integer(struct lowering *l, const struct call *call, size_t i)
{
    int64_t number;
    if (!datum_whole(&call->values[i], &number))
        argument_wrong(l, call, i, "a whole number");
    return number;
}

double argument_real(struct lowering *l, const struct call *call, size_t i)
{
    if (!datum_is_number(&call->values[i]))
        argument_wrong(l, call, i, "a number");
    return call->values[i].real;
}

bool argument_bool(struct lowering *l, const struct call *call, size_t i)
{
    if (call->values[i].kind != DATUM_BOOL)
        argument_wrong(l, call, i, "a truth value");
    return call->values[i].integer;
}

const char *argument_text(struct lowering *l, const struct call *call, size_t i)
{
    if (call->values[i].kind != DATUM_TEXT)
        argument_wrong(l, call, i, "a text");
    return call->values[i].text;
}

int argument_axis(struct lowering *l, const struct call *call, size_t i, const struct type *type)
{
    int64_t given = argument_integer(l, call, i), axis = given < 0 ? given + type->rank : given;
    if (axis < 0 || axis >= type->rank)
        fatal_at(place_of(l, call->places[i]), LANGUAGE_AXIS, (long long)given,
                 type_text(l->arena, type));
    return (int)axis;
}

int argument_list(struct lowering *l, const struct call *call, size_t i, int64_t *out_list,
                  int limit)
{
    const struct datum *d = &call->values[i];
    if (datum_whole(d, &out_list[0]))
        return 1;
    if (d->kind != DATUM_LIST || d->count > (size_t)limit)
        argument_wrong(l, call, i, arena_printf(l->arena, "at most %d whole numbers", limit));
    for (size_t k = 0; k < d->count; k++)
        if (!datum_whole(&d->items[k], &out_list[k]))
            argument_wrong(l, call, i, "a list of whole numbers");
    return (int)d->count;
}

int argument_dims(struct lowering *l, const struct call *call, size_t i, int64_t *out_dims)
{
    int rank = argument_list(l, call, i, out_dims, MAX_RANK);
    if (!type_dims_valid(DTYPE_f64, rank, out_dims))
        fatal_at(place_of(l, call->places[i]), LANGUAGE_TOO_LARGE,
                 datum_show(l->arena, &call->values[i]));
    return rank;
}
