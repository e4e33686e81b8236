/*
 * An independent check of memory plans: it shares no code with passes/plan.c and knows nothing
 * of how places were chosen.
 */
#ifndef SINTER_PLAN_CHECK_H
#define SINTER_PLAN_CHECK_H

#include "ir/ir.h"

/* The number of pairs of values whose bytes overlap while both are needed, in all functions of
 * a planned module; the first is described in `report`. Also counts values outside the arena. */
int plan_conflicts(const struct module *module, char *report, size_t capacity);

#endif
