/*
 * Device library of the C backend: products with few rows, the right operand streaming through
 * once.
 */
#include "product.h"
