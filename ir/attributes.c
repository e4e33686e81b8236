/* Named attributes, kept sorted by id and without defaults. See ir.h. */
#include "ir/ir.h"

#include <string.h>

static const struct attribute_info infos[] = {
#define ATTRIBUTE(name, kind, fallback) {#name, KIND_##kind, fallback},
#include "ir/attributes.def"
};

const struct attribute_info *attribute_info(enum attribute_id id)
{
    return &infos[id];
}

bool attribute_parse(const char *text, size_t length, enum attribute_id *out_id)
{
    for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (strlen(infos[i].name) == length && memcmp(infos[i].name, text, length) == 0) {
            *out_id = (enum attribute_id)i;
            return true;
        }
    }
    return false;
}

const struct attribute *attributes_find(const struct attributes *a, enum attribute_id id)
{
    for (int i = 0; i < a->count; i++)
        if (a->items[i].id == id)
            return &a->items[i];
    return NULL;
}

int64_t attributes_int(const struct attributes *a, enum attribute_id id)
{
    const struct attribute *found = attributes_find(a, id);
    return found ? found->integer : (int64_t)infos[id].fallback;
}

double attributes_real(const struct attributes *a, enum attribute_id id)
{
    const struct attribute *found = attributes_find(a, id);
    return found ? found->real : infos[id].fallback;
}

const char *attributes_text(const struct attributes *a, enum attribute_id id)
{
    const struct attribute *found = attributes_find(a, id);
    return found ? found->text : NULL;
}

const int64_t *attributes_list(const struct attributes *a, enum attribute_id id, int *out_count)
{
    const struct attribute *found = attributes_find(a, id);
    *out_count = found ? (int)found->integer : 0;
    return found ? found->list : NULL;
}

void attributes_remove(struct attributes *a, enum attribute_id id)
{
    for (int i = 0; i < a->count; i++) {
        if (a->items[i].id == id) {
            memmove(&a->items[i], &a->items[i + 1], (size_t)(a->count - i - 1) * sizeof *a->items);
            a->count--;
            return;
        }
    }
}

/* A new array each time, so that copies of a struct attributes never see each other's changes. */
static void put(struct arena *arena, struct attributes *a, struct attribute attribute)
{
    struct attribute *items = arena_array(arena, struct attribute, (size_t)a->count + 1);
    int at = 0;
    bool placed = false;
    for (int i = 0; i < a->count; i++) {
        if (!placed && a->items[i].id >= attribute.id) {
            items[at++] = attribute;
            placed = true;
        }
        if (a->items[i].id != attribute.id)
            items[at++] = a->items[i];
    }
    if (!placed)
        items[at++] = attribute;
    *a = (struct attributes){items, at};
}

static void drop(struct arena *arena, struct attributes *a, enum attribute_id id)
{
    struct attributes copy = {arena_array(arena, struct attribute, (size_t)a->count), a->count};
    if (a->count)
        memcpy(copy.items, a->items, (size_t)a->count * sizeof *a->items);
    attributes_remove(&copy, id);
    *a = copy;
}

void attributes_set_int(struct arena *arena, struct attributes *a, enum attribute_id id, int64_t v)
{
    if (v == (int64_t)infos[id].fallback)
        drop(arena, a, id);
    else
        put(arena, a, (struct attribute){.id = id, .integer = v});
}

void attributes_set_real(struct arena *arena, struct attributes *a, enum attribute_id id, double v)
{
    /* by bits: minus zero and NaN are not the default */
    double fallback = infos[id].fallback;
    if (memcmp(&v, &fallback, sizeof v) == 0)
        drop(arena, a, id);
    else
        put(arena, a, (struct attribute){.id = id, .real = v});
}

void attributes_set_text(struct arena *arena, struct attributes *a, enum attribute_id id,
                         const char *text)
{
    const char *copy = arena_copy(arena, text, strlen(text));
    put(arena, a, (struct attribute){.id = id, .text = copy});
}

void attributes_set_body(struct arena *arena, struct attributes *a, struct function *body)
{
    put(arena, a, (struct attribute){.id = ATTRIBUTE_body, .text = body->name, .function = body});
}

void attributes_set_list(struct arena *arena, struct attributes *a, enum attribute_id id,
                         const int64_t *list, int count)
{
    int64_t *copy = arena_array(arena, int64_t, (size_t)count + 1); /* never NULL */
    if (count)
        memcpy(copy, list, (size_t)count * sizeof *list);
    put(arena, a, (struct attribute){.id = id, .integer = count, .list = copy});
}

struct attributes attributes_copy(struct arena *arena, const struct attributes *a)
{
    struct attributes copy = {arena_array(arena, struct attribute, (size_t)a->count), a->count};
    if (a->count)
        memcpy(copy.items, a->items, (size_t)a->count * sizeof *copy.items);
    return copy;
}
