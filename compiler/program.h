/* From a planned module to the objects of a program: emission and compilation. */
#ifndef SINTER_PROGRAM_COMPILE_H
#define SINTER_PROGRAM_COMPILE_H

#include "backends/program.h"
#include "compiler/job.h"

/*
 * Emits the modules of jobs for one or several targets, planned before, and compiles them on
 * options->threads threads. `path` is the program to be made: a source that a compiler refuses is
 * kept beside it. The objects (malloc'd array in the arena, contents freed by
 * toolchain_free_objects) define rt_program, which is that of jobs[0].
 */
struct object *program_compile(struct job *jobs, size_t job_count, const char *path,
                               size_t *out_count);

/* What the tables of program `number` say beside the module; adds the module's facts. */
struct program_facts program_facts_of(struct job *job, int number, bool more);

/* Whether program `number` carries PTX: that of the oldest architecture serves all later ones; one
 * copy of it is enough. */
bool program_wants_ptx(const struct job *jobs, size_t count, size_t number);

/* How many threads or processes compile. */
unsigned program_threads(const struct job *job);

#endif
