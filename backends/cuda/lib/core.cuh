/*
 * Device library of the CUDA backend: what all kernels stand on. This text is put in front of
 * every emitted kernel, which includes nothing; compiled alone, a file finds what it needs by its
 * includes, which embedding drops. It compiles under NVRTC and nvcc, and as gnu17 C for the host
 * with SINTER_EMULATED defined: then each primitive is its emulated twin, and SINTER_SHADOW
 * besides makes it report every access to memory.
 *
 * Every block is one-dimensional and made of whole warps, every grid is one-dimensional.
 * Collectives (shuffles, barriers, ldmatrix, mma) are for all 32 lanes of a warp at once.
 */
#ifndef SINTER_CUDA_CORE
#define SINTER_CUDA_CORE

/* NVRTC knows the compilers' builtins by their names in C. */
#ifdef __CUDACC_RTC__
#define __builtin_inff() f32_of_bits(0x7f800000u)
#define __builtin_nanf(text) f32_of_bits(0x7fc00000u)
#define __builtin_nan(text) ((double)f32_of_bits(0x7fc00000u))
#define __builtin_fabsf fabsf
#define __builtin_sqrtf sqrtf
#define __builtin_floorf floorf
#define __builtin_rintf rintf
#define __builtin_copysignf copysignf
#define __builtin_fabs fabs
#define __builtin_sqrt sqrt
#define __builtin_floor floor
#define __builtin_rint rint
#define __builtin_exp exp
#define __builtin_log log
#define __builtin_sin sin
#define __builtin_cos cos
#define __builtin_tanh tanh
#define __builtin_erf erf
#define __builtin_pow pow
#endif

typedef unsigned char rt_u8;
typedef unsigned short rt_u16;
typedef int rt_i32;
typedef unsigned rt_u32;
typedef long rt_i64;
typedef unsigned long rt_u64;

/* Cells of global memory: structs, so that only the primitives of memory.cuh reach them. */
typedef struct {
    float cell;
} g_f32;
typedef struct {
    double cell;
} g_f64;
typedef struct {
    rt_u16 cell;
} g_bf16;
typedef struct {
    rt_u16 cell;
} g_f16;
typedef struct {
    rt_i32 cell;
} g_i32;
typedef struct {
    rt_i64 cell;
} g_i64;
typedef struct {
    rt_u8 cell;
} g_u8; /* u8 and bool */

/* A byte address in the shared memory of the block. */
typedef rt_u32 shared_t;

#define m_infinity f32_of_bits(0x7f800000u)
#define m_last 2147483647.0f /* after every index */

#ifndef SINTER_EMULATED
#define __builtin_fmaf fmaf
#endif

#ifdef SINTER_EMULATED

#define DEVICE static inline __attribute__((always_inline, unused))
#define KERNEL(threads, residency) static void
#define UNROLL
#define NO_UNROLL
#define UNROLL_BY(n)

/* Every primitive that the emulation sees, by the name that its reports use. */
#define EMULATED_PRIMITIVES(P)                                                                     \
    P(block_barrier) P(named_barrier) P(warp_barrier) P(shuffle_xor) P(shuffle) P(ballot)         \
    P(warp_sum) P(warp_max) P(load) P(store) P(load16) P(store16) P(shared_load) P(shared_store)  \
    P(copy_async) P(copy_async_commit) P(copy_async_wait) P(ldmatrix) P(ldmatrix_trans)           \
    P(mma_bf16) P(mma_f16) P(mma_tf32) P(publish) P(publish_last) P(collect)

#define EMULATED_ENUM(name) EMULATED_##name,
enum emulated_primitive { EMULATED_PRIMITIVES(EMULATED_ENUM) EMULATED_PRIMITIVE_COUNT };
#undef EMULATED_ENUM

/* What one lane gives to a collective of its warp, and gets from it. */
struct emulated_shuffle {
    rt_u64 bits; /* in and out */
    int lane;    /* shuffle: the source; shuffle_xor: the mask */
};
struct emulated_matrices { /* ldmatrix: `count` (2 or 4) 8x8 matrices */
    rt_u32 *to;
    shared_t row;
    int count;
};
struct emulated_tile { /* mma: c[mt][nt][4] += a[mt][4] * b[nt][2] */
    float *c;
    const rt_u32 *a, *b;
    int mt, nt;
};

/* How a kernel calls the emulation. `line` is the line of the emitted text. */
struct emulated_calls {
    /* A collective of the warp; `lane` is one of the structs above, or NULL. */
    void (*collective)(enum emulated_primitive, int line, void *lane);
    /* Waits for `threads` threads of the block. */
    void (*barrier)(enum emulated_primitive, int line, int id, int threads);
    /* An access to global (shared) memory is about to be made. */
    void (*global)(enum emulated_primitive, int line, const void *address, int bytes);
    void (*shared)(enum emulated_primitive, int line, shared_t address, int bytes);
    void (*misaligned)(enum emulated_primitive, int line, const void *address, int bytes);
    void (*copy)(int line, shared_t to, const void *from, int bytes, int valid);
    void (*copy_commit)(int line);
    void (*copy_wait)(int line, int pending);
    void (*publish)(int line, float *to, const float *from, int count);
    int (*publish_last)(int line, rt_i32 *counter, int expected);
};

/*
 * Every emulated thread has a stack of this size and alignment, with this at its end: so a
 * thread finds itself by the address of its frame, whichever host thread runs it.
 */
enum { EMULATED_STACK = 131072 };
struct emulated_self {
    const struct emulated_calls *calls;
    char *shared; /* the block's shared memory: the host's address of shared address 0 */
    int thread, block;
};

/* A unit of kernels for the emulation defines this table; {0, 0} ends it. */
struct emulated_kernel {
    const char *name;
    void (*entry)(void *const *operands);
};
extern const struct emulated_kernel emulated_kernels[] __attribute__((visibility("default")));

DEVICE struct emulated_self *emulated_self(void)
{
    rt_u64 end = ((rt_u64)__builtin_frame_address(0) | (EMULATED_STACK - 1)) + 1;
    return (struct emulated_self *)end - 1;
}

#define thread_index() (emulated_self()->thread)
#define block_index() (emulated_self()->block)
#define block_barrier() emulated_self()->calls->barrier(EMULATED_block_barrier, __LINE__, 0, 0)
#define named_barrier(id, threads)                                                                 \
    emulated_self()->calls->barrier(EMULATED_named_barrier, __LINE__, id, threads)
#define warp_barrier() emulated_self()->calls->collective(EMULATED_warp_barrier, __LINE__, 0)

#else

#define DEVICE static __device__ __forceinline__ __attribute__((unused))
#define KERNEL(threads, residency)                                                                 \
    extern "C" __global__ void __launch_bounds__(threads, residency)
#define DEVICE_PRAGMA(text) _Pragma(#text)
#define UNROLL DEVICE_PRAGMA(unroll)
#define NO_UNROLL DEVICE_PRAGMA(unroll 1)
#define UNROLL_BY(n) DEVICE_PRAGMA(unroll n)

DEVICE int thread_index()
{
    return (int)threadIdx.x;
}

DEVICE int block_index()
{
    return (int)blockIdx.x;
}

DEVICE void block_barrier()
{
    asm volatile("bar.sync 0;" ::: "memory");
}

/* Barrier `id` (1 to 15) of `threads` threads, a multiple of 32. */
DEVICE void named_barrier(int id, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

DEVICE void warp_barrier()
{
    asm volatile("bar.warp.sync 0xffffffff;" ::: "memory");
}

#endif

#define lane_index() (thread_index() & 31)
#define warp_index() (thread_index() >> 5)

/* --- bits and conversions: the same results everywhere --- */

DEVICE rt_u32 bits_of_f32(float x)
{
    union {
        float real;
        rt_u32 bits;
    } u;
    u.real = x;
    return u.bits;
}

DEVICE float f32_of_bits(rt_u32 x)
{
    union {
        float real;
        rt_u32 bits;
    } u;
    u.bits = x;
    return u.real;
}

DEVICE float from_bf16(rt_u16 x)
{
    return f32_of_bits((rt_u32)x << 16);
}

#ifdef SINTER_EMULATED

/* To nearest, ties to even; NaN stays a quiet NaN. */
DEVICE rt_u16 to_bf16(float x)
{
    rt_u32 bits = bits_of_f32(x);
    rt_u32 rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (rt_u16)((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded);
}

/* The exponent is rebased by a multiplication, which also makes subnormals normal. */
DEVICE float from_f16(rt_u16 x)
{
    rt_u32 sign = (rt_u32)(x & 0x8000) << 16;
    float scaled = f32_of_bits((rt_u32)(x & 0x7fff) << 13) * 0x1p112f;
    rt_u32 bits = scaled >= 65536.0f ? bits_of_f32(scaled) | 0x7f800000 : bits_of_f32(scaled);
    return f32_of_bits(bits | sign);
}

/* To nearest, ties to even: adding a power of two rounds at its last place. */
DEVICE rt_u16 to_f16(float x)
{
    rt_u32 bits = bits_of_f32(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    float magnitude = f32_of_bits(size);
    rt_u32 tiny = bits_of_f32(magnitude + 0.5f) - 0x3f000000;
    rt_u32 normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    rt_u32 big = size > 0x7f800000 ? 0x7e00 : 0x7c00;
    rt_u32 result = size < 0x38800000 ? tiny : normal;
    return (rt_u16)((size >= 0x477ff000 ? big : result) | sign);
}

#else

DEVICE rt_u16 to_bf16(float x)
{
    rt_u16 bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

DEVICE float from_f16(rt_u16 x)
{
    float real;
    asm("cvt.f32.f16 %0, %1;" : "=f"(real) : "h"(x));
    return real;
}

DEVICE rt_u16 to_f16(float x)
{
    rt_u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
}

#endif

DEVICE float round_bf16(float x)
{
    return from_bf16(to_bf16(x));
}

DEVICE float round_f16(float x)
{
    return from_f16(to_f16(x));
}

/* To 10 bits of mantissa, to nearest, ties to even: what a TF32 operand must have had done. */
DEVICE float round_tf32(float x)
{
    rt_u32 bits = bits_of_f32(x);
    rt_u32 rounded = (bits + 0xfff + (bits >> 13 & 1)) & 0xffffe000;
    return f32_of_bits((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : rounded);
}

/* --- fast functions: 2 ulp on the device, subnormals kept; exact under emulation --- */

#ifdef SINTER_EMULATED

DEVICE float exp2_fast(float x)
{
    return __builtin_exp2f(x);
}

DEVICE float log2_fast(float x)
{
    return __builtin_log2f(x);
}

DEVICE float rsqrt_fast(float x)
{
    return 1.0f / __builtin_sqrtf(x);
}

#else

DEVICE float exp2_fast(float x)
{
    float result;
    asm("ex2.approx.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

DEVICE float log2_fast(float x)
{
    float result;
    asm("lg2.approx.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

DEVICE float rsqrt_fast(float x)
{
    float result;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

#endif

/* --- exchanges between the lanes of a warp --- */

#ifdef SINTER_EMULATED

DEVICE rt_u64 emulated_exchange(enum emulated_primitive primitive, int line, rt_u64 bits, int lane)
{
    struct emulated_shuffle own = {bits, lane};
    emulated_self()->calls->collective(primitive, line, &own);
    return own.bits;
}

DEVICE float emulated_exchange_f32(enum emulated_primitive primitive, int line, float value,
                                   int lane)
{
    return f32_of_bits((rt_u32)emulated_exchange(primitive, line, bits_of_f32(value), lane));
}

DEVICE double emulated_exchange_f64(enum emulated_primitive primitive, int line, double value,
                                    int lane)
{
    union {
        double real;
        rt_u64 bits;
    } u = {.real = value};
    u.bits = emulated_exchange(primitive, line, u.bits, lane);
    return u.real;
}

#define shuffle_xor_f32(value, mask)                                                               \
    emulated_exchange_f32(EMULATED_shuffle_xor, __LINE__, value, mask)
#define shuffle_xor_f64(value, mask)                                                               \
    emulated_exchange_f64(EMULATED_shuffle_xor, __LINE__, value, mask)
#define shuffle_xor_i32(value, mask)                                                               \
    ((int)emulated_exchange(EMULATED_shuffle_xor, __LINE__, (rt_u32)(value), mask))
#define shuffle_f32(value, lane)                                                                   \
    emulated_exchange_f32(EMULATED_shuffle, __LINE__, value, lane)
#define shuffle_i32(value, lane)                                                                   \
    ((int)emulated_exchange(EMULATED_shuffle, __LINE__, (rt_u32)(value), lane))
#define warp_ballot(on) ((rt_u32)emulated_exchange(EMULATED_ballot, __LINE__, (on) != 0, 0))
#define warp_sum_f32(value) emulated_exchange_f32(EMULATED_warp_sum, __LINE__, value, 0)
#define warp_max_f32(value) emulated_exchange_f32(EMULATED_warp_max, __LINE__, value, 0)

#else

/* The value of the lane whose number differs in the bits of `mask`. */
DEVICE float shuffle_xor_f32(float value, int mask)
{
    return __shfl_xor_sync(0xffffffffu, value, mask);
}

DEVICE int shuffle_xor_i32(int value, int mask)
{
    return __shfl_xor_sync(0xffffffffu, value, mask);
}

DEVICE double shuffle_xor_f64(double value, int mask)
{
    return __shfl_xor_sync(0xffffffffu, value, mask);
}

DEVICE float shuffle_f32(float value, int lane)
{
    return __shfl_sync(0xffffffffu, value, lane);
}

DEVICE int shuffle_i32(int value, int lane)
{
    return __shfl_sync(0xffffffffu, value, lane);
}

/* Bit i: whether lane i has `on`. */
DEVICE rt_u32 warp_ballot(int on)
{
    return __ballot_sync(0xffffffffu, on);
}

/* Over the warp, in every lane and with the same bits: distances 16, 8, 4, 2, 1. */
DEVICE float warp_sum_f32(float value)
{
    UNROLL
    for (int distance = 16; distance > 0; distance /= 2)
        value += shuffle_xor_f32(value, distance);
    return value;
}

DEVICE float warp_max_f32(float value)
{
    UNROLL
    for (int distance = 16; distance > 0; distance /= 2)
        value = fmaxf(value, shuffle_xor_f32(value, distance));
    return value;
}

#endif

/* NVCC's own headers have a function of this name. */
#define ballot(on) warp_ballot(on)

/* How functions of the texts that all backends share begin. */
#define LIBRARY DEVICE

#include "../../lib/convert.h"

#endif
