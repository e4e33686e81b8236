/* See checkpoint.h. */
#include "compiler/checkpoint.h"

static const uint32_t float_types = 1u << RT_F32 | 1u << RT_BF16 | 1u << RT_F16;

static void expect(const struct node *weight, struct expected_tensor *out)
{
    const struct type *type = &weight->results[0].type;
    *out = (struct expected_tensor){
        .name = node_text(weight, tensor), .dtypes = float_types, .rank = (unsigned)type->rank};
    for (int i = 0; i < type->rank; i++)
        out->shape[i] = (uint64_t)type->dims[i];
}

static void bind(struct module *module, const struct rt_checkpoint *checkpoint, struct node *weight,
                 const struct rt_tensor *tensor)
{
    struct attributes *attributes = &weight->attributes;
    attributes_set_int(module->arena, attributes, ATTRIBUTE_stored,
                       rt_stored_dtype((enum rt_stored)tensor->stored));
    attributes_set_text(module->arena, attributes, ATTRIBUTE_file,
                        checkpoint->files[tensor->file].name);
    attributes_set_int(module->arena, attributes, ATTRIBUTE_offset, (int64_t)tensor->offset);
}

void bind_checkpoint(struct module *module, struct model_directory *directory)
{
    const struct rt_checkpoint *checkpoint = model_directory_checkpoint(directory);
    size_t count = module->weights.count;
    struct expected_tensor *expected =
        arena_array(module->arena, struct expected_tensor, count + 1);
    const struct rt_tensor **found =
        arena_array(module->arena, const struct rt_tensor *, count + 1);
    for (size_t i = 0; i < count; i++)
        expect(module->weights.items[i], &expected[i]);
    checkpoint_require(module->arena, checkpoint, directory->weights, expected, count, found);
    for (size_t i = 0; i < count; i++)
        bind(module, checkpoint, module->weights.items[i], found[i]);
}

void bind_random(struct module *module, enum dtype dtype)
{
    for (size_t i = 0; i < module->weights.count; i++)
        attributes_set_int(module->arena, &module->weights.items[i]->attributes, ATTRIBUTE_stored,
                           dtype);
}
