/* See program.h. */
#include "backends/program.h"

#include "backends/emit.h"
#include "ir/cost.h"

#include <string.h>

#define HIDDEN "__attribute__((visibility(\"hidden\"))) "

static void put_string(struct str *out, const char *text)
{
    emit_string(out, text, text ? strlen(text) : 0);
}

/* --- where values are --- */

static uint32_t index_in(const struct module *module, const struct value *value)
{
    for (size_t i = 0; i < module->weights.count; i++)
        if (module->weights.items[i] == value->node)
            return (uint32_t)i;
    fatal(INTERNAL, "a weight is not in its module", value->name);
}

static uint32_t blob_index(const struct module *module, const struct value *value)
{
    const char *name = node_text(value->node, blob);
    for (size_t i = 0; name && i < module->blobs.count; i++)
        if (strcmp(module->blobs.items[i].name, name) == 0)
            return (uint32_t)i;
    fatal(INTERNAL, "a constant has no content", value->name);
}

/* A reshape has the bytes of its operand. */
static const struct value *stored_value(const struct value *value)
{
    while (value->place.kind != PLACE_ARENA && value->node->op == OP_reshape)
        value = value->node->operands[0];
    return value;
}

void program_operand(struct module *module, const struct value *value, const char **out_space,
                     uint32_t *out_index, uint64_t *out_offset)
{
    value = stored_value(value);
    *out_index = 0;
    *out_offset = 0;
    if (value->node->op == OP_weight) {
        *out_space = "RT_SPACE_WEIGHT";
        *out_index = index_in(module, value);
    } else if (value->node->op == OP_const) {
        *out_space = "RT_SPACE_CONSTANT";
        *out_index = blob_index(module, value);
    } else if (value->place.kind == PLACE_ARENA) {
        *out_space = "RT_SPACE_ARENA";
        *out_offset = value->place.offset;
    } else {
        fatal(INTERNAL, "a value has no place in memory", value->name);
    }
}

/* --- pieces of tables --- */

static const char *dtype_enumerator(enum dtype dtype)
{
    static const char *const names[DTYPE_COUNT] = {"RT_F32", "RT_F64", "RT_BF16", "RT_F16",
                                                   "RT_I32", "RT_I64", "RT_U8",   "RT_BOOL",
                                                   "RT_TF32"};
    return names[dtype];
}

static void put_dims(struct str *out, const struct type *type)
{
    str_printf(out, "%s, %d, {", dtype_enumerator(type->dtype), type->rank);
    for (int k = 0; k < type->rank; k++)
        str_printf(out, "%s%lld", k ? ", " : "", (long long)type->dims[k]);
    str_printf(out, type->rank ? "}" : "0}");
}

/* The bytes that a value takes in the arena: with the padding of its rows. */
static uint64_t stored_bytes(const struct type *type)
{
    int64_t last = 0;
    if (!type->strided)
        return type_bytes(type);
    for (int k = 0; k < type->rank; k++)
        last += (type->dims[k] - 1) * type->strides[k];
    return (uint64_t)(last + 1) * (uint64_t)dtype_bits(type->dtype) / 8;
}

static void put_port(struct str *out, const char *name, const struct value *value)
{
    str_printf(out, "{");
    put_string(out, name);
    str_printf(out, ", ");
    put_dims(out, &value->type);
    str_printf(out, ", %llu, %llu}", (unsigned long long)stored_value(value)->place.offset,
               (unsigned long long)stored_bytes(&value->type));
}

static void put_float(struct str *out, double value)
{
    struct arena *arena = out->arena;
    str_printf(out, "%s", emit_real(arena, DTYPE_f32, value));
}

static void put_bytes(struct str *out, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        str_printf(out, "%s%u,", i % 24 == 0 ? "\n    " : "", at[i]);
}

/* As put_bytes, as string literals: compilers read them many times faster. */
static void put_literal(struct str *out, const void *bytes, size_t size)
{
    enum { LINE = 1024 };
    for (size_t at = 0; at < size; at += LINE) {
        str_printf(out, "\n    ");
        emit_string(out, (const char *)bytes + at, size - at < LINE ? size - at : LINE);
    }
    if (size == 0)
        str_printf(out, "\"\"");
}

/* --- GPUs --- */

static uint64_t round_space(uint64_t bytes)
{
    enum { ALIGNMENT = 256 };
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct program_spaces program_spaces(const struct module *module)
{
    int64_t workspace = 0, counters = 0;
    for (size_t f = 0; f < module->functions.count; f++) {
        const struct function *function = module->functions.items[f];
        for (size_t k = 0; k < function->kernels.count; k++) {
            const struct attributes *a = &function->kernels.items[k]->attributes;
            int64_t bytes = attributes_int(a, ATTRIBUTE_workspace);
            int64_t count = attributes_int(a, ATTRIBUTE_counters);
            workspace = bytes > workspace ? bytes : workspace;
            counters = count > counters ? count : counters;
        }
    }
    struct program_spaces spaces = {.arena_bytes = module->arena_bytes};
    if (workspace == 0 && counters == 0)
        return spaces;
    spaces.workspace_offset = round_space(module->arena_bytes);
    spaces.counters_offset = spaces.workspace_offset + round_space((uint64_t)workspace);
    spaces.counters_bytes = (uint64_t)counters * sizeof(int32_t);
    spaces.arena_bytes = spaces.counters_offset + round_space(spaces.counters_bytes);
    return spaces;
}

static void put_image_number(struct str *out, uint32_t number)
{
    if (number == PROGRAM_NO_IMAGE)
        str_printf(out, "RT_NO_IMAGE, ");
    else
        str_printf(out, "%u, ", number);
}

static void put_images(struct str *out, const struct program_gpu *gpu, int number)
{
    if (!gpu->images) {
        str_printf(out, "extern " HIDDEN "const struct rt_image program_images%d[];\n", number);
        return;
    }
    for (size_t i = 0; i < gpu->image_count; i++) {
        str_printf(out, "static const char image%zu[] __attribute__((aligned(64))) =", i);
        put_literal(out, gpu->images[i].bytes, gpu->images[i].size);
        str_printf(out, ";\n");
    }
    str_printf(out, "static const struct rt_image images[] = {\n");
    for (size_t i = 0; i < gpu->image_count; i++)
        str_printf(out, "    {image%zu, %zu, %u},\n", i, gpu->images[i].size,
                   gpu->images[i].cuda);
    str_printf(out, "    {0, 0, 0}};\n");
}

static void put_matrix(struct str *out, const struct gpu_matrix *matrix)
{
    if (matrix->operand < 0)
        str_printf(out, "{RT_NO_OPERAND, 0, 0, 0, 0}, ");
    else
        str_printf(out, "{%d, %d, %lld, %lld, %lld}, ", matrix->operand, matrix->transposed,
                   (long long)matrix->offset, (long long)matrix->pitch,
                   (long long)matrix->stride);
}

/* One variable for each, named after its launch. */
static void put_products(struct str *out, const struct program_gpu *gpu)
{
    for (size_t i = 0; i < gpu->launch_count; i++) {
        const struct gpu_blas *p = gpu->launches[i].product;
        if (!p)
            continue;
        str_printf(out, "static const struct rt_product product%zu = {%s, %s, %lld, %lld, %lld, "
                        "%lld,\n    ", i, dtype_enumerator(p->multiply),
                   dtype_enumerator(p->result), (long long)p->batch, (long long)p->m,
                   (long long)p->n, (long long)p->k);
        put_matrix(out, &p->a);
        put_matrix(out, &p->b);
        put_matrix(out, &p->c);
        put_matrix(out, &p->d);
        put_matrix(out, &p->bias);
        str_printf(out, "%lld};\n", (long long)gpu->launches[i].workspace);
    }
}

static void put_launch(struct str *out, const struct program_gpu *gpu, size_t number)
{
    const struct program_launch *launch = &gpu->launches[number];
    str_printf(out, "    {");
    put_string(out, launch->symbol);
    str_printf(out, ", ");
    put_image_number(out, launch->image);
    put_image_number(out, launch->ptx);
    str_printf(out, "%lld, %lld, %lld, ", (long long)launch->blocks, (long long)launch->threads,
               (long long)launch->shared);
    str_printf(out, launch->product ? "&product%zu},\n" : "0},\n", number);
}

static void put_gpu(struct str *out, const struct program_gpu *gpu, int number)
{
    put_images(out, gpu, number);
    put_products(out, gpu);
    str_printf(out, "static const struct rt_launch launches[] = {\n");
    for (size_t i = 0; i < gpu->launch_count; i++)
        put_launch(out, gpu, i);
    str_printf(out, "    {0, 0, 0, 0, 0, 0, 0}};\nstatic const struct rt_target gpu = {");
    put_string(out, gpu->name);
    str_printf(out, ", %u, %d, %u, %lluu, %.1f, %.1f};\n", gpu->sm, gpu->exact,
               gpu->multiprocessors, (unsigned long long)gpu->memory_bytes, gpu->gflops,
               gpu->gbs);
}

/* --- functions --- */

/* Profiles name a step after the part of the model that made most of it. */
static const char *step_name(struct str *out, const struct function *function,
                             const struct kernel *kernel)
{
    const char *scope = "";
    for (size_t i = 0; i < function->nodes.count; i++)
        if (function->nodes.items[i]->kernel == kernel && function->nodes.items[i]->scope)
            scope = function->nodes.items[i]->scope;
    return arena_printf(out->arena, "%s%s%s", scope, scope[0] ? "." : "", kernel->name);
}

/* The operands of one step; their number, which is that of the kernel's parameters. */
static size_t put_operands(struct str *out, struct module *module, const struct kernel *kernel,
                           const struct program_step *step)
{
    size_t count = step->operand_count;
    for (size_t i = 0; i < step->operand_count; i++) {
        const char *space;
        uint32_t index;
        uint64_t offset;
        program_operand(module, step->operands[i], &space, &index, &offset);
        str_printf(out, "    {%s, %u, %llu},\n", space, index, (unsigned long long)offset);
    }
    if (attributes_int(&kernel->attributes, ATTRIBUTE_workspace) > 0 && ++count)
        str_printf(out, "    {RT_SPACE_WORKSPACE, 0, 0},\n");
    if (attributes_int(&kernel->attributes, ATTRIBUTE_counters) > 0 && ++count)
        str_printf(out, "    {RT_SPACE_COUNTERS, 0, 0},\n");
    return count;
}

/* Prints operands and steps of a function; the number of its operands. */
static size_t put_steps(struct str *out, struct module *module, size_t number,
                        const struct program_step *steps)
{
    const struct function *function = module->functions.items[number];
    size_t operands = 0, total = 0;
    size_t *counts = arena_array(out->arena, size_t, function->kernels.count + 1);
    str_printf(out, "static const struct rt_operand operands%zu[] = {\n", number);
    for (size_t k = 0; k < function->kernels.count; k++)
        total += counts[k] = put_operands(out, module, function->kernels.items[k], &steps[k]);
    str_printf(out, "    {0, 0, 0}};\nstatic const struct rt_step steps%zu[] = {\n", number);
    for (size_t k = 0; k < function->kernels.count; k++) {
        const struct kernel *kernel = function->kernels.items[k];
        struct cost cost = kernel_cost(function, kernel);
        int64_t tiles = attributes_int(&kernel->attributes, ATTRIBUTE_tiles);
        str_printf(out, "    {%s, %lld, %zu, %zu, ",
                   steps[k].function ? steps[k].function : "0",
                   (long long)(tiles > 0 ? tiles : 1), operands, counts[k]);
        put_string(out, step_name(out, function, kernel));
        str_printf(out, ", %.0f, %.0f, %zu, %.0f},\n", cost.flops, cost.bytes, steps[k].launch,
                   steps[k].predicted_ns);
        operands += counts[k];
    }
    str_printf(out, "    {0, 0, 0, 0, 0, 0, 0, 0, 0}};\n");
    return total;
}

static size_t put_outputs(struct str *out, const struct function *function)
{
    size_t count = 0;
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (binding->state)
            continue;
        str_printf(out, "    ");
        put_port(out, binding->name, binding->value);
        str_printf(out, ",\n");
        count++;
    }
    return count;
}

static void put_ports(struct str *out, const struct function *function, size_t number,
                      size_t *out_outputs)
{
    str_printf(out, "static const struct rt_port inputs%zu[] = {\n", number);
    for (size_t i = 0; i < function->params.count; i++) {
        str_printf(out, "    ");
        put_port(out, function->params.items[i]->results[0].name,
                 &function->params.items[i]->results[0]);
        str_printf(out, ",\n");
    }
    str_printf(out, "    {0, 0, 0, {0}, 0, 0}};\nstatic const struct rt_port outputs%zu[] = {\n",
               number);
    *out_outputs = put_outputs(out, function);
    str_printf(out, "    {0, 0, 0, {0}, 0, 0}};\n");
}

static void put_functions(struct str *out, struct module *module,
                          struct program_step *const *steps)
{
    struct str rows = str_create(out->arena);
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct function *function = module->functions.items[i];
        size_t outputs, operands = put_steps(out, module, i, steps[i]);
        put_ports(out, function, i, &outputs);
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        str_printf(&rows, "    {");
        put_string(&rows, function->name);
        str_printf(&rows, ", ");
        put_string(&rows, role ? role : "");
        str_printf(&rows, ", %lld, steps%zu, operands%zu, inputs%zu, outputs%zu, %zu, %zu, %zu, "
                          "%zu},\n",
                   (long long)attributes_int(&function->attributes, ATTRIBUTE_chunk), i, i, i, i,
                   function->kernels.count, operands, function->params.count, outputs);
    }
    str_printf(out, "static const struct rt_function functions[] = {\n%s    {0}};\n", rows.text);
}

/* --- weights, states, constants, facts --- */

/* Rows that stand `pitch` bytes apart on the device; zeros for a contiguous weight. */
static void put_pitch(struct str *out, const struct type *type)
{
    if (!type->strided || type->rank < 2) {
        str_printf(out, "0, 0, 0");
        return;
    }
    int64_t size = dtype_bits(type->dtype) / 8, columns = type->dims[type->rank - 1];
    int64_t rows = columns > 0 ? type_elements(type) / columns : 0;
    str_printf(out, "%lld, %lld, %lld", (long long)rows, (long long)(columns * size),
               (long long)(type->strides[type->rank - 2] * size));
}

static void put_weights(struct str *out, const struct module *module)
{
    str_printf(out, "static const struct rt_weight weights[] = {\n");
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct node *node = module->weights.items[i];
        const char *tensor = node_text(node, tensor), *file = node_text(node, file);
        str_printf(out, "    {");
        put_string(out, tensor ? tensor : node->results[0].name);
        str_printf(out, ", ");
        put_string(out, file ? file : "");
        str_printf(out, ", ");
        put_dims(out, &node->results[0].type);
        str_printf(out, ", %lldu, %lluu, ", (long long)node_int(node, offset),
                   (unsigned long long)type_bytes(&node->results[0].type));
        put_float(out, node_real(node, init));
        str_printf(out, ", ");
        put_float(out, node_real(node, fill));
        str_printf(out, ", %lld, ", (long long)node_int(node, ordinal));
        put_pitch(out, &node->results[0].type);
        str_printf(out, "},\n");
    }
    str_printf(out, "    {0}};\n");
}

/* The weight that a state starts as a copy of; -1 if none. */
static int source_weight(const struct module *module, const struct node *state)
{
    const char *source = node_text(state, source);
    for (size_t i = 0; source && i < module->weights.count; i++)
        if (strcmp(module->weights.items[i]->results[0].name, source) == 0)
            return (int)i;
    return -1;
}

static void put_states(struct str *out, const struct module *module)
{
    str_printf(out, "static const struct rt_state states[] = {\n");
    for (size_t i = 0; i < module->states.count; i++) {
        const struct node *node = module->states.items[i];
        str_printf(out, "    {");
        put_port(out, node->results[0].name, &node->results[0]);
        str_printf(out, ", ");
        put_float(out, node_real(node, fill));
        str_printf(out, ", %d, %lld},\n", source_weight(module, node),
                   (long long)node_int(node, slots));
    }
    str_printf(out, "    {{0}, 0, 0, 0}};\n");
}

static void put_constants(struct str *out, const struct module *module)
{
    for (size_t i = 0; i < module->blobs.count; i++) {
        const struct blob *blob = &module->blobs.items[i];
        str_printf(out, "static const rt_u8 blob%zu[] __attribute__((aligned(64))) = {", i);
        put_bytes(out, blob->bytes, blob->size);
        str_printf(out, "0};\n");
    }
    str_printf(out, "static const struct rt_constant constants[] = {\n");
    for (size_t i = 0; i < module->blobs.count; i++)
        str_printf(out, "    {blob%zu, %zu},\n", i, module->blobs.items[i].size);
    str_printf(out, "    {0, 0}};\n");
}

/* The tables that all programs of an executable share; the first one defines them. */
static void put_tokens(struct str *out, const struct program_facts *facts)
{
    const char *linkage = facts->more ? HIDDEN : "static ";
    if (facts->number > 0) {
        str_printf(out, "extern " HIDDEN "const rt_u8 program_tokenizer[];\n"
                        "extern " HIDDEN "const rt_i32 program_eos[];\n");
        return;
    }
    if (facts->more)
        str_printf(out, "extern " HIDDEN "const rt_u8 program_tokenizer[];\n"
                        "extern " HIDDEN "const rt_i32 program_eos[];\n");
    str_printf(out, "%sconst rt_u8 program_tokenizer[] __attribute__((aligned(64), unused)) = {",
               linkage);
    if (facts->tokenizer)
        put_bytes(out, facts->tokenizer, facts->tokenizer_bytes);
    str_printf(out, "0};\n%sconst rt_i32 program_eos[] = {", linkage);
    for (size_t i = 0; i < facts->eos_count; i++)
        str_printf(out, "%d, ", facts->eos_ids[i]);
    str_printf(out, "0};\n");
}

static void put_cpu_features(struct str *out, const struct program_facts *facts)
{
    str_printf(out, "static const char *const cpu_features[] = {");
    for (size_t i = 0; facts->cpu_features && facts->cpu_features[i]; i++) {
        put_string(out, facts->cpu_features[i]);
        str_printf(out, ", ");
    }
    str_printf(out, "0};\n");
}

static void put_facts(struct str *out, const struct module *module)
{
    str_printf(out, "static const struct rt_fact facts[] = {\n");
    for (size_t i = 0; i < module->facts.count; i++) {
        str_printf(out, "    {");
        put_string(out, module->facts.items[i].name);
        str_printf(out, ", ");
        put_string(out, module->facts.items[i].value);
        str_printf(out, "},\n");
    }
    str_printf(out, "    {0, 0}};\n");
}

static void put_field(struct str *out, const char *field, const char *text)
{
    str_printf(out, "    .%s = ", field);
    put_string(out, text ? text : "");
    str_printf(out, ",\n");
}

/* What only the program of a GPU has, and the link to the program after this one. */
static void put_target(struct str *out, const struct module *module,
                       const struct program_facts *facts)
{
    struct program_spaces spaces = program_spaces(module);
    const struct program_gpu *gpu = facts->gpu;
    if (facts->more)
        str_printf(out, "    .other = &program%d,\n", facts->number + 1);
    if (!gpu)
        return;
    if (gpu->images)
        str_printf(out, "    .images = images,\n");
    else
        str_printf(out, "    .images = program_images%d,\n", facts->number);
    str_printf(out, "    .gpu = &gpu,\n    .launches = launches,\n"
                    "    .launch_count = %zu,\n    .image_count = %zu,\n"
                    "    .workspace_offset = %llu,\n    .counters_offset = %llu,\n"
                    "    .counters_bytes = %llu,\n",
               gpu->launch_count, gpu->image_count, (unsigned long long)spaces.workspace_offset,
               (unsigned long long)spaces.counters_offset,
               (unsigned long long)spaces.counters_bytes);
}

static void put_head(struct str *out, const struct program_facts *facts)
{
    if (facts->more)
        str_printf(out, "extern " HIDDEN "const struct rt_program program%d;\n",
                   facts->number + 1);
    if (facts->number > 0)
        str_printf(out, "extern " HIDDEN "const struct rt_program program%d;\n"
                        "const struct rt_program program%d = {\n", facts->number, facts->number);
    else
        str_printf(out, "const struct rt_program rt_program = {\n");
    str_printf(out, "    .version = RT_PROGRAM_VERSION,\n");
}

void program_print(struct str *out, struct module *module, const struct program_facts *facts,
                   struct program_step *const *steps)
{
    put_functions(out, module, steps);
    put_weights(out, module);
    put_states(out, module);
    put_constants(out, module);
    put_tokens(out, facts);
    put_cpu_features(out, facts);
    put_facts(out, module);
    if (facts->gpu)
        put_gpu(out, facts->gpu, facts->number);
    put_head(out, facts);
    put_field(out, "compiler", facts->compiler);
    put_field(out, "model", module->name);
    put_field(out, "task", facts->task);
    put_field(out, "dtype", facts->dtype);
    put_field(out, "cpu", facts->cpu);
    put_field(out, "weights_path", facts->weights_path);
    str_printf(out, "    .cpu_features = cpu_features,\n    .batch = %lld,\n"
                    "    .max_length = %lld,\n    .arena_bytes = %llu,\n    .state_bytes = %llu,\n",
               (long long)facts->batch, (long long)facts->max_length,
               (unsigned long long)program_spaces(module).arena_bytes,
               (unsigned long long)module->state_bytes);
    put_target(out, module, facts);
    str_printf(out, "    .functions = functions,\n    .weights = weights,\n    .states = states,\n"
                    "    .constants = constants,\n    .facts = facts,\n");
    str_printf(out, "    .function_count = %zu,\n    .weight_count = %zu,\n"
                    "    .state_count = %zu,\n"
                    "    .constant_count = %zu,\n    .fact_count = %zu,\n",
               module->functions.count, module->weights.count, module->states.count,
               module->blobs.count, module->facts.count);
    str_printf(out, "    .random_weights = %d,\n    .random_seed = %lluu,\n"
                    "    .tokenizer = %s,\n    .tokenizer_bytes = %zu,\n"
                    "    .eos_ids = program_eos,\n    .eos_count = %zu,\n    .bos_id = %d,\n};\n",
               facts->random_weights, (unsigned long long)facts->random_seed,
               facts->tokenizer ? "program_tokenizer" : "0",
               facts->tokenizer ? facts->tokenizer_bytes : 0, facts->eos_count, facts->bos_id);
}
