/* The commands that print what is built in: ops, targets, version, completion. */
#include "compiler/options.h"
#include "compiler/toolchain/toolchain.h"
#include "compiler/version.h"
#include "ir/gpu.h"
#include "ir/ir.h"
#include "ir/target.h"
#include "runtime/json_write.h"

#include <stdio.h>

static const char *const kind_names[] = {"elementwise", "reduction", "structured"};

static void print_op(const struct op_info *info)
{
    printf("%-14s %-12s %d", info->name, kind_names[info->kind], info->operands_min);
    if (info->operands_max != info->operands_min)
        printf("-%d", info->operands_max);
    printf("  %s\n", info->kind == KIND_EW    ? info->expression
                     : info->kind == KIND_RED ? info->combine
                                              : "");
}

static void write_op(struct rt_json_writer *json, const struct op_info *info)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "name", info->name);
    rt_json_write_text(json, "kind", kind_names[info->kind]);
    rt_json_write_int(json, "operands_min", info->operands_min);
    rt_json_write_int(json, "operands_max", info->operands_max);
    rt_json_write_int(json, "results", info->results);
    rt_json_write_end(json);
}

int command_ops(const struct options *options)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, stdout, true);
    if (options->json)
        rt_json_write_array(&json, NULL);
    for (int op = 0; op < OP_COUNT; op++)
        if (options->json)
            write_op(&json, op_info((enum op)op));
        else
            print_op(op_info((enum op)op));
    if (options->json)
        rt_json_write_end(&json);
    return EXIT_OK;
}

static void print_name(void *context, const char *name)
{
    (void)context;
    printf("  %s\n", name);
}

static void print_target(const struct target *target)
{
    printf("%-18s %-10s %2d lanes%s  block %dx%d  about %.0f GFLOP/s f32, %.0f bf16, %.0f GB/s\n",
           target->name, target->level, target->lanes, target->dots ? ", bf16 dots" : "",
           target->mr, target->nr, target->gflops_f32, target->gflops_bf16, target->gbs);
}

static void write_target(struct rt_json_writer *json, const struct target *target)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "name", target->name);
    rt_json_write_text(json, "level", target->level);
    rt_json_write_int(json, "lanes", target->lanes);
    rt_json_write_bool(json, "bf16_dots", target->dots);
    rt_json_write_end(json);
}

static double fastest(const struct gpu *gpu, enum gpu_family a, enum gpu_family b)
{
    return gpu->rates[a].peak > gpu->rates[b].peak ? gpu->rates[a].peak : gpu->rates[b].peak;
}

/* Rates stand as "attainable of peak": predictions go by the former, shares of a bound by the
 * latter. */
static void print_gpu(const struct gpu *gpu)
{
    const char *before = "TFLOP/s";
    printf("%-18s %-10s %3d multiprocessors, %.0f GB%s%s%s\n", gpu->name, gpu->architecture,
           gpu->multiprocessors, gpu->memory_bytes / (1 << 30),
           gpu->aliases[0] ? " (also " : "", gpu->aliases, gpu->aliases[0] ? ")" : "");
    printf("  GB/s HBM %.0f of %.0f, L2 %.0f; ", gpu->hbm_gbs, gpu->hbm_peak_gbs, gpu->l2_gbs);
    for (enum gpu_family family = 0; family < FAMILY_COUNT; family++) {
        const struct gpu_rate *rate = &gpu->rates[family];
        if (rate->peak == 0)
            continue;
        printf("%s %s %.4g of %.4g", before, gpu_family_name(family), rate->attainable,
               rate->peak);
        before = ",";
    }
    putchar('\n');
}

static void write_rates(struct rt_json_writer *json, const struct gpu *gpu)
{
    rt_json_write_array(json, "rates");
    for (enum gpu_family family = 0; family < FAMILY_COUNT; family++) {
        const struct gpu_rate *rate = &gpu->rates[family];
        if (rate->peak == 0)
            continue;
        rt_json_write_object(json, NULL);
        rt_json_write_text(json, "family", gpu_family_name(family));
        rt_json_write_double(json, "tflops", rate->attainable);
        rt_json_write_double(json, "peak_tflops", rate->peak);
        rt_json_write_end(json);
    }
    rt_json_write_end(json);
}

static void write_gpu(struct rt_json_writer *json, const struct gpu *gpu)
{
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "name", gpu->name);
    rt_json_write_text(json, "architecture", gpu->architecture);
    rt_json_write_int(json, "multiprocessors", gpu->multiprocessors);
    rt_json_write_double(json, "memory_bytes", gpu->memory_bytes);
    rt_json_write_double(json, "hbm_peak_gbs", gpu->hbm_peak_gbs);
    rt_json_write_double(json, "hbm_gbs", gpu->hbm_gbs);
    rt_json_write_double(json, "l2_gbs", gpu->l2_gbs);
    rt_json_write_double(json, "bf16_peak_tflops",
                         fastest(gpu, FAMILY_mma_bf16, FAMILY_wgmma_bf16));
    write_rates(json, gpu);
    rt_json_write_end(json);
}

int command_targets(const struct options *options)
{
    const struct target *target;
    const struct gpu *gpu;
    if (options->json) {
        struct rt_json_writer json;
        rt_json_write_open(&json, stdout, true);
        rt_json_write_array(&json, NULL);
        for (size_t i = 0; (target = target_row(i)); i++)
            write_target(&json, target);
        for (size_t i = 0; (gpu = gpu_row(i)); i++)
            write_gpu(&json, gpu);
        rt_json_write_end(&json);
        return EXIT_OK;
    }
    printf("code is specialised for these CPUs (figures of one core, for predictions only):\n");
    for (size_t i = 0; (target = target_row(i)); i++)
        print_target(target);
    printf("--cpu takes these names; each uses the best row above that it can run:\n");
    toolchain_target_each(print_name, NULL);
    printf("code is made for these GPUs with --target (rates: attainable of peak):\n");
    for (size_t i = 0; (gpu = gpu_row(i)); i++)
        print_gpu(gpu);
    return EXIT_OK;
}

int command_version(const struct options *options)
{
    if (options->json) {
        struct rt_json_writer json;
        rt_json_write_open(&json, stdout, true);
        rt_json_write_object(&json, NULL);
        rt_json_write_text(&json, "sinter", SINTER_VERSION);
        rt_json_write_text(&json, "commit", SINTER_COMMIT);
        rt_json_write_text(&json, "llvm", toolchain_llvm_version());
        rt_json_write_end(&json);
        return EXIT_OK;
    }
    printf("sinter %s (%s), Clang and LLD %s\n", SINTER_VERSION, SINTER_COMMIT,
           toolchain_llvm_version());
    return EXIT_OK;
}

int command_completion(const struct options *options)
{
    rt_status status = rt_command_line_completion(&compiler_command_table, options->program,
                                                  options->arguments[0]);
    if (status)
        diag_fatal_text(status, rt_status_text());
    return EXIT_OK;
}
