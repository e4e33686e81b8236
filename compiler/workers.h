/*
 * Tasks in processes of their own. Each worker is a fork of this process, takes the next task
 * until none is left, and ends. What a task leaves for the caller it writes to memory of
 * workers_memory; all else that it changes ends with its process.
 */
#ifndef SINTER_WORKERS_H
#define SINTER_WORKERS_H

#include <stddef.h>

/* Zeroed memory that workers share with this process. Fatal if there is none. */
void *workers_memory(size_t bytes);
void workers_release(void *memory, size_t bytes);

/*
 * Runs task(context, i) for every i below `count` on up to `workers` processes, at most
 * WORKERS_MOST; here, where one is enough or none can be had. A fatal message of a worker ends
 * this process too, with the same exit code. out_signals[i] is 0, or the signal that ended the
 * worker in task i; the tasks after it run all the same.
 */
enum { WORKERS_MOST = 4 };
void workers_run(unsigned workers, size_t count, void (*task)(void *context, size_t index),
                 void *context, int *out_signals);

#endif
