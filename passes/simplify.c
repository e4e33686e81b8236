/* Algebra, common subexpressions, constants and dead values: pass_simplify. */
#include "ir/base/str.h"
#include "ir/build.h"
#include "ir/loop.h"
#include "ir/names.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/simplify_steps.h"
#include "passes/unroll.h"

#include <string.h>

enum { ROUNDS = 16 };

struct simplifier {
    struct module *module;
    struct rewriter *rewriter;
    struct rebuild rebuild;
    struct map known; /* CSE: what a node computes, as bytes, to the node */
    size_t changes;
};

/* --- common subexpressions --- */

static void append_attribute(struct str *key, const struct attribute *attribute)
{
    str_bytes(key, (const char *)&attribute->id, sizeof attribute->id);
    str_bytes(key, (const char *)&attribute->integer, sizeof attribute->integer);
    str_bytes(key, (const char *)&attribute->real, sizeof attribute->real);
    if (attribute->text)
        str_bytes(key, attribute->text, strlen(attribute->text) + 1);
    if (attribute->list)
        str_bytes(key, (const char *)attribute->list,
                  (size_t)attribute->integer * sizeof *attribute->list);
}

/* Two nodes with one key compute the same. Sums and products are exactly commutative. */
static struct str node_key(struct arena *arena, const struct node *node,
                           struct value *const *operands)
{
    struct str key = str_create(arena);
    bool swap = (node->op == OP_add || node->op == OP_mul) && operands[0]->id > operands[1]->id;
    str_bytes(&key, (const char *)&node->op, sizeof node->op);
    for (int i = 0; i < node->operand_count; i++) {
        uint32_t id = operands[swap ? 1 - i : i]->id;
        str_bytes(&key, (const char *)&id, sizeof id);
    }
    for (int i = 0; i < node->attributes.count; i++)
        append_attribute(&key, &node->attributes.items[i]);
    return key;
}

/* --- one node --- */

/* What takes the place of a node's only result; NULL if nothing does. */
static struct value *replacement(struct simplifier *s, const struct node *node,
                                 struct value *const *operands)
{
    struct builder *b = &s->rebuild.builder;
    if (node->result_count != 1 || (op_info(node->op)->flags & OP_EFFECT))
        return NULL;
    struct value *found = fold_constants(b, node, operands);
    if (!found)
        found = simplify_maps(b, node, operands);
    if (!found)
        found = simplify_repeats(b, node, operands);
    if (!found && op_info(node->op)->kind == KIND_EW)
        found = rewriter_apply(s->rewriter, b, node->op, operands, node->operand_count,
                               &node->results[0].type);
    return found;
}

static void copy_or_merge(struct simplifier *s, const struct node *node,
                          struct value *const *operands)
{
    struct str key = node_key(s->module->arena, node, operands);
    bool effect = op_info(node->op)->flags & OP_EFFECT;
    void **known = effect ? NULL : map_insert(&s->known, key.text, key.length);
    if (known && *known) {
        struct node *same = *known;
        for (int i = 0; i < node->result_count; i++)
            rebuild_set(&s->rebuild, &node->results[i], &same->results[i]);
        s->changes++;
        return;
    }
    struct node *copy = rebuild_copy(&s->rebuild, node);
    if (known)
        *known = copy;
}

/* A loop that runs once, or never, is no loop. */
static void simplify_loop(struct simplifier *s, const struct node *node,
                          struct value *const *operands)
{
    struct value *results[MAX_RESULTS];
    unroll_loop(&s->rebuild.builder, node, operands, results);
    for (int i = 0; i < node->result_count; i++)
        rebuild_set(&s->rebuild, &node->results[i], results[i]);
    s->changes++;
}

static void simplify_node(struct simplifier *s, const struct node *node)
{
    struct value *operands[64];
    uint32_t before = s->module->next_value;
    for (int i = 0; i < node->operand_count; i++)
        operands[i] = rebuild_get(&s->rebuild, node->operands[i]);
    rebuild_at(&s->rebuild, node);
    if (node->op == OP_loop && loop_of(node).trips <= 1) {
        simplify_loop(s, node, operands);
        return;
    }
    struct value *found = replacement(s, node, operands);
    if (!found) {
        copy_or_merge(s, node, operands);
        return;
    }
    if (found->id >= before) /* new: it goes by the name of what it replaces */
        name_result(s->module, s->rebuild.builder.function, found, node->results[0].name);
    rebuild_set(&s->rebuild, &node->results[0], found);
    s->changes++;
}

static void simplify_function(struct simplifier *s, struct function *function)
{
    s->rebuild = rebuild_begin(s->module, function);
    s->known = map_create(s->module->arena);
    for (size_t i = 0; i < s->rebuild.old_count; i++)
        simplify_node(s, s->rebuild.old[i]);
    rebuild_end(&s->rebuild);
}

/*
 * Requires: no kernels.
 * Preserves: values up to the sign of zeros; sums keep their order. EFFECT nodes are neither
 *   merged nor moved. Constants never grow beyond 1 MB.
 * Breaks: nothing. Names of values that were simplified away are gone.
 */
void pass_simplify(struct module *module)
{
    struct simplifier s = {.module = module, .rewriter = rewriter_create(module->arena)};
    for (int round = 0; round < ROUNDS; round++) {
        s.changes = 0;
        for (size_t i = 0; i < module->functions.count; i++)
            simplify_function(&s, module->functions.items[i]);
        remove_dead(module);
        if (s.changes == 0)
            return;
    }
}
