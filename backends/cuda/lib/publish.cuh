/*
 * Results that one block hands to another of the same launch: the blocks that share a result
 * publish their parts, then each calls publish_last on the counter of that result; the one for
 * which it returns 1 collects all parts. Nothing else may pass between blocks.
 */
#ifndef SINTER_CUDA_PUBLISH
#define SINTER_CUDA_PUBLISH
#include "memory.cuh"

#ifdef SINTER_EMULATED

DEVICE void at_publish_f32(int line, g_f32 *to, float value)
{
    emulated_self()->calls->publish(line, &to->cell, &value, 1);
}

DEVICE void at_publish_f32x4(int line, g_f32 *to, struct f32x4 value)
{
    emulated_self()->calls->publish(line, &to->cell, value.at, 4);
}

DEVICE float at_collect_f32(int line, const g_f32 *from)
{
    EMULATED_GLOBAL(collect, line, from, 4);
    return from->cell;
}

DEVICE struct f32x4 at_collect_f32x4(int line, const g_f32 *from)
{
    EMULATED_GLOBAL(collect, line, from, 16);
    return *(const struct f32x4 *)from;
}

#define publish_f32(to, value) at_publish_f32(__LINE__, to, value)
#define publish_f32x4(to, value) at_publish_f32x4(__LINE__, to, value)
#define publish_last(counter, expected)                                                            \
    emulated_self()->calls->publish_last(__LINE__, &(counter)->cell, expected)
#define collect_f32(from) at_collect_f32(__LINE__, from)
#define collect_f32x4(from) at_collect_f32x4(__LINE__, from)

#else

DEVICE void publish_f32(g_f32 *to, float value)
{
    asm volatile("st.global.cg.f32 [%0], %1;" ::"l"(to), "f"(value) : "memory");
}

DEVICE void publish_f32x4(g_f32 *to, struct f32x4 value)
{
    asm volatile("st.global.cg.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(value.at[0]),
                 "f"(value.at[1]), "f"(value.at[2]), "f"(value.at[3])
                 : "memory");
}

/*
 * Called by all threads of a block. Whether this block is the last of `expected` that call it on
 * this counter; the last one sets the counter back to 0. The fences order what was published
 * before the count, and the count before what is collected; the barriers extend that from one
 * thread to the block.
 */
DEVICE int publish_last(g_i32 *counter, int expected)
{
    rt_u32 before = 0;
    int last = 0;
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
    block_barrier();
    if (thread_index() == 0) {
        asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;"
                     : "=r"(before)
                     : "l"(counter)
                     : "memory");
        last = before == (rt_u32)expected - 1;
        if (last)
            asm volatile("st.global.cg.u32 [%0], 0;" ::"l"(counter) : "memory");
    }
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.s32 p, %1, 0;\n\t"
                 "bar.red.or.pred p, 0, p;\n\tselp.s32 %0, 1, 0, p;\n\t}"
                 : "=r"(last)
                 : "r"(last)
                 : "memory");
    asm volatile("fence.acq_rel.gpu;" ::: "memory");
    return last;
}

DEVICE float collect_f32(const g_f32 *from)
{
    float value;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(value) : "l"(from));
    return value;
}

DEVICE struct f32x4 collect_f32x4(const g_f32 *from)
{
    struct f32x4 value;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(value.at[0]), "=f"(value.at[1]), "=f"(value.at[2]), "=f"(value.at[3])
                 : "l"(from));
    return value;
}

#endif
#endif
