/*
 * The exit codes of every program here: the compiler and the executables it makes. Documented
 * in docs/exit_codes.md; scripts may rely on them.
 */
#ifndef SINTER_EXIT_CODES_H
#define SINTER_EXIT_CODES_H

enum exit_code {
    EXIT_OK = 0,
    EXIT_USAGE = 2,     /* the command line is wrong, or asks for more than was compiled in */
    EXIT_MODEL = 3,     /* a model description or IR text is invalid */
    EXIT_DATA = 4,      /* weights, tokenizer or data are corrupt or do not match the model */
    EXIT_DEVICE = 5,    /* no usable device, or this CPU lacks what the code needs */
    EXIT_MEMORY = 6,    /* not enough memory */
    EXIT_FILE = 7,      /* reading or writing failed: missing, no permission, disk full */
    EXIT_NUMERIC = 8,   /* a loss or gradient stopped being finite */
    EXIT_RANK = 9,      /* a peer rank failed */
    EXIT_INTERNAL = 70, /* a defect of ours; the message names what to send */
    EXIT_INTERRUPTED = 130, /* SIGINT; what was done until then is whole */
    EXIT_PIPE = 141,    /* the reader of our output went away: said silently */
    EXIT_TERMINATED = 143,  /* SIGTERM; as 130 */
};

#endif
