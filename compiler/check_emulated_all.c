/* All distinct kernels of a program, by several processes at once. See check_emulated.h. */
#include "compiler/check_emulated_kernel.h"
#include "compiler/workers.h"

#include <stdio.h>
#include <string.h>

/* A distinct kernel and what came of it, in memory that all workers see. */
struct emulated_task {
    size_t function, kernel;
    struct emulated_result result;
    char error[sizeof ((struct emulation_report *)0)->text]; /* of the result */
};

static void open_unit(struct emulated_session *session, bool shadow)
{
    char *errors = NULL;
    session->units[shadow] = emulation_unit_open(session->emitted->emulated,
                                                 session->emitted->emulated_length, shadow,
                                                 &errors);
    if (!session->units[shadow])
        fatal(INTERNAL, "the emitted kernels do not compile for the host",
              errors ? errors : "Clang failed");
}

static void open_units(struct emulated_session *session)
{
    for (size_t i = 0; i < session->options->mode_count; i++)
        if (!session->units[session->options->modes[i].shadow])
            open_unit(session, session->options->modes[i].shadow);
}

/* For workers_run: what is drawn depends on the kernel's number alone. */
static void run_task(void *context, size_t number)
{
    enum { DRAWN_MOST = 40 }; /* of one kernel, as a power of two */
    struct emulated_session *session = context;
    struct emulated_task *task = &session->tasks[number];
    session->random = (struct random){session->options->seed, (uint64_t)number << DRAWN_MOST};
    task->result = emulated_check_kernel(session, task->function, task->kernel);
    if (task->result.error) {
        snprintf(task->error, sizeof task->error, "%s", task->result.error);
        task->result.error = task->error;
    }
}

static size_t list_tasks(struct emulated_session *session, struct emulated_task *tasks)
{
    size_t count = 0;
    const struct module *module = session->module;
    bool *seen = arena_array(module->arena, bool, (size_t)session->emitted->kernel_count + 1);
    for (size_t f = 0; f < module->functions.count; f++)
        for (size_t k = 0; k < module->functions.items[f]->kernels.count; k++) {
            int kernel = session->emitted->steps[f][k].kernel;
            if (!seen[kernel])
                tasks[count++] = (struct emulated_task){.function = f, .kernel = k};
            seen[kernel] = true;
        }
    return count;
}

static struct emulated_result result_of(struct emulated_session *session,
                                        const struct emulated_task *task, int signal)
{
    const struct function *function = session->module->functions.items[task->function];
    const struct kernel *kernel = function->kernels.items[task->kernel];
    struct arena *arena = session->module->arena;
    struct emulated_result result = task->result;
    if (signal)
        result = (struct emulated_result){
            .check = emulated_not_compared(function, kernel),
            .runs = 1,
            .errors = 1,
            .error = arena_printf(arena, "its process has ended: %s", strsignal(signal))};
    else if (result.error)
        result.error = arena_copy(arena, result.error, strlen(result.error));
    return result;
}

static struct emulated_result *run_tasks(struct emulated_session *session, size_t *out_count)
{
    struct arena *arena = session->module->arena;
    size_t bytes = (size_t)session->emitted->kernel_count * sizeof(struct emulated_task);
    session->tasks = workers_memory(bytes);
    size_t count = *out_count = list_tasks(session, session->tasks);
    int *signals = arena_array(arena, int, count + 1);
    struct emulated_result *results = arena_array(arena, struct emulated_result, count + 1);
    workers_run(session->options->device ? 1 : session->options->workers, count, run_task, session,
                signals);
    for (size_t i = 0; i < count; i++)
        results[i] = result_of(session, &session->tasks[i], signals[i]);
    workers_release(session->tasks, bytes);
    return results;
}

struct emulated_result *check_emulated(struct module *module, const struct target *target,
                                       const struct cuda_emit_result *emitted,
                                       const struct emulated_check *options, size_t *out_count)
{
    struct emulated_session session = {
        .module = module, .target = target, .emitted = emitted, .options = options};
    session.emulation = emulation_create();
    open_units(&session);
    struct emulated_result *results = run_tasks(&session, out_count);
    emulation_unit_close(session.units[0]);
    emulation_unit_close(session.units[1]);
    emulation_destroy(session.emulation);
    return results;
}
