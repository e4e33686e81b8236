/*
 * What the expressions of ops.def may use, in double. Private to the files that compile these
 * expressions: op.c and interp_rows.c.
 */
#ifndef SINTER_INTRINSICS_H
#define SINTER_INTRINSICS_H

#include "ir/philox.h"

#include <math.h>

/* Names that expressions use. They are objects, not macros: texts must show the names. */
__attribute__((unused)) static const double m_infinity = INFINITY;
__attribute__((unused)) static const double m_last = 2147483647; /* after every index */

/* Each intrinsic with two parameters, so that one expansion serves both arities. */
#define INTRINSIC_1(name, expression)                    \
    __attribute__((unused)) static double name(double a) \
    {                                                    \
        return expression;                               \
    }
#define INTRINSIC_2(name, expression)                              \
    __attribute__((unused)) static double name(double a, double b) \
    {                                                              \
        return expression;                                         \
    }
#define INTRINSIC(name, arity, expression) INTRINSIC_##arity(name, (expression))
#include "ir/intrinsics.def"

__attribute__((unused)) static double m_philox(double a, double b, double c, double d)
{
    return philox_uniform(a, b, c, d, 0);
}

/* UNPACK (p0, p1) is the list of a tuple. */
#define UNPACK(...) __VA_ARGS__

#endif
