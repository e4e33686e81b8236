/*
 * Stored encodings of weights. A weight has its logical type and dims up to pass_cast, and beside
 * it the attributes `encoding` (a row of encodings.def), `group` and `scales` (the weight that
 * holds one scale a group). From then on its type is that of the bytes in the file,
 * u8[.., K * bits / 8], and the op decode gives the numbers where they are used: an operand
 * prologue.
 */
#ifndef SINTER_ENCODING_H
#define SINTER_ENCODING_H

#include "ir/ir.h"

struct encoding {
    const char *name;
    int bits, flip, zero;
    const char *meaning;
};

/* Rows of the table in order; NULL behind the last. */
const struct encoding *encoding_row(int index);

/* By name; NULL if there is none, or the name is NULL. */
const struct encoding *encoding_find(const char *name);

/* The type of the bytes of a tensor in the file. Its last extent times bits is whole bytes. */
struct type encoded_type(const struct encoding *encoding, const struct type *type);

/* Code number i of a tensor, which stands in this byte. */
int encoding_code(const struct encoding *encoding, unsigned byte, int64_t i);

/* The number that a code stands for. */
double encoding_number(const struct encoding *encoding, int code, double scale);

/* The rule that a weight with an encoding breaks; NULL if it breaks none, or has no encoding. */
const char *encoding_rule(const struct module *module, const struct node *weight);

#endif
