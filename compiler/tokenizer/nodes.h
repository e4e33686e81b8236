/* The parts of tokenizer.json as steps of the draft (runtime/tokenizer/blob.h). Each takes the
 * node of its name, which may be absent. */
#ifndef SINTER_COMPILER_TOKENIZER_NODES_H
#define SINTER_COMPILER_TOKENIZER_NODES_H

#include "compiler/tokenizer/node.h"

void read_normalizer(struct node node);
void read_pre_tokenizer(struct node node);
void read_decoder(struct node node);

/* Sets what stands before and after a text. */
void read_post_processor(struct node node);

#endif
