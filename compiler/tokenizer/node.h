/*
 * JSON values with their place in the file ("pre_tokenizer.pretokenizers[1]"), so that every
 * message about tokenizer.json names the node. Typed reads are fatal on a wrong type.
 */
#ifndef SINTER_COMPILER_TOKENIZER_NODE_H
#define SINTER_COMPILER_TOKENIZER_NODE_H

#include "compiler/tokenizer/draft.h"

#include <jansson.h>

struct node {
    struct draft *draft;
    const json_t *value; /* NULL: absent */
    const char *path;    /* "" for the whole file */
};

/* A text with its length: JSON strings may hold zero bytes. */
struct node_text {
    const char *text;
    size_t length;
};

/* Parses a file; its values live as long as the draft's arena. Fatal if it is not one JSON
 * object. Integers too large for int64_t read as floats. */
struct node node_parse(struct draft *draft, const struct tokenizer_file *file);

/* A member (absent and null are both value NULL) and an element. */
struct node node_get(struct node node, const char *key);
struct node node_at(struct node node, size_t index);

/* The elements of an array, 0 if it is absent. Fatal if it is something else. */
size_t node_count(struct node node);

bool node_bool(struct node node, bool absent); /* what an absent value means */
int64_t node_int(struct node node);            /* fatal if absent */
struct node_text node_string(struct node node); /* fatal if absent */

/* The member "type", fatal if absent; and whether it is `name`. */
const char *node_type(struct node node);
bool node_is(struct node node, const char *name);

/* Fatal: the node is of a kind that is not supported. */
_Noreturn void node_refuse(struct node node, const char *what);

#endif
