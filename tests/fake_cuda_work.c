/* See fake_cuda.h: memory, queued work, streams, events and graphs. */
#include "tests/fake_cuda_state.h"

#include <stdlib.h>
#include <string.h>

/* --- memory --- */

static bool inside(const void *at, size_t bytes, bool device)
{
    for (int i = 0; i < BLOCKS_MOST; i++)
        if (state.blocks[i].at && state.blocks[i].device == device
            && (const char *)at >= state.blocks[i].at
            && (const char *)at + bytes <= state.blocks[i].at + state.blocks[i].bytes)
            return true;
    return false;
}

bool in_device(const void *at, size_t bytes)
{
    return inside(at, bytes, true);
}

static cuda_result allocate(void **memory, size_t bytes, bool device)
{
    size_t most = (size_t)pretended("FAKE_CUDA_MEMORY", 64 << 20);
    if (bytes == 0)
        return fault(INVALID_VALUE, "allocation of nothing; ");
    if (device && bytes > most - state.used)
        return CUDA_NO_MEMORY;
    for (int i = 0; i < BLOCKS_MOST; i++) {
        if (state.blocks[i].at)
            continue;
        state.blocks[i].at = aligned_alloc(256, (bytes + 255) / 256 * 256);
        memset(state.blocks[i].at, 0xa5, bytes); /* nothing is zero by itself */
        state.blocks[i].bytes = bytes;
        state.blocks[i].device = device;
        state.used += device ? bytes : 0;
        *memory = state.blocks[i].at;
        return CUDA_OK;
    }
    return fault(CUDA_NO_MEMORY, "too many allocations; ");
}

static cuda_result release(void *memory, bool device)
{
    for (int i = 0; i < BLOCKS_MOST; i++)
        if (memory && state.blocks[i].at == memory && state.blocks[i].device == device) {
            state.used -= device ? state.blocks[i].bytes : 0;
            free(memory);
            state.blocks[i].at = NULL;
            return CUDA_OK;
        }
    return fault(INVALID_VALUE, "freeing what was not allocated; ");
}

static void *address(cuda_pointer pointer)
{
    return (void *)(size_t)pointer;
}

cuda_result cuMemAlloc_v2(cuda_pointer *memory, size_t bytes)
{
    void *at = NULL;
    ENTER("cuMemAlloc_v2");
    note("allocate ");
    cuda_result result = allocate(&at, bytes, true);
    *memory = (cuda_pointer)(size_t)at;
    return result;
}

cuda_result cuMemAllocHost_v2(void **memory, size_t bytes)
{
    ENTER("cuMemAllocHost_v2");
    return allocate(memory, bytes, false);
}

cuda_result cuMemFreeHost(void *memory)
{
    ENTER_TO_FREE("cuMemFreeHost");
    return release(memory, false) ? INVALID_VALUE : order;
}

cuda_result cuMemGetInfo_v2(size_t *available, size_t *total)
{
    ENTER("cuMemGetInfo_v2");
    *total = (size_t)pretended("FAKE_CUDA_MEMORY", 64 << 20);
    *available = *total - state.used;
    return CUDA_OK;
}

/* --- work --- */

/* Every operation takes a quarter of a millisecond, but for a kernel that does nothing. */
static void pass_time(const struct operation *work)
{
    bool idle = work->kind == LAUNCH && work->function->kernel->parameters == 0;
    state.clock += idle ? 0 : 0.25;
}

static void run_kernel(const struct operation *work)
{
    const struct fake_kernel *kernel = work->function->kernel;
    const struct fake_server *server = state.server;
    if (kernel->run)
        kernel->run(work->operands, work->blocks);
    else
        server->run(server->context, kernel->name, work->operands, work->blocks, work->threads,
                    work->shared);
}

static void execute(const struct operation *work)
{
    switch (work->kind) {
    case COPY: memmove(work->to, work->from, work->bytes); break;
    case COPY_ROWS:
        for (size_t row = 0; row < work->rows; row++)
            memcpy((char *)work->to + row * work->to_pitch,
                   (const char *)work->from + row * work->from_pitch, work->bytes);
        break;
    case SET:
        if (work->bytes == 1)
            memset(work->to, (int)work->value, work->rows);
        for (size_t i = 0; i < work->rows && work->bytes > 1; i++)
            memcpy((char *)work->to + i * work->bytes, &work->value, work->bytes);
        break;
    case LAUNCH: run_kernel(work); break;
    case PRODUCT: fake_compute_product(&work->product); break;
    case RECORD:
        work->event->done = work->generation;
        work->event->time = state.clock;
        break;
    }
    pass_time(work);
}

/* Does what is queued, up to and with the record of an event; all if `event` is NULL. */
static void finish(cuda_stream stream, cuda_event event, unsigned generation)
{
    size_t done = 0;
    while (done < stream->count) {
        const struct operation *work = &stream->work[done++];
        execute(work);
        if (event && work->kind == RECORD && work->event == event
            && work->generation == generation)
            break;
    }
    memmove(stream->work, stream->work + done, (stream->count - done) * sizeof *stream->work);
    stream->count -= done;
}

static cuda_result enqueue(cuda_stream stream, const struct operation *work)
{
    if (!stream)
        return fault(INVALID_VALUE, "no stream; ");
    struct operation *list = stream->capture ? stream->capture->work : stream->work;
    size_t *count = stream->capture ? &stream->capture->count : &stream->count;
    if (*count == WORK_MOST && !stream->capture)
        finish(stream, NULL, 0);
    if (*count == WORK_MOST)
        return fault(CUDA_NO_MEMORY, "too much work in a graph; ");
    list[(*count)++] = *work;
    return CUDA_OK;
}

static struct operation *new_work(void)
{
    state.objects++;
    return calloc(WORK_MOST, sizeof(struct operation));
}

static void drop_work(struct operation *work)
{
    state.objects--;
    free(work);
}

static cuda_result copy(const char *symbol, void *to, bool to_device, const void *from,
                        bool from_device, size_t bytes, cuda_stream stream)
{
    struct operation work = {.kind = COPY, .to = to, .from = from, .bytes = bytes};
    if (!inside(to, bytes, to_device) || !inside(from, bytes, from_device))
        return fault(INVALID_VALUE, "%s: outside of memory; ", symbol);
    return enqueue(stream, &work);
}

cuda_result cuMemcpyHtoDAsync_v2(cuda_pointer to, const void *from, size_t bytes,
                                 cuda_stream stream)
{
    ENTER("cuMemcpyHtoDAsync_v2");
    note("in:%zu ", bytes);
    return copy("cuMemcpyHtoDAsync_v2", address(to), true, from, false, bytes, stream);
}

cuda_result cuMemcpyDtoHAsync_v2(void *to, cuda_pointer from, size_t bytes, cuda_stream stream)
{
    ENTER("cuMemcpyDtoHAsync_v2");
    note("out:%zu ", bytes);
    return copy("cuMemcpyDtoHAsync_v2", to, false, address(from), true, bytes, stream);
}

cuda_result cuMemcpyDtoDAsync_v2(cuda_pointer to, cuda_pointer from, size_t bytes,
                                 cuda_stream stream)
{
    ENTER("cuMemcpyDtoDAsync_v2");
    note("copy:%zu ", bytes);
    return copy("cuMemcpyDtoDAsync_v2", address(to), true, address(from), true, bytes, stream);
}

cuda_result cuMemcpy2DAsync_v2(const struct cuda_copy_rows *rows, cuda_stream stream)
{
    struct operation work = {.kind = COPY_ROWS, .to = address(rows->to_device),
                             .from = rows->from_host, .bytes = rows->bytes, .rows = rows->rows,
                             .to_pitch = rows->to_pitch, .from_pitch = rows->from_pitch};
    ENTER("cuMemcpy2DAsync_v2");
    note("rows:%zux%zu ", rows->rows, rows->bytes);
    if (rows->from_kind != CUDA_MEMORY_HOST || rows->to_kind != CUDA_MEMORY_DEVICE
        || rows->bytes > rows->to_pitch || rows->bytes > rows->from_pitch || rows->rows == 0
        || !inside(work.to, (rows->rows - 1) * rows->to_pitch + rows->bytes, true)
        || !inside(work.from, (rows->rows - 1) * rows->from_pitch + rows->bytes, false))
        return fault(INVALID_VALUE, "cuMemcpy2DAsync_v2: wrong rows; ");
    return enqueue(stream, &work);
}

static cuda_result set(cuda_pointer at, unsigned value, size_t size, size_t count,
                       cuda_stream stream)
{
    struct operation work = {.kind = SET, .to = address(at), .value = value, .bytes = size,
                             .rows = count};
    if (!inside(work.to, count * size, true) || at % size != 0)
        return fault(INVALID_VALUE, "a fill outside of memory; ");
    return enqueue(stream, &work);
}

cuda_result cuMemsetD8Async(cuda_pointer at, unsigned char value, size_t count,
                            cuda_stream stream)
{
    ENTER("cuMemsetD8Async");
    return set(at, value, 1, count, stream);
}

cuda_result cuMemsetD16Async(cuda_pointer at, unsigned short value, size_t count,
                             cuda_stream stream)
{
    ENTER("cuMemsetD16Async");
    return set(at, value, 2, count, stream);
}

cuda_result cuMemsetD32Async(cuda_pointer at, unsigned value, size_t count, cuda_stream stream)
{
    ENTER("cuMemsetD32Async");
    return set(at, value, 4, count, stream);
}

cuda_result cuLaunchKernel(cuda_function function, unsigned blocks_x, unsigned blocks_y,
                           unsigned blocks_z, unsigned threads_x, unsigned threads_y,
                           unsigned threads_z, unsigned shared, cuda_stream stream,
                           void **parameters, void **extra)
{
    struct operation work = {.kind = LAUNCH,
                             .function = function,
                             .blocks = (int)blocks_x,
                             .threads = (int)threads_x,
                             .shared = (int)shared};
    ENTER("cuLaunchKernel");
    if (!function || blocks_x < 1 || blocks_x > 0x7fffffff || threads_x < 1 || threads_x > 1024
        || blocks_y * blocks_z * threads_y * threads_z != 1 || extra)
        return fault(INVALID_VALUE, "cuLaunchKernel: wrong shape; ");
    if (shared > SHARED_MOST || (shared > CUDA_SHARED_ALWAYS && (int)shared > function->shared))
        return fault(INVALID_VALUE, "cuLaunchKernel: shared memory was not asked for; ");
    note("%s:%s ", stream->capture ? "record" : "launch", function->kernel->name);
    for (int i = 0; i < function->kernel->parameters; i++) {
        memcpy(&work.operands[i], parameters[i], sizeof work.operands[i]);
        if (!inside(work.operands[i], 1, true))
            return fault(INVALID_VALUE, "cuLaunchKernel: operand %d points nowhere; ", i);
    }
    return enqueue(stream, &work);
}

/* Waits for all work before, as the driver does. */
cuda_result cuMemFree_v2(cuda_pointer memory)
{
    ENTER_TO_FREE("cuMemFree_v2");
    if (state.stream)
        finish(state.stream, NULL, 0);
    return release(address(memory), true) ? INVALID_VALUE : order;
}

cuda_result fake_queue_product(cuda_stream stream, const struct fake_product *product)
{
    struct operation work = {.kind = PRODUCT, .product = *product};
    return enqueue(stream, &work);
}

/* --- streams, events, graphs --- */

cuda_result cuStreamCreate(cuda_stream *stream, unsigned flags)
{
    ENTER("cuStreamCreate");
    if (flags > CUDA_STREAM_OWN)
        return fault(INVALID_VALUE, "cuStreamCreate: wrong flags; ");
    *stream = calloc(1, sizeof **stream);
    (*stream)->work = new_work();
    state.stream = *stream;
    return CUDA_OK;
}

cuda_result cuStreamDestroy_v2(cuda_stream stream)
{
    ENTER_TO_FREE("cuStreamDestroy_v2");
    state.stream = NULL;
    drop_work(stream->work);
    free(stream);
    return order;
}

cuda_result cuStreamSynchronize(cuda_stream stream)
{
    ENTER("cuStreamSynchronize");
    if (stream->capture)
        return fault(CAPTURE_WRONG, "waiting while recording; ");
    note("wait ");
    finish(stream, NULL, 0);
    return CUDA_OK;
}

cuda_result cuEventCreate(cuda_event *event, unsigned flags)
{
    ENTER("cuEventCreate");
    *event = calloc(1, sizeof **event);
    (*event)->timed = !(flags & CUDA_EVENT_PLAIN);
    state.objects++;
    return CUDA_OK;
}

cuda_result cuEventDestroy_v2(cuda_event event)
{
    ENTER_TO_FREE("cuEventDestroy_v2");
    free(event);
    state.objects--;
    return order;
}

cuda_result cuEventRecord(cuda_event event, cuda_stream stream)
{
    ENTER("cuEventRecord");
    struct operation work = {.kind = RECORD, .event = event, .generation = ++event->recorded};
    event->stream = stream;
    return enqueue(stream, &work);
}

cuda_result cuEventSynchronize(cuda_event event)
{
    ENTER("cuEventSynchronize");
    if (event->done < event->recorded)
        finish(event->stream, event, event->recorded);
    return CUDA_OK;
}

cuda_result cuEventElapsedTime(float *milliseconds, cuda_event from, cuda_event to)
{
    ENTER("cuEventElapsedTime");
    if (!from->timed || !to->timed || from->recorded == 0 || to->recorded == 0)
        return fault(INVALID_VALUE, "cuEventElapsedTime: no time was taken; ");
    if (from->done < from->recorded || to->done < to->recorded)
        return NOT_READY;
    *milliseconds = (float)(to->time - from->time);
    return CUDA_OK;
}

cuda_result cuStreamBeginCapture_v2(cuda_stream stream, int mode)
{
    ENTER("cuStreamBeginCapture_v2");
    if (stream->capture || mode < 0 || mode > 2)
        return fault(CAPTURE_WRONG, "recording twice; ");
    state.recording++;
    stream->capture = calloc(1, sizeof *stream->capture);
    stream->capture->work = new_work();
    return CUDA_OK;
}

/* A recording that fails to end well has ended, too. */
cuda_result cuStreamEndCapture(cuda_stream stream, cuda_graph *graph)
{
    cuda_result order = ordered("cuStreamEndCapture");
    *graph = stream->capture;
    state.recording -= stream->capture != NULL;
    stream->capture = NULL;
    if (order && *graph) {
        drop_work((*graph)->work);
        free(*graph);
        *graph = NULL;
    }
    return order ? order : *graph ? CUDA_OK : fault(CAPTURE_WRONG, "nothing was recorded; ");
}

cuda_result cuGraphInstantiateWithFlags(cuda_executable *executable, cuda_graph graph,
                                        rt_u64 flags)
{
    ENTER("cuGraphInstantiateWithFlags");
    if (flags != 0)
        return fault(INVALID_VALUE, "cuGraphInstantiateWithFlags: wrong flags; ");
    *executable = calloc(1, sizeof **executable);
    (*executable)->work = new_work();
    (*executable)->count = graph->count;
    memcpy((*executable)->work, graph->work, graph->count * sizeof *graph->work);
    return CUDA_OK;
}

cuda_result cuGraphDestroy(cuda_graph graph)
{
    ENTER_TO_FREE("cuGraphDestroy");
    drop_work(graph->work);
    free(graph);
    return order;
}

cuda_result cuGraphExecDestroy(cuda_executable executable)
{
    ENTER_TO_FREE("cuGraphExecDestroy");
    drop_work(executable->work);
    free(executable);
    return order;
}

cuda_result cuGraphLaunch(cuda_executable executable, cuda_stream stream)
{
    cuda_result result = CUDA_OK;
    ENTER("cuGraphLaunch");
    note("graph:%zu ", executable->count);
    for (size_t i = 0; i < executable->count && !result; i++)
        result = enqueue(stream, &executable->work[i]);
    return result;
}
