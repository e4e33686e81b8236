/* See device_host.h. */
#include "runtime/device_host.h"

#include "runtime/process.h"

#include <stdlib.h>
#include <string.h>

static struct rt_host_device *host_of(struct rt_device *device)
{
    return (struct rt_host_device *)device;
}

rt_status rt_host_reserve(struct rt_host_device *host, const struct rt_program *program)
{
    host->fetch_bytes = rt_fetch_bytes(program);
    host->fetched = malloc(RT_FETCHES * host->fetch_bytes);
    return host->fetched ? 0 : rt_fail(OUT_OF_MEMORY, (size_t)(RT_FETCHES * host->fetch_bytes));
}

void rt_host_release(struct rt_host_device *host)
{
    free(host->fetched);
}

rt_status rt_host_wait(struct rt_device *device)
{
    (void)device; /* launch returns when all is done */
    return 0;
}

rt_status rt_host_write(struct rt_device *device, rt_u64 offset, const void *from, rt_u64 bytes)
{
    memcpy(host_of(device)->arena + offset, from, (size_t)bytes);
    return 0;
}

rt_status rt_host_read(struct rt_device *device, rt_u64 offset, void *to, rt_u64 bytes)
{
    memcpy(to, host_of(device)->arena + offset, (size_t)bytes);
    return 0;
}

rt_status rt_host_copy(struct rt_device *device, rt_u64 to, rt_u64 from, rt_u64 bytes)
{
    unsigned char *arena = host_of(device)->arena;
    memcpy(arena + to, arena + from, (size_t)bytes);
    return 0;
}

rt_status rt_host_fetch(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket)
{
    struct rt_host_device *host = host_of(device);
    *ticket = host->fetches++ % RT_FETCHES;
    if (bytes > host->fetch_bytes)
        return rt_fail(INTERNAL, "a fetched result is too large", __func__);
    memcpy(host->fetched + *ticket * host->fetch_bytes, host->arena + offset, (size_t)bytes);
    return 0;
}

rt_status rt_host_collect(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes)
{
    struct rt_host_device *host = host_of(device);
    memcpy(to, host->fetched + ticket * host->fetch_bytes, (size_t)bytes);
    return 0;
}

rt_status rt_host_stamp(struct rt_device *device, rt_u32 which)
{
    host_of(device)->stamps[which] = rt_now();
    return 0;
}

rt_status rt_host_elapsed(struct rt_device *device, rt_u32 from, rt_u32 to, rt_u64 *nanoseconds)
{
    *nanoseconds = host_of(device)->stamps[to] - host_of(device)->stamps[from];
    return 0;
}

rt_status rt_host_fill(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                       unsigned size)
{
    unsigned char *at = host_of(device)->arena + offset;
    for (rt_u64 i = 0; i + size <= bytes; i += size)
        memcpy(at + i, value, size);
    return 0;
}

rt_status rt_host_view(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at)
{
    (void)bytes;
    *at = host_of(device)->arena + offset;
    return 0;
}
