/* What all devices share: see device.h. */
#include "runtime/device.h"

#include <stdio.h>
#include <string.h>

rt_u64 rt_fetch_bytes(const struct rt_program *program)
{
    enum { LEAST = 4096, BYTES_OF_ROW = 8 };
    rt_u64 bytes = (rt_u64)program->batch * BYTES_OF_ROW;
    return bytes > LEAST ? bytes : LEAST;
}

const struct rt_program *rt_cpu_program(const struct rt_program *first)
{
    while (first && first->gpu)
        first = first->other;
    return first;
}

const char *rt_target_names(const struct rt_program *first, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (; first && used + 1 < size; first = first->other) {
        snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                 first->gpu ? first->gpu->name : first->cpu);
        used += strlen(text + used);
    }
    return text;
}
