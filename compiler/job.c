/* See job.h. */
#include "compiler/job.h"

#include "compiler/checkpoint.h"
#include "compiler/frontends/file.h"
#include "ir/program.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_DEFAULT = 2048, SCORE_BYTES = 64 << 20, LARGEST_TEXT = 256 << 20 };

/* Chunks of prefill: the largest that fits goes first, the smallest also takes the rest. */
static const int64_t chunks[] = {16, 64, 256};
enum { CHUNK_COUNT = sizeof chunks / sizeof *chunks };

/* --- the command line --- */

/* For target_native, which asks without a context. */
static const struct toolchain_target *asked;

static bool asked_has(const char *feature)
{
    return toolchain_target_has(asked, feature);
}

static const struct target *find_target(struct job *job, const char *name)
{
    const char *cpu = job->options->cpu ? job->options->cpu : "native";
    bool is_cpu = strcmp(name, "cpu") == 0;
    const struct target *target =
        is_cpu ? target_native(asked_has, job->cpu->cpu) : target_find(name);
    if (!is_cpu && (!target || !target->gpu))
        fatal(GPU_UNKNOWN, name);
    if (!target)
        fatal(TARGET_UNKNOWN, cpu);
    if (!target->gpu && job->pipeline.compute == DTYPE_tf32)
        fatal(TF32_NEEDS_GPU);
    return target;
}

/* The targets of a list "cpu,a100"; one that stands twice counts once. */
static void choose_targets(struct job *job)
{
    ARRAY_OF(const struct target *) targets = {0};
    const char *list = job->options->target ? job->options->target : "cpu";
    char *copy = arena_copy(job->arena, list, strlen(list)), *name;
    job->cpu = toolchain_target(job->arena, job->options->cpu ? job->options->cpu : "native");
    asked = job->cpu;
    while ((name = strsep(&copy, ","))) {
        const struct target *target = find_target(job, name);
        size_t i = 0;
        while (i < targets.count && targets.items[i] != target)
            i++;
        if (i == targets.count)
            array_push(job->arena, &targets, target);
    }
    job->targets = targets.items;
    job->target_count = targets.count;
    job->pipeline.target = targets.items[0];
}

static const struct setting *read_settings(struct job *job, size_t *out_count)
{
    const struct rt_list *list = &job->options->set;
    struct setting *settings = arena_array(job->arena, struct setting, (size_t)list->count + 1);
    for (int i = 0; i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (!equals || equals == list->items[i])
            fatal(SETTING_FORM, list->items[i]);
        settings[i].name =
            arena_copy(job->arena, list->items[i], (size_t)(equals - list->items[i]));
        settings[i].text = equals + 1;
    }
    *out_count = (size_t)list->count;
    return settings;
}

static enum task choose_task(const struct job *job)
{
    int choice = job->options->task;
    if (choice)
        return choice == CHOICE_TASK_generate  ? TASK_generate
               : choice == CHOICE_TASK_predict ? TASK_predict
                                               : TASK_fit;
    return job->directory ? TASK_generate : TASK_predict;
}

/* --- lowering --- */

static struct lower_options lower_options(struct job *job, int64_t seq, bool training)
{
    struct lower_options lower = {
        .entry = job->options->entry,
        .model_type = job->options->model_type,
        .batch = job->options->batch,
        .seq = seq,
        .training = training,
    };
    lower.settings = read_settings(job, &lower.setting_count);
    if (job->directory) {
        struct config_source *source = arena_new(job->arena, struct config_source);
        *source = config_source_of(job->directory->config);
        lower.config = source;
        if (!lower.model_type)
            lower.model_type = model_directory_type(job->directory);
    }
    return lower;
}

static struct function *lower_role(struct job *job, struct description *description,
                                   const char *role, int64_t chunk, int64_t seq, bool training)
{
    const char *name = chunk > 1 ? arena_printf(job->arena, "%s%lld", role, (long long)chunk)
                                 : role;
    struct lower_options lower = lower_options(job, seq, training);
    struct function *function = description_lower(job->module, description, name, &lower);
    attributes_set_text(job->arena, &function->attributes, ATTRIBUTE_role, role);
    attributes_set_int(job->arena, &function->attributes, ATTRIBUTE_chunk, chunk);
    return function;
}

static int64_t default_length(struct job *job)
{
    int64_t longest = LONGEST_DEFAULT;
    if (job->directory)
        config_int(job->directory->config, "max_position_embeddings", &longest);
    if (longest < 1)
        fatal(CONFIG_REFUSED, config_name(job->directory->config), "max_position_embeddings",
              "it must be positive");
    return longest > LONGEST_DEFAULT ? LONGEST_DEFAULT : longest;
}

/* The logits of all positions of a chunk are an output: a chunk that keeps them small. */
static int64_t score_chunk(const struct function *decode, int64_t largest)
{
    const struct type *logits = &decode->bindings.items[0].value->type;
    int64_t best = chunks[0];
    for (int i = 0; i < CHUNK_COUNT && chunks[i] <= largest; i++)
        if (chunks[i] * (int64_t)type_bytes(logits) <= SCORE_BYTES)
            best = chunks[i];
    return best;
}

static void lower_generate(struct job *job, struct description *description)
{
    int64_t length = job->options->max_length ? job->options->max_length : default_length(job);
    struct function *decode = lower_role(job, description, "decode", 1, 1, false);
    int64_t largest = chunks[0];
    for (int i = 0; i < CHUNK_COUNT; i++) {
        if (i > 0 && chunks[i - 1] >= length)
            break;
        largest = chunks[i];
        lower_role(job, description, "prefill", largest, largest, false);
    }
    if (decode->bindings.count == 1) {
        int64_t chunk = score_chunk(decode, largest);
        lower_role(job, description, "score", chunk, chunk, false);
    }
    job->pipeline.max_length = length;
    job->pipeline.max_chunk = largest;
}

/* Lengths that the task does not ask for. */
static void warn_of_lengths(const struct job *job)
{
    bool generates = job->pipeline.task == TASK_generate;
    if (generates && job->options->seq)
        warn(OPTION_IDLE, "seq", "the task generate; --max-length says how long texts may be");
    if (!generates && job->options->max_length)
        warn(OPTION_IDLE, "max-length", "a task that generates no text; --seq is a model's length");
}

static void lower_description(struct job *job, struct description *description)
{
    job->pipeline.task = choose_task(job);
    warn_of_lengths(job);
    job->module = module_create(job->arena, description_name(description));
    switch (job->pipeline.task) {
    case TASK_generate: lower_generate(job, description); break;
    case TASK_fit:
        lower_role(job, description, "fit", 0, job->options->seq, true);
        /* fall through */
    case TASK_predict:
        lower_role(job, description, "predict", 0, job->options->seq, false);
        break;
    }
    programs_derive(job->module);
}

/* --- the three kinds of MODEL --- */

/* Random weights are drawn in what they are computed in; files of tf32 there are none. */
static enum dtype stored_type(const struct job *job)
{
    return job->pipeline.compute == DTYPE_tf32 ? DTYPE_f32 : job->pipeline.compute;
}

/* A key that a setting replaces is not read, but it is understood. */
static void read_known_keys(struct job *job, const struct description *description,
                            const char *type)
{
    const char *const *keys = description_keys(job->arena, description, type);
    for (; *keys; keys++)
        config_get(job->directory->config, *keys);
}

static void open_directory(struct job *job, const char *path)
{
    job->directory = model_directory_open(job->arena, path);
    const char *type = job->options->model_type ? job->options->model_type
                                                : model_directory_type(job->directory);
    struct description *description = description_find(job->arena, type);
    if (!description)
        fatal(MODEL_TYPE_UNKNOWN, type, path);
    lower_description(job, description);
    read_known_keys(job, description, type);
    config_warn_unknown(job->directory->config);
    if (job->directory->weights && job->options->init != CHOICE_INIT_random)
        bind_checkpoint(job->module, job->directory);
    else if (job->options->init == CHOICE_INIT_random)
        bind_random(job->module, stored_type(job));
    else
        fatal(NO_CHECKPOINT, path);
    job->random_weights = job->options->init == CHOICE_INIT_random;
}

/* What lowering has done cannot be asked for again. */
static void refuse_lowering_options(const struct options *options)
{
    const char *given = options->set.count        ? "set"
                        : options->entry          ? "entry"
                        : options->model_type     ? "model-type"
                        : options->seq            ? "seq"
                        : options->batch != 1     ? "batch"
                                                  : NULL;
    if (given)
        fatal(IR_HAS_OPTION, given, options->arguments[0]);
}

/* Kernels are made for one machine: those of a GPU for no other, a CPU's for all CPUs. */
static void keep_target(struct job *job)
{
    bool kernels = false;
    for (size_t i = 0; i < job->module->functions.count; i++)
        kernels |= job->module->functions.items[i]->kernels.count > 0;
    const struct target *made = job->module->target ? target_find(job->module->target) : NULL;
    if (!kernels || !made)
        return;
    if (made->gpu && !job->options->target && !job->options->cpu) {
        const struct target **only = arena_new(job->arena, const struct target *);
        *only = job->pipeline.target = made;
        job->targets = only;
        return;
    }
    for (size_t i = 0; i < job->target_count; i++)
        if (job->targets[i]->gpu != made->gpu)
            fatal(IR_TARGET, made->name, job->targets[i]->name);
}

static void open_ir(struct job *job, uint32_t source)
{
    refuse_lowering_options(job->options);
    job->from_ir = true;
    job->module = ir_parse(job->arena, source);
    pipeline_check_stage(job->module);
    ir_verify(job->module, job->module->stage, true);
    keep_target(job);
    job->pipeline.task = choose_task(job);
    for (size_t i = 0; i < job->module->functions.count; i++) {
        const char *role =
            attributes_text(&job->module->functions.items[i]->attributes, ATTRIBUTE_role);
        if (role && strcmp(role, "fit") == 0)
            job->pipeline.task = TASK_fit;
        if (role && strcmp(role, "decode") == 0)
            job->pipeline.task = TASK_generate;
    }
    job->pipeline.max_length = job->options->max_length ? job->options->max_length
                                                        : LONGEST_DEFAULT;
    job->pipeline.max_chunk = chunks[CHUNK_COUNT - 1];
    job->random_weights = true;
    for (size_t i = 0; i < job->module->weights.count; i++)
        job->random_weights &= !node_text(job->module->weights.items[i], file);
}

static bool serves(const struct description *description, const char *type)
{
    const char *const *at = description_model_types(description);
    while (*at && strcmp(*at, type) != 0)
        at++;
    return *at != NULL;
}

static void open_text(struct job *job, const char *path)
{
    size_t length;
    const char *text = file_read(job->arena, path, LARGEST_TEXT, &length);
    uint32_t source = diag_add_source(path, text, length);
    if (length >= 3 && memcmp(text, "ir ", 3) == 0) {
        open_ir(job, source);
        return;
    }
    struct description *description = description_parse(job->arena, source);
    if (job->options->model_type && !serves(description, job->options->model_type))
        fatal(TYPE_NOT_SERVED, job->options->model_type, path);
    lower_description(job, description);
    bind_random(job->module, stored_type(job));
    job->random_weights = true;
}

static size_t count_gpus(const struct job *job)
{
    size_t gpus = 0;
    for (size_t i = 0; i < job->target_count; i++)
        gpus += job->targets[i]->gpu != NULL;
    return gpus;
}

/* The table of --tuning: of one GPU, as bench/tune writes it. */
static struct tile_tuning read_tuning(const struct job *job)
{
    const char *path = job->options->tuning;
    struct tile_tuning tuning = {0};
    if (!path)
        return tuning;
    if (count_gpus(job) != 1)
        fatal(TUNING_TARGET, path);
    tuning.text = file_read(job->arena, path, LARGEST_TEXT, &tuning.length);
    if (!memmem(tuning.text, tuning.length, " us=", 4))
        fatal(TUNING_EMPTY, path);
    return tuning;
}

static bool is_directory(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* "name" of "models/name/" and of "name.model". */
static const char *base_name(struct arena *arena, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/')
        start--;
    char *name = arena_copy(arena, path + start, length - start);
    char *dot = strrchr(name, '.');
    if (dot && dot != name && (strcmp(dot, ".model") == 0 || strcmp(dot, ".ir") == 0))
        *dot = '\0';
    return name;
}

/* Options that the targets make no use of. */
static void warn_of_targets(const struct job *job)
{
    const struct options *options = job->options;
    size_t gpus = count_gpus(job);
    const char *idle = options->cuda             ? "cuda"
                       : options->code           ? "code"
                       : options->blas           ? "blas"
                       : options->device         ? "device"
                       : options->candidate != 1 ? "candidate"
                                                 : NULL;
    if (gpus == 0 && idle)
        warn(OPTION_IDLE, idle, "no --target is a GPU");
    if (gpus == job->target_count && options->cpu)
        warn(OPTION_IDLE, "cpu", "every --target is a GPU");
}

struct job job_open(struct arena *arena, const struct options *options)
{
    struct job job = {.arena = arena, .options = options};
    const char *path = options->arguments[0];
    job.name = base_name(arena, path);
    job.pipeline.compute = options->dtype == CHOICE_DTYPE_bf16   ? DTYPE_bf16
                           : options->dtype == CHOICE_DTYPE_tf32 ? DTYPE_tf32
                                                                 : DTYPE_f32;
    job.pipeline.candidate = (int)options->candidate - 1;
    job.pipeline.blas = options->blas == CHOICE_BLAS_auto     ? TILE_BLAS_auto
                        : options->blas == CHOICE_BLAS_always ? TILE_BLAS_always
                                                              : TILE_BLAS_never;
    job.pipeline.verify = options->verify;
    job.pipeline.time = options->time;
    choose_targets(&job);
    job.pipeline.tuning = read_tuning(&job);
    if (is_directory(path))
        open_directory(&job, path);
    else
        open_text(&job, path);
    warn_of_targets(&job);
    return job;
}

void job_check_output(const struct job *job, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *place = slash ? arena_copy(job->arena, path, (size_t)(slash - path) + 1) : ".";
    if (same_file(path, job->options->arguments[0]))
        fatal(OUTPUT_IS_INPUT, path);
    if (is_directory(path))
        fatal(OUTPUT_IS_DIRECTORY, path);
    if (access(path, W_OK) != 0 && (errno != ENOENT || access(place, W_OK | X_OK) != 0))
        fatal(FILE_WRITE, path, strerror(errno));
}

static void start(struct job *job)
{
    if (job->options->from && !job->from_ir)
        fatal(FROM_NEEDS_IR, job->options->from, job->options->arguments[0]);
    if (job->options->from)
        pipeline_from(job->module, job->pipeline.task, job->options->from);
}

void job_check_kernels(const struct job *job)
{
    const struct module *module = job->module;
    for (size_t f = 0; job->pipeline.target->gpu && f < module->functions.count; f++)
        for (size_t k = 0; k < module->functions.items[f]->kernels.count; k++) {
            const struct kernel *kernel = module->functions.items[f]->kernels.items[k];
            if (!skeleton_on_gpu(kernel->skeleton))
                fatal(CUDA_NO_SKELETON, kernel->name, skeleton_name(kernel->skeleton));
        }
}

static void run_passes(struct job *job, const char *after)
{
    pipeline_run(job->module, &job->pipeline, after);
    job->module->target = job->pipeline.target->name;
}

void job_run(struct job *job)
{
    if (job->target_count > 1)
        fatal(TARGET_ONE, job->options->target);
    start(job);
    run_passes(job, job->options->after);
}

/* The last pass whose result does not depend on the target. */
static const char *last_common_pass(void)
{
    const char *last = "lower", *name;
    for (int i = 0; (name = pipeline_pass_name(i)) && strcmp(name, "fuse") != 0; i++)
        last = name;
    return last;
}

/* IR text is exact, so a module is copied by printing and reading it. */
struct job *job_run_all(struct job *job)
{
    struct job *jobs = arena_array(job->arena, struct job, job->target_count);
    const char *text = NULL;
    size_t length = 0;
    start(job);
    if (job->target_count > 1) {
        pipeline_run(job->module, &job->pipeline, last_common_pass());
        text = ir_print(job->module, &length);
    }
    for (size_t i = 0; i < job->target_count; i++) {
        jobs[i] = *job;
        jobs[i].pipeline.target = job->targets[i];
        if (i > 0)
            jobs[i].module = ir_parse(job->arena, diag_add_source(job->name, text, length));
        run_passes(&jobs[i], NULL);
        job_check_kernels(&jobs[i]);
    }
    return jobs;
}
