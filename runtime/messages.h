/*
 * Names and formats of messages.def. The formats are arrays, not pointers, so that compilers
 * check the arguments of each use against them.
 */
#ifndef SINTER_MESSAGES_H
#define SINTER_MESSAGES_H

#include "exit_codes.h"

enum message_id {
    MESSAGE_NONE,
#define MESSAGE(name, code, format) MESSAGE_##name,
#include "messages.def"
    MESSAGE_COUNT
};

#define MESSAGE(name, code, format) \
    __attribute__((unused)) static const char message_format_##name[] = format;
#include "messages.def"

/* The exit code of each message, by enum message_id. */
__attribute__((unused)) static const unsigned char message_exit_code[] = {
    EXIT_OK,
#define MESSAGE(name, code, format) code,
#include "messages.def"
};

#endif
