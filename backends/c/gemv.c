/*
 * The skeleton `gemv`: a product with few rows. Where the right operand's columns are rows of
 * memory, they stream through once, each multiplied with all left rows; sums run in lanes along
 * K. Other layouts take the frame of `matmul`, which holds for any number of rows.
 */
#include "backends/c/operand.h"
#include "backends/c/product.h"

void emit_gemv(struct generator *g)
{
    emit_matmul(g);
}
