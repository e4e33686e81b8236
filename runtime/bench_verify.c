/* See bench_verify.h. Of the list nothing is trusted: every range must lie in the arena, and begin
 * where the program has an operand of the step. */
#include "runtime/bench_verify.h"

#include "runtime/convert.h"
#include "runtime/files.h"
#include "runtime/json_write.h"
#include "runtime/philox.h"
#include "runtime/pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_FILE = 1 << 30, NAME = 160, FILL_TILE = 1 << 14 };

struct verify {
    struct rt_session *session;
    struct rt_json_writer *json; /* NULL: text */
    const char *path;
    unsigned long long line;
    rt_u64 seed;
    bool ours, open, ran; /* the list is of this program; a kernel is begun; its step has run */
    rt_u32 function, step;
    char name[NAME];
    rt_u64 compared, missed; /* elements of the kernel; those outside the tolerance */
    double worst;            /* error in units of the tolerance */
    rt_u64 listed, kernels, wrong, lists;
    struct rt_pool *pool; /* that fills */
    void *memory;         /* of a fill */
    size_t size;
};

/* --- numbers --- */

/* 2^bits steps between 0 and 1 are exact in the type. */
static int fraction_bits(rt_u32 dtype)
{
    switch (dtype) {
    case RT_BF16: return 7;
    case RT_F16:
    case RT_TF32: return 10;
    default: return 23;
    }
}

static bool is_whole(rt_u32 dtype)
{
    return dtype == RT_I32 || dtype == RT_I64 || dtype == RT_U8;
}

double rt_verify_number(const struct rt_verify_fill *fill, rt_u64 address)
{
    const uint32_t key[2] = {(uint32_t)fill->seed, (uint32_t)(fill->seed >> 32)};
    const uint32_t counter[4] = {(uint32_t)address, (uint32_t)(address >> 32), fill->function,
                                 fill->step};
    uint32_t drawn[4];
    rt_philox(counter, key, drawn);
    rt_u64 whole = (rt_u64)drawn[1] << 32 | drawn[0];
    if (fill->dtype == RT_BOOL)
        return fill->single || whole % 4 == 0;
    if (is_whole(fill->dtype)) {
        rt_u64 bound = fill->bound < 1 ? 1 : (rt_u64)fill->bound;
        rt_u64 most = fill->dtype == RT_U8 && bound > 256 ? 256 : bound;
        return (double)(fill->single && most > 1 ? 1 + whole % (most - 1) : whole % most);
    }
    rt_u64 unit = (rt_u64)1 << fraction_bits(fill->dtype);
    if (fill->single)
        return 0.125 + (double)(whole % unit) / (double)unit;
    return (double)(whole % (2 * unit + 1)) / (double)unit - 1;
}

/* --- the list --- */

static rt_status damaged(const struct verify *v, const char *what)
{
    return rt_fail(VERIFY_FILE, v->path, v->line, what);
}

static const char *program_target(const struct rt_program *program)
{
    return program->gpu ? program->gpu->name : program->cpu;
}

/* A range of the arena where an operand of the step begins. */
static bool is_operand(const struct verify *v, rt_u64 offset, rt_u64 bytes)
{
    const struct rt_program *program = v->session->program;
    const struct rt_function *function = &program->functions[v->function];
    const struct rt_step *step = &function->steps[v->step];
    if (offset > program->arena_bytes || bytes > program->arena_bytes - offset)
        return false;
    for (rt_u32 i = 0; i < step->operand_count; i++) {
        const struct rt_operand *operand = &function->operands[step->first_operand + i];
        if (operand->space == RT_SPACE_ARENA && operand->offset == offset)
            return true;
    }
    return false;
}

/* --- one kernel --- */

static void write_report(const struct verify *v)
{
    const char *function = v->session->program->functions[v->function].name;
    if (!v->json) {
        printf("%-4s %-12s %-34s %6llu compared, %llu wrong, worst %.2g of 1\n",
               v->missed ? "BAD" : "ok", function, v->name, (unsigned long long)v->compared,
               (unsigned long long)v->missed, v->worst);
        return;
    }
    rt_json_write_object(v->json, NULL);
    rt_json_write_text(v->json, "function", function);
    rt_json_write_unsigned(v->json, "step", v->step);
    rt_json_write_text(v->json, "kernel", v->name);
    rt_json_write_unsigned(v->json, "compared", v->compared);
    rt_json_write_unsigned(v->json, "wrong", v->missed);
    rt_json_write_double(v->json, "worst", v->worst);
    rt_json_write_bool(v->json, "ok", v->missed == 0);
    rt_json_write_end(v->json);
}

/* The next kernel may end the process, or never come back: who reads this must know the last one
 * that did. */
static void report(const struct verify *v)
{
    write_report(v);
    fflush(stdout);
}

static rt_status finish_kernel(struct verify *v)
{
    if (!v->open)
        return 0;
    v->open = false;
    if (v->compared == 0)
        return damaged(v, "a kernel without expectations");
    report(v);
    v->kernels++;
    v->wrong += v->missed > 0;
    return 0;
}

static rt_status begin_kernel(struct verify *v, const char *line)
{
    const struct rt_program *program = v->session->program;
    rt_status status = finish_kernel(v);
    if (status)
        return status;
    if (sscanf(line, "kernel %u %u %159s", &v->function, &v->step, v->name) != 3)
        return damaged(v, "no function, step and name");
    v->listed++;
    if (v->function >= program->function_count ||
        v->step >= program->functions[v->function].step_count)
        return damaged(v, "a step that the program lacks");
    const char *known = program->functions[v->function].steps[v->step].name;
    size_t length = strlen(known), suffix = strlen(v->name);
    if (suffix > length || strcmp(known + length - suffix, v->name) != 0)
        return damaged(v, "a step that is another one in the program");
    v->open = true;
    v->ran = false;
    v->compared = v->missed = 0;
    v->worst = 0;
    return 0;
}

static rt_status spoil(struct verify *v, const char *line)
{
    const unsigned char value = 0xff;
    unsigned long long offset, bytes;
    if (sscanf(line, "spoil %llu %llu", &offset, &bytes) != 2 || !is_operand(v, offset, bytes))
        return damaged(v, "not where an operand of the step is");
    return v->session->device->table->fill(v->session->device, offset, bytes, &value, 1);
}

/* --- filling --- */

struct tensor {
    unsigned long long offset, first;
    rt_u32 dtype, rank;
    rt_i64 bound, dims[RT_MAX_RANK], strides[RT_MAX_RANK];
    rt_u64 elements, bytes; /* bytes: from offset to the end of the last element */
};

static bool measure(struct tensor *t)
{
    rt_u64 last = t->first, step;
    t->elements = 1;
    for (rt_u32 i = 0; i < t->rank; i++) {
        if (t->dims[i] < 0 || t->strides[i] < 0 ||
            __builtin_mul_overflow(t->elements, (rt_u64)t->dims[i], &t->elements))
            return false;
        rt_u64 steps = t->dims[i] > 0 ? (rt_u64)t->dims[i] - 1 : 0;
        if (__builtin_mul_overflow(steps, (rt_u64)t->strides[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    return !__builtin_add_overflow(last, 1, &last) &&
           !__builtin_mul_overflow(last, (rt_u64)rt_dtype_size(t->dtype), &t->bytes);
}

static bool read_tensor(const char *line, struct tensor *t)
{
    int used = 0, more = 0;
    long long bound, dim, stride;
    if (sscanf(line, "fill %llu %u %lld %llu %u%n", &t->offset, &t->dtype, &bound, &t->first,
               &t->rank, &used) != 5 ||
        t->rank > RT_MAX_RANK || rt_dtype_size(t->dtype) == 0)
        return false;
    t->bound = bound;
    for (rt_u32 i = 0; i < t->rank; i++) {
        line += used;
        if (sscanf(line, " %lld %lld%n", &dim, &stride, &more) != 2)
            return false;
        used = more;
        t->dims[i] = dim;
        t->strides[i] = stride;
    }
    return measure(t);
}

static rt_u64 place_of(const struct tensor *t, rt_u64 element)
{
    rt_u64 place = t->first;
    for (rt_u32 i = t->rank; i-- > 0; element /= (rt_u64)t->dims[i])
        place += element % (rt_u64)t->dims[i] * (rt_u64)t->strides[i];
    return place;
}

static bool reserve(struct verify *v, size_t size)
{
    if (size <= v->size)
        return true;
    free(v->memory);
    v->memory = malloc(size);
    v->size = v->memory ? size : 0;
    return v->memory != NULL;
}

/* What a thread fills; the operand of fill_tiles. */
struct filling {
    const struct tensor *tensor;
    struct rt_verify_fill numbers;
    char *out;
};

static void fill_tiles(void *const *operands, rt_i64 begin, rt_i64 end)
{
    const struct filling *f = operands[0];
    const struct tensor *t = f->tensor;
    rt_u64 last = (rt_u64)end * FILL_TILE;
    if (last > t->elements)
        last = t->elements;
    for (rt_u64 i = (rt_u64)begin * FILL_TILE; i < last; i++) {
        rt_u64 at = place_of(t, i) * rt_dtype_size(t->dtype);
        rt_write_number(t->dtype, f->out + at, rt_verify_number(&f->numbers, t->offset + at));
    }
}

/* What stands between the elements stays: it may belong to another tensor. */
static rt_status fill(struct verify *v, const char *line)
{
    const struct rt_device_table *table = v->session->device->table;
    struct rt_device *device = v->session->device;
    struct tensor t;
    if (!read_tensor(line, &t) || !is_operand(v, t.offset, t.bytes) || t.elements > t.bytes)
        return damaged(v, "no tensor where an operand of the step is");
    if (!reserve(v, (size_t)t.bytes))
        return rt_fail(OUT_OF_MEMORY, (size_t)t.bytes);
    struct filling filling = {
        &t, {v->seed, v->function, v->step, t.dtype, t.bound, t.elements == 1}, v->memory};
    void *operand = &filling;
    bool contiguous = t.rank == 1 && t.strides[0] == 1 && t.first == 0;
    rt_status status = 0;
    if (!contiguous)
        status = table->read(device, t.offset, v->memory, t.bytes);
    if (!status)
        rt_pool_run(v->pool, fill_tiles, &operand,
                    (rt_i64)((t.elements + FILL_TILE - 1) / FILL_TILE));
    return status ? status : table->write(device, t.offset, v->memory, t.bytes);
}

/* --- comparing --- */

static void compare(struct verify *v, double got, double expected, double tolerance)
{
    bool same = got == expected || (isnan(got) && isnan(expected));
    double error = same ? 0 : fabs(got - expected) / tolerance;
    v->compared++;
    v->missed += !(error <= 1);
    if (!(error <= v->worst))
        v->worst = error;
}

static rt_status expect(struct verify *v, const char *line)
{
    const struct rt_device_table *table = v->session->device->table;
    struct rt_device *device = v->session->device;
    const rt_u64 most = v->session->program->arena_bytes;
    unsigned long long offset;
    double expected, tolerance;
    unsigned char bytes[8];
    rt_u32 dtype;
    if (sscanf(line, "expect %llu %u %lf %lf", &offset, &dtype, &expected, &tolerance) != 4 ||
        rt_dtype_size(dtype) == 0 || offset > most || most - offset < rt_dtype_size(dtype) ||
        !(tolerance > 0))
        return damaged(v, "no element of the arena");
    rt_status status = v->ran ? 0 : table->run_step(device, v->function, v->step);
    v->ran = true;
    if (!status)
        status = table->read(device, offset, bytes, rt_dtype_size(dtype));
    if (!status)
        compare(v, rt_read_number(dtype, bytes), expected, tolerance);
    return status;
}

/* --- all lines --- */

static rt_status begin_list(struct verify *v, const char *line)
{
    const struct rt_program *program = v->session->program;
    char target[64];
    unsigned long long seed;
    if (sscanf(line, "program %63s %llu", target, &seed) != 2)
        return damaged(v, "no target and seed");
    v->ours = strcmp(target, program_target(program)) == 0;
    v->seed = seed;
    v->listed = 0;
    if (v->ours && (!program->random_weights || program->random_seed != seed))
        return damaged(v, "the program has other weights");
    return 0;
}

static rt_status end_list(struct verify *v, const char *line)
{
    unsigned long long count;
    rt_status status = finish_kernel(v);
    if (status)
        return status;
    if (sscanf(line, "end %llu", &count) != 1 || count != v->listed)
        return damaged(v, "kernels are missing");
    v->ours = false;
    v->lists++;
    return 0;
}

static bool starts(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static rt_status read_line(struct verify *v, const char *line)
{
    if (starts(line, "program "))
        return v->ours ? damaged(v, "a list without its end") : begin_list(v, line);
    if (!v->ours || !*line)
        return 0;
    if (starts(line, "kernel "))
        return begin_kernel(v, line);
    if (starts(line, "end "))
        return end_list(v, line);
    if (v->open && starts(line, "spoil "))
        return spoil(v, line);
    if (v->open && starts(line, "fill "))
        return fill(v, line);
    return v->open && starts(line, "expect ") ? expect(v, line) : damaged(v, "an unknown record");
}

static rt_status read_lines(struct verify *v, char *text)
{
    rt_status status = 0;
    for (char *next; text && !status; text = next) {
        next = strchr(text, '\n');
        if (next)
            *next++ = '\0';
        v->line++;
        status = read_line(v, text);
    }
    if (status)
        return status;
    if (v->ours || v->lists == 0)
        return damaged(v, v->ours ? "a list without its end" : "nothing for this target");
    return 0;
}

static rt_status summarize(const struct verify *v)
{
    unsigned long long kernels = v->kernels, wrong = v->wrong;
    const char *device = v->session->device->table->name;
    if (!v->json)
        printf("%llu kernels on %s, %llu wrong\n", kernels, device, wrong);
    return wrong ? rt_fail(VERIFY_WRONG, wrong, kernels, device) : 0;
}

rt_status bench_verify(struct rt_session *session, const char *path, bool as_json)
{
    struct rt_json_writer json;
    struct verify v = {.session = session, .json = as_json ? &json : NULL, .path = path};
    char *text = NULL;
    size_t length;
    rt_status status = rt_read_file(path, LONGEST_FILE, &text, &length);
    if (!status)
        status = rt_pool_open(&v.pool, 0, false);
    if (status) {
        free(text);
        return status;
    }
    rt_json_write_open(&json, stdout, false);
    if (as_json)
        rt_json_write_array(&json, NULL);
    status = read_lines(&v, text);
    if (as_json)
        rt_json_write_end(&json);
    rt_pool_close(v.pool);
    free(v.memory);
    free(text);
    return status ? status : summarize(&v);
}
