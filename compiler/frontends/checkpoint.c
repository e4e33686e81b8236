/* Comparison of a checkpoint's tensors with those that a model expects: see huggingface.h. */
#include "compiler/frontends/huggingface.h"

#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/map.h"
#include "ir/base/str.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 20, NAME_SHOWN = 72, LIST_BYTES = 1900 }; /* a message holds 2048 bytes */

static const char *const ignored[] = {
#define IGNORED_TENSOR(ending) ending,
#include "compiler/frontends/config_keys.def"
};

struct list {
    struct str text;
    size_t count, shown;
};

static void shape_text(const uint64_t *shape, unsigned rank, char out[64])
{
    rt_shape_text(shape, rank, out, 64);
}

/* Appends a name and what is known of it, unless enough is listed already. */
static void add(struct list *list, const char *name, const char *detail)
{
    list->count++;
    if (list->shown == SHOWN || list->text.length + NAME_SHOWN + strlen(detail) > LIST_BYTES)
        return;
    list->shown++;
    str_printf(&list->text, "%s%.*s %s", list->shown > 1 ? ", " : "", NAME_SHOWN, name, detail);
}

static const char *finish(struct list *list)
{
    if (list->count > list->shown)
        str_printf(&list->text, " and %zu more", list->count - list->shown);
    return list->text.text;
}

static bool same_shape(const struct expected_tensor *expected, const struct rt_tensor *tensor)
{
    return expected->rank == tensor->rank &&
           memcmp(expected->shape, tensor->shape, tensor->rank * sizeof *tensor->shape) == 0;
}

static bool allowed_dtype(const struct expected_tensor *expected, const struct rt_tensor *tensor)
{
    int dtype = rt_stored_dtype(tensor->stored);
    return dtype >= 0 && (expected->dtypes >> dtype & 1);
}

static void compare_one(const struct expected_tensor *expected, const struct rt_tensor *tensor,
                        struct list *missing, struct list *mismatched)
{
    char wanted[64], stored[64], both[160];
    shape_text(expected->shape, expected->rank, wanted);
    if (!tensor) {
        if (!expected->optional)
            add(missing, expected->name, wanted);
        return;
    }
    shape_text(tensor->shape, tensor->rank, stored);
    if (!same_shape(expected, tensor))
        snprintf(both, sizeof both, "%s %s", stored, wanted);
    else if (!allowed_dtype(expected, tensor))
        snprintf(both, sizeof both, "%s of type %s", stored, rt_stored_name(tensor->stored));
    else
        return;
    add(mismatched, expected->name, both);
}

static bool is_ignored(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        size_t ending = strlen(ignored[i]);
        if (length >= ending && strcmp(name + length - ending, ignored[i]) == 0)
            return true;
    }
    return false;
}

static void list_unexpected(const struct rt_checkpoint *checkpoint, const struct map *names,
                            struct list *unexpected)
{
    for (uint32_t i = 0; i < checkpoint->tensor_count; i++) {
        const struct rt_tensor *tensor = &checkpoint->tensors[checkpoint->by_name[i]];
        char stored[64];
        if (map_find(names, tensor->name, strlen(tensor->name)) || is_ignored(tensor->name))
            continue;
        shape_text(tensor->shape, tensor->rank, stored);
        add(unexpected, tensor->name, stored);
    }
}

struct checkpoint_differences checkpoint_compare(struct arena *arena,
                                                 const struct rt_checkpoint *checkpoint,
                                                 const struct expected_tensor *expected,
                                                 size_t count, const struct rt_tensor **found)
{
    struct list missing = {.text = str_create(arena)}, unexpected = missing, mismatched = missing;
    struct map names = map_create(arena);
    for (size_t i = 0; i < count; i++) {
        const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, expected[i].name);
        map_insert(&names, expected[i].name, strlen(expected[i].name));
        compare_one(&expected[i], tensor, &missing, &mismatched);
        if (found)
            found[i] = tensor;
    }
    list_unexpected(checkpoint, &names, &unexpected);
    return (struct checkpoint_differences){
        missing.count,    unexpected.count,    mismatched.count,
        finish(&missing), finish(&unexpected), finish(&mismatched),
    };
}

void checkpoint_require(struct arena *arena, const struct rt_checkpoint *checkpoint,
                        const char *place, const struct expected_tensor *expected, size_t count,
                        const struct rt_tensor **found)
{
    struct checkpoint_differences differences =
        checkpoint_compare(arena, checkpoint, expected, count, found);
    if (differences.missing)
        warn(TENSORS_MISSING, differences.missing, differences.missing_list);
    if (differences.unexpected)
        warn(TENSORS_UNEXPECTED, differences.unexpected, differences.unexpected_list);
    if (differences.mismatched)
        warn(TENSORS_MISMATCHED, differences.mismatched, differences.mismatched_list);
    if (differences.missing || differences.unexpected || differences.mismatched)
        fatal(TENSORS_DIFFER, place, differences.missing, differences.unexpected,
              differences.mismatched);
}
