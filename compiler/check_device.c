/* See check_device.h. A kernel is a program of one step, which the device opens and closes. */
#include "compiler/check_device.h"

#include "compiler/emulation/product.h"
#include "ir/gpu.h"
#include "runtime/cuda.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 256, SECONDS = 120 };

/* --- the GPU --- */

static const char *keep(struct arena *arena, const char *text)
{
    return arena_copy(arena, text, strlen(text));
}

static const char *take_failure(struct arena *arena)
{
    const char *text = keep(arena, rt_status_text());
    rt_status_clear();
    return text;
}

/* Without the advice, which is for programs that cannot go on. */
static const char *take_reason(struct arena *arena)
{
    char *text = arena_copy(arena, rt_status_text(), strlen(rt_status_text())), *advice = NULL;
    for (char *at = text; (at = strstr(at, "; ")); at++)
        advice = at;
    if (advice)
        *advice = '\0';
    rt_status_clear();
    return text;
}

static bool find_nvrtc(struct job *job, bool needed, struct nvrtc *nvrtc, const char **out_reason)
{
    const char *places, *why;
    if (needed)
        *nvrtc = nvrtc_find(job->arena, job->options->cuda);
    else if (!nvrtc_look(job->arena, job->options->cuda, nvrtc, &places))
        return *out_reason = "no NVRTC is found that compiles for it", false;
    else if (!nvrtc_version(job->arena, nvrtc, &why))
        return *out_reason = arena_printf(job->arena, "NVRTC '%s' is of no use: %s", nvrtc->path,
                                          why),
               false;
    return true;
}

/* Whether the GPU runs what will be compiled: told by a program of one image without bytes. */
static rt_status find_fit(struct check_device *device, const struct cuda_gpu *gpu,
                          const struct nvrtc *nvrtc)
{
    const struct rt_image image = {.cuda = (rt_u32)(nvrtc->major * 1000 + nvrtc->minor * 10)};
    const struct rt_launch launch = {.ptx = device->target.exact ? RT_NO_IMAGE : 0};
    const struct rt_program program = {.gpu = &device->target,
                                       .launches = &launch,
                                       .images = &image,
                                       .launch_count = 1,
                                       .image_count = 1};
    const struct rt_program *chosen;
    rt_u32 needed;
    enum cuda_fit fit = rt_cuda_fit(&program, gpu, &needed);
    device->ptx = fit == CUDA_FIT_PTX;
    return fit >= CUDA_FIT_PTX ? 0 : rt_device_cuda.choose(&program, &chosen);
}

static rt_status open_keeper(struct check_device *device)
{
    const struct rt_device_options options = {.threads = 1};
    return rt_device_cuda.open(&device->keeper, &options);
}

struct check_device *check_device_find(struct job *job, bool needed, const char **out_reason)
{
    struct check_device *device = arena_new(job->arena, struct check_device);
    const struct cuda_driver *driver;
    struct cuda_gpu gpu;
    struct nvrtc nvrtc;
    *device = (struct check_device){.arena = job->arena,
                                    .seconds = SECONDS,
                                    .target = device_target(job->pipeline.target->gpu)};
    rt_status status = rt_cuda_load(&driver);
    if (!status)
        status = rt_cuda_find(driver, &gpu);
    if (!status && !find_nvrtc(job, needed, &nvrtc, out_reason))
        return NULL;
    if (!status)
        status = find_fit(device, &gpu, &nvrtc);
    if (!status)
        status = open_keeper(device);
    if (status && needed)
        diag_fatal_text(status, rt_status_text());
    if (status) {
        *out_reason = take_reason(job->arena);
        return NULL;
    }
    device->name = keep(job->arena, gpu.name);
    return device;
}

void check_device_close(struct check_device *device)
{
    if (device && device->keeper)
        rt_device_cuda.close(device->keeper);
}

/* --- one kernel --- */

/* A program of one step. */
struct single {
    struct rt_program program;
    struct rt_function function;
    struct rt_step step;
    struct rt_launch launch;
    struct rt_image images[2]; /* the cubin; PTX if there is any */
    struct rt_product product; /* that a library computes instead */
    rt_u64 *offsets;           /* of the blocks in the arena */
    struct rt_operand *operands;
};

static void add_images(struct single *single, const struct device_code *code)
{
    single->images[0] = (struct rt_image){code->cubin, code->cubin_length, code->facts.cuda};
    single->images[1] = (struct rt_image){code->ptx, code->ptx_length, code->facts.cuda};
    single->launch.ptx = code->ptx ? 1 : RT_NO_IMAGE;
    single->program.images = single->images;
    single->program.image_count = code->ptx ? 2 : 1;
}

static void add_product(struct single *single, const struct cuda_kernel *kernel)
{
    single->product = emulation_product_of(kernel->product, kernel->workspace_bytes);
    single->launch.product = &single->product;
    single->launch.image = single->launch.ptx = RT_NO_IMAGE;
}

/* An address inside of a block, as a place in the arena. */
static void place_operand(struct single *single, const struct check_block *blocks, size_t count,
                          const char *address, struct rt_operand *out)
{
    *out = (struct rt_operand){.space = RT_SPACE_ARENA};
    for (size_t i = 0; i < count; i++)
        if (address >= blocks[i].bytes && address < blocks[i].bytes + blocks[i].size) {
            out->offset = single->offsets[i] + (rt_u64)(address - blocks[i].bytes);
            return;
        }
    fatal(INTERNAL, "an operand outside of its memory", single->launch.symbol);
}

static void lay_out(struct single *single, const struct check_block *blocks, size_t count)
{
    rt_u64 at = 0;
    for (size_t i = 0; i < count; i++) {
        single->offsets[i] = at;
        at += (blocks[i].size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    single->program.arena_bytes = at;
}

static struct single *make_single(struct check_device *device, int number,
                                  const struct check_block *blocks, size_t block_count,
                                  void *const *operands, size_t operand_count)
{
    const struct cuda_kernel *kernel = &device->program->emitted.kernels[number];
    struct single *single = arena_new(device->arena, struct single);
    single->offsets = arena_array(device->arena, rt_u64, block_count + 1);
    single->operands = arena_array(device->arena, struct rt_operand, operand_count + 1);
    single->launch = (struct rt_launch){.symbol = kernel->name,
                                        .blocks = (rt_u32)kernel->blocks,
                                        .threads = (rt_u32)kernel->threads,
                                        .shared = (rt_u32)kernel->shared};
    single->step = (struct rt_step){.tiles = kernel->blocks,
                                    .operand_count = (rt_u32)operand_count,
                                    .name = kernel->name};
    single->function = (struct rt_function){.name = kernel->name,
                                            .role = "check",
                                            .steps = &single->step,
                                            .operands = single->operands,
                                            .step_count = 1,
                                            .operand_count = (rt_u32)operand_count};
    single->program = (struct rt_program){.version = RT_PROGRAM_VERSION,
                                          .functions = &single->function,
                                          .function_count = 1,
                                          .gpu = &device->target,
                                          .launches = &single->launch,
                                          .launch_count = 1};
    if (kernel->product)
        add_product(single, kernel);
    else
        add_images(single, &device->program->code[number]);
    lay_out(single, blocks, block_count);
    for (size_t i = 0; i < operand_count; i++)
        place_operand(single, blocks, block_count, operands[i], &single->operands[i]);
    return single;
}

/* --- kernels that do not end --- */

static char endless[512]; /* what is said then */

static void give_up(int signal)
{
    (void)signal;
    ssize_t written = write(STDERR_FILENO, endless, strlen(endless));
    _exit(written < 0 ? EXIT_FILE : EXIT_NUMERIC);
}

static void watch(const struct check_device *device, const char *kernel)
{
    struct sigaction action = {.sa_handler = give_up};
    int used = snprintf(endless, sizeof endless - 1, "sinter: error: ");
    snprintf(endless + used, sizeof endless - 1 - (size_t)used, message_format_KERNEL_ENDLESS,
             kernel, device->name, device->seconds);
    strcat(endless, "\n");
    sigaction(SIGALRM, &action, NULL);
    alarm(device->seconds);
}

static rt_status run(struct rt_device *device, const struct single *single,
                     const struct check_block *blocks, size_t count)
{
    const struct rt_device_table *table = device->table;
    rt_status status = table->bind(device, &single->program, NULL);
    for (size_t i = 0; i < count && !status; i++)
        status = table->write(device, single->offsets[i], blocks[i].bytes, blocks[i].size);
    if (!status)
        status = table->run_step(device, 0, 0);
    if (!status)
        status = table->wait(device);
    for (size_t i = 0; i < count && !status; i++)
        if (blocks[i].written)
            status = table->read(device, single->offsets[i], blocks[i].bytes, blocks[i].size);
    return status;
}

/* After a failure the driver's context may be of no use: a new one is made. */
static rt_status renew(struct check_device *device)
{
    if (device->keeper)
        rt_device_cuda.close(device->keeper);
    return open_keeper(device);
}

const char *check_device_run(struct check_device *device, int kernel,
                             const struct check_block *blocks, size_t block_count,
                             void *const *operands, size_t operand_count)
{
    const struct rt_device_options options = {.threads = 1};
    const struct single *single =
        make_single(device, kernel, blocks, block_count, operands, operand_count);
    struct rt_device *opened;
    rt_status status = device->keeper ? 0 : open_keeper(device);
    if (!status)
        status = rt_device_cuda.open(&opened, &options);
    watch(device, single->launch.symbol);
    if (!status) {
        status = run(opened, single, blocks, block_count);
        rt_device_cuda.close(opened);
    }
    alarm(0);
    if (!status)
        return NULL;
    const char *error = take_failure(device->arena);
    if (renew(device))
        rt_status_clear(); /* the next kernel will say so */
    return error;
}
