/* See cubin.h. The ELF layouts are those of <elf.h>; attributes of `.nv.info` are records of
 * {format, attribute, size or value}, with `size` bytes behind where the format says so. */
#include "compiler/toolchain/cubin.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

enum {
    MACHINE_CUDA = 190,
    ABI_OLD = 51,
    ABI_NEW = 65,
    INFO_SIZED = 4,          /* format: bytes follow */
    INFO_FRAME = 0x11,       /* {symbol, bytes} */
    INFO_REGISTERS = 0x2f,   /* {symbol, count} */
    INFO_CUDA_VERSION = 0x37, /* 130 is 13.0 */
    INSTRUCTION_BYTES = 16,
    GUARD_NEVER = 0xf,
    SECTIONS_MOST = 1024, /* bounds the time that a hostile file takes */
};

struct file {
    const unsigned char *bytes;
    size_t length;
    Elf64_Ehdr head;
    Elf64_Shdr names; /* the section of the sections' names */
};

static const struct {
    const char *name;
    unsigned opcode;
} instructions[] = {
#define INSTRUCTION(name, opcode, meaning) {#name, opcode},
#include "compiler/toolchain/cubin_instructions.def"
};

const char *cubin_instruction_name(enum cubin_instruction instruction)
{
    return instructions[instruction].name;
}

unsigned cubin_driver(unsigned cuda)
{
    return cuda >= 13000 ? 580 : 525;
}

/* --- ELF --- */

static bool inside(const struct file *file, uint64_t offset, uint64_t bytes)
{
    return offset <= file->length && bytes <= file->length - offset;
}

static bool section_at(const struct file *file, unsigned index, Elf64_Shdr *out)
{
    uint64_t offset;
    if (index >= file->head.e_shnum
        || __builtin_add_overflow(file->head.e_shoff, (uint64_t)index * sizeof *out, &offset)
        || !inside(file, offset, sizeof *out))
        return false;
    memcpy(out, file->bytes + offset, sizeof *out);
    return out->sh_type == SHT_NOBITS || inside(file, out->sh_offset, out->sh_size);
}

static bool open_file(struct file *file, const void *bytes, size_t length)
{
    *file = (struct file){.bytes = bytes, .length = length};
    if (length < sizeof file->head)
        return false;
    memcpy(&file->head, bytes, sizeof file->head);
    return memcmp(file->head.e_ident, ELFMAG, SELFMAG) == 0
           && file->head.e_ident[EI_CLASS] == ELFCLASS64
           && file->head.e_machine == MACHINE_CUDA
           && file->head.e_shentsize == sizeof(Elf64_Shdr)
           && file->head.e_shnum <= SECTIONS_MOST
           && section_at(file, file->head.e_shstrndx, &file->names);
}

/* A string that starts at `offset` of a table, NULL if it does not end inside. */
static const char *string_at(const struct file *file, const Elf64_Shdr *table, uint64_t offset)
{
    if (table->sh_type == SHT_NOBITS || offset >= table->sh_size)
        return NULL;
    const char *text = (const char *)file->bytes + table->sh_offset + offset;
    return memchr(text, '\0', table->sh_size - offset) ? text : NULL;
}

/* Finds the section "PREFIXname". */
static bool find_section(const struct file *file, const char *prefix, const char *name,
                         Elf64_Shdr *out)
{
    size_t length = strlen(prefix);
    for (unsigned i = 0; i < file->head.e_shnum; i++) {
        if (!section_at(file, i, out))
            return false;
        const char *found = string_at(file, &file->names, out->sh_name);
        if (found && strncmp(found, prefix, length) == 0 && strcmp(found + length, name) == 0)
            return true;
    }
    return false;
}

/* Whether symbol `index` is the kernel. */
static bool is_symbol(const struct file *file, uint32_t index, const char *name)
{
    Elf64_Shdr table, strings;
    Elf64_Sym symbol;
    if (!find_section(file, ".symtab", "", &table) || !section_at(file, table.sh_link, &strings)
        || index >= table.sh_size / sizeof symbol || table.sh_type == SHT_NOBITS)
        return false;
    memcpy(&symbol, file->bytes + table.sh_offset + index * sizeof symbol, sizeof symbol);
    const char *found = string_at(file, &strings, symbol.st_name);
    return found && strcmp(found, name) == 0;
}

/* --- attributes --- */

static uint32_t word_at(const unsigned char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static void take_attribute(const struct file *file, const char *name, unsigned attribute,
                           const unsigned char *value, size_t size, struct cubin_facts *out)
{
    if (attribute == INFO_CUDA_VERSION && size >= 4) {
        uint32_t version = word_at(value);
        out->cuda = version < 1000 ? version / 10 * 1000 + version % 10 * 10 : 0;
    }
    if (size < 8 || (attribute != INFO_REGISTERS && attribute != INFO_FRAME))
        return;
    if (!is_symbol(file, word_at(value), name))
        return;
    uint32_t number = word_at(value + 4);
    if (number > INT32_MAX)
        return;
    *(attribute == INFO_REGISTERS ? &out->registers : &out->frame) = (int)number;
}

static bool read_attributes(const struct file *file, const Elf64_Shdr *section, const char *name,
                            struct cubin_facts *out)
{
    if (section->sh_type == SHT_NOBITS)
        return false;
    const unsigned char *at = file->bytes + section->sh_offset;
    size_t left = section->sh_size;
    while (left >= 4) {
        size_t size = at[0] == INFO_SIZED ? (size_t)at[2] | (size_t)at[3] << 8 : 0;
        if (size > left - 4)
            return false;
        take_attribute(file, name, at[1], at + 4, size, out);
        at += 4 + size;
        left -= 4 + size;
    }
    return left == 0;
}

/* --- instructions --- */

/* Bytes that a load or store moves, by its width field. */
static int width_of(uint64_t high)
{
    static const int bytes[8] = {1, 1, 2, 2, 4, 8, 16, 16};
    return bytes[high >> 9 & 7];
}

static void count_instructions(const struct file *file, const Elf64_Shdr *text,
                               struct cubin_facts *out)
{
    for (uint64_t at = 0; at + INSTRUCTION_BYTES <= text->sh_size; at += INSTRUCTION_BYTES) {
        uint64_t half[2];
        memcpy(half, file->bytes + text->sh_offset + at, sizeof half);
        if ((half[0] >> 12 & 0xf) == GUARD_NEVER)
            continue;
        out->instructions++;
        for (int i = 0; i < CUBIN_INSTRUCTIONS; i++)
            if ((half[0] & 0xfff) == instructions[i].opcode) {
                out->counts[i]++;
                out->spill_stores += i == CUBIN_stl ? width_of(half[1]) : 0;
                out->spill_loads += i == CUBIN_ldl ? width_of(half[1]) : 0;
            }
    }
}

static unsigned architecture_of(const struct file *file)
{
    bool newer = file->head.e_ident[EI_OSABI] == ABI_NEW;
    return (newer ? file->head.e_flags >> 8 : file->head.e_flags) & 0xff;
}

bool cubin_read(const void *bytes, size_t length, const char *name, struct cubin_facts *out)
{
    struct file file;
    Elf64_Shdr section;
    *out = (struct cubin_facts){0};
    if (!open_file(&file, bytes, length))
        return false;
    if (file.head.e_ident[EI_OSABI] != ABI_OLD && file.head.e_ident[EI_OSABI] != ABI_NEW)
        return false;
    out->sm = architecture_of(&file);
    if (!find_section(&file, ".nv.info", "", &section)
        || !read_attributes(&file, &section, name, out)
        || !find_section(&file, ".nv.info.", name, &section)
        || !read_attributes(&file, &section, name, out))
        return false;
    if (find_section(&file, ".nv.shared.", name, &section))
        out->shared = section.sh_size <= INT32_MAX ? (int64_t)section.sh_size : INT32_MAX;
    if (!find_section(&file, ".text.", name, &section) || section.sh_type == SHT_NOBITS)
        return false;
    count_instructions(&file, &section, out);
    out->driver = cubin_driver(out->cuda);
    return out->registers > 0 && out->cuda > 0;
}

/* --- lint --- */

const char *cubin_lint(const struct cubin_facts *facts, const struct cubin_limits *limits)
{
    static char text[128];
    int64_t mma = facts->counts[CUBIN_hmma] + facts->counts[CUBIN_hgmma];
    if (facts->spill_stores + facts->spill_loads > 0)
        snprintf(text, sizeof text, "it spills: %lld bytes stored, %lld loaded",
                 (long long)facts->spill_stores, (long long)facts->spill_loads);
    else if (facts->frame > 0)
        snprintf(text, sizeof text, "it has a stack frame of %d bytes", facts->frame);
    else if (limits->registers > 0 && facts->registers > limits->registers)
        snprintf(text, sizeof text, "%d registers, at most %d", facts->registers,
                 limits->registers);
    else if (limits->shared > 0 && facts->shared + limits->dynamic > limits->shared)
        snprintf(text, sizeof text, "%lld bytes of shared memory, at most %lld",
                 (long long)(facts->shared + limits->dynamic), (long long)limits->shared);
    else if (limits->mma_count >= 0 && mma != limits->mma_count)
        snprintf(text, sizeof text, "%lld tensor-core instructions, %d expected", (long long)mma,
                 limits->mma_count);
    else
        return NULL;
    return text;
}
