/* Tasks in processes of their own: all are done once, what they leave arrives, and their ends are
 * told from one another. */
#include "compiler/workers.h"
#include "ir/base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 50, CRASHES = 13, REFUSED = 7 };

struct record {
    int times;
    pid_t process;
};

static void note(void *context, size_t index)
{
    struct record *records = context;
    records[index].times++;
    records[index].process = getpid();
}

static void crash_some(void *context, size_t index)
{
    note(context, index);
    if (index % CRASHES == 0)
        raise(SIGKILL);
}

static void refuse_one(void *context, size_t index)
{
    note(context, index);
    if (index == REFUSED)
        fatal(INTERNAL, "a task that refuses", "as it should");
}

static struct record *records_of(void)
{
    return workers_memory(TASKS * sizeof(struct record));
}

static void every_task_once(void **state)
{
    (void)state;
    for (unsigned workers = 0; workers <= WORKERS_MOST + 1; workers++) {
        struct record *records = records_of();
        int signals[TASKS];
        workers_run(workers, TASKS, note, records, signals);
        for (int i = 0; i < TASKS; i++) {
            assert_int_equal(records[i].times, 1);
            assert_int_equal(signals[i], 0);
            assert_int_equal(records[i].process == getpid(), workers < 2);
        }
        workers_release(records, TASKS * sizeof *records);
    }
    workers_run(4, 0, note, NULL, NULL);
}

static void crashes_are_told(void **state)
{
    (void)state;
    struct record *records = records_of();
    int signals[TASKS];
    workers_run(2, TASKS, crash_some, records, signals);
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(records[i].times, 1);
        assert_int_equal(signals[i], i % CRASHES ? 0 : SIGKILL);
    }
    workers_release(records, TASKS * sizeof *records);
}

/* In a process of its own, since it ends. */
static void fatal_messages_end_all(void **state)
{
    (void)state;
    int status, signals[TASKS];
    struct record *records = records_of();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        workers_run(3, TASKS, refuse_one, records, signals);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_INTERNAL);
    assert_int_equal(records[REFUSED].times, 1);
    workers_release(records, TASKS * sizeof *records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_once),
        cmocka_unit_test(crashes_are_told),
        cmocka_unit_test(fatal_messages_end_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
