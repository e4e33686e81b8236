/* The progress line: see progress.h. */
#include "runtime/progress.h"

#include "runtime/process.h"
#include "runtime/report.h"

#include <stdio.h>
#include <unistd.h>

enum { SECOND = 1000000000, REFRESH = SECOND / 10, BAR = 24 };

void rt_progress_open(struct rt_progress *progress, const char *what, rt_i64 total)
{
    *progress = (struct rt_progress){
        .what = what,
        .total = total,
        .started = rt_now(),
        .terminal = isatty(STDERR_FILENO) == 1 && !rt_report_silent(),
    };
}

void rt_progress_show(struct rt_progress *progress, rt_i64 done, const char *note)
{
    rt_u64 now = progress->terminal ? rt_now() : 0;
    if (!progress->terminal || now - progress->started < SECOND || now - progress->shown < REFRESH)
        return;
    char bar[BAR + 1];
    double share = progress->total > 0 ? (double)done / (double)progress->total : 0;
    double elapsed = (double)(now - progress->started) / SECOND;
    for (int i = 0; i < BAR; i++)
        bar[i] = (i + 1) <= share * BAR ? '#' : '.';
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K%s [%s] %lld/%lld, %.0f s left  %s", progress->what, bar,
            (long long)done, (long long)progress->total,
            share > 0 ? elapsed / share - elapsed : 0.0, note);
    fflush(stderr);
    progress->shown = now;
    progress->visible = true;
}

void rt_progress_close(struct rt_progress *progress)
{
    if (progress->visible)
        fputs("\r\033[K", stderr);
    progress->visible = false;
}
