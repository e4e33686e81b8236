/* The toy of devices for the emulated one: its kernels as the CUDA backend would print them. */
#include "backends/cuda/library.h"
#include "backends/emit.h"
#include "compiler/emulation/device_emulated.h"
#include "tests/unit/device_toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kernels[] =
    "KERNEL(64, 1) combine(const g_f32 *x0, const g_f32 *x1, g_f32 *y2)\n{\n"
    "    int i = block_index() * 64 + thread_index(), w = i % 15;\n"
    "    store_f32(y2 + i, 2 * load_f32(x0 + i) + load_f32(x1 + w / 5 * 8 + w % 5));\n}\n"
    "KERNEL(32, 1) count(g_i32 *y0, const g_i32 *x1)\n{\n"
    "    if (thread_index() == 0)\n"
    "        store_i32(y0, load_i32(y0) + load_i32(x1));\n}\n"
    "KERNEL(32, 1) spaces(g_f32 *y0, g_f32 *workspace, g_i32 *counters)\n{\n"
    "    if (thread_index() != 0)\n        return;\n"
    "    store_f32(y0, (float)load_i32(counters));\n"
    "    store_f32(workspace, 7);\n"
    "    store_f32(y0 + 1, load_f32(workspace));\n}\n"
    "static void entry_combine(void *const *o)\n{\n    combine(o[0], o[1], o[2]);\n}\n"
    "static void entry_count(void *const *o)\n{\n    count(o[0], o[1]);\n}\n"
    "static void entry_spaces(void *const *o)\n{\n    spaces(o[0], o[1], o[2]);\n}\n"
    "const struct emulated_kernel emulated_kernels[] = {\n"
    "    {\"combine\", entry_combine}, {\"count\", entry_count}, {\"spaces\", entry_spaces},\n"
    "    {0, 0}};\n";

const struct rt_program *toy_emulated_program(void)
{
    static struct emulated_program offered;
    struct arena *arena = arena_create();
    struct str text = str_create(arena);
    char *errors = NULL;
    for (size_t i = 0; i < cuda_library_file_count; i++)
        emit_library(&text, &cuda_library_files[i]);
    str_bytes(&text, kernels, sizeof kernels - 1);
    offered.program = toy_fake_program();
    offered.unit = emulation_unit_open(text.text, text.length, true, &errors);
    offered.options.shadow = true;
    if (!offered.unit) {
        fprintf(stderr, "%s\n", errors);
        abort();
    }
    arena_destroy(arena);
    emulated_device_offer(&offered);
    return offered.program;
}
