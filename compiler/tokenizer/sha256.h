/* SHA-256 (FIPS 180-4): names a tokenizer file, so that two can be told apart. */
#ifndef SINTER_SHA256_H
#define SINTER_SHA256_H

#include <stddef.h>
#include <stdint.h>

void sha256(const void *bytes, size_t length, uint8_t out[32]);

#endif
