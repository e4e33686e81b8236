/*
 * What devices share whose arena is memory of the host, and whose launches are done when they
 * return: the entries of the table that copy, fill, view and take times. Such a device begins with
 * a struct rt_host_device and has allocated its arena in bind.
 */
#ifndef SINTER_DEVICE_HOST_H
#define SINTER_DEVICE_HOST_H

#include "runtime/device.h"

struct rt_host_device {
    struct rt_device base;
    unsigned char *arena;   /* the device's */
    unsigned char *fetched; /* RT_FETCHES slots of fetch_bytes */
    rt_u64 fetch_bytes;
    rt_u32 fetches;
    rt_u64 stamps[RT_STAMPS];
};

/* Slots for what is fetched; freed by rt_host_release, which may come without it. */
rt_status rt_host_reserve(struct rt_host_device *host, const struct rt_program *program);
void rt_host_release(struct rt_host_device *host);

rt_status rt_host_wait(struct rt_device *device);
rt_status rt_host_write(struct rt_device *device, rt_u64 offset, const void *from, rt_u64 bytes);
rt_status rt_host_read(struct rt_device *device, rt_u64 offset, void *to, rt_u64 bytes);
rt_status rt_host_copy(struct rt_device *device, rt_u64 to, rt_u64 from, rt_u64 bytes);
rt_status rt_host_fetch(struct rt_device *device, rt_u64 offset, rt_u64 bytes, rt_u32 *ticket);
rt_status rt_host_collect(struct rt_device *device, rt_u32 ticket, void *to, rt_u64 bytes);
rt_status rt_host_stamp(struct rt_device *device, rt_u32 which);
rt_status rt_host_elapsed(struct rt_device *device, rt_u32 from, rt_u32 to, rt_u64 *nanoseconds);
rt_status rt_host_fill(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void *value,
                       unsigned size);
rt_status rt_host_view(struct rt_device *device, rt_u64 offset, rt_u64 bytes, const void **at);

/* These entries of a table. */
#define RT_HOST_ENTRIES                                                                       \
    .wait = rt_host_wait, .write = rt_host_write, .read = rt_host_read, .copy = rt_host_copy, \
    .fetch = rt_host_fetch, .collect = rt_host_collect, .stamp = rt_host_stamp,               \
    .elapsed = rt_host_elapsed, .fill = rt_host_fill, .view = rt_host_view

#endif
