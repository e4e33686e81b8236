/* The two formats and the files beside them, each read into a draft. */
#ifndef SINTER_COMPILER_TOKENIZER_READ_H
#define SINTER_COMPILER_TOKENIZER_READ_H

#include "compiler/tokenizer/draft.h"

void read_tokenizer_json(struct draft *draft, const struct tokenizer_file *file);

/* `config` (tokenizer_config.json, may be absent) says which pieces are special and adds some. */
void read_sentencepiece(struct draft *draft, const struct tokenizer_file *file,
                        const struct tokenizer_file *config);

/* BOS, EOS and whether BOS is added, from the configuration files that there are. */
void read_special_ids(struct draft *draft, const struct tokenizer_files *files);

/* Whether U+2581 stands in a piece after anything else: see runtime/tokenizer/merge.h. */
bool has_inner_mark(const char *text, size_t length);

#endif
