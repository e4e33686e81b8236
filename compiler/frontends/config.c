/*
 * See config.h. The text is first read by our own strict reader, which bounds its depth and
 * checks its UTF-8, then parsed by Jansson, which also finds repeated keys.
 */
#include "compiler/frontends/config.h"

#include "compiler/frontends/file.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "ir/base/map.h"
#include "ir/base/str.h"
#include "runtime/json.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { CONFIG_BYTES = 16 << 20, UNKNOWN_SHOWN = 20, KEY_SHOWN = 60 };

struct config_view {
    struct arena *arena;
    const char *name;
    json_t *root;
    struct map read; /* literal paths that were found */
};

static const struct alias {
    const char *asked, *also;
} aliases[] = {
#define ALIAS(asked, also) {asked, also},
#include "compiler/frontends/config_keys.def"
};

static const char *const harmless[] = {
#define HARMLESS(path) path,
#include "compiler/frontends/config_keys.def"
};

static const struct refused {
    const char *path, *why;
} refused[] = {
#define REFUSED(path, why) {path, why},
#include "compiler/frontends/config_keys.def"
};

static void release(void *root)
{
    json_decref(root);
}

/* Fatal unless the text is one well-formed, bounded JSON object. */
static void check_text(const char *name, const char *text, size_t length)
{
    struct rt_json json;
    unsigned line, column;
    rt_json_open(&json, text, length);
    enum rt_json_token first = rt_json_next(&json), token = first;
    while (token > RT_JSON_END)
        token = rt_json_next(&json);
    if (token == RT_JSON_END && first == RT_JSON_OBJECT)
        return;
    if (token == RT_JSON_END)
        rt_json_open(&json, text, length);
    rt_json_place(&json, &line, &column);
    fatal(CONFIG_INVALID, name, line, column, json.error ? json.error : "expected an object");
}

/* Values whose keys are looked up: anything but an object would be passed over in silence. */
static void check_objects(struct config_view *view)
{
    static const char *const objects[] = {"rope_scaling", "rope_parameters"};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        const json_t *value = json_object_get(view->root, objects[i]);
        if (value && !json_is_object(value) && !json_is_null(value))
            fatal(CONFIG_TYPE, view->name, objects[i], "an object or null");
    }
}

static void check_refused(struct config_view *view)
{
    check_objects(view);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct config_value value = config_get(view, refused[i].path);
        if (value.kind > CONFIG_NULL && !(value.kind == CONFIG_BOOL && !value.truth))
            fatal(CONFIG_REFUSED, view->name, refused[i].path, refused[i].why);
    }
}

struct config_view *config_parse(struct arena *arena, const char *name, const char *text,
                                 size_t length)
{
    json_error_t error;
    check_text(name, text, length);
    struct config_view *view = arena_new(arena, struct config_view);
    *view = (struct config_view){.arena = arena, .name = name, .read = map_create(arena)};
    view->root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!view->root)
        fatal(CONFIG_INVALID, name, (unsigned)error.line, (unsigned)error.column, error.text);
    arena_defer(arena, release, view->root);
    check_refused(view);
    return view;
}

struct config_view *config_open(struct arena *arena, const char *path)
{
    size_t length;
    const char *text = file_read(arena, path, CONFIG_BYTES, &length);
    return config_parse(arena, arena_printf(arena, "%s", path), text, length);
}

static struct config_value scalar_of(const json_t *node)
{
    struct config_value value = {.kind = CONFIG_OTHER};
    if (json_is_null(node)) {
        value.kind = CONFIG_NULL;
    } else if (json_is_boolean(node)) {
        value.kind = CONFIG_BOOL;
        value.truth = json_is_true(node);
    } else if (json_is_integer(node)) {
        value.kind = CONFIG_INTEGER;
        value.integer = json_integer_value(node);
        value.real = (double)value.integer;
    } else if (json_is_real(node)) {
        value.kind = CONFIG_REAL;
        value.real = json_real_value(node);
    } else if (json_is_string(node)) {
        value.kind = CONFIG_TEXT;
        value.text = json_string_value(node);
    }
    return value;
}

static struct config_value value_of(struct arena *arena, const json_t *node)
{
    if (!node)
        return (struct config_value){.kind = CONFIG_ABSENT};
    if (!json_is_array(node))
        return scalar_of(node);
    size_t count = json_array_size(node);
    struct config_value *items = arena_array(arena, struct config_value, count + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] = scalar_of(json_array_get(node, i));
        if (items[i].kind == CONFIG_OTHER)
            return (struct config_value){.kind = CONFIG_OTHER};
    }
    return (struct config_value){.kind = CONFIG_LIST, .items = items, .count = count};
}

const char *config_key(const struct config_view *view, size_t index)
{
    void *at = json_object_iter(view->root);
    while (at && index-- > 0)
        at = json_object_iter_next(view->root, at);
    return at ? json_object_iter_key(at) : NULL;
}

const char *config_name(const struct config_view *view)
{
    return view->name;
}

/* The node at exactly this path; a key that was found is marked as read. */
static struct config_value look_up(struct config_view *view, const char *path)
{
    const json_t *node = view->root;
    for (const char *at = path; node && *at;) {
        size_t length = strcspn(at, ".");
        node = json_object_getn(node, at, length);
        at += length + (at[length] == '.');
    }
    if (node)
        *map_insert(&view->read, path, strlen(path)) = (void *)node;
    return value_of(view->arena, node);
}

/* The path that `alias` makes of `path`, or NULL if it does not apply. */
static const char *apply_alias(struct config_view *view, const struct alias *alias,
                               const char *path)
{
    size_t length = strlen(alias->asked);
    bool prefix = alias->asked[length - 1] == '.';
    if (prefix && strncmp(path, alias->asked, length) == 0)
        return arena_printf(view->arena, "%s%s", alias->also, path + length);
    return !prefix && strcmp(path, alias->asked) == 0 ? alias->also : NULL;
}

struct config_value config_get(struct config_view *view, const char *path)
{
    struct config_value found = look_up(view, path);
    for (size_t i = 0; found.kind <= CONFIG_NULL && i < sizeof aliases / sizeof *aliases; i++) {
        const char *also = apply_alias(view, &aliases[i], path);
        struct config_value other = also ? look_up(view, also) : (struct config_value){0};
        if (other.kind > found.kind)
            found = other;
    }
    return found;
}

static struct config_value get_of_source(void *context, const char *path)
{
    return config_get(context, path);
}

struct config_source config_source_of(struct config_view *view)
{
    return (struct config_source){get_of_source, view};
}

static _Noreturn void wrong_type(const struct config_view *view, const char *path,
                                 const char *expected)
{
    fatal(CONFIG_TYPE, view->name, path, expected);
}

bool config_int(struct config_view *view, const char *path, int64_t *out)
{
    struct config_value value = config_get(view, path);
    if (value.kind <= CONFIG_NULL)
        return false;
    bool whole =
        value.kind == CONFIG_REAL && value.real == floor(value.real) && fabs(value.real) < 0x1p53;
    if (value.kind != CONFIG_INTEGER && !whole)
        wrong_type(view, path, "an integer");
    *out = whole ? (int64_t)value.real : value.integer;
    return true;
}

bool config_float(struct config_view *view, const char *path, double *out)
{
    struct config_value value = config_get(view, path);
    if (value.kind <= CONFIG_NULL)
        return false;
    if (value.kind != CONFIG_INTEGER && value.kind != CONFIG_REAL)
        wrong_type(view, path, "a number");
    *out = value.real;
    return true;
}

bool config_bool(struct config_view *view, const char *path, bool *out)
{
    struct config_value value = config_get(view, path);
    if (value.kind <= CONFIG_NULL)
        return false;
    if (value.kind != CONFIG_BOOL)
        wrong_type(view, path, "true or false");
    *out = value.truth;
    return true;
}

const char *config_text(struct config_view *view, const char *path)
{
    struct config_value value = config_get(view, path);
    if (value.kind <= CONFIG_NULL)
        return NULL;
    if (value.kind != CONFIG_TEXT)
        wrong_type(view, path, "a string");
    return value.text;
}

static bool is_harmless(const char *path)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcmp(harmless[i], path) == 0)
            return true;
    return false;
}

/* Appends a key to a list that shows the first few. */
static void list_key(struct str *list, size_t *count, const char *path)
{
    if ((*count)++ < UNKNOWN_SHOWN)
        str_printf(list, "%s%.*s", *count > 1 ? ", " : "", KEY_SHOWN, path);
}

static bool is_known(const struct config_view *view, const char *path, const json_t *value)
{
    return json_is_null(value) || is_harmless(path) || map_find(&view->read, path, strlen(path));
}

/* Whether some member of the object at `path` was read. */
static bool any_member_read(const struct config_view *view, const char *path, json_t *object)
{
    const char *key;
    json_t *member;
    json_object_foreach(object, key, member)
    {
        const char *inner = arena_printf(view->arena, "%s.%s", path, key);
        if (map_find(&view->read, inner, strlen(inner)))
            return true;
    }
    return false;
}

/* An object of which some members were read is listed by the others. */
static void list_member(const struct config_view *view, const char *path, json_t *value,
                        struct str *list, size_t *count)
{
    const char *key;
    json_t *member;
    if (is_known(view, path, value))
        return;
    if (!json_is_object(value) || !any_member_read(view, path, value)) {
        list_key(list, count, path);
        return;
    }
    json_object_foreach(value, key, member)
    {
        const char *inner = arena_printf(view->arena, "%s.%s", path, key);
        if (!is_known(view, inner, member))
            list_key(list, count, inner);
    }
}

const char *config_unknown(struct config_view *view)
{
    struct str list = str_create(view->arena);
    size_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach(view->root, key, value) list_member(view, key, value, &list, &count);
    if (count > UNKNOWN_SHOWN)
        str_printf(&list, " and %zu more", count - UNKNOWN_SHOWN);
    return count ? list.text : NULL;
}

const char *config_warn_unknown(struct config_view *view)
{
    const char *list = config_unknown(view);
    if (list)
        warn(CONFIG_UNKNOWN, view->name, list);
    return list;
}
