/* Kernels as host code: compiled by the Clang inside, linked, loaded. */
#include "compiler/emulation/unit.h"

#include "compiler/emulation/machine.h"
#include "ir/base/diag.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct emulation_unit {
    void *library;
    const struct emulated_kernel *kernels;
    const char *code, *code_end;
    bool shadow;
};

/* Line numbers stay those of `text`. */
static const char prefix[] = "#define SINTER_EMULATED 1\n", shadow_prefix[] =
    "#define SINTER_SHADOW 1\n", line_prefix[] = "#line 1\n";

static char *full_text(const char *text, size_t length, bool shadow, size_t *out_length)
{
    size_t most = sizeof prefix + sizeof shadow_prefix + sizeof line_prefix + length;
    char *full = malloc(most);
    if (!full)
        fatal(OUT_OF_MEMORY, most);
    int used = snprintf(full, most, "%s%s%s", prefix, shadow ? shadow_prefix : "", line_prefix);
    memcpy(full + used, text, length);
    *out_length = (size_t)used + length;
    return full;
}

static bool compile(const char *text, size_t length, bool shadow, struct object *object,
                    char **errors)
{
    struct arena *arena = arena_create();
    size_t full_length;
    char *full = full_text(text, length, shadow, &full_length), *words;
    enum toolchain_status status = toolchain_compile(
        full, full_length, toolchain_target(arena, "native"), object, &words);
    free(full);
    arena_destroy(arena);
    if (status == TOOLCHAIN_OUT_OF_MEMORY)
        fatal(OUT_OF_MEMORY, full_length);
    if (status == TOOLCHAIN_OK || !errors)
        free(words);
    else
        *errors = words;
    return status == TOOLCHAIN_OK;
}

static bool holds(const struct dl_phdr_info *object, int segment, const void *address)
{
    const ElfW(Phdr) *header = &object->dlpi_phdr[segment];
    uintptr_t at = (uintptr_t)address - object->dlpi_addr - header->p_vaddr;
    return header->p_type == PT_LOAD && at < header->p_memsz;
}

/* For dl_iterate_phdr: the executable segment of the library that has the unit's table. */
static int find_code(struct dl_phdr_info *object, size_t size, void *context)
{
    struct emulation_unit *unit = context;
    bool ours = false;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++)
        ours |= holds(object, i, unit->kernels);
    for (int i = 0; ours && i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &object->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
            continue;
        unit->code = (const char *)(object->dlpi_addr + header->p_vaddr);
        unit->code_end = unit->code + header->p_memsz;
    }
    return ours;
}

struct emulation_unit *emulation_unit_open(const char *text, size_t length, bool shadow,
                                           char **errors)
{
    struct object object;
    if (!compile(text, length, shadow, &object, errors))
        return NULL;
    struct emulation_unit *unit = calloc(1, sizeof *unit);
    if (!unit)
        fatal(OUT_OF_MEMORY, sizeof *unit);
    unit->shadow = shadow;
    unit->library = toolchain_load_kernels(&object, 1);
    unit->kernels = dlsym(unit->library, "emulated_kernels");
    if (!unit->kernels)
        fatal(INTERNAL, "the kernels have no table", "emulated_kernels");
    dl_iterate_phdr(find_code, unit);
    free(object.bytes);
    return unit;
}

void emulation_unit_close(struct emulation_unit *unit)
{
    if (!unit)
        return;
    dlclose(unit->library);
    free(unit);
}

const char *emulation_unit_kernel(const struct emulation_unit *unit, size_t index)
{
    return unit->kernels[index].name;
}

void emulation_unit_code(const struct emulation_unit *unit, const char **begin, const char **end)
{
    *begin = unit->code;
    *end = unit->code_end;
}

bool emulation_unit_has_shadow(const struct emulation_unit *unit)
{
    return unit->shadow;
}

void (*emulation_unit_entry(const struct emulation_unit *unit, const char *kernel))(
    void *const *operands)
{
    const struct emulated_kernel *row = unit->kernels;
    while (row->name && strcmp(row->name, kernel) != 0)
        row++;
    return row->entry;
}
