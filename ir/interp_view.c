/* Sources and index maps on whole tensors. */
#include "ir/interp_internal.h"

#include <math.h>
#include <string.h>

static void refuse_leaf(const struct interp_call *call)
{
    fatal(INTERNAL, "a leaf was not bound", call->node->results[0].name);
}

void interpret_param(const struct interp_call *call)
{
    refuse_leaf(call);
}

void interpret_weight(const struct interp_call *call)
{
    refuse_leaf(call);
}

void interpret_state(const struct interp_call *call)
{
    refuse_leaf(call);
}

/* --- sources --- */

double constant_element(const struct module *module, const struct node *node, int64_t element)
{
    int count;
    const int64_t *values = node_list(node, values, &count);
    const char *name = node_text(node, blob);
    if (values)
        return (double)values[element];
    if (!name)
        return node_real(node, value);
    const struct blob *blob = module_find_blob(module, name);
    if (!blob)
        fatal(INTERNAL, "a blob is missing", name);
    return dtype_load(node->results[0].type.dtype, blob->bytes, element);
}

void interpret_const(const struct interp_call *call)
{
    int64_t count = type_elements(call_result(call));
    for (int64_t i = 0; i < count; i++)
        call->out[0][i] = constant_element(call->module, call->node, i);
}

static void count_along(const struct interp_call *call, int64_t axis)
{
    int64_t strides[MAX_RANK];
    int64_t count = row_major(call_result(call), strides);
    for (int64_t i = 0; i < count; i++)
        call->out[0][i] = (double)(i / strides[axis] % call_result(call)->dims[axis]);
}

void interpret_iota(const struct interp_call *call)
{
    count_along(call, node_int(call->node, axis));
}

void interpret_positions(const struct interp_call *call)
{
    count_along(call, 1);
}

/* --- affine maps --- */

/* Fills the result: its element (i0, i1, ...) is in[offset + sum of i[k] * strides[k]]. */
static void copy_strided(const struct interp_call *call, const double *in, const int64_t *strides)
{
    const struct type *type = call_result(call);
    int64_t index[MAX_RANK] = {0}, count = type_elements(type), at = 0;
    int inner = type->rank - 1;
    int64_t length = inner < 0 ? 1 : type->dims[inner], step = inner < 0 ? 0 : strides[inner];
    for (int64_t done = 0; done < count; done += length) {
        for (int64_t i = 0; i < length; i++)
            call->out[0][done + i] = in[at + i * step];
        for (int axis = inner - 1; axis >= 0; axis--) {
            at += strides[axis];
            if (++index[axis] < type->dims[axis])
                break;
            at -= index[axis] * strides[axis];
            index[axis] = 0;
        }
    }
}

void interpret_reshape(const struct interp_call *call)
{
    size_t count = (size_t)type_elements(call_result(call));
    if (count)
        memcpy(call->out[0], call->in[0], count * sizeof(double));
}

void interpret_transpose(const struct interp_call *call)
{
    int count;
    int64_t from[MAX_RANK], strides[MAX_RANK];
    const int64_t *perm = node_list(call->node, perm, &count);
    row_major(call_type(call, 0), from);
    for (int i = 0; i < count; i++)
        strides[i] = from[perm[i]];
    copy_strided(call, call->in[0], strides);
}

void interpret_broadcast(const struct interp_call *call)
{
    const struct type *type = call_type(call, 0);
    int64_t strides[MAX_RANK] = {0};
    row_major(type, strides);
    for (int i = 0; i < call_result(call)->rank; i++)
        if (type->rank == 0 || type->dims[i] == 1)
            strides[i] = 0;
    copy_strided(call, call->in[0], strides);
}

void interpret_slice(const struct interp_call *call)
{
    int64_t strides[MAX_RANK], axis = node_int(call->node, axis);
    row_major(call_type(call, 0), strides);
    const double *in = call->in[0] + node_int(call->node, at) * strides[axis];
    strides[axis] *= node_int(call->node, step);
    copy_strided(call, in, strides);
}

/* --- other maps --- */

/* Copies `rows` runs of `run` elements, at steps in both. */
static void copy_runs(double *out, int64_t out_step, const double *in, int64_t run, int64_t rows)
{
    for (int64_t r = 0; run && r < rows; r++)
        memcpy(out + r * out_step, in + r * run, (size_t)run * sizeof *in);
}

void interpret_concat(const struct interp_call *call)
{
    int64_t strides[MAX_RANK], axis = node_int(call->node, axis), at = 0;
    const struct type *type = call_result(call);
    int64_t count = row_major(type, strides);
    int64_t granule = node_int(call->node, granule);
    int64_t turn = granule ? granule * call->node->operand_count : type->dims[axis];
    int64_t step = turn * strides[axis];
    for (int i = 0; i < call->node->operand_count; i++) {
        int64_t run = (granule ? granule : call_type(call, i)->dims[axis]) * strides[axis];
        copy_runs(call->out[0] + at, step, call->in[i], run, step ? count / step : 0);
        at += run;
    }
}

void interpret_pad(const struct interp_call *call)
{
    int rank;
    const int64_t *low = node_list(call->node, low, &rank);
    const struct type *type = call_type(call, 0);
    int64_t from[MAX_RANK], to[MAX_RANK];
    int64_t out_count = row_major(call_result(call), to), count = row_major(type, from);
    for (int64_t i = 0; i < out_count; i++)
        call->out[0][i] = node_real(call->node, value);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int k = 0; k < rank; k++)
            at += (i / from[k] % type->dims[k] + low[k]) * to[k];
        call->out[0][at] = call->in[0][i];
    }
}

int64_t clamp_index(double id, int64_t extent)
{
    if (!(id > 0))
        return 0;
    return id >= (double)extent ? extent - 1 : (int64_t)id;
}

/* %table[b.., N, d..] by %ids[b.., i..] */
void interpret_gather(const struct interp_call *call)
{
    const struct type *table = call_type(call, 0), *ids = call_type(call, 1);
    int64_t batch = node_int(call->node, batch), groups = 1, each = 1, run = 1;
    for (int i = 0; i < batch; i++)
        groups *= ids->dims[i];
    for (int i = (int)batch; i < ids->rank; i++)
        each *= ids->dims[i];
    for (int i = (int)batch + 1; i < table->rank; i++)
        run *= table->dims[i];
    int64_t rows = table->dims[batch];
    for (int64_t i = 0; i < groups * each * run; i++) {
        int64_t id = i / run, group = id / each;
        int64_t row = rows ? clamp_index(call->in[1][id], rows) : 0;
        call->out[0][i] = rows ? call->in[0][(group * rows + row) * run + i % run] : 0;
    }
}
