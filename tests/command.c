/* See command.h. Output goes to temporary files, so that nobody has to read while it runs. */
#include "tests/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 64, LINE = 1 << 16, MESSAGE = 1 << 16 };

static _Noreturn void die(const char *what, const char *which)
{
    fprintf(stderr, "command: %s: %s\n", what, which);
    abort();
}

static char *contents(FILE *file, size_t *length)
{
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, *length + 1);
    if (!text || fread(text, 1, *length, file) != *length)
        die("cannot read", "output");
    fclose(file);
    return text;
}

static _Noreturn void child(const struct command_setting *setting, const char *const *words,
                            FILE *in, int out, FILE *err)
{
    if (setting->directory && chdir(setting->directory) != 0)
        _exit(126);
    for (int i = 0; setting->environment && setting->environment[i]; i++)
        putenv((char *)setting->environment[i]);
    dup2(fileno(in), STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(fileno(err), STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execvp(words[0], (char *const *)words);
    _exit(127);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Messages of a socket keep the borders of writes. */
static void collect_writes(int socket, FILE *out, struct outcome *outcome)
{
    static char message[MESSAGE];
    ssize_t length;
    while ((length = read(socket, message, sizeof message)) > 0) {
        fwrite(message, 1, (size_t)length, out);
        if (outcome->write_count < COMMAND_WRITES)
            outcome->writes[outcome->write_count++] = (size_t)length;
    }
    close(socket);
}

const struct outcome *command_run(const struct command_setting *setting, const char *const *words)
{
    static const struct command_setting ordinary;
    static struct outcome outcome;
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    int sockets[2] = {-1, -1}, status = 0;
    free(outcome.out);
    free(outcome.err);
    outcome = (struct outcome){0};
    setting = setting ? setting : &ordinary;
    if (!in || !out || !err)
        die("cannot make", "temporary files");
    if (setting->input)
        fputs(setting->input, in);
    rewind(in);
    if (setting->writes && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0)
        die("cannot make", "sockets");
    double start = now();
    pid_t pid = fork();
    if (pid == 0)
        child(setting, words, in, setting->writes ? sockets[1] : fileno(out), err);
    if (setting->writes) {
        close(sockets[1]);
        collect_writes(sockets[0], out, &outcome);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("cannot run", words[0]);
    outcome.seconds = now() - start;
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fclose(in);
    outcome.out = contents(out, &outcome.out_length);
    outcome.err = contents(err, &outcome.err_length);
    return &outcome;
}

const struct outcome *command_line(const struct command_setting *setting, const char *format, ...)
{
    static char line[LINE];
    const char *words[WORDS] = {0};
    int count = 0;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof line)
        die("too long a line", format);
    for (char *at = line; *(at += strspn(at, " "));) {
        char end = *at == '\'' ? *at++ : ' ';
        if (count == WORDS - 1)
            die("too many words", format);
        words[count++] = at;
        at += strcspn(at, end == ' ' ? " " : "'");
        if (!*at)
            break;
        *at++ = '\0';
    }
    return command_run(setting, words);
}

void command_folder(char *out, size_t capacity, const char *name)
{
    snprintf(out, capacity, "/tmp/sinter-%s-XXXXXX", name);
    if (!mkdtemp(out))
        die("cannot make", out);
}

void command_remove(const char *directory)
{
    command_run(NULL, (const char *const[]){"rm", "-rf", "--", directory, NULL});
}

char *command_read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot read", path);
    return contents(file, length);
}

void command_write_file(const char *path, const void *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
        die("cannot write", path);
}
