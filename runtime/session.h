/*
 * A program opened on a device: device and program chosen, weights bound, arena allocated, states
 * filled.
 * Functions, ports and states are found by name once; what runs afterwards knows indices and
 * offsets only.
 */
#ifndef SINTER_SESSION_H
#define SINTER_SESSION_H

#include "runtime/device.h"
#include "runtime/program.h"
#include "runtime/status.h"
#include "runtime/weights.h"

#include <stdbool.h>

/* As --device counts. */
enum rt_device_choice { RT_DEVICE_BEST, RT_DEVICE_CPU, RT_DEVICE_CUDA };

struct rt_session_options {
    enum rt_device_choice device;        /* BEST: a GPU if there is one with a program, else CPU */
    const struct rt_device_table *table; /* this kind of device whatever `device` says; or NULL */
    const char *weights; /* as for rt_weights_map; NULL: where they are expected */
    int threads;         /* 0: one for each CPU */
    bool foreign_caller; /* the caller's stack may be small: it computes nothing */
    bool anywhere;       /* a checkpoint of another layout will do, see map_weights */
    bool random;         /* random weights whatever the program says, with this seed */
    rt_u64 seed;
};

struct rt_session {
    const struct rt_program *program; /* the one that was chosen */
    struct rt_device *device;
    struct rt_weights weights;
};

/* Chooses among `program` and those that follow it. On failure nothing stays open. The programs
 * must outlive the session. */
rt_status rt_session_open(struct rt_session *session, const struct rt_program *program,
                          const struct rt_session_options *options);

void rt_session_close(struct rt_session *session);

/* Fills the states with their initial values; the caches only if `caches`, or if the last batch
 * overflowed: numbers that stand in them never change a result once `pos` is 0, but NaN could. */
rt_status rt_session_reset(struct rt_session *session, bool caches);

/* The first function of a role from `from` on; function_count if there is none. */
rt_u32 rt_session_find(const struct rt_session *session, const char *role, rt_u32 from);

/* As rt_session_find from 0, but a missing function is an error. */
rt_status rt_session_function(const struct rt_session *session, const char *role, rt_u32 *index);

/* The input or output of a function, of a known type and number of elements (-1: any). */
rt_status rt_session_input(const struct rt_session *session, rt_u32 function, const char *name,
                           enum rt_dtype dtype, rt_i64 elements, const struct rt_port **port);
rt_status rt_session_output(const struct rt_session *session, rt_u32 function, const char *name,
                            enum rt_dtype dtype, rt_i64 elements, const struct rt_port **port);

/* Whether the function has an output of that name. */
bool rt_session_has_output(const struct rt_session *session, rt_u32 function, const char *name);

/* The state of that name, or NULL. */
const struct rt_port *rt_session_state(const struct rt_session *session, const char *name);

rt_status rt_session_launch(struct rt_session *session, rt_u32 function);
rt_status rt_session_write(struct rt_session *session, const struct rt_port *port,
                           const void *from);
rt_status rt_session_read(struct rt_session *session, const struct rt_port *port, void *to);

rt_i64 rt_port_elements(const struct rt_port *port);

/* Bytes of one element, 0 for an unknown type. */
unsigned rt_dtype_size(rt_u32 dtype);
const char *rt_dtype_name(rt_u32 dtype);

#endif
