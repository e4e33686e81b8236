/*
 * CPUs as targets of code: which features Clang may use. A feature counts only if
 * runtime/cpu_features.def can check it; everything else that the CPU has is switched off.
 */
#include "compiler/toolchain/host.h"
#include "compiler/toolchain/toolchain.h"
#include "ir/base/diag.h"

#include <string.h>

static const char *const checkable[] = {
#define CPU_FEATURE(name, leaf, subleaf, register, bit, state) name,
#include "runtime/cpu_features.def"
};

enum { CHECKABLE = sizeof checkable / sizeof *checkable };

/* Part of a checkable feature (AVX-512's full width, the CRC of SSE 4.2) or of every 64-bit
 * system: never switched off. */
static const char *const neutral[] = {"64bit", "x87", "crc32", "evex512", "xsave"};

struct switches {
    struct arena *arena;
    ARRAY_OF(const char *) list;
};

static bool listed(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static void add_feature_switch(struct switches *switches, char sign, const char *feature)
{
    array_push(switches->arena, &switches->list, "-target-feature");
    array_push(switches->arena, &switches->list,
               arena_printf(switches->arena, "%c%s", sign, feature));
}

static void switch_off_uncheckable(void *context, const char *feature)
{
    if (!listed(checkable, CHECKABLE, feature)
        && !listed(neutral, sizeof neutral / sizeof *neutral, feature))
        add_feature_switch(context, '-', feature);
}

/* LLVM's tables leave out what every 64-bit CPU has. */
static bool cpu_has(const char *cpu, bool native, const char *feature)
{
    if (strcmp(feature, "sse2") == 0)
        return true;
    return native ? host_cpu_has(feature) : host_cpu_named_has(cpu, feature);
}

/* Positive switches first: each adds what it implies. Each negative one then takes away what
 * implies it. */
static void add_feature_switches(struct switches *switches, struct toolchain_target *target,
                                 bool native)
{
    bool on[CHECKABLE];
    ARRAY_OF(const char *) features = {0};
    for (size_t i = 0; i < CHECKABLE; i++)
        on[i] = cpu_has(target->cpu, native, checkable[i]);
    host_cpu_settle(checkable, on, CHECKABLE);
    for (size_t i = 0; i < CHECKABLE; i++)
        if (on[i]) {
            add_feature_switch(switches, '+', checkable[i]);
            array_push(switches->arena, &features, checkable[i]);
        }
    for (size_t i = 0; i < CHECKABLE; i++)
        if (!on[i])
            add_feature_switch(switches, '-', checkable[i]);
    host_cpu_features_each(target->cpu, switch_off_uncheckable, switches);
    array_push(switches->arena, &features, NULL);
    target->features = features.items;
    target->feature_count = features.count - 1;
}

const struct toolchain_target *toolchain_target(struct arena *arena, const char *cpu)
{
    bool native = strcmp(cpu, "native") == 0;
    struct toolchain_target *target = arena_new(arena, struct toolchain_target);
    struct switches switches = {.arena = arena};
    target->cpu = arena_printf(arena, "%s", native ? host_cpu_name() : cpu);
    if (!native && !host_cpu_known(cpu))
        fatal(CPU_UNKNOWN, cpu);
    if (!host_cpu_known(target->cpu)) /* a CPU newer than this LLVM: its features still count */
        target->cpu = "x86-64";
    array_push(arena, &switches.list, "-target-cpu");
    array_push(arena, &switches.list, target->cpu);
    add_feature_switches(&switches, target, native);
    if (toolchain_target_has(target, "avx512f")) /* emitted code chooses its own lane counts */
        array_push(arena, &switches.list, "-mprefer-vector-width=512");
    target->switches = switches.list.items;
    target->switch_count = switches.list.count;
    return target;
}

bool toolchain_target_has(const struct toolchain_target *target, const char *feature)
{
    return listed(target->features, target->feature_count, feature);
}

void toolchain_target_each(void (*visit)(void *context, const char *name), void *context)
{
    visit(context, "native");
    host_cpu_each(visit, context);
}

const char *toolchain_llvm_version(void)
{
    return host_llvm_version();
}
