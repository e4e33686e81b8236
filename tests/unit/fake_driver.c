/* See fake_driver.h. */
#include "tests/unit/fake_driver.h"

#include "runtime/cuda.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

fake_cuda_count *live;
fake_cuda_words *faults, *said;
fake_cuda_act *reset;

const char *const symbols[] = {
#define CUDA(name, symbol, parameters) #symbol,
#include "runtime/cuda_symbols.def"
};
const size_t symbol_count = sizeof symbols / sizeof *symbols;

int fake_driver_open(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        return -1;
    setenv("SINTER_CUDA_LIBRARY", path, 1);
    *(void **)&live = dlsym(library, "fake_cuda_live");
    *(void **)&faults = dlsym(library, "fake_cuda_faults");
    *(void **)&said = dlsym(library, "fake_cuda_log");
    *(void **)&reset = dlsym(library, "fake_cuda_reset");
    return 0;
}

int begin(void **unused)
{
    static const char *const names[] = {"FAKE_CUDA_SM", "FAKE_CUDA_VERSION", "FAKE_CUDA_DEVICES",
                                        "FAKE_CUDA_MEMORY", "FAKE_CUDA_FAIL", "FAKE_CUDA_CACHE",
                                        "FAKE_CUBLAS_NONE"};
    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    reset();
    rt_status_clear();
    return 0;
}

void check_clean(void)
{
    if (live() != 0 || faults()[0])
        fail_msg("%d objects live; %s", live(), faults());
}

void check_text(const char *part)
{
    if (!strstr(rt_status_text(), part))
        fail_msg("'%s' is not in '%s'", part, rt_status_text());
}

rt_status open_session(struct rt_session *session, const struct rt_program *program,
                       enum rt_device_choice device)
{
    struct rt_session_options options = {.device = device, .threads = 1};
    rt_status_clear();
    return rt_session_open(session, program, &options);
}

int act_in_child(action *act, const char *library, char *text, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        setenv("SINTER_CUDA_LIBRARY", library, 1);
        dup2(ends[1], STDERR_FILENO);
        int code = act();
        const char *said_there = rt_status_text();
        if (write(ends[1], said_there, strlen(said_there)) < 0)
            code = 99;
        _exit(code);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
