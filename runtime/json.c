/*
 * The reader of json.h. Each call skips white space, then lets one state decide what may stand
 * here: a value, a value or the end of a new array, a key, a key or the end of a new object, or
 * what follows a value.
 */
#include "runtime/json.h"

#include "runtime/utf8.h"

#include <string.h>

enum { VALUE, FIRST_ELEMENT, KEY, FIRST_KEY, AFTER_VALUE };

void rt_json_open(struct rt_json *json, const char *text, size_t length)
{
    *json = (struct rt_json){.text = text, .end = text + length, .at = text, .token = text};
}

/* Records an error at `place`, keeping the first one. */
static enum rt_json_token fail(struct rt_json *json, const char *place, const char *error)
{
    if (!json->error) {
        json->error = error;
        json->token = place;
    }
    json->token_length = 0;
    return RT_JSON_ERROR;
}

static void skip_space(struct rt_json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\t' || *json->at == '\n' || *json->at == '\r'))
        json->at++;
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* The value of four hexadecimal digits at `at`, or -1. */
static int hex4(const char *at, const char *end)
{
    int value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char byte = at[i];
        int digit = is_digit(byte)               ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/*
 * The code point of the \u escape whose digits start at `at`, and in *used the bytes of digits
 * and of a second escape where the first is a high surrogate; -1 if it is malformed.
 */
static int32_t unicode_escape(const char *at, const char *end, size_t *used)
{
    int high = hex4(at, end);
    *used = 4;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || end - at < 10 || at[4] != '\\' || at[5] != 'u')
        return -1;
    int low = hex4(at + 6, end);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    *used = 10;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Checks the escape whose backslash is at `at`; returns its bytes, 0 if it is malformed. */
static size_t escape_length(const char *at, const char *end)
{
    size_t used;
    if (end - at < 2 || at[1] == '\0' || !strchr("\"\\/bfnrtu", at[1]))
        return 0;
    if (at[1] != 'u')
        return 2;
    return unicode_escape(at + 2, end, &used) < 0 ? 0 : used + 2;
}

/* Reads the string that starts at json->at, quotes included. */
static enum rt_json_token read_string(struct rt_json *json, enum rt_json_token kind)
{
    const char *at = json->at + 1;
    json->escaped = false;
    while (at < json->end && *at != '"') {
        unsigned char byte = (unsigned char)*at;
        size_t length = 1;
        if (byte < ' ')
            return fail(json, at, "control byte in a string");
        if (byte == '\\') {
            json->escaped = true;
            length = escape_length(at, json->end);
            if (length == 0)
                return fail(json, at, "malformed escape");
        } else if (byte >= 0x80) {
            length = rt_utf8_length(at, json->end);
            if (length == 0)
                return fail(json, at, "invalid UTF-8");
        }
        at += length;
    }
    if (at >= json->end)
        return fail(json, json->at, "unterminated string");
    json->at = at + 1;
    json->token_length = (size_t)(json->at - json->token);
    return kind;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* number = ["-"] ("0" | digit1-9 {digit}) ["." digit {digit}] [("e"|"E") ["+"|"-"] digit {digit}]
 */
static enum rt_json_token read_number(struct rt_json *json)
{
    const char *at = json->at, *end = json->end;
    at += *at == '-';
    const char *digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return fail(json, json->at, "malformed number");
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(json, json->at, "malformed number");
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, end);
        if (at == digits)
            return fail(json, json->at, "malformed number");
    }
    json->at = at;
    json->token_length = (size_t)(at - json->token);
    return RT_JSON_NUMBER;
}

static enum rt_json_token read_word(struct rt_json *json, const char *word, enum rt_json_token kind)
{
    size_t length = strlen(word);
    if ((size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return fail(json, json->at, "expected a value");
    json->at += length;
    json->token_length = length;
    return kind;
}

static enum rt_json_token open_container(struct rt_json *json, bool object)
{
    if (json->depth == RT_JSON_DEPTH)
        return fail(json, json->at, "nested too deeply");
    uint64_t bit = (uint64_t)1 << json->depth++;
    json->objects = object ? json->objects | bit : json->objects & ~bit;
    json->at++;
    json->token_length = 1;
    json->state = object ? FIRST_KEY : FIRST_ELEMENT;
    return object ? RT_JSON_OBJECT : RT_JSON_ARRAY;
}

static bool in_object(const struct rt_json *json)
{
    return json->depth > 0 && (json->objects >> (json->depth - 1) & 1);
}

static enum rt_json_token close_container(struct rt_json *json)
{
    bool object = in_object(json);
    json->depth--;
    json->at++;
    json->token_length = 1;
    json->state = AFTER_VALUE;
    return object ? RT_JSON_OBJECT_END : RT_JSON_ARRAY_END;
}

static enum rt_json_token read_value(struct rt_json *json)
{
    json->state = AFTER_VALUE;
    switch (*json->at) {
    case '{': return open_container(json, true);
    case '[': return open_container(json, false);
    case '"': return read_string(json, RT_JSON_STRING);
    case 't': return read_word(json, "true", RT_JSON_TRUE);
    case 'f': return read_word(json, "false", RT_JSON_FALSE);
    case 'n': return read_word(json, "null", RT_JSON_NULL);
    default:
        if (*json->at == '-' || is_digit(*json->at))
            return read_number(json);
        return fail(json, json->at, "expected a value");
    }
}

static enum rt_json_token read_key(struct rt_json *json)
{
    if (*json->at != '"')
        return fail(json, json->at, "expected a key");
    if (read_string(json, RT_JSON_KEY) == RT_JSON_ERROR)
        return RT_JSON_ERROR;
    const char *token = json->token;
    skip_space(json);
    if (json->at == json->end || *json->at != ':')
        return fail(json, json->at, "expected ':'");
    json->at++;
    json->token = token;
    json->state = VALUE;
    return RT_JSON_KEY;
}

/* What follows a complete value inside a container: its end, or a comma and the next member. */
static enum rt_json_token read_next_member(struct rt_json *json)
{
    bool object = in_object(json);
    if (*json->at == (object ? '}' : ']'))
        return close_container(json);
    if (*json->at != ',')
        return fail(json, json->at, object ? "expected ',' or '}'" : "expected ',' or ']'");
    json->at++;
    skip_space(json);
    json->token = json->at;
    if (json->at == json->end)
        return fail(json, json->at, "unexpected end");
    return object ? read_key(json) : read_value(json);
}

enum rt_json_token rt_json_next(struct rt_json *json)
{
    if (json->error)
        return RT_JSON_ERROR;
    skip_space(json);
    json->token = json->at;
    json->token_length = 0;
    if (json->state == AFTER_VALUE && json->depth == 0)
        return json->at == json->end ? RT_JSON_END : fail(json, json->at, "text after the value");
    if (json->at == json->end)
        return fail(json, json->at, "unexpected end");
    switch (json->state) {
    case FIRST_ELEMENT: return *json->at == ']' ? close_container(json) : read_value(json);
    case FIRST_KEY: return *json->at == '}' ? close_container(json) : read_key(json);
    case AFTER_VALUE: return read_next_member(json);
    default: return read_value(json);
    }
}

bool rt_json_skip(struct rt_json *json, enum rt_json_token token)
{
    if (token == RT_JSON_OBJECT || token == RT_JSON_ARRAY) {
        unsigned outside = json->depth - 1;
        while (token != RT_JSON_ERROR && json->depth > outside)
            token = rt_json_next(json);
    }
    return token != RT_JSON_ERROR;
}

/* Resolves the escape at *at into out, moves *at past it and returns the bytes written. */
static size_t resolve_escape(const char **at, const char *end, char *out)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    char name = (*at)[1];
    if (name != 'u') {
        *out = bytes[strchr(names, name) - names];
        *at += 2;
        return 1;
    }
    size_t used;
    int32_t code = unicode_escape(*at + 2, end, &used);
    *at += used + 2;
    return rt_utf8_put((uint32_t)code, out);
}

size_t rt_json_string(const struct rt_json *json, char *out, size_t capacity)
{
    const char *at = json->token + 1, *end = json->token + json->token_length - 1;
    size_t length = 0;
    while (at < end) {
        char bytes[4];
        size_t count = 1;
        if (*at == '\\')
            count = resolve_escape(&at, end, bytes);
        else
            bytes[0] = *at++;
        if (capacity - length <= count)
            return (size_t)-1;
        memcpy(out + length, bytes, count);
        length += count;
    }
    if (length >= capacity)
        return (size_t)-1;
    out[length] = '\0';
    return length;
}

bool rt_json_is(const struct rt_json *json, const char *text)
{
    size_t length = strlen(text);
    if (!json->escaped)
        return json->token_length == length + 2 && memcmp(json->token + 1, text, length) == 0;
    char resolved[256];
    size_t found = rt_json_string(json, resolved, sizeof resolved);
    return found == length && memcmp(resolved, text, length) == 0;
}

bool rt_json_unsigned(const struct rt_json *json, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < json->token_length; i++) {
        if (!is_digit(json->token[i]) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(json->token[i] - '0'), &value))
            return false;
    }
    *out = value;
    return json->token_length > 0;
}

void rt_json_place(const struct rt_json *json, unsigned *line, unsigned *column)
{
    *line = *column = 1;
    for (const char *at = json->text; at < json->token; at++) {
        *column = *at == '\n' ? 1 : *column + 1;
        *line += *at == '\n';
    }
}
