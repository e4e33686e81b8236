/*
 * The emulation as a device of the runtime: programs made for a GPU run on the host, without
 * their images, by units of the same kernels.
 */
#ifndef SINTER_EMULATION_DEVICE_H
#define SINTER_EMULATION_DEVICE_H

#include "compiler/emulation/emulation.h"
#include "runtime/device.h"

/* A program and its kernels, whose names are the symbols of its launches. */
struct emulated_program {
    const struct rt_program *program;
    const struct emulation_unit *unit;
    struct emulation_options options; /* of every launch; the limit is the target's if 0 */
    struct emulated_program *next;    /* the device's */
};

/* Until it is withdrawn, the device can run the program; `offered` is the caller's. Not for
 * several threads at once. */
void emulated_device_offer(struct emulated_program *offered);
void emulated_device_withdraw(struct emulated_program *offered);

extern const struct rt_device_table rt_device_emulated;

#endif
