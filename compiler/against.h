/*
 * Values of a lowered model against those of another framework. The file holds every input of
 * the function by its name, and any outputs and values by the names in `sinter ir --after lower`.
 */
#ifndef SINTER_AGAINST_H
#define SINTER_AGAINST_H

#include "compiler/frontends/npz.h"
#include "compiler/job.h"

struct against_result {
    const char *name;
    struct type type;
    double worst; /* largest error, in units of the root mean square of the file's values */
    double rms;   /* of the file's values */
};

/*
 * Runs the first function of role predict in the interpreter, in f64, on the inputs of the file.
 * Weights come from the file, where it has one of that name, else from the checkpoint. Returns
 * one result for each array of the file that is no input and no weight, in order. Fatal
 * (EXIT_DATA): an input is missing, a name is unknown, a shape is another.
 */
struct against_result *against_compare(struct job *job, const struct npz *npz, size_t *out_count);

#endif
