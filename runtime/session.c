/* Opening of programs: see session.h. */
#include "runtime/session.h"

#include "runtime/convert.h"
#include "runtime/cuda.h"
#include "runtime/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    unsigned size;
    const char *name;
} dtypes[] = {
    [RT_F32] = {4, "f32"}, [RT_F64] = {8, "f64"}, [RT_BF16] = {2, "bf16"}, [RT_F16] = {2, "f16"},
    [RT_I32] = {4, "i32"}, [RT_I64] = {8, "i64"}, [RT_U8] = {1, "u8"},     [RT_BOOL] = {1, "bool"},
    [RT_TF32] = {4, "tf32"},
};

unsigned rt_dtype_size(rt_u32 dtype)
{
    return dtype < sizeof dtypes / sizeof *dtypes ? dtypes[dtype].size : 0;
}

const char *rt_dtype_name(rt_u32 dtype)
{
    return dtype < sizeof dtypes / sizeof *dtypes ? dtypes[dtype].name : "unknown";
}

rt_i64 rt_port_elements(const struct rt_port *port)
{
    rt_i64 count = 1;
    for (rt_u32 i = 0; i < port->rank; i++)
        count *= port->dims[i];
    return count;
}

/*
 * Binds the weights. Where they only initialise states, a directory that was named may hold a
 * checkpoint of other layout than the one of build time, such as fit --save writes: then the
 * table asks for names, types and shapes, not for places.
 */
static rt_status map_weights(struct rt_session *session, const struct rt_session_options *options)
{
    const struct rt_program *program = session->program;
    if (!options->random && !(options->anywhere && options->weights))
        return rt_weights_map(program, options->weights, &session->weights);
    struct rt_program other = *program;
    struct rt_weight *table = calloc(program->weight_count + 1u, sizeof *table);
    if (!table)
        return rt_fail(OUT_OF_MEMORY, program->weight_count * sizeof *table);
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        table[i] = program->weights[i];
        table[i].file = "";
    }
    other.weights = table;
    other.random_weights = 1;
    other.random_seed = options->seed;
    rt_status status =
        rt_weights_map(&other, options->random ? NULL : options->weights, &session->weights);
    free(table);
    return status;
}

/* The kind of device, and the program for it. */
static rt_status choose(struct rt_session *session, const struct rt_program *first,
                        const struct rt_session_options *options,
                        const struct rt_device_table **table)
{
    *table = options->table                      ? options->table
             : options->device == RT_DEVICE_CUDA ? &rt_device_cuda
                                                 : &rt_device_cpu;
    if (options->table || options->device != RT_DEVICE_BEST)
        return (*table)->choose(first, &session->program);
    const struct rt_program *other = first;
    while (other && !other->gpu)
        other = other->other;
    if (!other)
        return rt_device_cpu.choose(first, &session->program);
    *table = &rt_device_cuda;
    rt_status status = rt_device_cuda.choose(first, &session->program);
    if (!status || !rt_cpu_program(first))
        return status;
    if (rt_cuda_seen())
        rt_warn(CUDA_UNUSED, rt_status_text());
    rt_status_clear(); /* there is no GPU to use, but a program for the CPU */
    *table = &rt_device_cpu;
    return rt_device_cpu.choose(first, &session->program);
}

static rt_status open_device(struct rt_session *session, const struct rt_device_table *table,
                             const struct rt_session_options *options)
{
    struct rt_device_options wanted = {options->threads, !options->foreign_caller};
    rt_status status = table->open(&session->device, &wanted);
    if (status)
        return status;
    return session->device->table->bind(session->device, session->program, session->weights.data);
}

rt_status rt_session_open(struct rt_session *session, const struct rt_program *program,
                          const struct rt_session_options *options)
{
    *session = (struct rt_session){.program = program};
    if (program->version != RT_PROGRAM_VERSION)
        return rt_fail(PROGRAM_VERSION, program->version, (unsigned)RT_PROGRAM_VERSION);
    const struct rt_device_table *table;
    rt_status status = choose(session, program, options, &table);
    if (!status)
        status = map_weights(session, options);
    if (!status)
        status = open_device(session, table, options);
    if (!status)
        status = rt_session_reset(session, true);
    if (status)
        rt_session_close(session);
    return status;
}

void rt_session_close(struct rt_session *session)
{
    if (session->device)
        session->device->table->close(session->device);
    rt_weights_release(&session->weights);
    session->device = NULL;
    session->weights = (struct rt_weights){0};
}

/* The trained parameter of a state, converted to the state's type. */
static rt_status copy_weight(struct rt_session *session, const struct rt_state *state)
{
    const struct rt_weight *weight = &session->program->weights[state->weight];
    rt_u64 count = (rt_u64)rt_port_elements(&state->port);
    if (weight->bytes != count * rt_dtype_size(weight->dtype))
        return rt_fail(STATE_CONVERT, weight->name, state->port.name);
    const void *from = session->weights.data[state->weight];
    if (weight->dtype == state->port.dtype)
        return rt_session_write(session, &state->port, from);
    void *converted = malloc(state->port.bytes);
    if (!converted)
        return rt_fail(OUT_OF_MEMORY, (size_t)state->port.bytes);
    rt_status status = rt_convert(converted, state->port.dtype, from, weight->dtype, count)
                           ? rt_session_write(session, &state->port, converted)
                           : rt_fail(STATE_CONVERT, weight->name, state->port.name);
    free(converted);
    return status;
}

static rt_status fill_state(struct rt_session *session, const struct rt_state *state)
{
    union {
        float f32;
        double f64;
        rt_i32 i32;
        rt_i64 i64;
        unsigned short half;
        unsigned char byte;
    } value;
    switch (state->port.dtype) {
    case RT_F32: value.f32 = state->initial; break;
    case RT_F64: value.f64 = (double)state->initial; break;
    case RT_I32: value.i32 = (rt_i32)state->initial; break;
    case RT_I64: value.i64 = (rt_i64)state->initial; break;
    case RT_U8:
    case RT_BOOL: value.byte = (unsigned char)state->initial; break;
    default: rt_convert(&value, state->port.dtype, &state->initial, RT_F32, 1); break;
    }
    return session->device->table->fill(session->device, state->port.offset, state->port.bytes,
                                        &value, rt_dtype_size(state->port.dtype));
}

/*
 * Whether a row of the last batch overflowed. Then NaN may stand in its caches, and a masked key
 * adds 0 times its value to a sum, which is 0 unless that is NaN.
 */
static rt_status overflowed(struct rt_session *session, bool *answer)
{
    const struct rt_port *port = rt_session_state(session, "logits");
    const void *view = NULL;
    *answer = false;
    if (!port || port->dtype != RT_F32)
        return 0;
    rt_status status =
        session->device->table->view(session->device, port->offset, port->bytes, &view);
    const float *logits = view;
    for (rt_i64 i = 0, count = rt_port_elements(port); !status && i < count; i++)
        *answer |= !isfinite(logits[i]);
    return status;
}

rt_status rt_session_reset(struct rt_session *session, bool caches)
{
    bool tainted;
    rt_status status = overflowed(session, &tainted);
    for (rt_u32 i = 0; i < session->program->state_count && !status; i++) {
        const struct rt_state *state = &session->program->states[i];
        if (state->weight >= 0)
            status = copy_weight(session, state);
        else if (state->slots == 0 || tainted ||
                 (caches && state->initial != 0)) /* zero at first */
            status = fill_state(session, state);
    }
    return status;
}

rt_u32 rt_session_find(const struct rt_session *session, const char *role, rt_u32 from)
{
    const struct rt_program *program = session->program;
    while (from < program->function_count && strcmp(program->functions[from].role, role) != 0)
        from++;
    return from;
}

rt_status rt_session_function(const struct rt_session *session, const char *role, rt_u32 *index)
{
    *index = rt_session_find(session, role, 0);
    if (*index == session->program->function_count)
        return rt_fail(FUNCTION_MISSING, role, session->program->task);
    return 0;
}

static rt_status find_port(const struct rt_port *ports, rt_u32 count, const char *function,
                           const char *name, enum rt_dtype dtype, rt_i64 elements,
                           const struct rt_port **found)
{
    for (rt_u32 i = 0; i < count; i++) {
        if (strcmp(ports[i].name, name) != 0)
            continue;
        rt_i64 present = rt_port_elements(&ports[i]);
        if (ports[i].dtype != dtype || (elements >= 0 && present != elements) ||
            ports[i].bytes < (rt_u64)present * rt_dtype_size(dtype))
            return rt_fail(PORT_SHAPE, name, function);
        *found = &ports[i];
        return 0;
    }
    return rt_fail(PORT_MISSING, name, function);
}

rt_status rt_session_input(const struct rt_session *session, rt_u32 function, const char *name,
                           enum rt_dtype dtype, rt_i64 elements, const struct rt_port **port)
{
    const struct rt_function *f = &session->program->functions[function];
    return find_port(f->inputs, f->input_count, f->name, name, dtype, elements, port);
}

rt_status rt_session_output(const struct rt_session *session, rt_u32 function, const char *name,
                            enum rt_dtype dtype, rt_i64 elements, const struct rt_port **port)
{
    const struct rt_function *f = &session->program->functions[function];
    return find_port(f->outputs, f->output_count, f->name, name, dtype, elements, port);
}

bool rt_session_has_output(const struct rt_session *session, rt_u32 function, const char *name)
{
    const struct rt_function *f = &session->program->functions[function];
    for (rt_u32 i = 0; i < f->output_count; i++)
        if (strcmp(f->outputs[i].name, name) == 0)
            return true;
    return false;
}

const struct rt_port *rt_session_state(const struct rt_session *session, const char *name)
{
    for (rt_u32 i = 0; i < session->program->state_count; i++)
        if (strcmp(session->program->states[i].port.name, name) == 0)
            return &session->program->states[i].port;
    return NULL;
}

rt_status rt_session_launch(struct rt_session *session, rt_u32 function)
{
    return session->device->table->launch(session->device, function);
}

rt_status rt_session_write(struct rt_session *session, const struct rt_port *port, const void *from)
{
    return session->device->table->write(session->device, port->offset, from, port->bytes);
}

rt_status rt_session_read(struct rt_session *session, const struct rt_port *port, void *to)
{
    return session->device->table->read(session->device, port->offset, to, port->bytes);
}
