/* Words, attributes and bytes of IR text: see text.h. */
#include "ir/names.h"
#include "ir/text.h"

#include <inttypes.h>
#include <string.h>

void print_quoted(struct str *out, const char *text)
{
    str_printf(out, "\"");
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\')
            str_printf(out, "\\%c", byte);
        else if (byte >= ' ' && byte < 0x7f)
            str_bytes(out, at, 1);
        else
            str_printf(out, "\\x%02x", byte);
    }
    str_printf(out, "\"");
}

void print_word(struct str *out, const char *text)
{
    if (name_valid(text, strlen(text)))
        str_printf(out, "%s", text);
    else
        print_quoted(out, text);
}

static void print_list(struct str *out, const struct attribute *attribute)
{
    str_printf(out, "[");
    for (int64_t i = 0; i < attribute->integer; i++)
        str_printf(out, "%s%" PRId64, i ? "," : "", attribute->list[i]);
    str_printf(out, "]");
}

static void print_attribute(struct str *out, const struct attribute *attribute)
{
    const struct attribute_info *info = attribute_info(attribute->id);
    str_printf(out, "%s", info->name);
    if (info->kind == KIND_FLAG)
        return;
    str_printf(out, "=");
    switch (info->kind) {
    case KIND_INT: str_printf(out, "%" PRId64, attribute->integer); break;
    case KIND_REAL: str_double(out, attribute->real); break;
    case KIND_TEXT: print_word(out, attribute->text); break;
    case KIND_LIST: print_list(out, attribute); break;
    case KIND_TYPE: str_printf(out, "%s", dtype_name((enum dtype)attribute->integer)); break;
    case KIND_FLAG: break;
    }
}

void print_attributes(struct str *out, const struct attributes *attributes)
{
    for (int i = 0; i < attributes->count; i++) {
        str_printf(out, i ? " " : " {");
        print_attribute(out, &attributes->items[i]);
    }
    if (attributes->count)
        str_printf(out, "}");
}

void print_base64(struct str *out, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t rest = size - i;
        uint32_t bits = (uint32_t)bytes[i] << 16;
        bits |= rest > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        bits |= rest > 2 ? bytes[i + 2] : 0;
        char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63],
                        digits[bits & 63]};
        if (rest < 3)
            text[3] = '=';
        if (rest < 2)
            text[2] = '=';
        str_bytes(out, text, 4);
    }
}
