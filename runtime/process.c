/* Signals, stack, streams and clock of the process: see process.h. */
#include "runtime/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { STACK_NEEDED = RT_KERNEL_STACK + (1 << 20) };

static volatile sig_atomic_t noted_signal;

static void note_signal(int number)
{
    noted_signal = number;
}

void rt_process_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction note = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGINT, &note, NULL);
    sigaction(SIGTERM, &note, NULL);
}

rt_status rt_process_interrupted(void)
{
    int number = noted_signal;
    if (number == 0)
        return 0;
    return number == SIGTERM ? rt_fail(TERMINATED, number) : rt_fail(INTERRUPTED, number);
}

struct call {
    int (*body)(void *argument);
    void *argument;
    int result;
};

static void *run_call(void *pointer)
{
    struct call *call = pointer;
    call->result = call->body(call->argument);
    return NULL;
}

int rt_process_with_stack(int (*body)(void *argument), void *argument)
{
    struct rlimit limit;
    struct call call = {body, argument, 0};
    pthread_attr_t attributes;
    pthread_t thread;
    bool enough = getrlimit(RLIMIT_STACK, &limit) == 0
                  && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= STACK_NEEDED);
    if (enough)
        return body(argument);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_NEEDED);
    int error = pthread_create(&thread, &attributes, run_call, &call);
    pthread_attr_destroy(&attributes);
    if (error)
        return rt_fail(THREAD_START, 1, strerror(error));
    pthread_join(thread, NULL);
    return call.result;
}

/* Whether the reader of a pipe went away, for when the errno of the failed write is lost. */
static bool reader_gone(FILE *stream)
{
    struct pollfd descriptor = {fileno(stream), POLLOUT, 0};
    return poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLERR);
}

static rt_status write_failure(FILE *stream, const char *name, int error)
{
    if (error == 0 && reader_gone(stream))
        error = EPIPE;
    const char *reason = error ? strerror(error) : "an earlier write failed";
    return error == EPIPE ? rt_fail(PIPE_CLOSED, name, reason) : rt_fail(FILE_WRITE, name, reason);
}

rt_status rt_flush(FILE *stream, const char *name)
{
    errno = 0;
    bool failed = fflush(stream) != 0;
    int error = errno;
    return failed || ferror(stream) ? write_failure(stream, name, error) : 0;
}

rt_status rt_written(FILE *stream, const char *name)
{
    return ferror(stream) ? write_failure(stream, name, errno) : 0;
}

rt_status rt_close(FILE *stream, const char *name)
{
    rt_status status = rt_flush(stream, name);
    errno = 0;
    if (fclose(stream) != 0 && !status)
        status = rt_fail(FILE_WRITE, name, strerror(errno));
    return status;
}

rt_u64 rt_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (rt_u64)now.tv_sec * 1000000000u + (rt_u64)now.tv_nsec;
}
