/* What launches ask of a unit of kernels. */
#ifndef SINTER_EMULATION_UNIT_H
#define SINTER_EMULATION_UNIT_H

#include "compiler/emulation/emulation.h"

/* NULL if there is no such kernel. */
void (*emulation_unit_entry(const struct emulation_unit *unit, const char *kernel))(
    void *const *operands);
bool emulation_unit_has_shadow(const struct emulation_unit *unit);

/* Where the unit's code lies. */
void emulation_unit_code(const struct emulation_unit *unit, const char **begin, const char **end);

#endif
