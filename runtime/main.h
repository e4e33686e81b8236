/* The entry of every executable; runtime/start.c calls it with the emitted program. */
#ifndef SINTER_MAIN_H
#define SINTER_MAIN_H

#include "runtime/program.h"

/* Runs a command line; returns the exit code. argv is reordered. */
int rt_main(int argc, char **argv, const struct rt_program *program);

#endif
