/*
 * Whether this CPU, and the system's saving of its registers, can run a program: asked before
 * the first kernel, so that a wrong CPU is a message and never an illegal instruction.
 */
#ifndef SINTER_CPU_FEATURES_H
#define SINTER_CPU_FEATURES_H

#include "runtime/status.h"

#include <stdbool.h>
#include <stddef.h>

/* Whether the CPU has a feature of cpu_features.def. Unknown names: false. */
bool rt_cpu_has(const char *feature);

/* Succeeds if the CPU has all of a NULL-terminated list (NULL: none); the message names what it
 * lacks. */
rt_status rt_cpu_check(const char *const *features);

/* The CPU's own name ("AMD EPYC ..."), or "unknown". */
void rt_cpu_name(char *out, size_t capacity);

#endif
