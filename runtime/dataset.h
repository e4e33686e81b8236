/*
 * The samples of a fit or predict program: one IDX file for each input of the model, converted
 * to what the input takes when a batch is put together. Files are checked before the first step.
 */
#ifndef SINTER_DATASET_H
#define SINTER_DATASET_H

#include "runtime/idx.h"
#include "runtime/options.h"
#include "runtime/session.h"

enum { RT_MAX_INPUTS = 16 };

struct rt_dataset_input {
    const struct rt_port *port;
    const char *path;
    struct rt_idx idx;
    double scale;
    unsigned char *buffer; /* one batch, as the port takes it */
};

struct rt_dataset {
    struct rt_session *session;
    struct rt_dataset_input inputs[RT_MAX_INPUTS];
    int input_count;
    rt_i64 batch;
    rt_i64 count; /* samples */
};

/*
 * Opens the files for the model's inputs of a function (all but the settings of roles.h): by
 * --data NAME=FILE, the others in the order of the arguments. Whole-number inputs that only
 * training has (labels) must name one of `classes` classes; 0: not checked.
 */
rt_status rt_dataset_open(struct rt_dataset *dataset, struct rt_session *session,
                          rt_u32 function, const struct rt_options *options, rt_i64 classes);
void rt_dataset_close(struct rt_dataset *dataset);

/* Puts samples[0..count) into the inputs; rows behind them become zero. */
rt_status rt_dataset_load(struct rt_dataset *dataset, const rt_i64 *samples, rt_i64 count);

/* Classes of the program's predict function: the last size of its first output if that has two;
 * else 0. */
rt_i64 rt_dataset_classes(const struct rt_session *session);

#endif
