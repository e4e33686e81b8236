/* Programs in the interpreter: see program.h. */
#include "ir/program.h"

#include "ir/interp_internal.h"

#include <string.h>

struct run {
    struct interp *interp;
    struct module *module;
    const struct interp_host *host;
    struct map outputs; /* name to struct value, of the last call that gave it */
};

static void run_call(struct run *run, const char *name)
{
    const struct function *function = module_find_function(run->module, name);
    run->host->before(run->host->context, run->interp, function);
    interp_function(run->interp, function);
    for (size_t i = 0; i < function->bindings.count; i++)
        if (!function->bindings.items[i].state)
            map_set(&run->outputs, function->bindings.items[i].name,
                    function->bindings.items[i].value);
}

static bool flag_is_true(const struct run *run, const char *flag)
{
    const struct value *value = map_get(&run->outputs, flag);
    const struct node *leaf = module_find_leaf(run->module, flag);
    if (!value && leaf && leaf->op == OP_state)
        value = &leaf->results[0];
    const double *number = value ? interp_value(run->interp, value) : NULL;
    return !number || *number != 0;
}

static void run_steps(struct run *run, const struct program_steps *steps);

static void run_repeat(struct run *run, const struct program_step *step)
{
    bool open = step->count == COUNT_NONE;
    int64_t times = step->times;
    if (!open && step->count != COUNT_NUMBER)
        times = run->host->count(run->host->context, step->count, step);
    for (int64_t i = 0; open || i < times; i++) {
        if (step->flag && !flag_is_true(run, step->flag))
            return;
        run_steps(run, &step->body);
    }
}

static void run_steps(struct run *run, const struct program_steps *steps)
{
    for (size_t i = 0; i < steps->list.count; i++) {
        const struct program_step *step = steps->list.items[i];
        if (step->function)
            run_call(run, step->function);
        else
            run_repeat(run, step);
    }
}

void interp_program(struct interp *interp, struct module *module, const struct program *program,
                    const struct interp_host *host)
{
    struct run run = {interp, module, host, map_create(module->arena)};
    interp_start_states(interp);
    run_steps(&run, &program->steps);
}
