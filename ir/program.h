/*
 * The program table of a module: what runs, and how often. A program is a list of steps: `call` of
 * a function, or `repeat` of a list of steps, for a count, as long as a flag is true, or both. The
 * emitted program finds its functions by role (runtime/roles.h); the table says in which order the
 * runtime runs them, and a test compares the two.
 */
#ifndef SINTER_IR_PROGRAM_H
#define SINTER_IR_PROGRAM_H

#include "ir/ir.h"

#include "ir/base/str.h"

/* From counts.def; COUNT_NUMBER: `times` is the number, COUNT_NONE: only the flag ends it. */
enum count {
    COUNT_NONE,
    COUNT_NUMBER,
#define COUNT(name, meaning) COUNT_##name,
#include "ir/counts.def"
    COUNT_END
};

enum { PROGRAM_DEPTH = 8 }; /* repeats within each other */

struct program_step;
struct program_steps {
    ARRAY_OF(struct program_step *) list;
};

struct program_step {
    const char *function; /* `call`; NULL for a repeat */
    enum count count;
    int64_t times;
    /* NULL, or a bool[] state, or a bool[] output of a function called within: the steps run again
     * if it is true. What no call has given yet does not end the repeat. */
    const char *flag;
    struct program_steps body;
    struct location location; /* in IR text */
};

struct program {
    const char *name;
    struct program_steps steps;
    struct location location;
};

/* The name of a row of counts.def; NULL for NONE and NUMBER. */
const char *count_name(enum count count);
const char *count_meaning(enum count count);

/* Replaces the table by what the roles of the module's functions mean. */
void programs_derive(struct module *module);

/* Calls visit for every `call` below, in the order of the text. */
void steps_each_call(const struct program_steps *steps,
                     void (*visit)(void *context, const char *function), void *context);

/* Text: "program NAME" lines to "end", as print.c and parse.c use them. `parse` begins behind the
 * word `program`. */
void programs_print(struct str *out, const struct module *module);
struct lexer;
void program_parse(struct module *module, struct lexer *lexer);

/* verify_program.c: fatal if a rule of the table is broken. */
struct verifier;
void verify_programs(const struct verifier *v);

/*
 * Runs a program in the interpreter: `count` answers the rows of counts.def, `before` binds the
 * inputs of the function that comes next. Flags are read from the last call's outputs.
 */
struct interp;
struct interp_host {
    int64_t (*count)(void *context, enum count count, const struct program_step *repeat);
    void (*before)(void *context, struct interp *interp, const struct function *function);
    void *context;
};
void interp_program(struct interp *interp, struct module *module, const struct program *program,
                    const struct interp_host *host);

#endif
