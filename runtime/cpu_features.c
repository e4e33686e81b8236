/* CPU features by CPUID and XGETBV: see cpu_features.h. */
#include "runtime/cpu_features.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum { OSXSAVE_BIT = 27, BRAND_LEAF = 0x80000002 };

/* The register states that the system saves: XCR0, 0 if it uses no XSAVE. */
static unsigned long long saved_states(void)
{
    unsigned eax, ebx, ecx, edx, low, high;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx >> OSXSAVE_BIT & 1))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

bool rt_cpu_has(const char *feature)
{
    unsigned eax, ebx, ecx, edx;
    unsigned long long saved = saved_states();
#define CPU_FEATURE(name, leaf, subleaf, reg, bit, state)               \
    if (strcmp(feature, name) == 0)                                     \
        return __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx) \
               && (reg >> (bit) & 1) && (saved & (state)) == (state);
#include "runtime/cpu_features.def"
    return false;
}

void rt_cpu_name(char *out, size_t capacity)
{
    unsigned registers[12];
    char brand[sizeof registers + 1] = "";
    bool known = true;
    for (unsigned i = 0; i < 3; i++)
        known = known
                && __get_cpuid(BRAND_LEAF + i, &registers[4 * i], &registers[4 * i + 1],
                               &registers[4 * i + 2], &registers[4 * i + 3]);
    if (known)
        memcpy(brand, registers, sizeof registers);
    brand[sizeof registers] = '\0';
    size_t length = strlen(brand), start = strspn(brand, " ");
    while (length > start && brand[length - 1] == ' ')
        brand[--length] = '\0';
    snprintf(out, capacity, "%s", brand[start] ? brand + start : "unknown");
}

#else

bool rt_cpu_has(const char *feature)
{
    (void)feature;
    return false;
}

void rt_cpu_name(char *out, size_t capacity)
{
    snprintf(out, capacity, "unknown");
}

#endif

rt_status rt_cpu_check(const char *const *features)
{
    char missing[512];
    size_t used = 0;
    for (; features && *features; features++) {
        if (rt_cpu_has(*features) || used >= sizeof missing)
            continue;
        used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", used ? ", " : "",
                                 *features);
    }
    return used ? rt_fail(CPU_LACKS, missing) : 0;
}
