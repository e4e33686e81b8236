/* The C interface: opening, closing, prediction. See library.h. */
#include "runtime/library_model.h"
#include "runtime/report.h"
#include "runtime/roles.h"

#include <stdlib.h>
#include <string.h>

SINTER_EXPORT const char *sinter_message(void)
{
    return rt_status_text();
}

SINTER_EXPORT int sinter_open(struct sinter_model **model, const char *weights, int threads)
{
    struct rt_session_options options = {
        .weights = weights,
        .threads = threads > 0 ? threads : 0,
        .foreign_caller = true,
        .anywhere = strcmp(rt_program.task, "generate") != 0,
    };
    rt_status_clear();
    rt_report_silence();
    *model = NULL;
    struct sinter_model *opened = calloc(1, sizeof *opened);
    if (!opened)
        return rt_fail(OUT_OF_MEMORY, sizeof *opened);
    rt_status status = rt_session_open(&opened->session, &rt_program, &options);
    if (status) {
        free(opened);
        return status;
    }
    const struct rt_port *logits = rt_session_state(&opened->session, "logits");
    if (logits && logits->rank > 0)
        opened->vocabulary = logits->dims[logits->rank - 1];
    *model = opened;
    return 0;
}

SINTER_EXPORT void sinter_close(struct sinter_model *model)
{
    if (!model)
        return;
    rt_session_close(&model->session);
    free(model);
}

static rt_status find_predict(const struct sinter_model *model, rt_u32 *index,
                              const struct rt_function **function)
{
    rt_status_clear();
    rt_status status = rt_session_function(&model->session, RT_ROLE_PREDICT, index);
    if (!status)
        *function = &model->session.program->functions[*index];
    return status;
}

static int describe(const struct rt_port *ports, rt_u32 count, int index,
                    struct sinter_tensor *tensor)
{
    if (index < 0 || (rt_u32)index >= count)
        return rt_fail(TENSOR_NUMBER, index, count);
    const struct rt_port *port = &ports[index];
    *tensor = (struct sinter_tensor){
        .name = port->name,
        .type = (enum sinter_type)port->dtype,
        .rank = (int)port->rank,
        .bytes = (size_t)port->bytes,
    };
    memcpy(tensor->dims, port->dims, sizeof tensor->dims);
    return 0;
}

SINTER_EXPORT int sinter_input(const struct sinter_model *model, int index,
                               struct sinter_tensor *tensor)
{
    const struct rt_function *function;
    rt_u32 number;
    rt_status status = find_predict(model, &number, &function);
    return status ? status : describe(function->inputs, function->input_count, index, tensor);
}

SINTER_EXPORT int sinter_output(const struct sinter_model *model, int index,
                                struct sinter_tensor *tensor)
{
    const struct rt_function *function;
    rt_u32 number;
    rt_status status = find_predict(model, &number, &function);
    return status ? status : describe(function->outputs, function->output_count, index, tensor);
}

static rt_status find_tensor(const struct rt_port *ports, rt_u32 count, const char *name,
                             size_t bytes, const struct rt_port **found)
{
    for (rt_u32 i = 0; i < count; i++) {
        if (strcmp(ports[i].name, name) != 0)
            continue;
        *found = &ports[i];
        return bytes == ports[i].bytes
                   ? 0
                   : rt_fail(TENSOR_BYTES, name, bytes, (unsigned long long)ports[i].bytes);
    }
    return rt_fail(TENSOR_NAME, name, count);
}

SINTER_EXPORT int sinter_set_input(struct sinter_model *model, const char *name,
                                   const void *data, size_t bytes)
{
    const struct rt_function *function;
    const struct rt_port *port;
    rt_u32 index;
    rt_status status = find_predict(model, &index, &function);
    if (!status)
        status = find_tensor(function->inputs, function->input_count, name, bytes, &port);
    return status ? status : rt_session_write(&model->session, port, data);
}

SINTER_EXPORT int sinter_predict(struct sinter_model *model)
{
    const struct rt_function *function;
    rt_u32 index;
    rt_status status = find_predict(model, &index, &function);
    return status ? status : rt_session_launch(&model->session, index);
}

SINTER_EXPORT int sinter_get_output(struct sinter_model *model, const char *name, void *data,
                                    size_t bytes)
{
    const struct rt_function *function;
    const struct rt_port *port;
    rt_u32 index;
    rt_status status = find_predict(model, &index, &function);
    if (!status)
        status = find_tensor(function->outputs, function->output_count, name, bytes, &port);
    return status ? status : rt_session_read(&model->session, port, data);
}
