/*
 * Global and shared memory. A vector access is one instruction, so its address is a multiple of
 * its size (f32x8 and 16-bit x8: of 16 bytes); under emulation anything else is reported.
 * Values narrower than 32 bits are widened when loaded and rounded to nearest when stored.
 *
 * Functions whose names begin with at_ take the line of the kernel's text, for the reports of
 * the emulation, and are used through the macros at the end; the device drops it.
 */
#ifndef SINTER_CUDA_MEMORY
#define SINTER_CUDA_MEMORY
#include "core.cuh"

struct f32x2 {
    float at[2];
};
struct f32x4 {
    float at[4];
};
struct f32x8 {
    float at[8];
};
struct i32x4 {
    rt_i32 at[4];
};
struct u32x2 {
    rt_u32 at[2];
};
struct u32x4 {
    rt_u32 at[4];
};

/* --- pairs of 16-bit elements --- */

DEVICE float low_bf16(rt_u32 pair)
{
    return f32_of_bits(pair << 16);
}

DEVICE float high_bf16(rt_u32 pair)
{
    return f32_of_bits(pair & 0xffff0000);
}

DEVICE float low_f16(rt_u32 pair)
{
    return from_f16((rt_u16)pair);
}

DEVICE float high_f16(rt_u32 pair)
{
    return from_f16((rt_u16)(pair >> 16));
}

#ifdef SINTER_EMULATED

DEVICE rt_u32 pack_bf16x2(float low, float high)
{
    return to_bf16(low) | (rt_u32)to_bf16(high) << 16;
}

DEVICE rt_u32 pack_f16x2(float low, float high)
{
    return to_f16(low) | (rt_u32)to_f16(high) << 16;
}

#else

DEVICE rt_u32 pack_bf16x2(float low, float high)
{
    rt_u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

DEVICE rt_u32 pack_f16x2(float low, float high)
{
    rt_u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

#endif

/* The elements of `count` words that hold pairs. */
#define WIDEN(name, low, high)                                                                     \
    DEVICE struct f32x8 widen_##name##x8(struct u32x4 words)                                       \
    {                                                                                              \
        struct f32x8 wide;                                                                         \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++) {                                                              \
            wide.at[2 * i] = low(words.at[i]);                                                     \
            wide.at[2 * i + 1] = high(words.at[i]);                                                \
        }                                                                                          \
        return wide;                                                                               \
    }
WIDEN(bf16, low_bf16, high_bf16)
WIDEN(f16, low_f16, high_f16)
#undef WIDEN

/* --- 4, 8 and 16 bytes of global memory: what the vectors below are made of --- */

#ifdef SINTER_EMULATED

#ifdef SINTER_SHADOW
#define EMULATED_GLOBAL(primitive, line, address, bytes)                                           \
    emulated_self()->calls->global(EMULATED_##primitive, line, address, bytes)
#define EMULATED_SHARED(primitive, line, address, bytes)                                           \
    emulated_self()->calls->shared(EMULATED_##primitive, line, address, bytes)
#else
/* Only what the hardware would trap. */
#define EMULATED_GLOBAL(primitive, line, address, bytes)                                           \
    ((rt_u64)(address) % (rt_u64)(bytes)                                                           \
         ? emulated_self()->calls->misaligned(EMULATED_##primitive, line, address, bytes)          \
         : (void)0)
#define EMULATED_SHARED(primitive, line, address, bytes)                                           \
    EMULATED_GLOBAL(primitive, line, (const void *)(rt_u64)(address), bytes)
#endif

#define RAW_ACCESS(bytes, words)                                                                   \
    DEVICE struct words at_load##bytes(int line, const void *from)                                 \
    {                                                                                              \
        EMULATED_GLOBAL(load, line, from, bytes);                                                  \
        return *(const struct words *)from;                                                        \
    }                                                                                              \
    DEVICE void at_store##bytes(int line, void *to, struct words value)                            \
    {                                                                                              \
        EMULATED_GLOBAL(store, line, to, bytes);                                                   \
        *(struct words *)to = value;                                                               \
    }
RAW_ACCESS(8, u32x2)
RAW_ACCESS(16, u32x4)
#undef RAW_ACCESS

DEVICE rt_u32 at_load4(int line, const void *from)
{
    EMULATED_GLOBAL(load, line, from, 4);
    return *(const rt_u32 *)from;
}

DEVICE void at_store4(int line, void *to, rt_u32 value)
{
    EMULATED_GLOBAL(store, line, to, 4);
    *(rt_u32 *)to = value;
}

DEVICE struct u32x4 at_load16_stream(int line, const void *from)
{
    return at_load16(line, from);
}

#else

#define EMULATED_GLOBAL(primitive, line, address, bytes) ((void)0)

DEVICE rt_u32 at_load4(int, const void *from)
{
    return *(const rt_u32 *)from;
}

DEVICE struct u32x2 at_load8(int, const void *from)
{
    uint2 word = *(const uint2 *)from;
    struct u32x2 value = {{word.x, word.y}};
    return value;
}

DEVICE struct u32x4 at_load16(int, const void *from)
{
    uint4 word = *(const uint4 *)from;
    struct u32x4 value = {{word.x, word.y, word.z, word.w}};
    return value;
}

/* Of what no launch writes and every block reads once: weights. */
DEVICE struct u32x4 at_load16_stream(int, const void *from)
{
    struct u32x4 value;
    asm("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(value.at[0]), "=r"(value.at[1]), "=r"(value.at[2]), "=r"(value.at[3])
        : "l"(from));
    return value;
}

DEVICE void at_store4(int, void *to, rt_u32 value)
{
    *(rt_u32 *)to = value;
}

DEVICE void at_store8(int, void *to, struct u32x2 value)
{
    *(uint2 *)to = make_uint2(value.at[0], value.at[1]);
}

DEVICE void at_store16(int, void *to, struct u32x4 value)
{
    *(uint4 *)to = make_uint4(value.at[0], value.at[1], value.at[2], value.at[3]);
}

#endif

/* --- single elements --- */

#define SAME(x) (x)
#define ELEMENT(name, type, decode, encode)                                                        \
    DEVICE type at_load_##name(int line, const g_##name *from)                                     \
    {                                                                                              \
        (void)line;                                                                                \
        EMULATED_GLOBAL(load, line, from, sizeof *from);                                           \
        return decode(from->cell);                                                                 \
    }                                                                                              \
    DEVICE void at_store_##name(int line, g_##name *to, type value)                                \
    {                                                                                              \
        (void)line;                                                                                \
        EMULATED_GLOBAL(store, line, to, sizeof *to);                                              \
        to->cell = encode(value);                                                                  \
    }
ELEMENT(f32, float, SAME, SAME)
ELEMENT(f64, double, SAME, SAME)
ELEMENT(bf16, float, from_bf16, to_bf16)
ELEMENT(f16, float, from_f16, to_f16)
ELEMENT(i32, int, SAME, SAME)
ELEMENT(i64, rt_i64, SAME, SAME)
ELEMENT(u8, int, SAME, (rt_u8))
#undef ELEMENT

/* --- vectors --- */

DEVICE struct f32x2 at_load_f32x2(int line, const g_f32 *from)
{
    struct u32x2 words = at_load8(line, from);
    struct f32x2 value = {{f32_of_bits(words.at[0]), f32_of_bits(words.at[1])}};
    return value;
}

DEVICE struct f32x4 f32x4_of_words(struct u32x4 words)
{
    struct f32x4 value;
    UNROLL
    for (int i = 0; i < 4; i++)
        value.at[i] = f32_of_bits(words.at[i]);
    return value;
}

DEVICE struct u32x4 words_of_f32x4(struct f32x4 value)
{
    struct u32x4 words;
    UNROLL
    for (int i = 0; i < 4; i++)
        words.at[i] = bits_of_f32(value.at[i]);
    return words;
}

DEVICE struct f32x4 at_load_f32x4(int line, const g_f32 *from)
{
    return f32x4_of_words(at_load16(line, from));
}

DEVICE struct f32x8 at_load_f32x8(int line, const g_f32 *from)
{
    struct f32x4 low = at_load_f32x4(line, from), high = at_load_f32x4(line, from + 4);
    struct f32x8 value;
    UNROLL
    for (int i = 0; i < 4; i++) {
        value.at[i] = low.at[i];
        value.at[4 + i] = high.at[i];
    }
    return value;
}

DEVICE struct i32x4 at_load_i32x4(int line, const g_i32 *from)
{
    struct u32x4 words = at_load16(line, from);
    struct i32x4 value;
    UNROLL
    for (int i = 0; i < 4; i++)
        value.at[i] = (rt_i32)words.at[i];
    return value;
}

DEVICE void at_store_f32x2(int line, g_f32 *to, struct f32x2 value)
{
    struct u32x2 words = {{bits_of_f32(value.at[0]), bits_of_f32(value.at[1])}};
    at_store8(line, to, words);
}

DEVICE void at_store_f32x4(int line, g_f32 *to, struct f32x4 value)
{
    at_store16(line, to, words_of_f32x4(value));
}

DEVICE void at_store_f32x8(int line, g_f32 *to, struct f32x8 value)
{
    struct f32x4 low, high;
    UNROLL
    for (int i = 0; i < 4; i++) {
        low.at[i] = value.at[i];
        high.at[i] = value.at[4 + i];
    }
    at_store_f32x4(line, to, low);
    at_store_f32x4(line, to + 4, high);
}

DEVICE void at_store_i32x4(int line, g_i32 *to, struct i32x4 value)
{
    struct u32x4 words;
    UNROLL
    for (int i = 0; i < 4; i++)
        words.at[i] = (rt_u32)value.at[i];
    at_store16(line, to, words);
}

#define HALF_VECTORS(name)                                                                         \
    DEVICE struct f32x2 at_load_##name##x2(int line, const g_##name *from)                         \
    {                                                                                              \
        rt_u32 word = at_load4(line, from);                                                        \
        struct f32x2 value = {{low_##name(word), high_##name(word)}};                              \
        return value;                                                                              \
    }                                                                                              \
    DEVICE struct f32x4 at_load_##name##x4(int line, const g_##name *from)                         \
    {                                                                                              \
        struct u32x2 words = at_load8(line, from);                                                 \
        struct f32x4 value = {{low_##name(words.at[0]), high_##name(words.at[0]),                  \
                               low_##name(words.at[1]), high_##name(words.at[1])}};                \
        return value;                                                                              \
    }                                                                                              \
    DEVICE struct f32x8 at_load_##name##x8(int line, const g_##name *from)                         \
    {                                                                                              \
        return widen_##name##x8(at_load16(line, from));                                            \
    }                                                                                              \
    DEVICE void at_store_##name##x2(int line, g_##name *to, struct f32x2 value)                    \
    {                                                                                              \
        at_store4(line, to, pack_##name##x2(value.at[0], value.at[1]));                            \
    }                                                                                              \
    DEVICE void at_store_##name##x4(int line, g_##name *to, struct f32x4 value)                    \
    {                                                                                              \
        struct u32x2 words = {{pack_##name##x2(value.at[0], value.at[1]),                          \
                               pack_##name##x2(value.at[2], value.at[3])}};                        \
        at_store8(line, to, words);                                                                \
    }                                                                                              \
    DEVICE struct u32x4 pack_##name##x8(struct f32x8 value)                                        \
    {                                                                                              \
        struct u32x4 words;                                                                        \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            words.at[i] = pack_##name##x2(value.at[2 * i], value.at[2 * i + 1]);                   \
        return words;                                                                              \
    }                                                                                              \
    DEVICE void at_store_##name##x8(int line, g_##name *to, struct f32x8 value)                    \
    {                                                                                              \
        at_store16(line, to, pack_##name##x8(value));                                              \
    }
HALF_VECTORS(bf16)
HALF_VECTORS(f16)
#undef HALF_VECTORS

/* --- shared memory --- */

#ifdef SINTER_EMULATED

/* The start of the block's dynamic shared memory, a multiple of 1024. */
#define shared_window() ((shared_t)0)

#define SHARED_ELEMENT(name, type)                                                                 \
    DEVICE type at_shared_load_##name(int line, shared_t from)                                     \
    {                                                                                              \
        EMULATED_SHARED(shared_load, line, from, sizeof(type));                                    \
        return *(const type *)(emulated_self()->shared + from);                                    \
    }                                                                                              \
    DEVICE void at_shared_store_##name(int line, shared_t to, type value)                          \
    {                                                                                              \
        EMULATED_SHARED(shared_store, line, to, sizeof(type));                                     \
        *(type *)(emulated_self()->shared + to) = value;                                           \
    }
SHARED_ELEMENT(f32, float)
SHARED_ELEMENT(f64, double)
SHARED_ELEMENT(u32, rt_u32)
SHARED_ELEMENT(i32, rt_i32)
SHARED_ELEMENT(u16, rt_u16)
SHARED_ELEMENT(f32x2, struct f32x2)
SHARED_ELEMENT(f32x4, struct f32x4)
SHARED_ELEMENT(16, struct u32x4)
#undef SHARED_ELEMENT

#else

DEVICE shared_t shared_window()
{
    extern __shared__ __align__(1024) char dynamic_shared[];
    return (shared_t)__cvta_generic_to_shared(dynamic_shared);
}

#define SHARED_ELEMENT(name, type, suffix, letter)                                                 \
    DEVICE type at_shared_load_##name(int, shared_t from)                                          \
    {                                                                                              \
        type value;                                                                                \
        asm volatile("ld.shared." suffix " %0, [%1];" : "=" letter(value) : "r"(from));            \
        return value;                                                                              \
    }                                                                                              \
    DEVICE void at_shared_store_##name(int, shared_t to, type value)                               \
    {                                                                                              \
        asm volatile("st.shared." suffix " [%0], %1;" ::"r"(to), letter(value) : "memory");        \
    }
SHARED_ELEMENT(f32, float, "f32", "f")
SHARED_ELEMENT(f64, double, "f64", "d")
SHARED_ELEMENT(u32, rt_u32, "u32", "r")
SHARED_ELEMENT(i32, rt_i32, "s32", "r")
SHARED_ELEMENT(u16, rt_u16, "u16", "h")
#undef SHARED_ELEMENT

DEVICE struct f32x2 at_shared_load_f32x2(int, shared_t from)
{
    struct f32x2 value;
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];"
                 : "=f"(value.at[0]), "=f"(value.at[1])
                 : "r"(from));
    return value;
}

DEVICE void at_shared_store_f32x2(int, shared_t to, struct f32x2 value)
{
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to), "f"(value.at[0]), "f"(value.at[1])
                 : "memory");
}

DEVICE struct u32x4 at_shared_load_16(int, shared_t from)
{
    struct u32x4 value;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.at[0]), "=r"(value.at[1]), "=r"(value.at[2]), "=r"(value.at[3])
                 : "r"(from));
    return value;
}

DEVICE void at_shared_store_16(int, shared_t to, struct u32x4 value)
{
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(value.at[0]),
                 "r"(value.at[1]), "r"(value.at[2]), "r"(value.at[3])
                 : "memory");
}

DEVICE struct f32x4 at_shared_load_f32x4(int line, shared_t from)
{
    return f32x4_of_words(at_shared_load_16(line, from));
}

DEVICE void at_shared_store_f32x4(int line, shared_t to, struct f32x4 value)
{
    at_shared_store_16(line, to, words_of_f32x4(value));
}

#endif

/* --- the names that kernels use --- */

#define load_f32(from) at_load_f32(__LINE__, from)
#define load_f64(from) at_load_f64(__LINE__, from)
#define load_bf16(from) at_load_bf16(__LINE__, from)
#define load_f16(from) at_load_f16(__LINE__, from)
#define load_i32(from) at_load_i32(__LINE__, from)
#define load_i64(from) at_load_i64(__LINE__, from)
#define load_u8(from) at_load_u8(__LINE__, from)
#define load_f32x2(from) at_load_f32x2(__LINE__, from)
#define load_f32x4(from) at_load_f32x4(__LINE__, from)
#define load_f32x8(from) at_load_f32x8(__LINE__, from)
#define load_i32x4(from) at_load_i32x4(__LINE__, from)
#define load_bf16x2(from) at_load_bf16x2(__LINE__, from)
#define load_bf16x4(from) at_load_bf16x4(__LINE__, from)
#define load_bf16x8(from) at_load_bf16x8(__LINE__, from)
#define load_f16x2(from) at_load_f16x2(__LINE__, from)
#define load_f16x4(from) at_load_f16x4(__LINE__, from)
#define load_f16x8(from) at_load_f16x8(__LINE__, from)
#define load4(from) at_load4(__LINE__, from)
#define load8(from) at_load8(__LINE__, from)
#define load16(from) at_load16(__LINE__, from)
#define load16_stream(from) at_load16_stream(__LINE__, from)
#define store_f32(to, value) at_store_f32(__LINE__, to, value)
#define store_f64(to, value) at_store_f64(__LINE__, to, value)
#define store_bf16(to, value) at_store_bf16(__LINE__, to, value)
#define store_f16(to, value) at_store_f16(__LINE__, to, value)
#define store_i32(to, value) at_store_i32(__LINE__, to, value)
#define store_i64(to, value) at_store_i64(__LINE__, to, value)
#define store_u8(to, value) at_store_u8(__LINE__, to, value)
#define store_f32x2(to, value) at_store_f32x2(__LINE__, to, value)
#define store_f32x4(to, value) at_store_f32x4(__LINE__, to, value)
#define store_f32x8(to, value) at_store_f32x8(__LINE__, to, value)
#define store_i32x4(to, value) at_store_i32x4(__LINE__, to, value)
#define store_bf16x2(to, value) at_store_bf16x2(__LINE__, to, value)
#define store_bf16x4(to, value) at_store_bf16x4(__LINE__, to, value)
#define store_bf16x8(to, value) at_store_bf16x8(__LINE__, to, value)
#define store_f16x2(to, value) at_store_f16x2(__LINE__, to, value)
#define store_f16x4(to, value) at_store_f16x4(__LINE__, to, value)
#define store_f16x8(to, value) at_store_f16x8(__LINE__, to, value)
#define store4(to, value) at_store4(__LINE__, to, value)
#define store8(to, value) at_store8(__LINE__, to, value)
#define store16(to, value) at_store16(__LINE__, to, value)
#define shared_load_f32(from) at_shared_load_f32(__LINE__, from)
#define shared_load_f64(from) at_shared_load_f64(__LINE__, from)
#define shared_load_u32(from) at_shared_load_u32(__LINE__, from)
#define shared_load_i32(from) at_shared_load_i32(__LINE__, from)
#define shared_load_u16(from) at_shared_load_u16(__LINE__, from)
#define shared_load_f32x2(from) at_shared_load_f32x2(__LINE__, from)
#define shared_load_f32x4(from) at_shared_load_f32x4(__LINE__, from)
#define shared_load_16(from) at_shared_load_16(__LINE__, from)
#define shared_store_f32(to, value) at_shared_store_f32(__LINE__, to, value)
#define shared_store_f64(to, value) at_shared_store_f64(__LINE__, to, value)
#define shared_store_u32(to, value) at_shared_store_u32(__LINE__, to, value)
#define shared_store_i32(to, value) at_shared_store_i32(__LINE__, to, value)
#define shared_store_u16(to, value) at_shared_store_u16(__LINE__, to, value)
#define shared_store_f32x2(to, value) at_shared_store_f32x2(__LINE__, to, value)
#define shared_store_f32x4(to, value) at_shared_store_f32x4(__LINE__, to, value)
#define shared_store_16(to, value) at_shared_store_16(__LINE__, to, value)
#endif
