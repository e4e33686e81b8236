/* See checkpoint_writer.h. Every thread draws a tile into its stack and writes it to its place. */
#include "bench/checkpoint_writer.h"

#include "runtime/json_write.h"
#include "runtime/pool.h"
#include "runtime/session.h"
#include "runtime/weights_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { TILE = 1 << 17, NAME = 64 }; /* 512 KiB of f32 on the stack */

/* One shard: tensors first .. last - 1. */
struct shard {
    rt_u32 first, last;
    char name[NAME];
    rt_u64 data; /* bytes of its tensors */
};

/* What the threads share while they write a tensor. */
struct job {
    const struct rt_weight *tensor;
    rt_u64 seed;
    int descriptor;
    _Atomic int error; /* errno of the first failure */
};

static rt_u64 elements_of(const struct rt_weight *tensor)
{
    rt_u64 count = 1;
    for (rt_u32 i = 0; i < tensor->rank; i++)
        count *= (rt_u64)tensor->dims[i];
    return count;
}

static void write_tile(struct job *job, rt_u64 first, rt_u64 count)
{
    unsigned size = rt_dtype_size(job->tensor->dtype);
    char bytes[TILE * sizeof(float)];
    rt_u64 length = count * size, done = 0;
    weights_fill(job->tensor, job->seed, first, count, bytes);
    while (done < length && !job->error) {
        off_t at = (off_t)(job->tensor->offset + first * size + done);
        ssize_t written = pwrite(job->descriptor, bytes + done, length - done, at);
        if (written > 0)
            done += (rt_u64)written;
        else if (errno != EINTR)
            job->error = errno;
    }
}

static void write_tiles(void *const *operands, rt_i64 begin, rt_i64 end)
{
    struct job *job = operands[0];
    rt_u64 elements = elements_of(job->tensor);
    for (rt_i64 tile = begin; tile < end; tile++) {
        rt_u64 first = (rt_u64)tile * TILE, left = elements - first;
        write_tile(job, first, left < TILE ? left : TILE);
    }
}

/* The name of a type in a safetensors header: upper case of ours. */
static const char *stored_name(rt_u32 dtype)
{
    return dtype == RT_F32 ? "F32" : dtype == RT_F16 ? "F16" : "BF16";
}

/* The header of a shard, padded with blanks to a multiple of 8; NULL without memory. */
static char *make_header(const struct rt_weight *tensors, const struct shard *shard, size_t *length)
{
    char *text = NULL;
    rt_u64 at = 0;
    FILE *file = open_memstream(&text, length);
    if (!file)
        return NULL;
    struct rt_json_writer json;
    rt_json_write_open(&json, file, false);
    rt_json_write_object(&json, NULL);
    for (rt_u32 i = shard->first; i < shard->last; i++) {
        rt_json_write_object(&json, tensors[i].name);
        rt_json_write_text(&json, "dtype", stored_name(tensors[i].dtype));
        rt_json_write_array(&json, "shape");
        for (rt_u32 j = 0; j < tensors[i].rank; j++)
            rt_json_write_int(&json, NULL, tensors[i].dims[j]);
        rt_json_write_end(&json);
        rt_json_write_array(&json, "data_offsets");
        rt_json_write_unsigned(&json, NULL, at);
        rt_json_write_unsigned(&json, NULL, at += tensors[i].bytes);
        rt_json_write_end(&json);
        rt_json_write_end(&json);
    }
    rt_json_write_end(&json);
    fflush(file);
    text[*length - 1] = ' '; /* only blanks may follow a header, so no line feed */
    fprintf(file, "%*s", (int)((8 - *length % 8) % 8), "");
    fclose(file);
    return text;
}

static rt_status fail_write(const char *path, int error)
{
    return rt_fail(FILE_WRITE, path, strerror(error));
}

static rt_status write_header(int descriptor, const char *path, const char *header, size_t length)
{
    unsigned char size[8];
    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)((rt_u64)length >> 8 * i);
    if (pwrite(descriptor, size, 8, 0) != 8 ||
        pwrite(descriptor, header, length, 8) != (ssize_t)length)
        return fail_write(path, errno);
    return EXIT_OK;
}

static rt_status write_tensors(int descriptor, const char *path, const struct rt_weight *tensors,
                               const struct shard *shard, rt_u64 seed, struct rt_pool *pool)
{
    rt_status status = EXIT_OK;
    for (rt_u32 i = shard->first; !status && i < shard->last; i++) {
        struct job job = {.tensor = &tensors[i], .seed = seed, .descriptor = descriptor};
        void *operand = &job;
        rt_u64 tiles = (elements_of(&tensors[i]) + TILE - 1) / TILE;
        rt_pool_run(pool, write_tiles, &operand, (rt_i64)tiles);
        if (job.error)
            status = fail_write(path, job.error);
    }
    return status;
}

static rt_status write_shard(const char *directory, struct rt_weight *tensors,
                             const struct shard *shard, rt_u64 seed, struct rt_pool *pool)
{
    char path[4096];
    size_t length = 0;
    char *header = make_header(tensors, shard, &length);
    if (!header)
        return rt_fail(OUT_OF_MEMORY, length);
    rt_u64 at = 8 + length;
    for (rt_u32 i = shard->first; i < shard->last; at += tensors[i++].bytes)
        tensors[i].offset = at;
    snprintf(path, sizeof path, "%s/%s", directory, shard->name);
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    rt_status status =
        descriptor < 0 ? fail_write(path, errno) : write_header(descriptor, path, header, length);
    if (!status)
        status = write_tensors(descriptor, path, tensors, shard, seed, pool);
    if (descriptor >= 0 && close(descriptor) != 0 && !status)
        status = fail_write(path, errno);
    free(header);
    return status;
}

/* Fills in `bytes` and cuts the list into shards. Returns their number. */
static rt_u32 plan(struct rt_weight *tensors, rt_u32 count, rt_u64 shard_bytes,
                   struct shard *shards)
{
    rt_u32 used = 0;
    for (rt_u32 i = 0; i < count; i++) {
        tensors[i].bytes = elements_of(&tensors[i]) * rt_dtype_size(tensors[i].dtype);
        if (used == 0 || shards[used - 1].data + tensors[i].bytes > shard_bytes)
            shards[used++] = (struct shard){.first = i};
        shards[used - 1].last = i + 1;
        shards[used - 1].data += tensors[i].bytes;
    }
    for (rt_u32 i = 0; i < used; i++) {
        snprintf(shards[i].name, NAME, "model-%05u-of-%05u.safetensors", i + 1, used);
        if (used == 1)
            snprintf(shards[i].name, NAME, "model.safetensors");
        for (rt_u32 j = shards[i].first; j < shards[i].last; j++)
            tensors[j].file = shards[i].name;
    }
    return used;
}

static rt_status check_room(const char *directory, const struct shard *shards, rt_u32 count)
{
    struct statvfs disk;
    char detail[128];
    rt_u64 needed = 64 << 20; /* headers, index, and something for the others */
    for (rt_u32 i = 0; i < count; i++)
        needed += shards[i].data;
    if (statvfs(directory, &disk) != 0)
        return fail_write(directory, errno);
    rt_u64 room = (rt_u64)disk.f_bavail * disk.f_frsize;
    if (room >= needed)
        return EXIT_OK;
    snprintf(detail, sizeof detail, "needs %llu MB, the disk has %llu free",
             (unsigned long long)(needed >> 20), (unsigned long long)(room >> 20));
    return rt_fail(FILE_WRITE, directory, detail);
}

static rt_status write_index(const char *directory, const struct rt_weight *tensors, rt_u32 count)
{
    char path[4096];
    rt_u64 total = 0;
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", directory);
    FILE *file = fopen(path, "we");
    if (!file)
        return fail_write(path, errno);
    for (rt_u32 i = 0; i < count; i++)
        total += tensors[i].bytes;
    struct rt_json_writer json;
    rt_json_write_open(&json, file, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_object(&json, "metadata");
    rt_json_write_unsigned(&json, "total_size", total);
    rt_json_write_end(&json);
    rt_json_write_object(&json, "weight_map");
    for (rt_u32 i = 0; i < count; i++)
        rt_json_write_text(&json, tensors[i].name, tensors[i].file);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
    int failed = ferror(file);
    return (fclose(file) != 0 || failed) ? fail_write(path, errno) : EXIT_OK;
}

rt_status checkpoint_write(const char *directory, struct rt_weight *tensors, rt_u32 count,
                           rt_u64 shard_bytes, rt_u64 seed, struct rt_pool *pool)
{
    struct shard *shards = calloc((size_t)count + 1, sizeof *shards);
    if (!shards)
        return rt_fail(OUT_OF_MEMORY, count * sizeof *shards);
    rt_u32 used = plan(tensors, count, shard_bytes, shards);
    rt_status status = check_room(directory, shards, used);
    for (rt_u32 i = 0; !status && i < used; i++)
        status = write_shard(directory, tensors, &shards[i], seed, pool);
    if (!status && used > 1)
        status = write_index(directory, tensors, count);
    for (rt_u32 i = 0; i < count; i++)
        tensors[i].file = "";
    free(shards);
    return status;
}
