/* The command line of executables: values, defaults, forms of writing, help, completion. */
#include "runtime/options.h"
#include "tests/unit/run_program.h"
#include "tests/unit/toy_program.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rt_options options;

static rt_status parse(const char *task, int count, ...)
{
    static char *argv[32], name[] = "/some/where/toy";
    va_list words;
    argv[0] = name;
    va_start(words, count);
    for (int i = 1; i <= count; i++)
        argv[i] = va_arg(words, char *);
    va_end(words);
    argv[count + 1] = NULL;
    rt_status_clear();
    return rt_options_parse(&options, count + 1, argv, task);
}

static void test_values(void **state)
{
    (void)state;
    assert_int_equal(parse("generate", 9, "generate", "one", "--top-k=5", "-t", "3", "--stop", "",
                           "--stop=two", "-n7"), 0);
    assert_int_equal(options.verb, RT_VERB_generate);
    assert_string_equal(options.program, "toy");
    assert_int_equal(options.argument_count, 1);
    assert_string_equal(options.arguments[0], "one");
    assert_int_equal(options.top_k, 5);
    assert_int_equal(options.threads, 3);
    assert_int_equal(options.max_new_tokens, 7);
    assert_int_equal(options.stop.count, 2);
    assert_string_equal(options.stop.items[0], "");
    assert_string_equal(options.stop.items[1], "two");
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse("generate", 1, "generate"), 0);
    assert_true(options.temperature == 0 && options.top_p == 1 && options.min_p == 0);
    assert_true(options.penalty == 1 && options.top_k == 0);
    assert_true(options.max_length == 0 && options.truncate == 0 && !options.json);
    assert_null(options.weights);
    assert_int_equal(parse("fit", 1, "fit"), 0);
    assert_true(options.epochs == 1 && options.learning_rate == 0.01 && options.momentum == 0.9);
}

static void test_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("generate", 5, "generate", "--", "--json", "-x", "-"), 0);
    assert_int_equal(options.argument_count, 3);
    assert_string_equal(options.arguments[2], "-");
    assert_int_equal(parse("generate", 3, "generate", "--truncate", "right"), 0);
    assert_int_equal(options.truncate, 2);
    assert_int_equal(parse("generate", 3, "generate", "--seed", "9000000000000000000"), 0);
    assert_true(options.seed == 9000000000000000000);
    assert_int_equal(parse("generate", 2, "generate", "-h"), 0);
    assert_true(options.help);
    assert_int_equal(parse("generate", 1, "--version"), 0);
    assert_true(options.version);
    assert_int_equal(options.verb, RT_VERB_none);
}

static void test_refused(void **state)
{
    static const char *const lines[][4] = {
        {"generate", "--threads", "-1", NULL}, {"generate", "--threads", "1.5", NULL},
        {"generate", "--threads", "", NULL},   {"generate", "--temperature", "nan", NULL},
        {"generate", "--temperature", "1e999", NULL}, {"generate", "--epochs", "1", NULL},
        {"generate", "--seed", "99999999999999999999", NULL}, {"score", "a", "b", NULL},
        {"info", "x", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int count = 0;
        while (count < 4 && lines[i][count])
            count++;
        if (parse("generate", count, lines[i][0], lines[i][1], lines[i][2]) != EXIT_USAGE)
            fail_msg("%s %s %s", lines[i][0], lines[i][1], lines[i][2]);
    }
}

/* Every option that a verb takes is in its help and in the completions. */
static void test_help(void **state)
{
    static const char *const words[] = {"--batch-file", "--interactive", "--repetition-penalty",
                                        "--truncate", "--max-new-tokens", "--stop", "--special"};
    const struct rt_program *program = toy_generate_program(1, 8, NULL, 0);
    (void)state;
    struct run run = run_line(program, NULL, "generate --help");
    assert_int_equal(run.code, 0);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(run.out, words[i]));
    assert_null(strstr(run.out, "--epochs"));
    for (int shell = 0; shell < 3; shell++) {
        static const char *const shells[] = {"bash", "zsh", "fish"};
        char line[64];
        snprintf(line, sizeof line, "completion %s", shells[shell]);
        run = run_line(program, NULL, line);
        assert_int_equal(run.code, 0);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            assert_non_null(strstr(run.out, words[i] + 2));
    }
    assert_int_equal(run_line(program, NULL, "completion csh").code, 2);
    run = run_line(program, NULL, "-h");
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "generate"));
    assert_null(strstr(run.out, "  fit"));
}

static void test_bash_script(void **state)
{
    char path[] = "/tmp/sinter-completion-XXXXXX", line[128], reply[64] = "";
    FILE *file = fdopen(mkstemp(path), "w");
    (void)state;
    struct run run = run_line(toy_generate_program(1, 8, NULL, 0), NULL, "completion bash");
    fwrite(run.out, 1, run.out_length, file);
    fclose(file);
    snprintf(line, sizeof line,
             "bash -c '. %s; COMP_WORDS=(toy generate --bat); COMP_CWORD=2; _toy_complete; "
             "echo ${COMPREPLY[0]}'", path);
    file = popen(line, "r");
    assert_non_null(fgets(reply, sizeof reply, file));
    pclose(file);
    remove(path);
    assert_string_equal(reply, "--batch-file\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_forms),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help),    cmocka_unit_test(test_bash_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
