/* One kernel: its memory, its runs under the emulation and on a GPU. See check_emulated.h; the
 * list of kernels is in check_emulated_all.c. */
#include "compiler/check_emulated_kernel.h"

#include "compiler/check_kernel.h"
#include "compiler/emulation/product.h"
#include "ir/cost.h"
#include "ir/gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP = 4096,  /* bytes around each memory that no kernel may touch */
    ALIGNED = 64 /* what the arena promises */
};

/* Memory of one value, or of several that overlap in the arena. */
struct buffer {
    const struct value *value; /* of one */
    uint64_t begin, end;       /* of several: in the arena */
    char *whole, *bytes;       /* with the gaps, without them */
    size_t whole_size, size;
    bool written;  /* by the kernel */
    char *initial; /* a copy of what a run begins with, if written */
    char *first;   /* and of what the first run has left */
};

/* One kernel. */
struct run {
    struct emulated_session *session;
    const struct function *function;
    const struct kernel *kernel;
    const struct cuda_step *step;
    const struct cuda_kernel *emitted;
    struct arena *arena;
    bool partial;
    ARRAY_OF(struct buffer) buffers;
    void **operands;
    struct emulation_region *regions;
    size_t count; /* of operands */
    struct buffer workspace, counters;
    const int *chosen;
    size_t chosen_count;
    struct emulated_result result;
};

/* --- memory --- */

static void allocate(struct buffer *buffer, uint64_t size)
{
    buffer->size = (size_t)size;
    size_t whole = ((size_t)size + 2 * GAP + 2 * ALIGNED - 1) / (2 * ALIGNED) * 2 * ALIGNED;
    /* At an odd multiple: nothing may count on more. */
    buffer->whole = aligned_alloc(2 * ALIGNED, whole + 2 * ALIGNED);
    if (!buffer->whole)
        fatal(OUT_OF_MEMORY, whole);
    buffer->bytes = buffer->whole + GAP + ALIGNED;
    buffer->whole_size = whole + ALIGNED;
    memset(buffer->whole, 0xff, GAP + ALIGNED);
    memset(buffer->bytes, 0xff, whole - GAP + ALIGNED);
}

static void release(struct buffer *buffer)
{
    free(buffer->whole);
    free(buffer->initial);
    free(buffer->first);
}

static struct value *stored_value(const struct value *value)
{
    while (value->place.kind != PLACE_ARENA && value->node->op == OP_reshape)
        value = value->node->operands[0];
    return (struct value *)(uintptr_t)value;
}

/* The value whose memory an update in place changes. */
static const struct value *root_value(const struct run *run, const struct value *value)
{
    value = stored_value(value);
    while (value->node->kernel == run->kernel && op_info(value->node->op)->flags & OP_EFFECT)
        value = stored_value(value->node->operands[0]);
    return value;
}

/* Values of a kernel that runs whole lie as they do in the arena, one over the other where the
 * plan has it so. */
static bool by_place(const struct run *run, const struct value *value)
{
    return !run->partial && value->place.kind == PLACE_ARENA;
}

static struct buffer *find_buffer(const struct run *run, const struct value *value)
{
    value = root_value(run, value);
    for (size_t i = 0; i < run->buffers.count; i++) {
        struct buffer *buffer = &run->buffers.items[i];
        if (by_place(run, value) ? !buffer->value && buffer->begin <= value->place.offset &&
                                       value->place.offset < buffer->end
                                 : buffer->value == value)
            return buffer;
    }
    return NULL;
}

static char *memory_of(void *context, const struct value *value)
{
    const struct run *run = context;
    const struct buffer *buffer = find_buffer(run, value);
    if (!buffer)
        fatal(INTERNAL, "a value without memory", value->name);
    uint64_t offset = buffer->value ? 0 : root_value(run, value)->place.offset - buffer->begin;
    return buffer->bytes + offset;
}

/* Joins a range of the arena with those that it meets. */
static void add_range(struct run *run, uint64_t begin, uint64_t end, bool written)
{
    for (size_t i = 0; i < run->buffers.count; i++) {
        struct buffer *other = &run->buffers.items[i];
        if (other->value || other->end <= begin || end <= other->begin)
            continue;
        begin = begin < other->begin ? begin : other->begin;
        end = end > other->end ? end : other->end;
        written |= other->written;
        *other = run->buffers.items[--run->buffers.count];
        i = (size_t)-1;
    }
    array_push(run->arena, &run->buffers,
               ((struct buffer){.begin = begin, .end = end, .written = written}));
}

static void add_value(struct run *run, const struct value *value, bool written)
{
    const struct value *root = root_value(run, value);
    uint64_t size = type_storage_bytes(&root->type);
    if (by_place(run, root)) {
        add_range(run, root->place.offset, root->place.offset + (size ? size : 1), written);
        return;
    }
    struct buffer *known = find_buffer(run, root);
    if (!known)
        array_push(run->arena, &run->buffers,
                   ((struct buffer){.value = root, .end = size, .written = written}));
    else
        known->written |= written;
}

static void add_input(void *context, const struct value *value)
{
    add_value(context, value, false);
}

static void add_result(void *context, const struct value *value)
{
    add_value(context, value, true);
}

static void fill_constant(const struct run *run, struct buffer *buffer)
{
    const struct blob *blob =
        module_find_blob(run->session->module, node_text(buffer->value->node, blob));
    memcpy(buffer->bytes, blob->bytes, blob->size < buffer->size ? blob->size : buffer->size);
}

static void make_memory(struct run *run)
{
    kernel_each_input(run->function, run->kernel, add_input, run);
    kernel_each_result(run->function, run->kernel, add_result, run);
    for (size_t i = 0; i < run->step->step.operand_count; i++)
        add_value(run, run->step->step.operands[i], false);
    for (size_t i = 0; i < run->buffers.count; i++) {
        struct buffer *buffer = &run->buffers.items[i];
        allocate(buffer, buffer->end - buffer->begin);
        if (buffer->value && buffer->value->place.kind == PLACE_CONSTANT)
            fill_constant(run, buffer);
    }
}

/* --- operands --- */

static void add_operand(struct run *run, char *at, struct emulation_region region)
{
    run->operands[run->count] = at;
    run->regions[run->count++] = region;
}

static void mark_input(void *context, const struct value *value)
{
    bool *inputs = context;
    inputs[value->id] = true;
}

/* Whether nothing that the kernel reads lies in the buffer. */
static bool is_blank(const struct run *run, const struct buffer *buffer, const bool *inputs)
{
    const struct program_step *step = &run->step->step;
    for (size_t i = 0; i < step->operand_count; i++) {
        const struct value *root = root_value(run, step->operands[i]);
        bool input = root->node->kernel != run->kernel || inputs[root->id];
        if (input && find_buffer(run, root) == buffer)
            return false;
    }
    return true;
}

static void make_operands(struct run *run)
{
    const struct program_step *step = &run->step->step;
    bool *inputs = arena_array(run->arena, bool, run->session->module->next_value);
    run->operands = arena_array(run->arena, void *, step->operand_count + 3);
    run->regions = arena_array(run->arena, struct emulation_region, step->operand_count + 3);
    kernel_each_input(run->function, run->kernel, mark_input, inputs);
    for (size_t i = 0; i < step->operand_count; i++) {
        const struct value *value = step->operands[i], *root = stored_value(value);
        const struct buffer *buffer = find_buffer(run, value);
        char *at = memory_of(run, value);
        add_operand(run, at,
                    (struct emulation_region){.base = at,
                                              .bytes = type_storage_bytes(&root->type),
                                              .written = buffer->written,
                                              .blank = is_blank(run, buffer, inputs),
                                              .element = dtype_bits(value->type.dtype) / 8});
    }
}

/* What blocks hand to each other: of the kernel alone, not blank but spoilt. */
static void make_meeting(struct run *run)
{
    const struct attributes *attributes = &run->kernel->attributes;
    int64_t bytes = attributes_int(attributes, ATTRIBUTE_workspace);
    int64_t counters = attributes_int(attributes, ATTRIBUTE_counters) * 4;
    allocate(&run->workspace, (uint64_t)bytes);
    allocate(&run->counters, (uint64_t)counters);
    memset(run->counters.bytes, 0, (size_t)counters);
    if (run->emitted->workspace)
        add_operand(run, run->workspace.bytes,
                    (struct emulation_region){run->workspace.bytes, (size_t)bytes, true, true, 4});
    if (run->emitted->counters)
        add_operand(run, run->counters.bytes,
                    (struct emulation_region){run->counters.bytes, (size_t)counters, true, false,
                                              4});
}

/* --- runs --- */

static char *copy_of(const struct buffer *buffer)
{
    char *copy = malloc(buffer->size + 1);
    if (!copy)
        fatal(OUT_OF_MEMORY, buffer->size);
    memcpy(copy, buffer->bytes, buffer->size);
    return copy;
}

/* Every run finds the same memory. */
static void restore(struct run *run, bool first)
{
    const struct emulated_check *options = run->session->options;
    for (size_t i = 0; i < run->buffers.count; i++) {
        struct buffer *buffer = &run->buffers.items[i];
        if (!buffer->written || (options->mode_count == 1 && !options->device))
            continue;
        if (first)
            buffer->initial = copy_of(buffer);
        else
            memcpy(buffer->bytes, buffer->initial, buffer->size);
    }
    if (run->workspace.size)
        memset(run->workspace.bytes, 0xff, run->workspace.size);
    if (run->counters.size)
        memset(run->counters.bytes, 0, run->counters.size);
}

static void note_error(struct run *run, const char *text)
{
    run->result.errors++;
    if (!run->result.error)
        run->result.error = arena_copy(run->session->module->arena, text, strlen(text));
}

/* The same bytes as after the first run. */
static void compare_runs(struct run *run, const struct emulated_mode *mode)
{
    struct arena *arena = run->arena;
    for (size_t i = 0; i < run->buffers.count; i++) {
        const struct buffer *buffer = &run->buffers.items[i];
        if (!buffer->written || memcmp(buffer->bytes, buffer->first, buffer->size) == 0)
            continue;
        note_error(run, arena_printf(arena, "%s: other results%s%s%s", run->emitted->name,
                                     mode->reverse ? ", threads and blocks in reverse" : "",
                                     mode->latest ? ", late copies" : "",
                                     mode->shadow ? ", with shadow memory" : ""));
        return;
    }
}

static void run_product(const struct run *run, const struct emulation_launch *launch,
                        struct emulation_report *report)
{
    struct rt_product product =
        emulation_product_of(run->emitted->product, run->emitted->workspace_bytes);
    emulation_product(&product, launch, report);
}

static bool run_mode(struct run *run, const struct emulated_mode *mode)
{
    struct emulated_session *session = run->session;
    struct emulation_report report;
    struct emulation_launch launch = {.kernel = run->emitted->name,
                                      .blocks = (int)run->emitted->blocks,
                                      .threads = (int)run->emitted->threads,
                                      .shared = run->emitted->shared,
                                      .operands = run->operands,
                                      .regions = run->regions,
                                      .region_count = run->count,
                                      .chosen = run->chosen,
                                      .chosen_count = run->chosen_count};
    struct emulation_options options = {.reverse = mode->reverse,
                                        .latest = mode->latest,
                                        .shadow = mode->shadow,
                                        .refuse_conflicts = session->options->refuse_conflicts,
                                        .shared_limit = session->target->gpu->shared_block};
    run->result.runs++;
    if (run->emitted->product)
        run_product(run, &launch, &report);
    else
        emulation_run(session->emulation, session->units[mode->shadow], &launch, &options,
                      &report);
    if (mode->shadow)
        run->result.report = report;
    if (report.error)
        note_error(run, report.text);
    return report.error == EMULATION_none;
}

static void keep_first(struct run *run)
{
    for (size_t i = 0; i < run->buffers.count; i++)
        if (run->buffers.items[i].written)
            run->buffers.items[i].first = copy_of(&run->buffers.items[i]);
}

struct check_result emulated_not_compared(const struct function *function,
                                          const struct kernel *kernel)
{
    return (struct check_result){.function = function->name,
                                 .kernel = kernel->name,
                                 .skeleton = skeleton_name(kernel->skeleton),
                                 .worst = NAN,
                                 .limit = kernel_check_limit(function, kernel)};
}

static void run_modes(struct run *run, struct kernel_check *check)
{
    const struct emulated_check *options = run->session->options;
    bool compared = false;
    for (size_t i = 0; i < options->mode_count; i++) {
        restore(run, i == 0);
        if (!run_mode(run, &options->modes[i]))
            continue;
        if (compared) {
            compare_runs(run, &options->modes[i]);
            continue;
        }
        run->result.check = kernel_check_compare(check);
        compared = true;
        if (options->mode_count > 1)
            keep_first(run);
    }
    if (!compared)
        run->result.check = emulated_not_compared(run->function, run->kernel);
}

/* --- on the GPU --- */

/* What no kernel may touch, and the counters, which every launch must leave at 0. */
static const char *find_stray(const struct run *run, const struct check_block *blocks,
                              const struct buffer *const *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *end = buffers[i]->bytes + buffers[i]->size;
        const char *last = blocks[i].bytes + blocks[i].size;
        for (const char *at = blocks[i].bytes; blocks[i].written && at < last; at++) {
            at = at == buffers[i]->bytes ? end : at;
            if (at < last && *at != (char)0xff)
                return "a store outside of the operands";
        }
    }
    for (size_t i = 0; i < run->counters.size; i++)
        if (run->counters.bytes[i])
            return "a counter is not 0 after the launch";
    return NULL;
}

static const char *run_on_device(struct run *run)
{
    size_t count = run->buffers.count + 2;
    const struct buffer **buffers = arena_array(run->arena, const struct buffer *, count);
    struct check_block *blocks = arena_array(run->arena, struct check_block, count);
    for (size_t i = 0; i < run->buffers.count; i++)
        buffers[i] = &run->buffers.items[i];
    buffers[count - 2] = &run->workspace;
    buffers[count - 1] = &run->counters;
    for (size_t i = 0; i < count; i++)
        blocks[i] = (struct check_block){buffers[i]->whole, buffers[i]->whole_size,
                                         buffers[i]->written || i + 2 >= count};
    const char *error = check_device_run(run->session->options->device, run->step->kernel, blocks,
                                         count, run->operands, run->count);
    return error ? error : find_stray(run, blocks, buffers, count);
}

/* All blocks, on the memory that the emulation began with. */
static void run_device(struct run *run, struct kernel_check *check)
{
    struct device_result *result = &run->result.device;
    if (!run->session->options->device)
        return;
    result->check = emulated_not_compared(run->function, run->kernel);
    if (run->result.errors) {
        result->error = "not run, for what the emulation found";
        return;
    }
    restore(run, false);
    check->partial = false;
    result->error = run_on_device(run);
    if (!result->error)
        result->check = kernel_check_compare(check);
}

/* --- kernels --- */

static int count_blocks(const struct run *run)
{
    if (!run->emitted->product)
        return (int)run->emitted->blocks;
    struct rt_product product = emulation_product_of(run->emitted->product, 0);
    return emulation_product_blocks(&product);
}

/* Some blocks, spread over the grid with its first and its last. */
static void choose_blocks(struct run *run)
{
    const struct emulated_check *options = run->session->options;
    struct cost cost = kernel_cost(run->function, run->kernel);
    double work = fmax(cost.flops, cost.bytes);
    int64_t blocks = count_blocks(run);
    run->result.blocks = (int)blocks;
    if (options->most_work == 0 || work <= options->most_work || blocks < 3 ||
        run->emitted->counters)
        return;
    int64_t count = (int64_t)fmax(2, (double)blocks * options->most_work / work);
    int *chosen = arena_array(run->arena, int, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        chosen[i] = (int)((blocks - 1) * i / (count - 1));
    run->chosen = chosen;
    run->chosen_count = (size_t)count;
    run->partial = true;
    run->result.blocks = (int)count;
}

struct emulated_result emulated_check_kernel(struct emulated_session *session, size_t f, size_t k)
{
    struct run run = {.session = session,
                      .function = session->module->functions.items[f],
                      .kernel = session->module->functions.items[f]->kernels.items[k],
                      .step = &session->emitted->steps[f][k],
                      .arena = arena_create()};
    run.emitted = &session->emitted->kernels[run.step->kernel];
    struct kernel_check check = {.module = session->module,
                                 .function = run.function,
                                 .kernel = run.kernel,
                                 .random = &session->random,
                                 .samples = session->options->samples,
                                 .memory = memory_of,
                                 .context = &run};
    choose_blocks(&run);
    check.partial = run.partial;
    make_memory(&run);
    make_operands(&run);
    make_meeting(&run);
    kernel_check_begin(&check);
    run_modes(&run, &check);
    run_device(&run, &check);
    kernel_check_end(&check);
    for (size_t i = 0; i < run.buffers.count; i++)
        release(&run.buffers.items[i]);
    release(&run.workspace);
    release(&run.counters);
    arena_destroy(run.arena);
    return run.result;
}
