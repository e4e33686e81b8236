/*
 * What this machine can do, measured by the process that reports a share of it: the rate of fused
 * multiply-adds and of plain reads of the mapped weights, with all threads. Machines and their
 * neighbours change from second to second, so bench takes a sample between any two steps.
 */
#ifndef SINTER_MEASURE_H
#define SINTER_MEASURE_H

#include "runtime/session.h"

struct rt_piece {
    const unsigned char *at;
    rt_u64 bytes;
};

/* Reads through the weights piece by piece, going on where the last sample ended. */
struct rt_reader {
    struct rt_piece *pieces;
    rt_i64 count, next;
};

/* One sample of the multiply-add rate in FLOP/s, the best of some short bursts, for "bf16" or else
 * f32, with the widest instructions among the features that the program was built for. */
double rt_measure_peak(struct rt_session *session);

rt_status rt_reader_open(struct rt_reader *reader, const struct rt_session *session);
void rt_reader_close(struct rt_reader *reader);

/* One sample of the read bandwidth in bytes/s; 0 if there are no weights. */
double rt_measure_bandwidth(struct rt_session *session, struct rt_reader *reader);

/* Bytes of anonymous memory that are resident now; 0 if the system does not tell. */
rt_u64 rt_measure_anonymous(void);

#endif
