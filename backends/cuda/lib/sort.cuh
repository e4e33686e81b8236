/*
 * A stable sort of (key, place) pairs by any number of blocks: each sorts a run in shared memory
 * (Batcher, "Sorting networks and their applications", 1968), then of two neighbouring runs the
 * block that is done last merges both, by tiles that the diagonals of the merge cut (Green,
 * McColl and Bader, "GPU merge path", 2012). All pairs differ, so their order is one.
 */
#ifndef SINTER_CUDA_SORT
#define SINTER_CUDA_SORT
#include "publish.cuh"
#include "math.cuh"

#include "../../lib/keys.h"

/* Runs in memory: key i at keys[i], place i at keys[slots + i]. In shared memory likewise, in
 * words. */
struct sort_pair {
    rt_u32 key, place;
};

DEVICE int sort_before(struct sort_pair a, struct sort_pair b)
{
    return a.key < b.key || (a.key == b.key && a.place < b.place);
}

DEVICE struct sort_pair sort_get(shared_t base, int slots, int i)
{
    struct sort_pair pair;
    pair.key = shared_load_u32(base + i * 4);
    pair.place = shared_load_u32(base + (slots + i) * 4);
    return pair;
}

DEVICE void sort_put(shared_t base, int slots, int i, struct sort_pair pair)
{
    shared_store_u32(base + i * 4, pair.key);
    shared_store_u32(base + (slots + i) * 4, pair.place);
}

/* Sorts `count` pairs, a power of two, in shared memory. */
DEVICE void sort_run(shared_t base, int count, int threads)
{
    NO_UNROLL
    for (int size = 2; size <= count; size *= 2) {
        NO_UNROLL
        for (int step = size / 2; step > 0; step /= 2) {
            block_barrier();
            NO_UNROLL
            for (int i = thread_index(); i < count / 2; i += threads) {
                int low = 2 * i - (i & (step - 1)), high = low + step;
                struct sort_pair a = sort_get(base, count, low), b = sort_get(base, count, high);
                if (sort_before(a, b) != ((low & size) == 0)) {
                    sort_put(base, count, low, b);
                    sort_put(base, count, high, a);
                }
            }
        }
    }
    block_barrier();
}

/* How many of the first `wanted` pairs of both runs together come from the first: the runs are
 * first[0..], of `a` pairs, and second[0..], of `b`, in shared memory. */
DEVICE int sort_cut(shared_t base, int slots, int second, int a, int b, int wanted)
{
    int low = wanted > b ? wanted - b : 0, high = wanted < a ? wanted : a;
    NO_UNROLL
    while (low < high) {
        int middle = (low + high) / 2;
        struct sort_pair x = sort_get(base, slots, middle);
        struct sort_pair y = sort_get(base, slots, second + wanted - 1 - middle);
        if (sort_before(x, y))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

DEVICE void sort_load(shared_t base, int slots, int at, const g_f32 *from, int stride, int count,
                      int threads)
{
    UNROLL_BY(4)
    for (int i = thread_index(); i < count; i += threads) {
        struct sort_pair pair;
        pair.key = bits_of_f32(collect_f32(from + i));
        pair.place = bits_of_f32(collect_f32(from + stride + i));
        sort_put(base, slots, at + i, pair);
    }
}

/* One tile of a merge: the first `wanted` of at most `half` pairs of both runs, which stand in
 * shared memory at 0 and at `half`, go to `to` in shared memory. */
DEVICE void sort_tile(shared_t base, int half, int a, int b, int wanted, shared_t to, int threads)
{
    int each = half / threads, done = thread_index() * each;
    int i = sort_cut(base, 2 * half, half, a, b, done < wanted ? done : wanted);
    int j = (done < wanted ? done : wanted) - i;
    NO_UNROLL
    for (int e = 0; e < each; e++) {
        if (done + e >= wanted)
            break;
        int first = j >= b;
        if (i < a && j < b)
            first = sort_before(sort_get(base, 2 * half, i), sort_get(base, 2 * half, half + j));
        sort_put(to, half, done + e, sort_get(base, 2 * half, first ? i : half + j));
        i += first;
        j += !first;
    }
}

/* `count` words from shared memory, four at a time. */
DEVICE void sort_publish(g_f32 *to, shared_t from, int count, int threads)
{
    NO_UNROLL
    for (int i = thread_index() * 4; i < count; i += threads * 4) {
        struct f32x4 words = shared_load_f32x4(from + i * 4);
        if (i + 4 <= count) {
            publish_f32x4(to + i, words);
        } else {
            UNROLL
            for (int e = 0; e < 3; e++)
                if (i + e < count)
                    publish_f32(to + i + e, words.at[e]);
        }
    }
}

/* Merges from[0..a-1] and from[a..a+b-1] into `to`, half of `keys` pairs at a time. */
DEVICE void sort_merge(shared_t base, int keys, const g_f32 *from, g_f32 *to, int stride, int a,
                       int b, int threads)
{
    int i = 0, j = 0, half = keys / 2;
    shared_t merged = base + keys * 8;
    NO_UNROLL
    while (i + j < a + b) {
        int left = a - i < half ? a - i : half, right = b - j < half ? b - j : half;
        int rest = a + b - i - j, wanted = rest < half ? rest : half;
        block_barrier();
        sort_load(base, keys, 0, from + i, stride, left, threads);
        sort_load(base, keys, half, from + a + j, stride, right, threads);
        block_barrier();
        sort_tile(base, half, left, right, wanted, merged, threads);
        int cut = sort_cut(base, keys, half, left, right, wanted);
        block_barrier();
        sort_publish(to + i + j, merged, wanted, threads);
        sort_publish(to + stride + i + j, merged + half * 4, wanted, threads);
        i += cut;
        j += wanted - cut;
    }
}

/*
 * Joins the runs of a line's `pieces` blocks; this block has sorted the pairs of `piece` in shared
 * memory. The line has `count` pairs, runs of `keys`, 4 * pieces * keys words of workspace, which
 * levels of runs use in turn, and 2 * pieces counters: who merges two runs comes after all that
 * read or wrote this part of the workspace. Where the sorted pairs are in the workspace: for the
 * one block that is last; -1 for the others.
 */
DEVICE int sort_join(shared_t base, g_f32 *workspace, g_i32 *counters, int piece, int pieces,
                     int keys, int count, int threads)
{
    int stride = pieces * keys, runs = pieces, run = piece, size = keys, from = 0;
    int own = count - piece * keys < keys ? count - piece * keys : keys;
    NO_UNROLL
    for (int i = thread_index(); i < own; i += threads) {
        struct sort_pair pair = sort_get(base, keys, i);
        publish_f32(workspace + piece * keys + i, f32_of_bits(pair.key));
        publish_f32(workspace + stride + piece * keys + i, f32_of_bits(pair.place));
    }
    NO_UNROLL
    while (runs > 1) {
        int start = run / 2 * 2 * size, both = (run ^ 1) < runs;
        if (!publish_last(counters + run / 2, both ? 2 : 1))
            return -1;
        int a = count - start < size ? count - start : size;
        int rest = count - start - a, b = rest < size ? rest : size;
        sort_merge(base, keys, workspace + from + start, workspace + 2 * stride - from + start,
                   stride, a, b, threads);
        from = 2 * stride - from;
        runs = (runs + 1) / 2;
        counters += runs;
        run /= 2;
        size *= 2;
    }
    publish_last(counters, 1);
    return from;
}

#endif
