/* Saving of weights: see save.h. The header is written first with a length of zero, which is
 * filled in when it is known. */
#include "runtime/save.h"

#include "runtime/convert.h"
#include "runtime/files.h"
#include "runtime/json_write.h"
#include "runtime/process.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, ALIGNMENT = 8 };

static const char *const stored_names[] = {
    [RT_F32] = "F32", [RT_F64] = "F64", [RT_BF16] = "BF16", [RT_F16] = "F16",
    [RT_I32] = "I32", [RT_I64] = "I64", [RT_U8] = "U8",     [RT_BOOL] = "BOOL",
};

static void write_tensor(struct rt_json_writer *json, const struct rt_weight *weight, rt_u64 begin)
{
    rt_json_write_object(json, weight->name);
    rt_json_write_text(json, "dtype", stored_names[weight->dtype]);
    rt_json_write_array(json, "shape");
    for (rt_u32 i = 0; i < weight->rank; i++)
        rt_json_write_int(json, NULL, weight->dims[i]);
    rt_json_write_end(json);
    rt_json_write_array(json, "data_offsets");
    rt_json_write_unsigned(json, NULL, begin);
    rt_json_write_unsigned(json, NULL, begin + weight->bytes);
    rt_json_write_end(json);
    rt_json_write_end(json);
}

static rt_status write_header(FILE *file, const struct rt_program *program, const char *path)
{
    struct rt_json_writer json;
    unsigned char length[LENGTH_BYTES] = {0};
    rt_u64 begin = 0;
    errno = 0;
    fwrite(length, 1, sizeof length, file);
    rt_json_write_open(&json, file, false);
    rt_json_write_object(&json, NULL);
    for (rt_u32 i = 0; i < program->weight_count; i++) {
        write_tensor(&json, &program->weights[i], begin);
        begin += program->weights[i].bytes;
    }
    rt_json_write_end(&json);
    rt_status status = rt_written(file, path);
    if (status)
        return status;
    rt_u64 end = (rt_u64)ftello(file) - 1; /* the line feed at the end becomes padding */
    rt_u64 padded = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (unsigned char)((padded - LENGTH_BYTES) >> 8 * i);
    bool placed = fseeko(file, 0, SEEK_SET) == 0;
    fwrite(length, 1, sizeof length, file);
    placed = placed && fseeko(file, (off_t)end, SEEK_SET) == 0;
    for (; end < padded; end++)
        fputc(' ', file);
    placed = placed && fseeko(file, (off_t)padded, SEEK_SET) == 0;
    return placed ? rt_flush(file, path) : rt_fail(FILE_WRITE, path, strerror(errno));
}

static const struct rt_state *state_of(const struct rt_program *program, rt_u32 weight)
{
    for (rt_u32 i = 0; i < program->state_count; i++)
        if (program->states[i].weight == (rt_i32)weight)
            return &program->states[i];
    return NULL;
}

static rt_status write_bytes(FILE *file, const void *from, rt_u64 bytes, const char *path)
{
    errno = 0;
    fwrite(from, 1, bytes, file);
    return rt_written(file, path);
}

static rt_status write_data(FILE *file, struct rt_session *session, rt_u32 index, const char *path)
{
    const struct rt_weight *weight = &session->program->weights[index];
    const struct rt_state *state = state_of(session->program, index);
    rt_u64 count = weight->bytes / rt_dtype_size(weight->dtype);
    const void *from = session->weights.data[index];
    rt_status status = 0;
    if (state)
        status = session->device->table->view(session->device, state->port.offset,
                                              state->port.bytes, &from);
    if (status)
        return status;
    if (!state || state->port.dtype == weight->dtype)
        return write_bytes(file, from, weight->bytes, path);
    void *converted = malloc(weight->bytes);
    if (!converted)
        return rt_fail(OUT_OF_MEMORY, (size_t)weight->bytes);
    if (rt_convert(converted, weight->dtype, from, state->port.dtype, count))
        status = write_bytes(file, converted, weight->bytes, path);
    else
        status = rt_fail(STATE_CONVERT, weight->name, state->port.name);
    free(converted);
    return status;
}

rt_status rt_save_prepare(const char *directory)
{
    bool made = mkdir(directory, 0777) == 0 || errno == EEXIST;
    if (!made || access(directory, W_OK | X_OK) != 0)
        return rt_fail(FILE_WRITE, directory, strerror(errno));
    return 0;
}

rt_status rt_save_weights(struct rt_session *session, const char *directory)
{
    char path[4096], temporary[4200];
    FILE *file = NULL;
    if (snprintf(path, sizeof path, "%s/model.safetensors", directory) >= (int)sizeof path)
        return rt_fail(FILE_OPEN, directory, strerror(ENAMETOOLONG));
    rt_status status = rt_file_create(path, temporary, sizeof temporary, &file);
    if (status)
        return status;
    status = write_header(file, session->program, path);
    for (rt_u32 i = 0; i < session->program->weight_count && !status; i++) {
        status = write_data(file, session, i, path);
        if (!status)
            status = rt_flush(file, path);
    }
    if (!status)
        return rt_file_commit(file, temporary, path);
    rt_file_discard(file, temporary);
    return status;
}
