/* A line on the terminal that tells how far a long run is: shown only if standard error is one,
 * and only after the run has taken a second. */
#ifndef SINTER_PROGRESS_H
#define SINTER_PROGRESS_H

#include "runtime/program.h"

#include <stdbool.h>

struct rt_progress {
    const char *what;
    rt_i64 total;
    rt_u64 started, shown; /* rt_now */
    bool terminal, visible;
};

void rt_progress_open(struct rt_progress *progress, const char *what, rt_i64 total);

/* `note` stands behind the bar: "loss 0.123". */
void rt_progress_show(struct rt_progress *progress, rt_i64 done, const char *note);

/* Removes the line. */
void rt_progress_close(struct rt_progress *progress);

#endif
