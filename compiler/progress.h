/*
 * What the compiler is doing, for people who wait: a step that takes more than a second is
 * named on standard error, with the seconds that it has taken; on a terminal in place, elsewhere
 * once when it has ended. Quick steps say nothing.
 */
#ifndef SINTER_PROGRESS_H
#define SINTER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

/* Also prints what every step took (--time). */
void progress_report_all(bool all);

/* `what` is kept, not copied. Steps do not nest. */
void progress_begin(const char *what);
void progress_end(void);

/* Of the step that runs: so many parts of it are done. */
void progress_count(size_t done, size_t total);

#endif
