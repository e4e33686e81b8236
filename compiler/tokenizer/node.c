/* See node.h. */
#include "compiler/tokenizer/node.h"

#include "ir/base/diag.h"

#include <math.h>
#include <string.h>

static void release(void *root)
{
    json_decref(root);
}

struct node node_parse(struct draft *draft, const struct tokenizer_file *file)
{
    json_error_t error;
    draft->file = file->name;
    json_t *root = json_loadb(file->text, file->length, JSON_ALLOW_NUL, &error);
    if (!root) /* a number beyond int64_t may be what stopped it: files hold 1e30 as an integer */
        root = json_loadb(file->text, file->length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                          &error);
    if (!root)
        draft_invalid(draft, "line %d column %d: %s", error.line, error.column, error.text);
    arena_defer(draft->arena, release, root);
    if (!json_is_object(root))
        draft_invalid(draft, "not a JSON object");
    return (struct node){draft, root, ""};
}

static struct node child(struct node node, const json_t *value, const char *path)
{
    return (struct node){node.draft, json_is_null(value) ? NULL : value, path};
}

struct node node_get(struct node node, const char *key)
{
    if (node.value && !json_is_object(node.value))
        draft_invalid(node.draft, "%s is not an object", node.path);
    const json_t *value = node.value ? json_object_get(node.value, key) : NULL;
    const char *dot = node.path[0] ? "." : "";
    return child(node, value, arena_printf(node.draft->arena, "%s%s%s", node.path, dot, key));
}

size_t node_count(struct node node)
{
    if (node.value && !json_is_array(node.value))
        draft_invalid(node.draft, "%s is not an array", node.path);
    return json_array_size(node.value);
}

struct node node_at(struct node node, size_t index)
{
    return child(node, json_array_get(node.value, index),
                 arena_printf(node.draft->arena, "%s[%zu]", node.path, index));
}

bool node_bool(struct node node, bool absent)
{
    if (node.value && !json_is_boolean(node.value))
        draft_invalid(node.draft, "%s is neither true nor false", node.path);
    return node.value ? json_is_true(node.value) : absent;
}

int64_t node_int(struct node node)
{
    if (json_is_integer(node.value))
        return json_integer_value(node.value);
    double value = json_is_real(node.value) ? json_real_value(node.value) : NAN;
    if (!(fabs(value) < 0x1p53) || value != floor(value))
        draft_invalid(node.draft, "%s is not an integer", node.path);
    return (int64_t)value;
}

struct node_text node_string(struct node node)
{
    if (!json_is_string(node.value))
        draft_invalid(node.draft, "%s is not a string", node.path);
    return (struct node_text){json_string_value(node.value), json_string_length(node.value)};
}

const char *node_type(struct node node)
{
    return node_string(node_get(node, "type")).text;
}

bool node_is(struct node node, const char *name)
{
    return strcmp(node_type(node), name) == 0;
}

void node_refuse(struct node node, const char *what)
{
    draft_unsupported(node.draft, "%s (%s)", node.path,
                      draft_show(node.draft, what, strlen(what)));
}
