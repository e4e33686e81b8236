/* Bytes between the host and the GPU, and events: see cuda_device.h. */
#include "runtime/cuda_device.h"

#include <stdlib.h>
#include <string.h>

rt_status cuda_enter(struct cuda *cuda)
{
    return cuda_check(cuda, cuda->driver->context_set(cuda->context), "taking the context");
}

rt_status cuda_check(const struct cuda *cuda, cuda_result result, const char *what)
{
    return rt_cuda_check(cuda->driver, result, what);
}

/* --- life --- */

static rt_status make_events(struct cuda *cuda, cuda_event *events, int count, unsigned kind)
{
    rt_status status = 0;
    for (int i = 0; i < count && !status; i++)
        status = cuda_check(cuda, cuda->driver->event_create(&events[i], kind), "making events");
    return status;
}

rt_status cuda_open_transfers(struct cuda *cuda)
{
    void *pinned = NULL;
    size_t bytes = 2 * CUDA_HALF + CUDA_SLOTS * CUDA_SLOT;
    rt_status status = cuda_check(cuda, cuda->driver->host_allocate(&pinned, bytes),
                                  "allocating pinned memory");
    cuda->pinned = pinned;
    if (!status)
        status = make_events(cuda, cuda->half_done, 2, CUDA_EVENT_PLAIN);
    if (!status)
        status = make_events(cuda, cuda->slot_done, CUDA_SLOTS, CUDA_EVENT_PLAIN);
    if (!status)
        status = make_events(cuda, cuda->fetch_done, RT_FETCHES, CUDA_EVENT_PLAIN);
    if (!status)
        status = make_events(cuda, cuda->stamps, RT_STAMPS, CUDA_EVENT_TIMED);
    if (!status)
        cuda->slots = cuda->pinned + 2 * CUDA_HALF;
    return status;
}

rt_status cuda_reserve_fetches(struct cuda *cuda)
{
    void *pinned = NULL;
    cuda->fetch_bytes = rt_fetch_bytes(cuda->program);
    rt_status status =
        cuda_check(cuda, cuda->driver->host_allocate(&pinned, RT_FETCHES * cuda->fetch_bytes),
                   "allocating pinned memory");
    cuda->fetched = pinned;
    return status;
}

static void drop_events(struct cuda *cuda, cuda_event *events, int count)
{
    for (int i = 0; i < count; i++)
        if (events[i])
            cuda->driver->event_destroy(events[i]);
}

void cuda_close_transfers(struct cuda *cuda)
{
    drop_events(cuda, cuda->half_done, 2);
    drop_events(cuda, cuda->slot_done, CUDA_SLOTS);
    drop_events(cuda, cuda->fetch_done, RT_FETCHES);
    drop_events(cuda, cuda->stamps, RT_STAMPS);
    if (cuda->pinned)
        cuda->driver->host_free(cuda->pinned);
    if (cuda->fetched)
        cuda->driver->host_free(cuda->fetched);
    free(cuda->viewed);
}

/* --- to the device --- */

/* The half to fill next, free again: what was copied from it has arrived. */
static rt_status next_half(struct cuda *cuda, unsigned char **half)
{
    *half = cuda->pinned + (size_t)(cuda->half % 2) * CUDA_HALF;
    return cuda_check(cuda, cuda->driver->event_wait(cuda->half_done[cuda->half % 2]),
                      "copying to the GPU");
}

static rt_status half_used(struct cuda *cuda)
{
    rt_u32 half = cuda->half++ % 2;
    return cuda_check(cuda, cuda->driver->event_record(cuda->half_done[half], cuda->stream),
                      "copying to the GPU");
}

static rt_status upload_packed(struct cuda *cuda, cuda_pointer to, const unsigned char *from,
                               rt_u64 bytes)
{
    rt_status status = 0;
    for (rt_u64 at = 0; at < bytes && !status; at += CUDA_HALF) {
        size_t piece = bytes - at < CUDA_HALF ? (size_t)(bytes - at) : CUDA_HALF;
        unsigned char *half;
        status = next_half(cuda, &half);
        if (status)
            break;
        memcpy(half, from + at, piece);
        status = cuda_check(cuda, cuda->driver->copy_in(to + at, half, piece, cuda->stream),
                            "copying to the GPU");
        if (!status)
            status = half_used(cuda);
    }
    return status;
}

static rt_status upload_rows(struct cuda *cuda, cuda_pointer to, const unsigned char *from,
                             rt_u64 bytes, rt_u64 rows, rt_u64 pitch)
{
    unsigned char *half;
    rt_status status = next_half(cuda, &half);
    if (status)
        return status;
    memcpy(half, from, (size_t)(bytes * rows));
    struct cuda_copy_rows copy = {
        .from_kind = CUDA_MEMORY_HOST, .from_host = half, .from_pitch = (size_t)bytes,
        .to_kind = CUDA_MEMORY_DEVICE, .to_device = to, .to_pitch = (size_t)pitch,
        .bytes = (size_t)bytes, .rows = (size_t)rows,
    };
    status = cuda_check(cuda, cuda->driver->copy_rows(&copy, cuda->stream), "copying to the GPU");
    return status ? status : half_used(cuda);
}

rt_status cuda_upload(struct cuda *cuda, cuda_pointer to, const void *from, rt_u64 bytes,
                      rt_u64 rows, rt_u64 pitch)
{
    const unsigned char *at = from;
    rt_status status = 0;
    if (pitch == 0)
        return upload_packed(cuda, to, from, bytes);
    rt_u64 most = bytes > 0 && bytes <= CUDA_HALF ? CUDA_HALF / bytes : 1;
    for (rt_u64 row = 0; row < rows && !status; row += most) {
        rt_u64 count = rows - row < most ? rows - row : most;
        status = bytes > CUDA_HALF
                     ? upload_packed(cuda, to + row * pitch, at + row * bytes, bytes)
                     : upload_rows(cuda, to + row * pitch, at + row * bytes, bytes, count, pitch);
    }
    return status;
}

static rt_status write_small(struct cuda *cuda, cuda_pointer to, const void *from, size_t bytes)
{
    rt_u32 slot = cuda->slot++ % CUDA_SLOTS;
    unsigned char *at = cuda->slots + (size_t)slot * CUDA_SLOT;
    cuda_result result = cuda->driver->event_wait(cuda->slot_done[slot]);
    if (result)
        return cuda_check(cuda, result, "writing to the GPU");
    memcpy(at, from, bytes);
    result = cuda->driver->copy_in(to, at, bytes, cuda->stream);
    if (!result)
        result = cuda->driver->event_record(cuda->slot_done[slot], cuda->stream);
    return cuda_check(cuda, result, "writing to the GPU");
}

rt_status cuda_write(struct rt_device *device, rt_u64 offset, const void *from, rt_u64 bytes)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    if (status || bytes == 0)
        return status;
    if (bytes <= CUDA_SLOT)
        return write_small(cuda, cuda->memory + offset, from, (size_t)bytes);
    return upload_packed(cuda, cuda->memory + offset, from, bytes);
}

rt_status cuda_copy(struct rt_device *device, rt_u64 to, rt_u64 from, rt_u64 bytes)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    if (status || bytes == 0)
        return status;
    return cuda_check(cuda,
                      cuda->driver->copy_inside(cuda->memory + to, cuda->memory + from,
                                                (size_t)bytes, cuda->stream),
                      "copying on the GPU");
}

/* A value of 8 bytes: written once, then doubled by copies of what stands there. */
static cuda_result fill_wide(struct cuda *cuda, cuda_pointer at, rt_u64 bytes, const void *value)
{
    unsigned half[2];
    memcpy(half, value, sizeof half);
    if (half[0] == half[1])
        return cuda->driver->set_32(at, half[0], (size_t)(bytes / 4), cuda->stream);
    cuda_result result = write_small(cuda, at, value, sizeof half) ? CUDA_NO_DEVICE : CUDA_OK;
    for (rt_u64 done = sizeof half; done < bytes && !result;) {
        rt_u64 more = bytes - done < done ? bytes - done : done;
        result = cuda->driver->copy_inside(at + done, at, (size_t)more, cuda->stream);
        done += more;
    }
    return result;
}

rt_status cuda_fill(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                    unsigned size)
{
    struct cuda *cuda = cuda_of(device);
    cuda_pointer at = cuda->memory + offset;
    unsigned word = 0;
    rt_status status = cuda_enter(cuda);
    if (status || bytes == 0)
        return status;
    memcpy(&word, value, size < sizeof word ? size : sizeof word);
    cuda_result result;
    switch (size) {
    case 1:
        result = cuda->driver->set_8(at, (unsigned char)word, (size_t)bytes, cuda->stream);
        break;
    case 2:
        result = cuda->driver->set_16(at, (unsigned short)word, (size_t)bytes / 2, cuda->stream);
        break;
    case 4: result = cuda->driver->set_32(at, word, (size_t)bytes / 4, cuda->stream); break;
    default: result = fill_wide(cuda, at, bytes, value); break;
    }
    return cuda_check(cuda, result, "filling memory of the GPU");
}

/* --- to the host --- */

rt_status cuda_wait(struct rt_device *device)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    return status ? status
                  : cuda_check(cuda, cuda->driver->stream_wait(cuda->stream), "waiting for it");
}

rt_status cuda_read(struct rt_device *device, rt_u64 offset, void *to, rt_u64 bytes)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_wait(device); /* so that the first half is free */
    for (rt_u64 at = 0; at < bytes && !status; at += CUDA_HALF) {
        size_t piece = bytes - at < CUDA_HALF ? (size_t)(bytes - at) : CUDA_HALF;
        status = cuda_check(cuda,
                            cuda->driver->copy_out(cuda->pinned, cuda->memory + offset + at,
                                                   piece, cuda->stream),
                            "reading from the GPU");
        if (!status)
            status = cuda_wait(device);
        if (!status)
            memcpy((unsigned char *)to + at, cuda->pinned, piece);
    }
    return status;
}

rt_status cuda_view(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at)
{
    struct cuda *cuda = cuda_of(device);
    if (bytes > cuda->viewed_bytes) {
        free(cuda->viewed);
        cuda->viewed = malloc((size_t)bytes);
        cuda->viewed_bytes = cuda->viewed ? bytes : 0;
    }
    *at = cuda->viewed;
    if (!cuda->viewed && bytes > 0)
        return rt_fail(OUT_OF_MEMORY, (size_t)bytes);
    return cuda_read(device, offset, cuda->viewed, bytes);
}

rt_status cuda_fetch(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket)
{
    struct cuda *cuda = cuda_of(device);
    *ticket = cuda->fetches++ % RT_FETCHES;
    if (bytes > cuda->fetch_bytes)
        return rt_fail(INTERNAL, "a fetched result is too large", __func__);
    rt_status status = cuda_enter(cuda);
    if (status)
        return status;
    cuda_result result =
        cuda->driver->copy_out(cuda->fetched + *ticket * cuda->fetch_bytes, cuda->memory + offset,
                               (size_t)bytes, cuda->stream);
    if (!result)
        result = cuda->driver->event_record(cuda->fetch_done[*ticket], cuda->stream);
    return cuda_check(cuda, result, "reading from the GPU");
}

rt_status cuda_collect(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    if (!status)
        status = cuda_check(cuda, cuda->driver->event_wait(cuda->fetch_done[ticket]),
                            "reading from the GPU");
    if (!status)
        memcpy(to, cuda->fetched + ticket * cuda->fetch_bytes, (size_t)bytes);
    return status;
}

/* --- time --- */

rt_status cuda_stamp(struct rt_device *device, rt_u32 which)
{
    struct cuda *cuda = cuda_of(device);
    rt_status status = cuda_enter(cuda);
    return status ? status
                  : cuda_check(cuda,
                               cuda->driver->event_record(cuda->stamps[which], cuda->stream),
                               "taking the time");
}

rt_status cuda_elapsed(struct rt_device *device, rt_u32 from, rt_u32 to, rt_u64 *nanoseconds)
{
    struct cuda *cuda = cuda_of(device);
    float milliseconds = 0;
    rt_status status = cuda_enter(cuda);
    if (status)
        return status;
    cuda_result result = cuda->driver->event_wait(cuda->stamps[from]);
    if (!result)
        result = cuda->driver->event_wait(cuda->stamps[to]);
    if (!result)
        result = cuda->driver->event_elapsed(&milliseconds, cuda->stamps[from], cuda->stamps[to]);
    *nanoseconds = milliseconds > 0 ? (rt_u64)((double)milliseconds * 1e6) : 0;
    return cuda_check(cuda, result, "taking the time");
}
