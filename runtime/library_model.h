/* What an open model of the C interface holds (library.h). */
#ifndef SINTER_LIBRARY_MODEL_H
#define SINTER_LIBRARY_MODEL_H

#include "runtime/library.h"
#include "runtime/session.h"

#define SINTER_EXPORT __attribute__((visibility("default")))

struct sinter_model {
    struct rt_session session;
    rt_i64 vocabulary; /* of a generate program, else 0 */
};

#endif
