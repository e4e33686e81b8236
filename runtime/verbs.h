/* The bodies of the verbs in verbs.def: rt_run_NAME, each in a file of its own. */
#ifndef SINTER_VERBS_H
#define SINTER_VERBS_H

#include "runtime/options.h"
#include "runtime/session.h"

#define VERB(id, ...) \
    rt_status rt_run_##id(const struct rt_program *program, const struct rt_options *options);
#include "runtime/verbs.def"

/* Opens the program as the common options say. */
rt_status rt_open_session(struct rt_session *session, const struct rt_program *program,
                          const struct rt_options *options);

/* The most tokens of a sequence: --max-length, or what the program was built for. */
rt_status rt_length_limit(const struct rt_program *program, const struct rt_options *options,
                          rt_i64 *limit);

/* The number of logits of a position; EXIT_INTERNAL if the program has none. */
rt_status rt_vocabulary(const struct rt_session *session, rt_i64 *vocabulary);

struct rt_sampling;
void rt_sampling_of(const struct rt_options *options, struct rt_sampling *sampling);

#endif
