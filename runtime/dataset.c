/* Samples for training and prediction: see dataset.h. */
#include "runtime/dataset.h"

#include "runtime/convert.h"
#include "runtime/roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_fraction(rt_u32 dtype)
{
    return dtype == RT_F32 || dtype == RT_F64 || dtype == RT_BF16 || dtype == RT_F16;
}

static void store(unsigned char *to, rt_u32 dtype, rt_i64 index, double value)
{
    unsigned size = rt_dtype_size(dtype);
    unsigned char *at = to + (size_t)index * size;
    float single = (float)value;
    rt_i64 whole = is_fraction(dtype) ? 0 : (rt_i64)value;
    rt_i32 word = (rt_i32)whole;
    switch (dtype) {
    case RT_F64: memcpy(at, &value, size); break;
    case RT_I64: memcpy(at, &whole, size); break;
    case RT_I32: memcpy(at, &word, size); break;
    case RT_U8: *at = (unsigned char)whole; break;
    case RT_BOOL: *at = whole != 0; break;
    default: rt_convert(at, dtype, &single, RT_F32, 1); break;
    }
}

rt_i64 rt_dataset_classes(const struct rt_session *session)
{
    rt_u32 index = rt_session_find(session, RT_ROLE_PREDICT, 0);
    if (index == session->program->function_count)
        return 0;
    const struct rt_function *predict = &session->program->functions[index];
    return predict->output_count > 0 && predict->outputs[0].rank == 2 ? predict->outputs[0].dims[1]
                                                                     : 0;
}

/* Whether predict takes this input, too: then it is no label. */
static bool is_model_input(const struct rt_session *session, const char *name)
{
    rt_u32 index = rt_session_find(session, RT_ROLE_PREDICT, 0);
    if (index == session->program->function_count)
        return false;
    const struct rt_function *predict = &session->program->functions[index];
    for (rt_u32 i = 0; i < predict->input_count; i++)
        if (strcmp(predict->inputs[i].name, name) == 0)
            return true;
    return false;
}

static rt_status check_labels(const struct rt_dataset_input *input, rt_i64 classes)
{
    rt_i64 values = input->idx.count * input->idx.sample;
    for (rt_i64 i = 0; i < values; i++) {
        double label = rt_idx_value(&input->idx, i);
        if (label < 0 || label >= (double)classes)
            return rt_fail(LABEL_RANGE, (long long)label, input->path,
                           (long long)(i / input->idx.sample), (long long)classes);
    }
    return 0;
}

static rt_status check_input(const struct rt_dataset *dataset, struct rt_dataset_input *input)
{
    rt_i64 wanted = rt_port_elements(input->port) / dataset->batch;
    if (input->idx.sample != wanted)
        return rt_fail(IDX_SHAPE, input->path, (long long)input->idx.sample, input->port->name,
                       (long long)wanted);
    if (!is_fraction(input->port->dtype) && !rt_idx_is_whole(&input->idx))
        return rt_fail(IDX_TYPE, input->path, input->port->name);
    if (input != dataset->inputs && input->idx.count != dataset->count)
        return rt_fail(IDX_COUNT, input->path, (long long)input->idx.count,
                       (long long)dataset->count);
    return 0;
}

static rt_status open_input(struct rt_dataset *dataset, const struct rt_port *port,
                            const char *path, double scale)
{
    if (dataset->input_count == RT_MAX_INPUTS)
        return rt_fail(PORT_SHAPE, port->name, "more than 16 inputs");
    struct rt_dataset_input *input = &dataset->inputs[dataset->input_count];
    *input = (struct rt_dataset_input){.port = port, .path = path, .scale = 1};
    rt_status status = rt_idx_open(&input->idx, path);
    if (status)
        return status;
    dataset->input_count++;
    if (is_fraction(port->dtype) && rt_idx_is_whole(&input->idx))
        input->scale = scale > 0 ? scale : input->idx.type == RT_IDX_U8 ? 1.0 / 255 : 1;
    if (dataset->input_count == 1)
        dataset->count = input->idx.count;
    input->buffer = malloc(port->bytes);
    return input->buffer ? check_input(dataset, input)
                         : rt_fail(OUT_OF_MEMORY, (size_t)port->bytes);
}

/* The file that --data names for an input, NULL if none does. */
static const char *named_file(const struct rt_options *options, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < options->data.count; i++) {
        const char *item = options->data.items[i];
        if (strncmp(item, name, length) == 0 && item[length] == '=')
            return item + length + 1;
    }
    return NULL;
}

static bool is_setting(const char *name)
{
    return strcmp(name, "learning_rate") == 0 || strcmp(name, "momentum") == 0 ||
           strcmp(name, RT_INPUT_SEED) == 0 || strcmp(name, RT_INPUT_STEP) == 0;
}

struct input_names {
    char text[512];
};

static struct input_names names_of(const struct rt_function *function)
{
    struct input_names names = {""};
    size_t used = 0, bytes = sizeof names.text;
    for (rt_u32 i = 0; i < function->input_count && used < bytes; i++)
        if (!is_setting(function->inputs[i].name))
            used += (size_t)snprintf(names.text + used, bytes - used, "%s%s", used ? ", " : "",
                                     function->inputs[i].name);
    return names;
}

static bool names_an_input(const struct rt_function *function, const char *item)
{
    for (rt_u32 i = 0; i < function->input_count; i++) {
        const char *name = function->inputs[i].name;
        size_t length = strlen(name);
        if (!is_setting(name) && strncmp(item, name, length) == 0 && item[length] == '=')
            return true;
    }
    return false;
}

static rt_status check_names(const struct rt_function *function, const struct rt_options *options)
{
    for (int i = 0; i < options->data.count; i++)
        if (!names_an_input(function, options->data.items[i]))
            return rt_fail(DATA_UNKNOWN, options->data.items[i], names_of(function).text);
    return 0;
}

rt_status rt_dataset_open(struct rt_dataset *dataset, struct rt_session *session,
                          rt_u32 function_index, const struct rt_options *options, rt_i64 classes)
{
    const struct rt_function *function = &session->program->functions[function_index];
    int argument = 0;
    rt_status status = check_names(function, options);
    *dataset = (struct rt_dataset){.session = session, .batch = session->program->batch};
    for (rt_u32 i = 0; i < function->input_count && !status; i++) {
        const struct rt_port *port = &function->inputs[i];
        if (is_setting(port->name))
            continue;
        const char *path = named_file(options, port->name);
        if (!path && argument < options->argument_count)
            path = options->arguments[argument++];
        status = path ? open_input(dataset, port, path, options->scale)
                      : rt_fail(DATA_MISSING, port->name, function->role, names_of(function).text);
        if (!status && classes > 0 && !is_fraction(port->dtype)
            && !is_model_input(session, port->name))
            status = check_labels(&dataset->inputs[dataset->input_count - 1], classes);
    }
    if (!status && argument < options->argument_count)
        status = rt_fail(ARGUMENTS_MANY, function->role, options->arguments[argument],
                         "one file for each input");
    return status;
}

void rt_dataset_close(struct rt_dataset *dataset)
{
    for (int i = 0; i < dataset->input_count; i++) {
        rt_idx_close(&dataset->inputs[i].idx);
        free(dataset->inputs[i].buffer);
    }
    *dataset = (struct rt_dataset){0};
}

static rt_status load_input(struct rt_dataset *dataset, struct rt_dataset_input *input,
                            const rt_i64 *samples, rt_i64 count)
{
    rt_i64 sample = input->idx.sample;
    memset(input->buffer, 0, input->port->bytes);
    for (rt_i64 row = 0; row < count; row++)
        for (rt_i64 i = 0; i < sample; i++)
            store(input->buffer, input->port->dtype, row * sample + i,
                  input->scale * rt_idx_value(&input->idx, samples[row] * sample + i));
    return rt_session_write(dataset->session, input->port, input->buffer);
}

rt_status rt_dataset_load(struct rt_dataset *dataset, const rt_i64 *samples, rt_i64 count)
{
    rt_status status = 0;
    for (int i = 0; i < dataset->input_count && !status; i++)
        status = load_input(dataset, &dataset->inputs[i], samples, count);
    return status;
}
