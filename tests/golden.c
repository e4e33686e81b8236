/*
 * Golden cases: one file holds the input, the command lines and what they must print.
 *
 *     golden [--update] SINTER CASE...
 *
 * A case is a text of sections. What stands before the first one is a remark.
 *
 *     --- file NAME       a file for the commands to read, made in an empty directory
 *     --- link NAME PATH  NAME there is a link to PATH of the repository (the driver's directory)
 *     --- shell           lines for /bin/sh that make more files; exit 77 skips the rest of the
 * case
 *     --- env             lines NAME=VALUE, or NAME to unset, for all later commands
 *     --- stdin           standard input of the next command; else it is empty
 *     --- run             one command line: `sinter ...`, `./NAME ...` for what it made, `sh -c
 * "..."`
 *     --- exit N          its exit code (0 if there is no such section)
 *     --- out             all that it prints; also `--- err` for standard error
 *     --- out has         lines that must appear in it, in this order; also `--- err has`
 *     --- out lacks       lines that must not appear
 *
 * The case's directory reads DIRECTORY in what is printed, and lines that tell the progress of slow
 * steps ("linking: 1.2 s") are left out. --update rewrites the sections exit,
 * out and err with what the commands do now.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECTIONS = 512, WORDS = 128, LARGEST = 16 << 20, SHOWN = 4000, SKIP = 77 };

struct section {
    char head[256]; /* what follows "--- " */
    char *body;
};

struct golden {
    const char *path;
    char *remark; /* before the first section */
    struct section sections[SECTIONS];
    int count;
    bool changed;
    bool skipped;
    int failures;
    const char *directory; /* where the commands run */
    const char *start;     /* the driver's own */
    const char *input;     /* for the next command; NULL = none */
};

struct outcome {
    int code;
    char *out, *err;
};

extern char **environ;

static void die(const char *what, const char *which)
{
    fprintf(stderr, "golden: %s: %s: %s\n", what, which, strerror(errno));
    exit(1);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot read", path);
    char *text = calloc(1, LARGEST + 1);
    if (!text)
        die("no memory", path);
    size_t length = fread(text, 1, LARGEST, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        die("cannot write", path);
}

/* --- the file of a case --- */

static char *next_section(char *text)
{
    if (strncmp(text, "--- ", 4) == 0)
        return text;
    char *found = strstr(text, "\n--- ");
    return found ? found + 1 : NULL;
}

static void parse(struct golden *g, char *text)
{
    g->remark = text;
    char *at = next_section(text);
    if (at)
        at[at == text ? 0 : -1] = at == text ? at[0] : '\0';
    bool no_remark = at == text;
    if (no_remark)
        g->remark = "";
    while (at) {
        if (g->count == SECTIONS)
            die("too many sections", g->path);
        struct section *section = &g->sections[g->count++];
        char *end = strchr(at, '\n');
        size_t length = end ? (size_t)(end - at) : strlen(at);
        snprintf(section->head, sizeof section->head, "%.*s", (int)length - 4, at + 4);
        char *next = end ? next_section(end + 1) : NULL;
        size_t size = !end ? 0 : next ? (size_t)(next - end - 1) : strlen(end + 1);
        section->body = end ? strndup(end + 1, size) : strdup("");
        at = next;
    }
}

static void save(const struct golden *g)
{
    FILE *file = fopen(g->path, "wb");
    if (!file)
        die("cannot write", g->path);
    if (*g->remark)
        fprintf(file, "%s\n", g->remark);
    for (int i = 0; i < g->count; i++)
        fprintf(file, "--- %s\n%s", g->sections[i].head, g->sections[i].body);
    if (fclose(file) != 0)
        die("cannot write", g->path);
}

/* --- running --- */

/* Splits at blanks; words may stand in double quotes. */
static int split(char *line, char **words)
{
    int count = 0;
    for (char *at = line; *at && count < WORDS - 1;) {
        at += strspn(at, " \n");
        if (!*at)
            break;
        bool quoted = *at == '"';
        words[count++] = at + quoted;
        at = quoted ? strchr(at + 1, '"') : at + strcspn(at, " \n");
        if (!at || !*at)
            break;
        *at++ = '\0';
    }
    words[count] = NULL;
    return count;
}

/* Runs words[0], which is looked up in PATH. Returns the exit code as a shell gives it. */
static int spawn(char **words, const char *input)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0, flags = O_WRONLY | O_CREAT | O_TRUNC;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, ".out", flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, ".err", flags, 0600);
    errno = posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    if (errno || waitpid(child, &status, 0) < 0)
        die("cannot run", words[0]);
    posix_spawn_file_actions_destroy(&actions);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* "linking: 1.2 s" */
static bool is_progress(const char *line)
{
    size_t words = strcspn(line, ":\n"), number = 0;
    if (line[words] == ':' && line[words + 1] == ' ')
        number = strspn(line + words + 2, "0123456789.");
    return number > 0 && strncmp(line + words + 2 + number, " s\n", 3) == 0;
}

static void drop_progress(char *text)
{
    for (char *line = text; *line;) {
        size_t length = strcspn(line, "\n") + (strchr(line, '\n') != NULL);
        if (is_progress(line))
            memmove(line, line + length, strlen(line + length) + 1);
        else
            line += length;
    }
}

/* What a command printed, without what differs from run to run. */
static char *read_printed(const struct golden *g, const char *path)
{
    static const char name[] = "DIRECTORY"; /* shorter than any directory of mkdtemp */
    char *text = read_whole(path);
    size_t length = strlen(g->directory);
    for (char *at = strstr(text, g->directory); at; at = strstr(at, g->directory)) {
        memcpy(at, name, sizeof name - 1);
        at += sizeof name - 1;
        memmove(at, at + length - (sizeof name - 1), strlen(at + length - (sizeof name - 1)) + 1);
    }
    drop_progress(text);
    return text;
}

static struct outcome run(struct golden *g, const char *command)
{
    char *line = strdup(command), *words[WORDS];
    if (split(line, words) == 0)
        die("an empty command", command);
    if (g->input)
        write_whole(".in", g->input);
    int code = spawn(words, g->input ? ".in" : "/dev/null");
    g->input = NULL;
    free(line);
    return (struct outcome){code, read_printed(g, ".out"), read_printed(g, ".err")};
}

/* --- preparing --- */

static void run_shell(struct golden *g, char *script)
{
    char *words[] = {"sh", "-e", "-c", script, NULL};
    int code = spawn(words, "/dev/null");
    if (code == SKIP) {
        g->skipped = true;
        printf("SKIPPED 1 %s: %s", g->path, read_whole(".out"));
    } else if (code != 0) {
        g->failures++;
        printf("%s: shell ended with %d\n%s\n%s\n", g->path, code, script, read_whole(".err"));
    }
}

static void make_link(const struct golden *g, const char *arguments)
{
    char name[256], path[256], *target = NULL;
    if (sscanf(arguments, "%255s %255s", name, path) != 2 ||
        asprintf(&target, "%s/%s", g->start, path) < 0 || symlink(target, name) != 0)
        die("cannot link", arguments);
    free(target);
}

static void set_variables(const char *lines)
{
    char *body = strdup(lines), *rest;
    for (char *line = strtok_r(body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *equals = strchr(line, '=');
        if (equals)
            *equals = '\0';
        if (equals ? setenv(line, equals + 1, 1) : unsetenv(line))
            die("cannot set", line);
    }
    free(body);
}

/* False if the section is no preparation. */
static bool prepare(struct golden *g, struct section *section)
{
    const char *head = section->head;
    if (strncmp(head, "file ", 5) == 0)
        write_whole(head + 5, section->body);
    else if (strncmp(head, "link ", 5) == 0)
        make_link(g, head + 5);
    else if (strcmp(head, "shell") == 0)
        run_shell(g, section->body);
    else if (strcmp(head, "env") == 0)
        set_variables(section->body);
    else if (strcmp(head, "stdin") == 0)
        g->input = section->body;
    else
        return false;
    return true;
}

/* --- comparing --- */

static void fail(struct golden *g, const char *what, const char *expected, const char *got)
{
    g->failures++;
    printf("%s: %s\n--- expected\n%.*s\n--- got\n%.*s\n---\n", g->path, what, SHOWN, expected,
           SHOWN, got);
}

static void compare_text(struct golden *g, struct section *section, const char *got, bool update)
{
    if (strcmp(section->body, got) == 0)
        return;
    bool whole_lines = !*got || got[strlen(got) - 1] == '\n'; /* others cannot be written */
    if (!update || !whole_lines) {
        fail(g, section->head, section->body, got);
        return;
    }
    free(section->body);
    section->body = strdup(got);
    g->changed = true;
}

static void compare_lines(struct golden *g, const struct section *section, const char *got,
                          bool wanted)
{
    char *body = strdup(section->body), *rest;
    const char *from = got;
    for (char *line = strtok_r(body, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *found = strstr(wanted ? from : got, line);
        if ((found != NULL) != wanted)
            fail(g, section->head, line, got);
        from = found ? found + strlen(line) : from;
    }
    free(body);
}

static void compare_code(struct golden *g, struct section *section, int code, bool update)
{
    char head[64];
    snprintf(head, sizeof head, "exit %d", code);
    if (strcmp(section->head, head) == 0)
        return;
    if (update) {
        snprintf(section->head, sizeof section->head, "%s", head);
        g->changed = true;
    } else {
        fail(g, "exit code", section->head, head);
    }
}

static void check_section(struct golden *g, struct section *section, struct outcome *o, bool update)
{
    const char *head = section->head;
    const char *got = strncmp(head, "err", 3) == 0 ? o->err : o->out;
    if (strcmp(head, "out") == 0 || strcmp(head, "err") == 0)
        compare_text(g, section, got, update);
    else if (strcmp(head, "out has") == 0 || strcmp(head, "err has") == 0)
        compare_lines(g, section, got, true);
    else if (strcmp(head, "out lacks") == 0 || strcmp(head, "err lacks") == 0)
        compare_lines(g, section, got, false);
    else if (strncmp(head, "exit", 4) == 0)
        compare_code(g, section, o->code, update);
    else
        fail(g, "unknown section", head, "");
}

static bool is_expectation(const char *head)
{
    return strncmp(head, "exit", 4) == 0 || strncmp(head, "out", 3) == 0 ||
           strncmp(head, "err", 3) == 0;
}

/* Runs section i and compares it with those after it. Returns the number of the last of them. */
static int run_command(struct golden *g, int i, bool update)
{
    struct outcome o = run(g, g->sections[i].body);
    bool has_exit = false;
    for (; i + 1 < g->count && is_expectation(g->sections[i + 1].head); i++) {
        has_exit |= strncmp(g->sections[i + 1].head, "exit", 4) == 0;
        check_section(g, &g->sections[i + 1], &o, update);
    }
    if (!has_exit && o.code != 0)
        fail(g, "exit code", "0\n", o.err);
    free(o.out);
    free(o.err);
    return i;
}

static void run_case(struct golden *g, bool update)
{
    for (int i = 0; i < g->count && !g->skipped; i++) {
        if (strcmp(g->sections[i].head, "run") == 0)
            i = run_command(g, i, update);
        else if (!prepare(g, &g->sections[i]))
            fail(g, "unknown section", g->sections[i].head, "");
    }
}

static int remove_tree(const char *directory)
{
    char *words[] = {"rm", "-rf", (char *)directory, NULL};
    pid_t child;
    return posix_spawnp(&child, "rm", NULL, NULL, words, environ) || waitpid(child, NULL, 0) < 0;
}

static int run_file(const char *path, const char *start, bool update)
{
    char directory[] = "/tmp/golden.XXXXXX";
    char *full = realpath(path, NULL);
    struct golden g = {.path = full, .directory = directory, .start = start};
    if (!full)
        die("cannot read", path);
    parse(&g, read_whole(full));
    if (!mkdtemp(directory) || chdir(directory) != 0)
        die("cannot make a directory", directory);
    run_case(&g, update);
    if (g.changed)
        save(&g);
    remove_tree(directory);
    return g.failures;
}

/* `sinter` in a command line, and in a shell, is the one under test. */
static void put_first(char *sinter)
{
    char *slash = strrchr(sinter, '/'), *path;
    if (!slash || strcmp(slash, "/sinter") != 0)
        die("not a program named sinter", sinter);
    *slash = '\0';
    if (asprintf(&path, "%s:%s", sinter, getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin") < 0 ||
        setenv("PATH", path, 1) != 0)
        die("no memory", "PATH");
    free(path);
}

int main(int argc, char **argv)
{
    bool update = argc > 1 && strcmp(argv[1], "--update") == 0;
    int at = 1 + update, failures = 0;
    char *sinter = argc > at ? realpath(argv[at], NULL) : NULL;
    if (!sinter || argc < at + 2) {
        fprintf(stderr, "usage: golden [--update] SINTER CASE...\n");
        return 2;
    }
    char *start = realpath(".", NULL);
    put_first(sinter);
    for (int i = at + 1; i < argc; i++) {
        if (!start || chdir(start) != 0)
            die("cannot return", ".");
        failures += run_file(argv[i], start, update) > 0;
    }
    printf("%d golden cases, %d failed\n", argc - at - 1, failures);
    return failures > 0;
}
