/* Writing of weights as safetensors, so that a crash at any moment leaves either the old file or
 * the new one. */
#ifndef SINTER_SAVE_H
#define SINTER_SAVE_H

#include "runtime/session.h"

/* Makes the directory if it is missing, and fails where nothing could be written into it: to be
 * asked before the work. */
rt_status rt_save_prepare(const char *directory);

/*
 * Writes all weights of the program to DIRECTORY/model.safetensors (rt_save_prepare): trained ones
 * from their states, the others as they were read, with the names, types and shapes of the table,
 * in its order.
 */
rt_status rt_save_weights(struct rt_session *session, const char *directory);

#endif
