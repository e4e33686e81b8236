/* `sinter explain --code`: what stands in the compiled code of each distinct kernel of a GPU. */
#include "compiler/commands/explain_code.h"

#include "ir/gpu.h"

#include <stdio.h>

enum { NAME = 32 };

/* Counted instructions in order of cubin_instructions.def, under their names. */
static void print_head(void)
{
    printf("\n%-*s %7s %7s %5s %6s %9s", NAME, "code of kernel", "blocks", "threads", "regs",
           "spills", "shared");
    for (int i = 0; i < CUBIN_INSTRUCTIONS; i++)
        printf(" %6s", cubin_instruction_name((enum cubin_instruction)i));
    printf(" %6s %7s\n", "all", "bytes");
}

static void print_row(const struct cuda_kernel *kernel, const struct device_code *code,
                      const char *lint)
{
    const struct cubin_facts *facts = &code->facts;
    printf("%-*.*s %7lld %7lld %5d %6lld %9lld", NAME, NAME, kernel->name,
           (long long)kernel->blocks, (long long)kernel->threads, facts->registers,
           (long long)(facts->spill_stores + facts->spill_loads),
           (long long)(facts->shared + kernel->shared));
    for (int i = 0; i < CUBIN_INSTRUCTIONS; i++)
        printf(" %6lld", (long long)facts->counts[i]);
    printf(" %6lld %7zu\n", (long long)facts->instructions, code->cubin_length);
    if (lint)
        printf("  not as planned: %s\n", lint);
}

static void write_row(struct rt_json_writer *json, const struct cuda_kernel *kernel,
                      const struct device_code *code, const char *lint)
{
    const struct cubin_facts *facts = &code->facts;
    rt_json_write_object(json, NULL);
    rt_json_write_text(json, "kernel", kernel->name);
    rt_json_write_int(json, "blocks", kernel->blocks);
    rt_json_write_int(json, "threads", kernel->threads);
    rt_json_write_int(json, "registers", facts->registers);
    rt_json_write_int(json, "frame", facts->frame);
    rt_json_write_int(json, "spill_stores", facts->spill_stores);
    rt_json_write_int(json, "spill_loads", facts->spill_loads);
    rt_json_write_int(json, "shared", facts->shared + kernel->shared);
    for (int i = 0; i < CUBIN_INSTRUCTIONS; i++)
        rt_json_write_int(json, cubin_instruction_name((enum cubin_instruction)i),
                          facts->counts[i]);
    rt_json_write_int(json, "instructions", facts->instructions);
    rt_json_write_unsigned(json, "bytes", code->cubin_length);
    rt_json_write_int(json, "cuda", facts->cuda);
    rt_json_write_int(json, "driver", facts->driver);
    if (lint)
        rt_json_write_text(json, "lint", lint);
    rt_json_write_end(json);
}

void explain_code(const struct device_program *program, struct rt_json_writer *json)
{
    const struct cubin_facts *first = NULL;
    if (json)
        rt_json_write_array(json, "code");
    else
        print_head();
    for (int i = 0; i < program->emitted.kernel_count; i++) {
        if (!program->emitted.kernels[i].text)
            continue;
        first = first ? first : &program->code[i].facts;
        if (json)
            write_row(json, &program->emitted.kernels[i], &program->code[i], program->lint[i]);
        else
            print_row(&program->emitted.kernels[i], &program->code[i], program->lint[i]);
    }
    if (json)
        rt_json_write_end(json);
    else if (first)
        printf("compiled by CUDA %u.%u: needs driver %u or later\n", first->cuda / 1000,
               first->cuda % 1000 / 10, first->driver);
}
