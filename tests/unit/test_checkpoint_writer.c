/* The checkpoints that benchmarks write: valid for our own reader, sharded as asked, and with
 * the values of --init random. */
#include "bench/checkpoint_writer.h"
#include "runtime/convert.h"
#include "runtime/philox.h"
#include "runtime/pool.h"
#include "runtime/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/sinter-writer-XXXXXX";
static struct rt_pool *pool;

enum { ROWS = 700, COLUMNS = 401 }; /* several tiles, the last one partly filled */

static void fill_table(struct rt_weight *table)
{
    static const char *const names[] = {"half", "single", "brain", "ones"};
    static const enum rt_dtype dtypes[] = {RT_F16, RT_F32, RT_BF16, RT_BF16};
    for (rt_u32 i = 0; i < 4; i++)
        table[i] = (struct rt_weight){.name = names[i],
                                      .dtype = dtypes[i],
                                      .rank = 2,
                                      .dims = {ROWS, COLUMNS},
                                      .initializer = 0.02f,
                                      .ordinal = i};
    table[3] =
        (struct rt_weight){.name = "ones", .dtype = RT_BF16, .rank = 1, .dims = {3}, .constant = 1};
}

static float value_at(const struct rt_checkpoint *checkpoint, const char *name, uint64_t index)
{
    const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, name);
    assert_non_null(tensor);
    int dtype = rt_stored_dtype(tensor->stored);
    unsigned size = dtype == RT_F32 ? 4 : 2;
    float value;
    const char *data = rt_tensor_data(checkpoint, tensor);
    assert_true(rt_convert(&value, RT_F32, data + index * size, (rt_u32)dtype, 1));
    return value;
}

static void check_values(const struct rt_checkpoint *checkpoint)
{
    static const char *const names[] = {"half", "single", "brain"};
    float scale = rt_random_scale(0.02f);
    for (uint64_t i = 0; i < ROWS * COLUMNS; i++) {
        for (uint32_t tensor = 0; tensor < 3; tensor++) {
            uint32_t wide = (uint32_t)rt_random_bf16(5, tensor, i, scale) << 16;
            float expected, found = value_at(checkpoint, names[tensor], i);
            memcpy(&expected, &wide, sizeof expected);
            if (tensor == 0)
                expected = rt_f32_of_f16(rt_f16_of_f32(expected));
            if (found != expected)
                fail_msg("%s %llu", names[tensor], (unsigned long long)i);
        }
    }
    for (uint64_t i = 0; i < 3; i++)
        assert_true(value_at(checkpoint, "ones", i) == 1);
}

/* Shard sizes that give one file, two, and one for each tensor. */
static void writes_what_it_should(void **state)
{
    (void)state;
    static const struct {
        rt_u64 shard_bytes;
        uint32_t files;
    } cases[] = {{UINT64_C(1) << 40, 1}, {ROWS * COLUMNS * 6, 2}, {1, 4}};
    for (int i = 0; i < 3; i++) {
        struct rt_weight table[4];
        struct rt_checkpoint *checkpoint;
        char place[64];
        snprintf(place, sizeof place, "%s/%d", directory, i);
        assert_int_equal(mkdir(place, 0700), 0);
        fill_table(table);
        assert_int_equal(checkpoint_write(place, table, 4, cases[i].shard_bytes, 5, pool), EXIT_OK);
        if (rt_checkpoint_open(place, &checkpoint))
            fail_msg("%s", rt_status_text());
        assert_int_equal(checkpoint->file_count, cases[i].files);
        assert_int_equal(checkpoint->tensor_count, 4);
        assert_int_equal(checkpoint->files[0].data % 8, 0);
        if (i == 1)
            check_values(checkpoint);
        rt_checkpoint_close(checkpoint);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    struct rt_weight table[1] = {{.name = "huge",
                                  .dtype = RT_BF16,
                                  .rank = 2,
                                  .dims = {1 << 30, 1 << 27},
                                  .initializer = 1}};
    assert_int_equal(checkpoint_write(directory, table, 1, UINT64_MAX, 0, pool), EXIT_FILE);
    assert_non_null(strstr(rt_status_text(), "the disk has"));
    rt_status_clear();
    table[0].dims[0] = 1;
    assert_int_equal(checkpoint_write("/nowhere", table, 1, UINT64_MAX, 0, pool), EXIT_FILE);
    rt_status_clear();
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL || rt_pool_open(&pool, 2, false) != EXIT_OK;
}

static int tear_down(void **state)
{
    (void)state;
    char command[300];
    rt_pool_close(pool);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_what_it_should),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
