/*
 * Golden cases: one file holds the input, the command lines and what they must print.
 *
 *     golden [--update] SINTER CASE...
 *
 * A case is a text of sections. What stands before the first one is a remark.
 *
 *     --- file NAME       a file for the commands to read, made in an empty directory
 *     --- run             one command line: `sinter ...`, or `./NAME ...` for what it made
 *     --- exit N          its exit code (0 if there is no such section)
 *     --- out             all that it prints; also `--- err` for standard error
 *     --- out has         lines that must appear in it, in this order; also `--- err has`
 *     --- out lacks       lines that must not appear
 *
 * --update rewrites the sections exit, out and err with what the commands do now.
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

enum { SECTIONS = 256, WORDS = 128, LARGEST = 16 << 20 };

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
    int failures;
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

static struct outcome run(const char *sinter, const char *command)
{
    char *line = strdup(command), *words[WORDS];
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;
    if (split(line, words) == 0)
        die("an empty command", command);
    const char *program = strcmp(words[0], "sinter") == 0 ? sinter : words[0];
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, ".out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, ".err", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    errno = posix_spawn(&child, program, &actions, NULL, words, environ);
    if (errno || waitpid(child, &status, 0) < 0)
        die("cannot run", program);
    posix_spawn_file_actions_destroy(&actions);
    free(line);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return (struct outcome){code, read_whole(".out"), read_whole(".err")};
}

/* --- comparing --- */

static void fail(struct golden *g, const char *what, const char *expected, const char *got)
{
    g->failures++;
    printf("%s: %s\n--- expected\n%s--- got\n%s---\n", g->path, what, expected, got);
}

static void compare_text(struct golden *g, struct section *section, const char *got, bool update)
{
    if (strcmp(section->body, got) == 0)
        return;
    if (!update) {
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

static void check_section(struct golden *g, struct section *section, struct outcome *o,
                          bool update)
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

static void run_case(struct golden *g, const char *sinter, bool update)
{
    for (int i = 0; i < g->count; i++) {
        struct section *section = &g->sections[i];
        if (strncmp(section->head, "file ", 5) == 0) {
            write_whole(section->head + 5, section->body);
        } else if (strcmp(section->head, "run") == 0) {
            struct outcome o = run(sinter, section->body);
            bool has_exit = false;
            for (; i + 1 < g->count && strcmp(g->sections[i + 1].head, "run") != 0 &&
                   strncmp(g->sections[i + 1].head, "file ", 5) != 0; i++) {
                has_exit |= strncmp(g->sections[i + 1].head, "exit", 4) == 0;
                check_section(g, &g->sections[i + 1], &o, update);
            }
            if (!has_exit && o.code != 0)
                fail(g, "exit code", "0\n", o.err);
            free(o.out);
            free(o.err);
        }
    }
}

static int remove_tree(const char *directory)
{
    char *words[] = {"rm", "-rf", (char *)directory, NULL};
    pid_t child;
    return posix_spawnp(&child, "rm", NULL, NULL, words, environ) || waitpid(child, NULL, 0) < 0;
}

static int run_file(const char *path, const char *sinter, bool update)
{
    char directory[] = "/tmp/golden.XXXXXX";
    char *full = realpath(path, NULL);
    struct golden g = {.path = full};
    if (!full)
        die("cannot read", path);
    parse(&g, read_whole(full));
    if (!mkdtemp(directory) || chdir(directory) != 0)
        die("cannot make a directory", directory);
    run_case(&g, sinter, update);
    if (g.changed)
        save(&g);
    remove_tree(directory);
    return g.failures;
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
    int start = open(".", O_RDONLY | O_DIRECTORY);
    for (int i = at + 1; i < argc; i++) {
        if (fchdir(start) != 0)
            die("cannot return", ".");
        failures += run_file(argv[i], sinter, update) > 0;
    }
    printf("%d golden cases, %d failed\n", argc - at - 1, failures);
    return failures > 0;
}
