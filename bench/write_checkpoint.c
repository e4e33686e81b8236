/*
 * write-checkpoint CONFIG.json DIRECTORY [--layers N] [--shard-size MB] [--dtype bf16|f16|f32]
 * [--seed N]: a Hugging Face directory of random weights for a configuration, at its real size.
 * Which tensors there are is what the shipped description of the model_type says.
 */
#include "bench/checkpoint_writer.h"
#include "compiler/frontends/config.h"
#include "compiler/frontends/file.h"
#include "compiler/language/language.h"
#include "runtime/pool.h"
#include "runtime/session.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CONFIG_BYTES = 16 << 20 };

struct request {
    const char *config, *directory, *layers, *dtype;
    rt_u64 shard_bytes, seed;
};

static const struct {
    const char *name, *full_name;
    enum rt_dtype dtype;
} dtypes[] = {
    {"bf16", "bfloat16", RT_BF16},
    {"f16", "float16", RT_F16},
    {"f32", "float32", RT_F32},
};

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: write-checkpoint CONFIG.json DIRECTORY [--layers N] [--shard-size MB] "
                    "[--dtype bf16|f16|f32] [--seed N]\n");
    exit(EXIT_USAGE);
}

static rt_u64 number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-')
        usage();
    return value;
}

static struct request parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"layers", required_argument, NULL, 'l'},
        {"shard-size", required_argument, NULL, 's'},
        {"dtype", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    struct request request = {.dtype = "bf16", .shard_bytes = UINT64_C(5000) * 1000 * 1000};
    int letter;
    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (letter) {
        case 'l':
            number(optarg);
            request.layers = optarg;
            break;
        case 's': request.shard_bytes = number(optarg) * 1000 * 1000; break;
        case 'd': request.dtype = optarg; break;
        case 'r': request.seed = number(optarg); break;
        default: usage();
        }
    }
    if (argc - optind != 2)
        usage();
    request.config = argv[optind];
    request.directory = argv[optind + 1];
    return request;
}

static size_t dtype_index(const char *name)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return i;
    usage();
}

/* The module of the model's forward function: its weights are what the checkpoint must hold. */
static struct module *lower(struct arena *arena, const struct request *request)
{
    struct config_view *view = config_open(arena, request->config);
    const char *type = config_text(view, "model_type");
    if (!type)
        fatal(CONFIG_ABSENT_KEY, request->config, "model_type");
    struct description *description = description_find(arena, type);
    if (!description)
        fatal(CONFIG_TYPE, request->config, "model_type", "a type that a description serves");
    struct config_source source = config_source_of(view);
    struct setting setting = {"num_hidden_layers", request->layers};
    struct lower_options options = {.model_type = type,
                                    .batch = 1,
                                    .seq = 8,
                                    .config = &source,
                                    .settings = &setting,
                                    .setting_count = request->layers != NULL};
    struct module *module = module_create(arena, description_name(description));
    description_lower(module, description, "forward", &options);
    return module;
}

static struct rt_weight *list_tensors(struct arena *arena, const struct module *module,
                                      enum rt_dtype dtype)
{
    struct rt_weight *tensors = arena_array(arena, struct rt_weight, module->weights.count + 1);
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct node *node = module->weights.items[i];
        const struct type *type = &node->results[0].type;
        tensors[i] = (struct rt_weight){
            .name = attributes_text(&node->attributes, ATTRIBUTE_tensor),
            .dtype = dtype,
            .rank = (rt_u32)type->rank,
            .initializer = (float)attributes_real(&node->attributes, ATTRIBUTE_init),
            .constant = (float)attributes_real(&node->attributes, ATTRIBUTE_fill),
            .ordinal = (rt_u32)attributes_int(&node->attributes, ATTRIBUTE_ordinal),
        };
        memcpy(tensors[i].dims, type->dims, sizeof tensors[i].dims);
    }
    return tensors;
}

/* Copies config.json, with the number of layers and the type that were asked for. */
static void write_config(struct arena *arena, const struct request *request)
{
    size_t length;
    const char *text = file_read(arena, request->config, CONFIG_BYTES, &length);
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *path = file_join(arena, request->directory, "config.json");
    const char *dtype = dtypes[dtype_index(request->dtype)].full_name;
    json_object_set_new(root, json_object_get(root, "dtype") ? "dtype" : "torch_dtype",
                        json_string(dtype));
    if (request->layers)
        json_object_set_new(root, "num_hidden_layers",
                            json_integer((json_int_t)number(request->layers)));
    if (json_dump_file(root, path, JSON_INDENT(2)) != 0)
        fatal(FILE_WRITE, path, strerror(errno));
    json_decref(root);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct request request = parse(argc, argv);
    struct arena *arena = arena_create();
    enum rt_dtype dtype = dtypes[dtype_index(request.dtype)].dtype;
    struct rt_pool *pool = NULL;
    rt_u64 bytes = 0;
    diag_set_program("write-checkpoint");
    struct module *module = lower(arena, &request);
    struct rt_weight *tensors = list_tensors(arena, module, dtype);
    rt_u32 count = (rt_u32)module->weights.count;
    if (mkdir(request.directory, 0777) != 0 && errno != EEXIST)
        fatal(FILE_WRITE, request.directory, strerror(errno));
    double start = seconds();
    rt_status status = rt_pool_open(&pool, 0, false);
    if (!status)
        status = checkpoint_write(request.directory, tensors, count, request.shard_bytes,
                                  request.seed, pool);
    rt_pool_close(pool);
    if (status)
        diag_fatal_text(status, rt_status_text());
    write_config(arena, &request);
    for (rt_u32 i = 0; i < count; i++)
        bytes += tensors[i].bytes;
    double took = seconds() - start;
    printf("%u tensors, %.2f GB, %.1f s, %.0f MB/s\n", count, (double)bytes * 1e-9, took,
           (double)bytes * 1e-6 / took);
    arena_destroy(arena);
    return EXIT_OK;
}
