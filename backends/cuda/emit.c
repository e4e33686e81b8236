/* See emit.h. */
#include "backends/cuda/emit.h"

#include "backends/cuda/kernel.h"
#include "backends/cuda/library.h"
#include "ir/gpu_predict.h"
#include "ir/names.h"
#include "ir/signature.h"

#include <string.h>

struct emission {
    struct arena *arena;
    struct module *module;
    const struct cuda_emit_options *options;
    struct map texts; /* launch and body to the kernel's number */
    struct map names; /* kernel names that are taken */
    struct map known; /* signature to struct known_kernel */
    ARRAY_OF(struct cuda_kernel) kernels;
};

/* A name that is not the IR's own kind gets a number only: nothing of it enters the text. */
static const char *free_name(struct emission *e, const char *wanted)
{
    enum { LONGEST = 60 };
    size_t length = strlen(wanted);
    bool plain = length <= LONGEST && name_valid(wanted, length);
    const char *base = plain ? emit_identifier(e->arena, wanted) : "kernel";
    const char *name = arena_printf(e->arena, "k_%s", base);
    for (int i = 2; map_get(&e->names, name); i++)
        name = arena_printf(e->arena, "k_%s_%d", base, i);
    map_set(&e->names, name, e);
    return name;
}

/* The number of the kernel of this text and launch. */
static int define(struct emission *e, const struct kernel *kernel,
                  const struct cuda_kernel_text *text)
{
    const char *head = arena_printf(e->arena, "KERNEL(%lld, %d)", (long long)text->threads,
                                    text->residency);
    const char *key = arena_printf(e->arena, "%s %lld %lld %s", head, (long long)text->blocks,
                                   (long long)text->shared, text->body);
    const int *found = map_get(&e->texts, key);
    if (found)
        return *found;
    int *number = arena_new(e->arena, int);
    *number = (int)e->kernels.count;
    map_set(&e->texts, key, number);
    struct cuda_kernel row = {.name = free_name(e, kernel->name),
                              .comment = text->comment,
                              .blocks = text->blocks,
                              .threads = text->threads,
                              .shared = text->shared,
                              .residency = text->residency,
                              .mma_count = text->mma_count,
                              .operands = (int)text->operand_count,
                              .workspace = text->workspace,
                              .counters = text->counters,
                              .product = text->product};
    if (row.product)
        row.workspace_bytes = attributes_int(&kernel->attributes, ATTRIBUTE_workspace);
    else
        row.text = arena_printf(e->arena, "%s %s%s", head, row.name, text->body);
    array_push(e->arena, &e->kernels, row);
    return *number;
}

/* --- kernels that were met before --- */

/* What has been printed for a signature. */
struct known_kernel {
    int number;
    double predicted_ns;
    size_t operand_count;
    const size_t *operands; /* places in the signature's values; NULL if one is not there */
};

static const size_t *find_operands(struct arena *arena, const struct signature *signature,
                                   const struct cuda_kernel_text *text)
{
    size_t *places = arena_array(arena, size_t, text->operand_count + 1);
    for (size_t i = 0; i < text->operand_count; i++) {
        size_t at = 0;
        while (at < signature->count && signature->values[at] != text->operands[i])
            at++;
        if (at == signature->count)
            return NULL;
        places[i] = at;
    }
    return places;
}

static struct cuda_step step_of(const struct emission *e, const struct known_kernel *known,
                                const struct value **operands)
{
    return (struct cuda_step){
        .step = {.function = e->kernels.items[known->number].name,
                 .operands = operands,
                 .operand_count = known->operand_count,
                 .predicted_ns = known->predicted_ns},
        .kernel = known->number,
    };
}

static struct cuda_step reuse(struct emission *e, const struct known_kernel *known,
                              const struct signature *signature)
{
    size_t count = known->operand_count;
    const struct value **operands = arena_array(e->arena, const struct value *, count + 1);
    for (size_t i = 0; i < count; i++)
        operands[i] = signature->values[known->operands[i]];
    return step_of(e, known, operands);
}

static double predict(const struct emission *e, const struct function *function,
                      const struct kernel *kernel)
{
    const struct gpu *gpu = e->options->target->gpu;
    struct gpu_prediction prediction;
    return gpu_predict(gpu, function, kernel, &prediction) ? 1e3 * prediction.us : 0;
}

/* Layers repeat: a kernel is printed once for all that share its signature. */
static struct cuda_step emit_kernel(struct emission *e, const struct function *function,
                                    const struct kernel *kernel)
{
    struct signature signature = kernel_signature_values(e->arena, function, kernel);
    void **place = map_insert(&e->known, signature.text.text, signature.text.length);
    const struct known_kernel *same = *place;
    if (same && same->operands)
        return reuse(e, same, &signature);
    struct cuda_kernel_text text =
        cuda_kernel_print(e->arena, e->module, e->options->target, function, kernel);
    struct known_kernel *known = arena_new(e->arena, struct known_kernel);
    known->number = define(e, kernel, &text);
    known->predicted_ns = predict(e, function, kernel);
    known->operand_count = text.operand_count;
    known->operands = find_operands(e->arena, &signature, &text);
    *place = known;
    return step_of(e, known, text.operands);
}

static struct cuda_step *emit_function(struct emission *e, const struct function *function)
{
    size_t count = function->kernels.count;
    struct cuda_step *steps = arena_array(e->arena, struct cuda_step, count + 1);
    for (size_t i = 0; i < count; i++)
        steps[i] = emit_kernel(e, function, function->kernels.items[i]);
    return steps;
}

/* --- texts --- */

static void put_entry(struct str *out, const struct cuda_kernel *kernel)
{
    int count = kernel->operands + kernel->workspace + kernel->counters;
    str_printf(out, "static void entry_%s(void *const *operands)\n{\n    (void)operands;\n    %s(",
               kernel->name, kernel->name);
    for (int i = 0; i < count; i++)
        str_printf(out, "%soperands[%d]", i ? ", " : "", i);
    str_printf(out, ");\n}\n\n");
}

static void put_emulated(struct str *out, const struct cuda_emit_result *result)
{
    str_bytes(out, result->prelude, result->prelude_length);
    for (int i = 0; i < result->kernel_count; i++)
        if (result->kernels[i].text)
            str_printf(out, "%s%s\n", result->kernels[i].comment, result->kernels[i].text);
    for (int i = 0; i < result->kernel_count; i++)
        if (result->kernels[i].text)
            put_entry(out, &result->kernels[i]);
    str_printf(out, "const struct emulated_kernel emulated_kernels[] = {\n");
    for (int i = 0; i < result->kernel_count; i++)
        if (result->kernels[i].text)
            str_printf(out, "    {\"%s\", entry_%s},\n", result->kernels[i].name,
                       result->kernels[i].name);
    str_printf(out, "    {0, 0},\n};\n");
}

const char *cuda_kernel_source(struct arena *arena, const struct cuda_emit_result *emitted,
                               int kernel, size_t *out_length)
{
    struct str out = str_create(arena);
    str_bytes(&out, emitted->prelude, emitted->prelude_length);
    str_printf(&out, "%s%s", emitted->kernels[kernel].comment, emitted->kernels[kernel].text);
    *out_length = out.length;
    return out.text;
}

struct cuda_emit_result backend_cuda_emit(struct module *planned,
                                          const struct cuda_emit_options *options)
{
    struct emission e = {.arena = planned->arena,
                         .module = planned,
                         .options = options,
                         .texts = map_create(planned->arena),
                         .names = map_create(planned->arena),
                         .known = map_create(planned->arena)};
    struct str prelude = str_create(e.arena), emulated = str_create(e.arena);
    str_printf(&prelude,
               "/* Made by sinter for %s. */\n"
               "/* Not all indices of a kernel are needed. */\n"
               "#ifdef __CUDACC__\n#pragma nv_diag_suppress 177\n#else\n"
               "#pragma GCC diagnostic ignored \"-Wunused-variable\"\n#endif\n",
               options->target->name);
    for (size_t i = 0; i < cuda_library_file_count; i++)
        emit_library(&prelude, &cuda_library_files[i]);
    size_t functions = planned->functions.count;
    struct cuda_emit_result result = {
        .prelude = prelude.text,
        .prelude_length = prelude.length,
        .steps = arena_array(e.arena, struct cuda_step *, functions + 1),
    };
    for (size_t i = 0; i < functions; i++)
        result.steps[i] = emit_function(&e, planned->functions.items[i]);
    result.kernels = e.kernels.items;
    result.kernel_count = (int)e.kernels.count;
    put_emulated(&emulated, &result);
    result.emulated = emulated.text;
    result.emulated_length = emulated.length;
    return result;
}
