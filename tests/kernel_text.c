/* See kernel_text.h. */
#include "tests/kernel_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The first place of a whole word in a line. */
static const char *find_word(const char *line, size_t length, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= length; i++)
        if (memcmp(line + i, word, size) == 0 && (i == 0 || !is_word(line[i - 1])) &&
            (i + size == length || !is_word(line[i + size])))
            return line + i;
    return NULL;
}

static bool is_comment(const char *line, size_t length)
{
    size_t i = 0;
    while (i < length && line[i] == ' ')
        i++;
    return i + 1 < length && (line[i] == '*' || (line[i] == '/' && line[i + 1] == '*'));
}

static bool tells_unrolling(const char *line, size_t length)
{
    return find_word(line, length, "UNROLL") || find_word(line, length, "NO_UNROLL") ||
           find_word(line, length, "UNROLL_BY");
}

/* Every loop begins a line, and the line before tells. */
static const char *loop_fault(const char *line, size_t length, bool told)
{
    static const char *const words[] = {"for", "while", "do", "goto"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *at = find_word(line, length, words[i]);
        if (!at)
            continue;
        for (const char *before = line; before < at; before++)
            if (*before != ' ')
                return "a loop that does not begin its line";
        if (!told)
            return "a loop that does not say whether it is unrolled";
    }
    return NULL;
}

/* Cells of memory, instructions and what the compilers have built in. */
static const char *access_fault(const char *line, size_t length)
{
    static const char *const words[] = {"cell", "asm", "threadIdx", "blockIdx", "atomicAdd"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (find_word(line, length, words[i]))
            return "what only the device library may use";
    for (size_t i = 0; i + 1 < length; i++)
        if (line[i] == '_' && line[i + 1] == '_' && (i == 0 || !is_word(line[i - 1])) &&
            (length - i < 10 || memcmp(line + i, "__builtin_", 10) != 0))
            return "a name that only the device library may use";
    return NULL;
}

void kernel_text_look(const char *text, size_t prelude, char *out, size_t size)
{
    bool told = false;
    out[0] = '\0';
    for (const char *line = text, *end; *line && !out[0]; line = *end ? end + 1 : end) {
        end = strchrnul(line, '\n');
        size_t length = (size_t)(end - line);
        if (is_comment(line, length))
            continue;
        const char *fault = loop_fault(line, length, told);
        if (!fault && line >= text + prelude)
            fault = access_fault(line, length);
        if (fault)
            snprintf(out, size, "%s: %.*s\n", fault, (int)length, line);
        told = tells_unrolling(line, length);
    }
}
