/* What runs, derived from the roles of functions, and its text: see program.h. */
#include "ir/program.h"

#include "ir/text.h"

#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
} counts[COUNT_END] = {
#define COUNT(name, meaning) [COUNT_##name] = {#name, meaning},
#include "ir/counts.def"
};

const char *count_name(enum count count)
{
    return counts[count].name;
}

const char *count_meaning(enum count count)
{
    return counts[count].meaning;
}

void steps_each_call(const struct program_steps *steps,
                     void (*visit)(void *context, const char *function), void *context)
{
    for (size_t i = 0; i < steps->list.count; i++) {
        const struct program_step *step = steps->list.items[i];
        if (step->function)
            visit(context, step->function);
        else
            steps_each_call(&step->body, visit, context);
    }
}

/* --- from roles (runtime/roles.h) --- */

static struct program_steps *add_program(struct module *module, const char *name)
{
    struct program *program = arena_new(module->arena, struct program);
    program->name = name;
    array_push(module->arena, &module->programs, program);
    return &program->steps;
}

static void add_call(struct module *module, struct program_steps *to, const char *function)
{
    struct program_step *step = arena_new(module->arena, struct program_step);
    step->function = function;
    array_push(module->arena, &to->list, step);
}

static struct program_steps *add_repeat(struct module *module, struct program_steps *to,
                                        enum count count)
{
    struct program_step *step = arena_new(module->arena, struct program_step);
    step->count = count;
    array_push(module->arena, &to->list, step);
    return &step->body;
}

static bool has_role(const struct function *function, const char *role)
{
    const char *text = attributes_text(&function->attributes, ATTRIBUTE_role);
    return text && strcmp(text, role) == 0;
}

static const struct function *find_role(const struct module *module, const char *role)
{
    for (size_t i = 0; i < module->functions.count; i++)
        if (has_role(module->functions.items[i], role))
            return module->functions.items[i];
    return NULL;
}

/* The largest chunk of a role below `limit`; NULL if there is none. */
static const struct function *next_chunk(const struct module *module, const char *role,
                                         int64_t limit)
{
    const struct function *best = NULL;
    int64_t most = -1;
    for (size_t i = 0; i < module->functions.count; i++) {
        const struct function *function = module->functions.items[i];
        int64_t chunk = attributes_int(&function->attributes, ATTRIBUTE_chunk);
        if (has_role(function, role) && chunk < limit && chunk > most) {
            best = function;
            most = chunk;
        }
    }
    return best;
}

/* A prompt passes through the chunks of a role, the largest first. */
static void add_chunks(struct module *module, struct program_steps *to, const char *role)
{
    const struct function *at = next_chunk(module, role, INT64_MAX);
    for (; at; at = next_chunk(module, role, attributes_int(&at->attributes, ATTRIBUTE_chunk)))
        add_call(module, add_repeat(module, to, COUNT_prompt), at->name);
}

/* Tokens that `sampler` draws; without one (before decode), the steps alone. */
static void add_generation(struct module *module, const char *name, const struct function *sampler)
{
    const struct function *decode = find_role(module, "decode");
    struct program_steps *steps = add_program(module, name);
    add_chunks(module, steps, "prefill");
    if (sampler)
        add_call(module, steps, sampler->name);
    steps = add_repeat(module, steps, COUNT_tokens);
    add_call(module, steps, decode->name);
    if (sampler)
        add_call(module, steps, sampler->name);
}

static void derive_generation(struct module *module)
{
    const struct function *greedy = find_role(module, "greedy");
    const struct function *sample = find_role(module, "sample");
    if (find_role(module, "decode")) {
        add_generation(module, "generate", greedy);
        if (sample)
            add_generation(module, "sample", sample);
    }
    if (find_role(module, "score"))
        add_chunks(module, add_repeat(module, add_program(module, "score"), COUNT_windows),
                   "score");
}

static void derive_simple(struct module *module, const char *role, enum count count)
{
    const struct function *function = find_role(module, role);
    if (function)
        add_call(module, add_repeat(module, add_program(module, role), count), function->name);
}

void programs_derive(struct module *module)
{
    module->programs.count = 0;
    derive_generation(module);
    derive_simple(module, "fit", COUNT_steps);
    derive_simple(module, "predict", COUNT_batches);
}

/* --- printing --- */

static void print_steps(struct str *out, const struct program_steps *steps, int indent)
{
    for (size_t i = 0; i < steps->list.count; i++) {
        const struct program_step *step = steps->list.items[i];
        str_printf(out, "%*s%s", indent, "", step->function ? "call " : "repeat");
        if (step->function) {
            print_word(out, step->function);
            str_printf(out, "\n");
            continue;
        }
        if (step->count == COUNT_NUMBER)
            str_printf(out, " %" PRId64, step->times);
        else if (step->count != COUNT_NONE)
            str_printf(out, " %s", count_name(step->count));
        if (step->flag) {
            str_printf(out, " while ");
            print_word(out, step->flag);
        }
        str_printf(out, "\n");
        print_steps(out, &step->body, indent + 2);
        str_printf(out, "%*send\n", indent, "");
    }
}

void programs_print(struct str *out, const struct module *module)
{
    for (size_t i = 0; i < module->programs.count; i++) {
        str_printf(out, "\nprogram ");
        print_word(out, module->programs.items[i]->name);
        str_printf(out, "\n");
        print_steps(out, &module->programs.items[i]->steps, 2);
        str_printf(out, "end\n");
    }
}

/* --- parsing --- */

static enum count parse_count(struct lexer *lexer)
{
    for (int i = COUNT_NUMBER + 1; i < COUNT_END; i++)
        if (lexer_take(lexer, counts[i].name))
            return (enum count)i;
    lexer_expected(lexer, "a number, or prompt, tokens, windows, steps or batches, or while");
}

/* " COUNT while FLAG" and the end of the line. */
static void parse_repeat(struct lexer *lexer, struct program_step *step)
{
    if (lexer->token.kind == TOKEN_NUMBER) {
        step->count = COUNT_NUMBER;
        step->times = (int64_t)lexer_unsigned(lexer, INT64_MAX);
    } else if (!lexer_is(lexer, "while")) {
        step->count = parse_count(lexer);
    }
    if (lexer_take(lexer, "while"))
        step->flag = lexer_word(lexer);
    lexer_need_line(lexer);
}

/* Steps up to and with the line `end`. */
static void parse_steps(struct lexer *lexer, struct program_steps *steps, int depth)
{
    while (!lexer_take(lexer, "end")) {
        struct program_step *step = arena_new(lexer->arena, struct program_step);
        step->location = lexer->token.location;
        if (lexer_take(lexer, "call")) {
            step->function = lexer_word(lexer);
            lexer_need_line(lexer);
        } else if (depth < PROGRAM_DEPTH && lexer_take(lexer, "repeat")) {
            parse_repeat(lexer, step);
            parse_steps(lexer, &step->body, depth + 1);
        } else {
            lexer_expected(lexer, depth < PROGRAM_DEPTH ? "a line: call, repeat or end"
                                                        : "a line: call or end");
        }
        array_push(lexer->arena, &steps->list, step);
    }
    lexer_need_line(lexer);
}

void program_parse(struct module *module, struct lexer *lexer)
{
    struct program *program = arena_new(lexer->arena, struct program);
    program->location = lexer->token.location;
    program->name = lexer_word(lexer);
    lexer_need_line(lexer);
    parse_steps(lexer, &program->steps, 0);
    array_push(lexer->arena, &module->programs, program);
}
