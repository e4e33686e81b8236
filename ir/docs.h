/* docs/ir.md from the tables: the program ir_docs prints it, a test compares. */
#ifndef SINTER_IR_DOCS_H
#define SINTER_IR_DOCS_H

struct arena;

/* The whole text of docs/ir.md. */
const char *ir_docs(struct arena *arena);

#endif
