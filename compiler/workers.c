/* See workers.h. A worker says in shared memory which task it is at, so that its end tells whose
 * fault it was. */
#include "compiler/workers.h"

#include "ir/base/diag.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct shared {
    atomic_size_t next;                  /* the task that nobody has taken yet */
    atomic_size_t current[WORKERS_MOST]; /* of each worker, from 1; 0 between tasks */
};

struct team {
    struct shared *shared;
    size_t count;
    void (*task)(void *context, size_t index);
    void *context;
    pid_t ids[WORKERS_MOST];
    unsigned size;
};

void *workers_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fatal(OUT_OF_MEMORY, bytes);
    return memory;
}

void workers_release(void *memory, size_t bytes)
{
    munmap(memory, bytes + 1);
}

/* Takes tasks until none is left. */
static void take(struct team *team, atomic_size_t *current)
{
    for (size_t i; (i = atomic_fetch_add(&team->shared->next, 1)) < team->count;) {
        atomic_store(current, i + 1);
        team->task(team->context, i);
        atomic_store(current, 0);
    }
}

static _Noreturn void work(struct team *team, unsigned number)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    take(team, &team->shared->current[number]);
    _exit(0);
}

static int wait_for(pid_t id)
{
    int status = 0;
    while (waitpid(id, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static void stop(const struct team *team, unsigned first)
{
    for (unsigned i = first; i < team->size; i++) {
        kill(team->ids[i], SIGKILL);
        wait_for(team->ids[i]);
    }
}

static void start(struct team *team, unsigned workers)
{
    fflush(NULL);
    for (team->size = 0; team->size < workers; team->size++) {
        atomic_store(&team->shared->current[team->size], 0);
        pid_t id = fork();
        if (id == 0)
            work(team, team->size);
        if (id < 0)
            break;
        team->ids[team->size] = id;
    }
}

static void finish(struct team *team, int *out_signals)
{
    for (unsigned i = 0; i < team->size; i++) {
        int status = wait_for(team->ids[i]);
        size_t current = atomic_load(&team->shared->current[i]);
        if (WIFSIGNALED(status) && current > 0)
            out_signals[current - 1] = WTERMSIG(status);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 0)
            continue;
        stop(team, i + 1);
        exit(WEXITSTATUS(status));
    }
}

void workers_run(unsigned workers, size_t count, void (*task)(void *context, size_t index),
                 void *context, int *out_signals)
{
    struct team team = {.count = count, .task = task, .context = context};
    for (size_t i = 0; i < count; i++)
        out_signals[i] = 0;
    workers = workers < WORKERS_MOST ? workers : WORKERS_MOST;
    workers = workers < count ? workers : (unsigned)count;
    team.shared = workers_memory(sizeof *team.shared);
    size_t before;
    do {
        before = atomic_load(&team.shared->next);
        start(&team, workers > 1 ? workers : 0);
        finish(&team, out_signals);
    } while (atomic_load(&team.shared->next) > before && before < count);
    take(&team, &team.shared->current[0]); /* where no process is wanted, or none can be had */
    workers_release(team.shared, sizeof *team.shared);
}
