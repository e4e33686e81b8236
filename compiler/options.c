/* The tables verbs.def and options.def as data: see options.h. */
#include "compiler/options.h"

static const struct verb_row verb_rows[] = {
#define VERB(id, name, least, most, arguments, summary) {name, 1, least, most, arguments, summary},
#include "compiler/verbs.def"
};

enum verb_bit {
#define VERB(id, ...) V_##id = 1 << COMMAND_##id,
#include "compiler/verbs.def"
};

static const char pass_names[] = "stop after this pass: lower"
#define PASS(name, ...) " " #name
#include "compiler/passes.def"
    ;

static const struct option_row option_rows[] = {
#define OPTION(field, name, letter, kind, value, standard, least, most, verbs, help) \
    {name, letter, kind, value, standard, least, most, (unsigned)(verbs), help,      \
     offsetof(struct options, field)},
#define COMMON(...) OPTION(__VA_ARGS__)
#include "compiler/options.def"
};

const struct command_table compiler_command_table = {
    verb_rows, COMMAND_COUNT, option_rows, sizeof option_rows / sizeof *option_rows, 1, "sinter"};
