/* IR as a picture: a graph in the language of Graphviz. */
#ifndef SINTER_DOT_H
#define SINTER_DOT_H

#include "ir/base/str.h"
#include "ir/ir.h"

/* One cluster for each function, one inside it for each kernel; boxes are nodes, arrows values
 * with their types. */
void dot_print(struct module *module, struct str *out);

#endif
