/* See run_program.h. Output goes to temporary files, so that nobody has to read while it runs. */
#include "tests/unit/run_program.h"

#include "runtime/main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS = 64 };

static char *contents(FILE *file, size_t *length)
{
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, *length + 1);
    if (!text || fread(text, 1, *length, file) != *length)
        abort();
    fclose(file);
    return text;
}

static void set_output(const struct run_setting *setting, FILE *out)
{
    int pipes[2], descriptor = fileno(out);
    if (setting->output)
        descriptor = open(setting->output, O_WRONLY);
    if (setting->closed_pipe && pipe(pipes) == 0) {
        close(pipes[0]);
        descriptor = pipes[1];
    }
    dup2(descriptor, STDOUT_FILENO);
}

static _Noreturn void child(const struct rt_program *program, const struct run_setting *setting,
                            char **argv, FILE *in, FILE *out, FILE *err)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    dup2(fileno(in), STDIN_FILENO);
    set_output(setting, out);
    dup2(fileno(err), STDERR_FILENO);
    if (setting->stack) {
        struct rlimit limit = {setting->stack, RLIM_INFINITY};
        setrlimit(RLIMIT_STACK, &limit);
    }
    int code = rt_main(argc, argv, program);
    fflush(stderr);
    _exit(code);
}

struct run run_words(const struct rt_program *program, const struct run_setting *setting,
                     char **argv)
{
    static const struct run_setting ordinary;
    static struct run run;
    setting = setting ? setting : &ordinary;
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    if (!in || !out || !err)
        abort();
    fputs(setting->input ? setting->input : "", in);
    rewind(in);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        child(program, setting, argv, in, out, err);
    if (setting->interrupt_ms) {
        usleep((useconds_t)setting->interrupt_ms * 1000);
        kill(pid, SIGINT);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    free(run.out);
    free(run.err);
    run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    run.out = contents(out, &run.out_length);
    run.err = contents(err, &run.err_length);
    fclose(in);
    return run;
}

struct run run_line(const struct rt_program *program, const struct run_setting *setting,
                    const char *line)
{
    char *copy = strdup(line), *words[WORDS] = {"toy"}, *at = copy;
    int count = 1;
    while (copy && *(at += strspn(at, " ")) && count < WORDS - 1) {
        char end = *at == '\'' ? '\'' : ' ';
        at += end == '\'';
        words[count++] = at;
        at += strcspn(at, end == '\'' ? "'" : " ");
        if (*at)
            *at++ = '\0';
    }
    struct run run = run_words(program, setting, words);
    free(copy);
    return run;
}
