/*
 * The program table: it runs in the interpreter as it reads, and the runtime runs the functions of
 * a program in the order that the table derived from their roles gives.
 */
#include "ir/build.h"
#include "ir/interp.h"
#include "ir/program.h"
#include "tests/unit/run_program.h"
#include "tests/unit/toy_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static struct arena *arena;

static struct module *parse(const char *text)
{
    return ir_parse(arena, diag_add_source("program.ir", text, strlen(text)));
}

/* --- the interpreter --- */

static const char counting[] = "ir 1\nmodule t stage=lower\n"
                               "state %n : i32[]\n"
                               "state %calls : i32[]\n"
                               "program main\n"
                               "  repeat 3\n"
                               "    call add\n"
                               "  end\n"
                               "  repeat steps while small\n"
                               "    call add\n"
                               "    repeat 2\n"
                               "      call count\n"
                               "    end\n"
                               "  end\n"
                               "end\n"
                               "func add\n"
                               "  %one = const {value=1 dtype=i32} : i32[]\n"
                               "  %next = add %n, %one : i32[]\n"
                               "  %most = const {value=5 dtype=i32} : i32[]\n"
                               "  %small = lt %next, %most : bool[]\n"
                               "  return %small as small\n"
                               "  store %n = %next\n"
                               "end\n"
                               "func count\n"
                               "  %one = const {value=1 dtype=i32} : i32[]\n"
                               "  %next = add %calls, %one : i32[]\n"
                               "  store %calls = %next\n"
                               "end\n";

static int64_t steps_given;

static int64_t answer(void *context, enum count count, const struct program_step *repeat)
{
    (void)context, (void)repeat;
    assert_int_equal(count, COUNT_steps);
    return steps_given;
}

static void nothing_before(void *context, struct interp *interp, const struct function *function)
{
    (void)context, (void)interp, (void)function;
}

/* The states n and calls after the program has run. */
static void count_to(int64_t steps, double *out_n, double *out_calls)
{
    struct module *module = parse(counting);
    struct interp *interp = interp_create(module, INTERP_EXACT);
    const struct interp_host host = {answer, nothing_before, NULL};
    ir_verify(module, "parse", false);
    steps_given = steps;
    interp_program(interp, module, module->programs.items[0], &host);
    *out_n = *interp_value(interp, &module->states.items[0]->results[0]);
    *out_calls = *interp_value(interp, &module->states.items[1]->results[0]);
    interp_destroy(interp);
}

static void test_interpreter(void **state)
{
    double n, calls;
    (void)state;
    count_to(100, &n, &calls); /* the flag ends it */
    assert_true(n == 5 && calls == 4);
    count_to(1, &n, &calls); /* the count does */
    assert_true(n == 4 && calls == 2);
    count_to(0, &n, &calls);
    assert_true(n == 3 && calls == 0);
}

/* --- the runtime --- */

enum { MOST_CALLS = 256, FUNCTIONS = 8, PROMPT = 23, NEW = 6 };

static struct log {
    int count;
    unsigned char calls[MOST_CALLS]; /* numbers of functions */
} *calls;                            /* shared with the child that runs the program */

static rt_kernel *kernels[FUNCTIONS];

static void note(int function, void *const *operands, rt_i64 begin, rt_i64 end)
{
    if (begin == 0 && calls->count < MOST_CALLS)
        calls->calls[calls->count++] = (unsigned char)function;
    kernels[function](operands, begin, end);
}

#define NOTING(i)                                                    \
    static void noting_##i(void *const *o, rt_i64 begin, rt_i64 end) \
    {                                                                \
        note(i, o, begin, end);                                      \
    }
NOTING(0)
NOTING(1) NOTING(2) NOTING(3) NOTING(4) NOTING(5) NOTING(6)
    NOTING(7) static rt_kernel *const noting[FUNCTIONS] = {noting_0, noting_1, noting_2, noting_3,
                                                           noting_4, noting_5, noting_6, noting_7};

/* The program with kernels that note their function first. */
static const struct rt_program *listen(const struct rt_program *program)
{
    static struct rt_program copy;
    static struct rt_function functions[FUNCTIONS];
    static struct rt_step steps[FUNCTIONS];
    assert_true(program->function_count <= FUNCTIONS);
    copy = *program;
    for (rt_u32 i = 0; i < program->function_count; i++) {
        functions[i] = program->functions[i];
        steps[i] = functions[i].steps[0];
        kernels[i] = steps[i].kernel;
        steps[i].kernel = noting[i];
        functions[i].steps = &steps[i];
    }
    copy.functions = functions;
    calls->count = 0;
    return &copy;
}

/* A module with functions of the program's roles and chunks, named by their number. */
static struct module *module_of(const struct rt_program *program)
{
    struct module *module = module_create(arena, "toy");
    for (rt_u32 i = 0; i < program->function_count; i++) {
        struct function *f = module_add_function(module, arena_printf(arena, "f%u", i));
        attributes_set_text(arena, &f->attributes, ATTRIBUTE_role, program->functions[i].role);
        attributes_set_int(arena, &f->attributes, ATTRIBUTE_chunk, program->functions[i].chunk);
    }
    programs_derive(module);
    ir_verify(module, "derive", false);
    return module;
}

struct match {
    int at; /* in the log */
    int64_t tokens, steps, batches, windows;
};

static bool match_steps(struct match *m, const struct program_steps *steps);

static int64_t times_of(const struct match *m, enum count count)
{
    return count == COUNT_tokens    ? m->tokens
           : count == COUNT_steps   ? m->steps
           : count == COUNT_batches ? m->batches
           : count == COUNT_windows ? m->windows
                                    : MOST_CALLS;
}

/* A number of rounds that the test knows, or (prompt) as many as the log has. */
static bool match_repeat(struct match *m, const struct program_step *step)
{
    int64_t times = times_of(m, step->count);
    for (int64_t i = 0; i < times; i++) {
        int at = m->at;
        if (match_steps(m, &step->body))
            continue;
        m->at = at;
        return step->count == COUNT_prompt;
    }
    return true;
}

static bool match_steps(struct match *m, const struct program_steps *steps)
{
    for (size_t i = 0; i < steps->list.count; i++) {
        const struct program_step *step = steps->list.items[i];
        if (!step->function && !match_repeat(m, step))
            return false;
        if (step->function &&
            (m->at >= calls->count || calls->calls[m->at++] != step->function[1] - '0'))
            return false;
    }
    return true;
}

static struct program *find_program(const struct module *module, const char *name)
{
    for (size_t i = 0; i < module->programs.count; i++)
        if (strcmp(module->programs.items[i]->name, name) == 0)
            return module->programs.items[i];
    fail_msg("no program '%s'", name);
    return NULL;
}

/* Whether the log is what the program says, no call more or less. */
static bool log_is(const struct module *module, const char *name, struct match m)
{
    return match_steps(&m, &find_program(module, name)->steps) && m.at == calls->count;
}

static const char ids[] = "'5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27'";

static void test_generate(void **state)
{
    char line[256];
    (void)state;
    const struct rt_program *toy = toy_generate_program(1, 64, NULL, 0);
    struct module *module = module_of(toy);
    snprintf(line, sizeof line, "generate --json --max-new-tokens %d --ids %s", NEW, ids);
    struct run run = run_line(listen(toy), NULL, line);
    if (run.code)
        fail_msg("%s", run.err);
    int got = calls->count; /* EOS may come early: the number of decode steps is in the log */
    assert_true(got > 3 && got <= MOST_CALLS);
    const struct match m = {.tokens = (got - 3 - 1) / 2};
    assert_true(log_is(module, "generate", m)); /* 16 and 4 + 4 of the prompt, then tokens */
    assert_false(log_is(module, "sample", m));
    calls->calls[0] ^= 1; /* the smaller chunk first, then the larger */
    calls->calls[2] ^= 1;
    assert_false(log_is(module, "generate", m));
    snprintf(line, sizeof line, "generate --temperature 1 --max-new-tokens %d --ids %s", NEW, ids);
    assert_int_equal(run_line(listen(toy), NULL, line).code, 0);
    assert_true(log_is(module, "sample", (struct match){.tokens = (calls->count - 4) / 2}));
}

static void test_training(void **state)
{
#define IMAGES "tests/fixtures/digits/train-images-idx3-ubyte.gz"
    (void)state;
    const struct rt_program *toy = toy_fit_program(20, false);
    struct module *module = module_of(toy);
    struct run run =
        run_line(listen(toy), NULL,
                 "fit --steps 7 " IMAGES " tests/fixtures/digits/train-labels-idx1-ubyte");
    assert_int_equal(run.code, 0);
    assert_true(log_is(module, "fit", (struct match){.steps = 7}));
    assert_false(log_is(module, "fit", (struct match){.steps = 6}));
    run = run_line(listen(toy), NULL, "predict " IMAGES); /* 200 digits */
    assert_int_equal(run.code, 0);
    assert_true(log_is(module, "predict", (struct match){.batches = 10}));
}

static int begin(void **state)
{
    (void)state;
    arena = arena_create();
    calls = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return calls == MAP_FAILED;
}

static int end(void **state)
{
    (void)state;
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interpreter),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_training),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
