/* How the C backend reads and writes tensors: see dialect.h. */
#include "backends/c/dialect.h"

const char *memory_type(enum dtype dtype)
{
    static const char *const types[DTYPE_COUNT] = {
        [DTYPE_f32] = "float",   [DTYPE_f64] = "double", [DTYPE_bf16] = "rt_u16",
        [DTYPE_f16] = "rt_u16",  [DTYPE_i32] = "int",    [DTYPE_i64] = "rt_i64",
        [DTYPE_u8] = "rt_u8",    [DTYPE_bool] = "rt_u8",  [DTYPE_tf32] = "float",
    };
    return types[dtype];
}

const char *load_text(struct arena *arena, enum dtype dtype, const char *pointer,
                      const char *index)
{
    const char *convert = dtype == DTYPE_bf16 ? "from_bf16" : dtype == DTYPE_f16 ? "from_f16" : "";
    bool call = convert[0] != '\0';
    return arena_printf(arena, "%s%s%s[%s]%s", convert, call ? "(" : "", pointer, index,
                        call ? ")" : "");
}

const char *store_text(struct arena *arena, enum dtype dtype, const char *text)
{
    const char *convert = "";
    if (dtype == DTYPE_bf16)
        convert = "to_bf16";
    else if (dtype == DTYPE_f16)
        convert = "to_f16";
    else if (dtype == DTYPE_u8 || dtype == DTYPE_bool)
        convert = "(rt_u8)";
    return convert[0] ? arena_printf(arena, "%s(%s)", convert, text) : text;
}

static const char *store_statement(struct arena *arena, enum dtype dtype, const char *pointer,
                                   const char *index, const char *text)
{
    return arena_printf(arena, "%s[%s] = %s;", pointer, index, store_text(arena, dtype, text));
}

const struct dialect dialect_c = {
    .index_type = "rt_i64",
    .table = "static const",
    .load = load_text,
    .store = store_statement,
};
