/* Help texts and completion scripts: see command_line.h. */
#include "runtime/command_line.h"

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

static void print_program(const struct command_table *table, const char *program)
{
    printf("usage: %s VERB [OPTION...] [ARGUMENT...]\n\n", program);
    for (int i = 0; i < table->verb_count; i++)
        if (table->verbs[i].tasks & table->task)
            printf("  %-12s%s\n", table->verbs[i].name, table->verbs[i].summary);
    printf("\n%s VERB -h prints the options of a verb, %s --version the version.\n", program,
           program);
}

void rt_command_line_help(const struct command_table *table, const struct command_line *options)
{
    if (options->verb == table->verb_count) {
        print_program(table, options->program);
        return;
    }
    const struct verb_row *verb = &table->verbs[options->verb];
    printf("usage: %s %s [OPTION...] %s\n%s\n\n", options->program, verb->name, verb->arguments,
           verb->summary);
    for (int i = 0; i < table->option_count; i++)
        if (takes(&table->options[i], options->verb))
            print_option(&table->options[i]);
}

static void print_words(const struct command_table *table, int verb, const char *separator)
{
    for (int i = 0; i < table->option_count; i++)
        if (takes(&table->options[i], verb))
            printf("%s--%s", separator, table->options[i].name);
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

static void print_bash(const struct command_table *table, const char *name)
{
    printf("_%s_complete()\n{\n    local words\n    case \"${COMP_WORDS[1]}\" in\n", name);
    for (int i = 0; i < table->verb_count; i++) {
        if (!(table->verbs[i].tasks & table->task))
            continue;
        printf("    %s) words=\"", table->verbs[i].name);
        print_words(table, i, " ");
        printf("\" ;;\n");
    }
    printf("    *) words=\"");
    for (int i = 0; i < table->verb_count; i++)
        if (table->verbs[i].tasks & table->task)
            printf(" %s", table->verbs[i].name);
    printf(" --help --version\" ;;\n    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
           "complete -o default -F _%s_complete %s\n", name, name);
}

static void print_zsh(const struct command_table *table, const char *name)
{
    printf("autoload -U +X bashcompinit && bashcompinit\n");
    print_bash(table, name);
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

static void print_fish(const struct command_table *table, const char *name)
{
    for (int i = 0; i < table->verb_count; i++) {
        const struct verb_row *verb = &table->verbs[i];
        if (!(verb->tasks & table->task))
            continue;
        printf("complete -c %s -n __fish_use_subcommand -a %s -d ", name, verb->name);
        print_quoted(verb->summary);
        putchar('\n');
        for (int k = 0; k < table->option_count; k++) {
            if (!takes(&table->options[k], i))
                continue;
            printf("complete -c %s -n '__fish_seen_subcommand_from %s' -l %s%s -d ", name,
                   verb->name, table->options[k].name,
                   table->options[k].kind == FLAG ? "" : " -r");
            print_quoted(table->options[k].help);
            putchar('\n');
        }
    }
}

rt_status rt_command_line_completion(const struct command_table *table, const char *program,
                                     const char *shell)
{
    char name[128];
    safe_name(name, sizeof name, program);
    if (strcmp(shell, "bash") == 0)
        print_bash(table, name);
    else if (strcmp(shell, "zsh") == 0)
        print_zsh(table, name);
    else if (strcmp(shell, "fish") == 0)
        print_fish(table, name);
    else
        return rt_fail(ARGUMENT_CHOICE, shell, "completion", "bash|zsh|fish");
    return 0;
}
