/* Writing of weights as safetensors, so that a crash at any moment leaves either the old file or
 * the new one. */
#ifndef SINTER_SAVE_H
#define SINTER_SAVE_H

#include "runtime/session.h"

/*
 * Writes all weights of the program to DIRECTORY/model.safetensors (the directory is made if it
 * is missing): trained ones from their states, the others as they were read, with the names,
 * types and shapes of the table, in its order.
 */
rt_status rt_save_weights(struct rt_session *session, const char *directory);

#endif
