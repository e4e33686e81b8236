/* See fake_cuda.h: the driver, its device, modules, and what is told about all calls. */
#include "tests/fake_cuda_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fake_cuda_count fake_cuda_live;
fake_cuda_words fake_cuda_faults, fake_cuda_log;
fake_cuda_act fake_cuda_reset;
fake_cuda_use fake_cuda_serve;

struct fake_state state;

/* --- telling --- */

static void add_text(char *text, const char *format, va_list arguments)
{
    size_t used = strlen(text);
    if (used + 1 < TEXT)
        vsnprintf(text + used, TEXT - used, format, arguments);
}

cuda_result fault(cuda_result code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_text(state.faults, format, arguments);
    va_end(arguments);
    return code;
}

void note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_text(state.log, format, arguments);
    va_end(arguments);
}

SHOWN int fake_cuda_live(void)
{
    int live = state.objects + state.context.users;
    for (int i = 0; i < BLOCKS_MOST; i++)
        live += state.blocks[i].at != NULL;
    return live;
}

SHOWN const char *fake_cuda_faults(void)
{
    return state.faults;
}

SHOWN const char *fake_cuda_log(void)
{
    return state.log;
}

SHOWN void fake_cuda_serve(const struct fake_server *server)
{
    state.server = server;
}

SHOWN void fake_cuda_reset(void)
{
    state.faults[0] = state.log[0] = '\0';
    state.calls_left = 0;
}

long pretended(const char *name, long standard)
{
    const char *value = getenv(name);
    return value && *value ? atol(value) : standard;
}

cuda_result ordered(const char *symbol)
{
    const char *order = getenv("FAKE_CUDA_FAIL");
    size_t length = strlen(symbol);
    int number = 0, code = 0;
    if (!order || strncmp(order, symbol, length) != 0
        || sscanf(order + length, ":%d:%d", &number, &code) != 2)
        return CUDA_OK;
    return ++state.calls_left == number ? code : CUDA_OK;
}

/* --- modules --- */

static void do_nothing(void *const *operands, int blocks)
{
    (void)operands;
    (void)blocks;
}

/* What a text in PTX stands for; NULL if it is another. */
static const struct fake_image *translated(const char *text)
{
    static const struct fake_kernel kernels[] = {{"nothing", 0, do_nothing}, {0}};
    static const struct fake_image image = {FAKE_MAGIC, kernels};
    return strncmp(text, ".version", 8) == 0 && strstr(text, ".entry nothing()") ? &image : NULL;
}

/* Stands for images that nothing here can run, where the environment allows it. */
static const struct fake_image *idle(void)
{
    static const struct fake_kernel kernels[] = {{"*", 0, do_nothing}, {0}};
    static const struct fake_image image = {FAKE_MAGIC, kernels};
    return pretended("FAKE_CUDA_IDLE", 0) ? &image : NULL;
}

cuda_result cuModuleLoadData(cuda_module *module, const void *image)
{
    ENTER("cuModuleLoadData");
    note("load ");
    const struct fake_image *known =
        memcmp(image, FAKE_MAGIC, sizeof FAKE_MAGIC) == 0 ? image : translated(image);
    known = known ? known : idle();
    if (!known && !state.server)
        return INVALID_IMAGE;
    *module = calloc(1, sizeof **module);
    (*module)->image = known;
    (*module)->bytes = image;
    state.objects++;
    return CUDA_OK;
}

cuda_result cuModuleUnload(cuda_module module)
{
    ENTER_TO_FREE("cuModuleUnload");
    free(module);
    state.objects--;
    return order;
}

static cuda_function new_function(const struct fake_kernel *kernel)
{
    enum { FUNCTIONS_MOST = 256 };
    static struct cuda_function_object functions[FUNCTIONS_MOST];
    static int count;
    cuda_function function = &functions[count++ % FUNCTIONS_MOST];
    *function = (struct cuda_function_object){.kernel = kernel};
    return function;
}

static cuda_result find_served(cuda_function *function, const void *image, const char *name)
{
    int parameters = state.server->find(state.server->context, image, name);
    if (parameters < 0)
        return NOT_FOUND;
    *function = new_function(NULL);
    (*function)->served = (struct fake_kernel){.name = name, .parameters = parameters};
    (*function)->kernel = &(*function)->served;
    return CUDA_OK;
}

cuda_result cuModuleGetFunction(cuda_function *function, cuda_module module, const char *name)
{
    ENTER("cuModuleGetFunction");
    if (!module->image)
        return find_served(function, module->bytes, name);
    for (const struct fake_kernel *kernel = module->image->kernels; kernel->name; kernel++)
        if (strcmp(kernel->name, name) == 0 || strcmp(kernel->name, "*") == 0) {
            *function = new_function(kernel);
            return CUDA_OK;
        }
    return NOT_FOUND;
}

cuda_result cuFuncSetAttribute(cuda_function function, int attribute, int value)
{
    ENTER("cuFuncSetAttribute");
    if (attribute != CUDA_FUNCTION_SHARED || value > SHARED_MOST)
        return fault(INVALID_VALUE, "cuFuncSetAttribute: %d of attribute %d; ", value, attribute);
    function->shared = value;
    return CUDA_OK;
}

/* --- the driver and its device --- */

cuda_result cuInit(unsigned flags)
{
    cuda_result order = ordered("cuInit");
    return order ? order : flags ? fault(INVALID_VALUE, "cuInit: flags; ") : CUDA_OK;
}

cuda_result cuDriverGetVersion(int *version)
{
    *version = (int)pretended("FAKE_CUDA_VERSION", 13000);
    return CUDA_OK;
}

cuda_result cuGetErrorName(cuda_result result, const char **name)
{
    *name = result == CUDA_NO_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_FAKE";
    return CUDA_OK;
}

cuda_result cuGetErrorString(cuda_result result, const char **text)
{
    (void)result;
    *text = "as the test ordered";
    return CUDA_OK;
}

cuda_result cuDeviceGetCount(int *count)
{
    *count = (int)pretended("FAKE_CUDA_DEVICES", 1);
    return CUDA_OK;
}

cuda_result cuDeviceGet(cuda_ordinal *device, int number)
{
    *device = number;
    return number == 0 ? CUDA_OK : CUDA_NO_DEVICE;
}

cuda_result cuDeviceGetName(char *name, int size, cuda_ordinal device)
{
    snprintf(name, (size_t)size, "Fake GPU %d", device);
    return CUDA_OK;
}

cuda_result cuDeviceGetAttribute(int *value, int attribute, cuda_ordinal device)
{
    int sm = (int)pretended("FAKE_CUDA_SM", 80);
    (void)device;
    *value = attribute == CUDA_ATTRIBUTE_MAJOR      ? sm / 10
             : attribute == CUDA_ATTRIBUTE_MINOR    ? sm % 10
             : attribute == CUDA_ATTRIBUTE_L2_BYTES ? (int)pretended("FAKE_CUDA_CACHE", 0)
                                                    : 108;
    return CUDA_OK;
}

cuda_result cuDeviceTotalMem_v2(size_t *bytes, cuda_ordinal device)
{
    (void)device;
    *bytes = (size_t)pretended("FAKE_CUDA_MEMORY", 64 << 20);
    return CUDA_OK;
}

cuda_result cuDevicePrimaryCtxRetain(cuda_context *context, cuda_ordinal device)
{
    cuda_result order = ordered("cuDevicePrimaryCtxRetain");
    (void)device;
    if (order)
        return order;
    state.context.users++;
    *context = &state.context;
    return CUDA_OK;
}

cuda_result cuDevicePrimaryCtxRelease_v2(cuda_ordinal device)
{
    (void)device;
    if (state.context.users < 1)
        return fault(INVALID_CONTEXT, "a context is given back twice; ");
    state.context.users--;
    return CUDA_OK;
}

cuda_result cuCtxSetCurrent(cuda_context context)
{
    state.current = context;
    return CUDA_OK;
}
