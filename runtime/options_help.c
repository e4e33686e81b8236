/* Help texts and completion scripts, made from the tables of the command line: options.h. */
#include "runtime/options_table.h"

#include <stdio.h>
#include <string.h>

enum { LEFT_COLUMN = 30 };

static bool takes(const struct option_row *row, int verb)
{
    return row->verbs >> verb & 1;
}

static void print_option(const struct option_row *row)
{
    char left[128], letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(left, sizeof left, "  %s--%s%s%s", letter, row->name, *row->value ? " " : "",
             row->value);
    printf("%-*s  %s", LEFT_COLUMN, left, row->help);
    if ((row->kind == INTEGER || row->kind == REAL) && row->standard != 0)
        printf(" (%g)", row->standard);
    putchar('\n');
}

static void print_program(const char *program, const char *task)
{
    printf("usage: %s VERB [OPTION...] [ARGUMENT...]\n\n", program);
    for (int i = 0; i < RT_VERB_COUNT; i++)
        if (rt_verb_rows[i].tasks & rt_task_bit(task))
            printf("  %-12s%s\n", rt_verb_rows[i].name, rt_verb_rows[i].summary);
    printf("\n%s VERB -h prints the options of a verb, %s --version the version.\n", program,
           program);
}

void rt_options_help(const struct rt_options *options, const char *task)
{
    if (options->verb == RT_VERB_none) {
        print_program(options->program, task);
        return;
    }
    const struct verb_row *verb = &rt_verb_rows[options->verb];
    printf("usage: %s %s [OPTION...] %s\n%s\n\n", options->program, verb->name, verb->arguments,
           verb->summary);
    for (int i = 0; i < rt_option_row_count; i++)
        if (takes(&rt_option_rows[i], options->verb))
            print_option(&rt_option_rows[i]);
}

static void print_words(int verb, const char *separator)
{
    for (int i = 0; i < rt_option_row_count; i++)
        if (takes(&rt_option_rows[i], verb))
            printf("%s--%s", separator, rt_option_rows[i].name);
}

/* Shell words from a file name: anything but letters, digits, dot and underscore becomes '_'. */
static void safe_name(char *out, size_t capacity, const char *name)
{
    size_t i = 0;
    for (; name[i] && i + 1 < capacity; i++) {
        char c = name[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        out[i] = plain || (c == '.' && i > 0) ? c : '_';
    }
    out[i] = '\0';
}

static void print_bash(const char *name, unsigned task)
{
    printf("_%s_complete()\n{\n    local words\n    case \"${COMP_WORDS[1]}\" in\n", name);
    for (int i = 0; i < RT_VERB_COUNT; i++) {
        if (!(rt_verb_rows[i].tasks & task))
            continue;
        printf("    %s) words=\"", rt_verb_rows[i].name);
        print_words(i, " ");
        printf("\" ;;\n");
    }
    printf("    *) words=\"");
    for (int i = 0; i < RT_VERB_COUNT; i++)
        if (rt_verb_rows[i].tasks & task)
            printf(" %s", rt_verb_rows[i].name);
    printf(" --help --version\" ;;\n    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
           "complete -o default -F _%s_complete %s\n", name, name);
}

static void print_zsh(const char *name, unsigned task)
{
    printf("autoload -U +X bashcompinit && bashcompinit\n");
    print_bash(name, task);
}

/* A text in single quotes of fish, where \ and ' are escaped. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void print_fish(const char *name, unsigned task)
{
    for (int i = 0; i < RT_VERB_COUNT; i++) {
        const struct verb_row *verb = &rt_verb_rows[i];
        if (!(verb->tasks & task))
            continue;
        printf("complete -c %s -n __fish_use_subcommand -a %s -d ", name, verb->name);
        print_quoted(verb->summary);
        putchar('\n');
        for (int k = 0; k < rt_option_row_count; k++) {
            if (!takes(&rt_option_rows[k], i))
                continue;
            printf("complete -c %s -n '__fish_seen_subcommand_from %s' -l %s%s -d ", name,
                   verb->name, rt_option_rows[k].name,
                   rt_option_rows[k].kind == FLAG ? "" : " -r");
            print_quoted(rt_option_rows[k].help);
            putchar('\n');
        }
    }
}

rt_status rt_options_completion(const struct rt_options *options, const char *task)
{
    char name[128];
    const char *shell = options->arguments[0];
    unsigned bit = rt_task_bit(task);
    safe_name(name, sizeof name, options->program);
    if (strcmp(shell, "bash") == 0)
        print_bash(name, bit);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(name, bit);
    else if (strcmp(shell, "fish") == 0)
        print_fish(name, bit);
    else
        return rt_fail(ARGUMENTS_MISSING, "completion", rt_verb_rows[RT_VERB_completion].arguments);
    return 0;
}
