/*
 * Shape rules: one line of IR text each. A line that is right must parse; a wrong one must fail
 * with its message, at the line and column of the value.
 */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const leaves =
    "ir 1\nmodule t stage=lower\nfunc f\n"
    "  param %s : f32[]\n  param %t : bool[]\n  param %a : f32[2,3]\n  param %b : f32[3,2]\n"
    "  param %m : bool[2,3]\n  param %i : i32[2]\n  param %h : bf16[2,3]\n"
    "  param %x : f32[2,5,6,4]\n  param %w : f32[6,3,2,2]\n  param %dy : f32[2,5,5,6]\n"
    "  param %q : f32[2,3,4,5]\n  param %k : f32[2,7,2,5]\n  param %n : f32[2,3]\n"
    "  param %c : f32[2,8,3]\n  param %r : f32[2,2,3]\n  param %seen : bool[2,9]\n"
    "  param %ids : i32[2,2]\n  param %big : f32[1000000000,1000]\n";

/* The message of parsing the leaves and one more line; NULL if it is right. */
static const char *parse_line(const char *line)
{
    static char message[512];
    char text[2048];
    jmp_buf trap;
    struct arena *arena = arena_create();
    int length = snprintf(text, sizeof text, "%s  %s\nend\n", leaves, line);
    uint32_t file = diag_add_source("line.ir", text, (size_t)length);
    volatile bool failed = true;
    if (setjmp(trap) == 0) {
        diag_set_trap(&trap);
        struct module *module = ir_parse(arena, file);
        ir_verify(module, "parse", true);
        failed = false;
    }
    diag_set_trap(NULL);
    arena_destroy(arena);
    snprintf(message, sizeof message, "%s", diag_last_message());
    return failed ? message : NULL;
}

static const char *const right[] = {
    "%v = add %a, %n : f32[2,3]",
    "%v = add %s, %a : f32[2,3]",
    "%v = lt %a, %s : bool[2,3]",
    "%v = select %t, %a, %s : f32[2,3]",
    "%v = select %m, %s, %s : f32[2,3]",
    "%v = cast %a {dtype=bf16} : bf16[2,3]",
    "%v = isfinite %h : bool[2,3]",
    "%v = not %m : bool[2,3]",
    "%v = sum %a {axes=[1]} : f32[2,1]",
    "%v = argmax %a {axes=[0,1]} : i32[1,1]",
    "%v = reshape %a {dims=[6]} : f32[6]",
    "%v = reshape %s {dims=[]} : f32[]",
    "%v = transpose %x {perm=[3,0,2,1]} : f32[4,2,6,5]",
    "%v = broadcast %s {dims=[4,4]} : f32[4,4]",
    "%v = slice %a {axis=1 at=1 len=2} : f32[2,2]",
    "%v = slice %a {axis=1 at=3} : f32[2,0]",
    "%v = slice %x {axis=2 at=1 len=3 step=2} : f32[2,5,3,4]",
    "%v = concat %a, %n, %a {axis=1} : f32[2,9]",
    "%v = pad %a {low=[1,0] high=[0,2]} : f32[3,5]",
    "%v = gather %b, %i : f32[2,2]",
    "%v = gather %c, %ids {batch=1} : f32[2,2,3]",
    "%v = scatter_add %i, %a {dims=[9,3]} : f32[9,3]",
    "%v = matmul %a, %b : f32[2,2]",
    "%v = matmul %a, %a {transb} : f32[2,2]",
    "%v = matmul %c, %b : f32[2,8,2]",
    "%v = matmul %h, %b {dtype=f32} : f32[2,2]",
    "%v = conv2d %x, %w {stride=[1,1] pad=[1,1,0,0] groups=2} : f32[2,5,5,6]",
    "%v = conv2d_input %w, %dy {dims=[2,5,6,4] stride=[1,1] pad=[1,1,0,0] groups=2} : f32[2,5,6,4]",
    ("%v = conv2d_filter %x, %dy {dims=[6,3,2,2] stride=[1,1] pad=[1,1,0,0] groups=2} : "
     "f32[6,3,2,2]"),
    "%v = attention %q, %k, %k {causal scale=0.5} : f32[2,3,4,5]",
    "%v = attention %q, %k, %k, %i {cached} : f32[2,3,4,5]",
    "%v = update %c, %r, %i, %i : f32[2,8,3]",
    "%v = mark %seen, %ids, %i : bool[2,9]",
    "%v, %u = sort %a {axis=1} : f32[2,3], i32[2,3]",
    "%v = cumsum %a {axis=1 exclusive} : f32[2,3]",
    "%v = iota {dtype=i32 dims=[3,4] axis=1} : i32[3,4]",
    "%v = positions {dims=[3,4]} : i32[3,4]",
    "%v = const {value=1.5 dtype=f32} : f32[]",
    "%v = const {values=[1,2,3,4] dtype=i32 dims=[2,2]} : i32[2,2]",
    "%v = philox %i, %i, %i, %i {site=3} : f32[2]",
};

static const struct {
    const char *line, *message;
} wrong[] = {
    {"%v = add %a, %b : f32[2,3]", "add of f32[2,3] and f32[3,2]: dimensions differ"},
    {"%v = add %a, %h : f32[2,3]", "add of f32[2,3] and bf16[2,3]: element types differ"},
    {"%v = add %m, %m : bool[2,3]", "add needs an operand of element type other than bool"},
    {"%v = add %a : f32[2,3]", "add takes 2 to 2 operands, not 1"},
    {"%v = not %a : f32[2,3]", "not needs an operand of element type bool, not f32[2,3]"},
    {"%v = select %a, %a, %a : f32[2,3]", "select needs an operand of element type bool"},
    {"%v = isfinite %i : bool[2]", "isfinite needs an operand of element type f32"},
    {"%v = cast %a : f32[2,3]", "attribute 'dtype' is missing"},
    {"%v = sum %a {axes=[2]} : f32[2,3]", "sum: axis 2 is not an axis of f32[2,3]"},
    {"%v = sum %a {axes=[1,1]} : f32[2,3]", "sum: axis 1 is not an axis of f32[2,3], or stands"},
    {"%v = sum %a : f32[2,3]", "sum: attribute 'axes' is missing or wrong"},
    {"%v = sum %a {axes=[-1]} : f32[2,3]", "attribute 'axes' is missing or wrong: an item is out"},
    {"%v = reshape %a {dims=[7]} : f32[7]", "reshape of f32[2,3] to f32[7]: the numbers of"},
    {"%v = transpose %a {perm=[0,0]} : f32[2,2]", "transpose: axis 0 is not an axis"},
    {"%v = transpose %a {perm=[0]} : f32[2]", "attribute 'perm' is missing or wrong: wrong number"},
    {"%v = broadcast %a {dims=[4,3]} : f32[4,3]", "broadcast of f32[2,3] to f32[4,3]: only axes"},
    {"%v = broadcast %a {dims=[2,2,3]} : f32[2,2,3]", "only axes of extent 1 repeat"},
    {"%v = broadcast %s {dims=[1099511627776]} : f32[1]", "attribute 'dims' is missing or wrong"},
    {"%v = broadcast %s {dims=[99999999999,99999999999]} : f32[1]", "the result of broadcast is"},
    {"%v = slice %a {axis=1 at=2 len=2} : f32[2,2]", "slice of f32[2,3] along axis 1: 2 elements"},
    {"%v = slice %a {axis=2 len=1} : f32[2,3]", "slice: axis 2 is not an axis"},
    {"%v = slice %a {axis=1 len=2 step=0} : f32[2,2]", "in steps of 0 do not lie inside"},
    {"%v = slice %a {axis=1 at=-1 len=2} : f32[2,2]", "2 elements from -1"},
    {"%v = slice %a {axis=1 len=2 step=9223372036854775807} : f32[2,2]", "do not lie inside"},
    {"%v = concat %a, %b {axis=0} : f32[5,3]", "concat of f32[2,3] and f32[3,2]: dimensions"},
    {"%v = pad %a {low=[1,-1] high=[0,2]} : f32[3,4]", "attribute 'low' is missing or wrong"},
    {"%v = gather %b, %a : f32[2,2]", "gather needs an operand of element type i32"},
    {"%v = gather %c, %ids {batch=3} : f32[2]", "gather of f32[2,8,3] by i32[2,2]: the shapes"},
    {"%v = scatter_add %i, %a {dims=[9,4]} : f32[9,4]", "scatter_add of f32[2,3] by i32[2]"},
    {"%v = matmul %a, %a : f32[2,3]", "matmul of f32[2,3] and f32[2,3]: inner dimensions differ"},
    {"%v = matmul %i, %a : f32[2,3]", "matmul needs an operand of rank 2 or more, not i32[2]"},
    {"%v = matmul %a, %c : f32[2,3]", "the second has rank 2, or the rank of the first"},
    {"%v = matmul %big, %big {transb} : f32[1]", "the result of matmul is too"},
    {"%v = conv2d %x, %w {stride=[1,1] pad=[0,0,0,0]} : f32[1]", "channels do not fit the filter"},
    {"%v = conv2d %x, %w {stride=[0,1] pad=[0,0,0,0] groups=2} : f32[1]", "attribute 'stride'"},
    {"%v = conv2d %w, %x {stride=[1,1] pad=[0,0,0,0] groups=2} : f32[1]", "channels do not fit"},
    {"%v = attention %q, %k, %k {cached} : f32[2,3,4,5]", "attention takes 4 to 4 operands, not 3"},
    {"%v = attention %k, %q, %q : f32[2,7,2,5]", "the number of key heads does not divide"},
    {"%v = attention %q, %k, %k {ring} : f32[2,3,4,5]", "ring without cached"},
    {"%v = attention %q, %k, %q : f32[2,3,4,5]", "dimensions differ"},
    {"%v = update %c, %c, %i, %ids : f32[2,8,3]", "update of f32[2,8,3] by i32[2,2]"},
    {"%v = update %c, %x, %i, %i : f32[2,8,3]", "update of f32[2,8,3] and f32[2,5,6,4]"},
    {"%v = mark %seen, %i, %i : bool[2,9]", "mark of bool[2,9] by i32[2]"},
    {"%v = sort %a {axis=1} : f32[2,3]", "expected an op with 1 results"},
    {"%v = cumsum %m {axis=1} : bool[2,3]", "cumsum needs an operand of element type other than"},
    {"%v = iota {dims=[3] axis=1} : i32[3]", "iota: axis 1 is not an axis of i32[3]"},
    {"%v = const {values=[1,2] dtype=i32 dims=[3]} : i32[3]", "attribute 'values' is missing or"},
    {"%v = const {dims=[3] dtype=i32} : i32[3]", "attribute 'dims' is missing or wrong: a scalar"},
    {"%v = const {blob=\"0000000000000000\" dtype=f32 dims=[3]} : f32[3]", "the blob is there and"},
    {"%v = add %a, %n : f32[2,4]", "add gives f32[2,3] here, not f32[2,4]"},
    {"%v = param : f32[2,4]", "expected the name of an op"},
};

static void right_lines_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        const char *message = parse_line(right[i]);
        if (message)
            fail_msg("%s: %s", right[i], message);
    }
}

static void wrong_lines_say_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *message = parse_line(wrong[i].line);
        if (!message || !strstr(message, wrong[i].message))
            fail_msg("%s: %s, not %s", wrong[i].line, message ? message : "accepted",
                     wrong[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_lines_parse),
        cmocka_unit_test(wrong_lines_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
