/* See interpret.h. */
#include "compiler/interpret.h"

#include <stdlib.h>

void interpret_bind_weights(struct interp *interp, struct module *module,
                            const struct rt_checkpoint *checkpoint, interpret_change *change,
                            void *context)
{
    for (size_t i = 0; i < module->weights.count; i++) {
        const struct node *weight = module->weights.items[i];
        const struct rt_tensor *tensor = rt_checkpoint_find(checkpoint, node_text(weight, tensor));
        enum dtype dtype = (enum dtype)rt_stored_dtype((enum rt_stored)tensor->stored);
        int64_t count = type_elements(&weight->results[0].type);
        double *numbers = calloc((size_t)count, sizeof *numbers);
        if (!numbers)
            fatal(OUT_OF_MEMORY, (size_t)count * sizeof *numbers);
        for (int64_t k = 0; k < count; k++)
            numbers[k] = dtype_load(dtype, rt_tensor_data(checkpoint, tensor), k);
        if (change)
            change(context, tensor->name, numbers, count);
        interp_bind(interp, &weight->results[0], numbers);
        free(numbers);
    }
}
