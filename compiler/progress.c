/* A thread that wakes up once a second while a step runs: see progress.h. */
#include "compiler/progress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *what;
    struct timespec begin;
    pthread_t watcher;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool running, watched, all;
    atomic_size_t done, total;
} step = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static double elapsed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - step.begin.tv_sec) +
           1e-9 * (double)(now.tv_nsec - step.begin.tv_nsec);
}

static void show(void)
{
    size_t done = atomic_load(&step.done), total = atomic_load(&step.total);
    if (total > 0)
        fprintf(stderr, "\r%s... %zu of %zu, %.0f s", step.what, done, total, elapsed());
    else
        fprintf(stderr, "\r%s... %.0f s", step.what, elapsed());
}

static void *watch(void *unused)
{
    bool terminal = isatty(STDERR_FILENO);
    (void)unused;
    pthread_mutex_lock(&step.lock);
    while (step.running) {
        struct timespec next;
        clock_gettime(CLOCK_REALTIME, &next);
        next.tv_sec++;
        if (pthread_cond_timedwait(&step.ended, &step.lock, &next) == ETIMEDOUT && terminal)
            show();
    }
    pthread_mutex_unlock(&step.lock);
    return NULL;
}

void progress_report_all(bool all)
{
    step.all = all;
}

void progress_count(size_t done, size_t total)
{
    atomic_store(&step.done, done);
    atomic_store(&step.total, total);
}

void progress_begin(const char *what)
{
    step.what = what;
    step.running = true;
    progress_count(0, 0);
    clock_gettime(CLOCK_MONOTONIC, &step.begin);
    step.watched = pthread_create(&step.watcher, NULL, watch, NULL) == 0;
}

void progress_end(void)
{
    double seconds = elapsed();
    pthread_mutex_lock(&step.lock);
    step.running = false;
    pthread_cond_signal(&step.ended);
    pthread_mutex_unlock(&step.lock);
    if (step.watched)
        pthread_join(step.watcher, NULL);
    if (seconds > 1 || step.all)
        fprintf(stderr, "%s%s: %.1f s\n", isatty(STDERR_FILENO) ? "\r" : "", step.what, seconds);
}
