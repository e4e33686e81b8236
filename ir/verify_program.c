/* The rules of the program table: see program.h. */
#include "ir/verify.h"

#include "ir/loop.h"
#include "ir/program.h"

#include <string.h>

/* Fatal, at the line of the text where a user wrote it. */
_Noreturn static void fail(const struct verifier *v, struct location location, const char *name,
                           const char *rule)
{
    arena_destroy(v->arena);
    if (v->user_text)
        fatal_at(location, IR_PROGRAM, name, rule);
    fatal(IR_BROKEN, v->after ? v->after : "none", "program", name, rule);
}

static bool is_flag(const struct value *value)
{
    return value->type.dtype == DTYPE_bool && value->type.rank == 0;
}

struct search {
    const struct module *module;
    const char *flag, *function;
    bool found;
};

static void look_at_outputs(void *context, const char *name)
{
    struct search *search = context;
    const struct function *function = module_find_function(search->module, name);
    for (size_t i = 0; function && i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (!binding->state && strcmp(binding->name, search->flag) == 0)
            search->found |= is_flag(binding->value);
    }
}

static void check_flag(const struct verifier *v, const struct program_step *step)
{
    const struct node *leaf = module_find_leaf(v->module, step->flag);
    struct search search = {v->module, step->flag, NULL, false};
    search.found = leaf && leaf->op == OP_state && is_flag(&leaf->results[0]);
    steps_each_call(&step->body, look_at_outputs, &search);
    if (!search.found)
        fail(v, step->location, step->flag,
             "a flag is a bool[] state, or a bool[] output of a function called within");
}

static void check_steps(const struct verifier *v, const struct program_steps *steps)
{
    for (size_t i = 0; i < steps->list.count; i++) {
        const struct program_step *step = steps->list.items[i];
        if (step->function) {
            if (!module_find_function(v->module, step->function))
                fail(v, step->location, step->function, "what is called is a function");
            continue;
        }
        if (step->count == COUNT_NONE && !step->flag)
            fail(v, step->location, "repeat", "a repeat has a count or a flag");
        if (step->body.list.count == 0)
            fail(v, step->location, "repeat", "a repeat has steps");
        if (step->flag)
            check_flag(v, step);
        check_steps(v, &step->body);
    }
}

static void look_for_call(void *context, const char *name)
{
    struct search *search = context;
    search->found |= strcmp(search->function, name) == 0;
}

/* A function with a role that no program calls would never run. */
static void check_called(const struct verifier *v, const struct function *function)
{
    struct search search = {v->module, NULL, function->name, false};
    for (size_t i = 0; i < v->module->programs.count; i++)
        steps_each_call(&v->module->programs.items[i]->steps, look_for_call, &search);
    if (!search.found)
        fail(v, v->module->programs.items[0]->location, function->name,
             "each function with a role is called by a program");
}

void verify_programs(const struct verifier *v)
{
    const struct module *module = v->module;
    struct map seen = map_create(v->arena);
    for (size_t i = 0; i < module->programs.count; i++) {
        const struct program *program = module->programs.items[i];
        if (map_get(&seen, program->name))
            fail(v, program->location, program->name, "names of programs are unique");
        map_set(&seen, program->name, (void *)program);
        check_steps(v, &program->steps);
    }
    for (size_t i = 0; module->programs.count && i < module->functions.count; i++)
        if (attributes_text(&module->functions.items[i]->attributes, ATTRIBUTE_role) &&
            !is_loop_body(module->functions.items[i]))
            check_called(v, module->functions.items[i]);
}
