/* What tests of the CUDA device share: the driver library without a GPU, and programs for it. */
#ifndef SINTER_FAKE_DRIVER_H
#define SINTER_FAKE_DRIVER_H

#include "runtime/session.h"
#include "tests/fake_cuda.h"

extern fake_cuda_count *live;
extern fake_cuda_words *faults, *said;
extern fake_cuda_act *reset;

extern const char *const symbols[]; /* of runtime/cuda_symbols.def */
extern const size_t symbol_count;

/* Makes FAKE_CUDA the driver of the process; -1 where that fails. */
int fake_driver_open(const char *library);

/* A CMocka set-up: nothing is pretended, and nothing has been said. */
int begin(void **unused);

void check_clean(void);
void check_text(const char *part); /* of rt_status_text */

rt_status open_session(struct rt_session *session, const struct rt_program *program,
                       enum rt_device_choice device);

typedef rt_status action(void);

/* In a process of its own, since a process opens one library, and signals stay noted: what is
 * said, warnings too, and the exit code. */
int act_in_child(action *act, const char *library, char *text, size_t size);

#endif
