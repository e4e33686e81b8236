/*
 * The reference of the IR as Markdown. What the tables know comes from the tables; the grammar and
 * the meaning of structured ops are written here, next to nothing else that states them for users.
 */
#include "ir/docs.h"

#include "ir/encoding.h"
#include "ir/ir.h"
#include "ir/program.h"

#include "ir/base/str.h"

#include <string.h>

static const char introduction[] =
    "# The IR\n"
    "\n"
    "Made by `build/ir/ir_docs` from the tables in `ir/*.def`; a test checks that it is fresh.\n"
    "\n"
    "One IR leads from the graph of a model to its kernels. Every stage is the same text with "
    "more\n"
    "fields: after the front end there are neither kernels nor places; `fuse` adds kernels, "
    "`tile`\n"
    "their attributes, `plan` the offsets. `sinter ir MODEL --after PASS` prints it; whatever is\n"
    "printed can be read back, edited, and resumed with `--from PASS`.\n"
    "\n"
    "A module holds weights (tensors of the checkpoint), states (values that live between calls),\n"
    "functions, a table of programs, constants above 64 elements (blobs, named by a hash of their\n"
    "content) and facts for `info`. A function has params, a body of nodes in dependency order, "
    "and\n"
    "results: outputs under names, and next values of states. Every node has one or more results,\n"
    "a location in the model text, and a scope: the layer that made it.\n"
    "\n"
    "## Text\n"
    "\n"
    "```\n"
    "ir 1\n"
    "module tiny stage=plan target=\"x86-64-v3\" arena=0x140 state=0x40\n"
    "file 1 \"tiny.model\"\n"
    "fact layers \"1\"\n"
    "\n"
    "weight %w {tensor=dense.weight offset=128} : f32[4,8] @ w+0x80 !1:3:5\n"
    "\n"
    "state %count : f32[] @ a+0x0 !1:4:5\n"
    "\n"
    "func step {role=predict} !1:6:1\n"
    "  param %x : f32[2,8] @ a+0x40 !1:7:5\n"
    "  kernel y gemv {tiles=1 rows=2 cols=4} ; 136 flops 224 bytes\n"
    "    %y = matmul %x, %w {transb} : f32[2,4] @ reg !1:9:9 ^layers.0 ; 128 flops 224 bytes\n"
    "    %z = relu %y : f32[2,4] @ a+0x80 !1:9:13 ^layers.0 ; 8 flops 64 bytes\n"
    "  return %z as logits !1:10:5\n"
    "  store %count = %count !1:11:5\n"
    "end\n"
    "```\n"
    "\n"
    "One sigil, one meaning: `%` value, `:` type, `@` place, `!` location, `^` scope, `{}`\n"
    "attributes. What follows `;` is derived (or a remark): it is not read, and printed anew.\n"
    "\n"
    "### Grammar\n"
    "\n"
    "Blanks separate; a line ends a statement; empty lines count for nothing.\n"
    "\n"
    "```\n"
    "module   = \"ir 1\" LINE \"module\" word \"stage=\" word [\"target=\" word]\n"
    "           [\"arena=\" number \"state=\" number] LINE {top}\n"
    "top      = \"file\" number string LINE            numbered from 1; what ! refers to\n"
    "         | \"fact\" word word LINE\n"
    "         | \"blob\" string number string LINE     16 hex digits, bytes, base64\n"
    "         | \"weight\" leaf | \"state\" leaf\n"
    "         | \"program\" word LINE {step} \"end\" LINE\n"
    "         | \"func\" word [attributes] [location] LINE {body} \"end\" LINE\n"
    "step     = \"call\" word LINE\n"
    "         | \"repeat\" [number | count] [\"while\" word] LINE {step} \"end\" LINE\n"
    "body     = \"param\" leaf\n"
    "         | \"kernel\" word skeleton [attributes] LINE\n"
    "         | value {\",\" value} \"=\" op [value {\",\" value}] [attributes] tail\n"
    "         | \"return\" value \"as\" word [location] LINE\n"
    "         | \"store\" value \"=\" value [location] LINE\n"
    "leaf     = value [attributes] tail\n"
    "tail     = \":\" type {\",\" type} [\"@\" place {\",\" place}] [location] [\"^\" word] LINE\n"
    "type     = dtype list [\"/\" list [\"+\" number]]  dims, then strides and offset in elements\n"
    "place    = \"none\" | \"reg\" | \"view\" | \"a+\" number | \"w+\" number | \"c+\" number\n"
    "location = \"!\" number \":\" number \":\" number   file, line, column\n"
    "attributes = \"{\" {name [\"=\" (integer | real | word | dtype | list)]} \"}\"\n"
    "list     = \"[\" [integer {\",\" integer}] \"]\"\n"
    "value    = \"%\" name\n"
    "name     = parts of letters, digits and _ joined by dots, not starting with a digit\n"
    "word     = name | string\n"
    "string   = '\"' printable ASCII, \\\\ \\\" or \\xNN (never 00) '\"'\n"
    "```\n"
    "\n"
    "Names of weights and states are unique in the module, all others in their function. A node\n"
    "after a `kernel` line belongs to that kernel. The type of a node is what its shape rule "
    "gives.\n"
    "Reals print as the shortest decimal that reads back equal; `nan`, `inf` and `-inf` are "
    "reals.\n"
    "\n"
    "### Places\n"
    "\n"
    "| place | the value |\n"
    "|---|---|\n"
    "| `none` | has no place yet; not printed unless another result of the node has one |\n"
    "| `reg` | never leaves its kernel |\n"
    "| `view` | is another look at its first operand (or, for `concat`, at all of them) |\n"
    "| `a+N` | stands in the arena: states first, then inputs and outputs, then scratch |\n"
    "| `w+N` | stands in the checkpoint's file |\n"
    "| `c+N` | stands in the program |\n";

static const char program_text[] =
    "\n"
    "## The program table\n"
    "\n"
    "What runs: each `program` calls functions in order and repeats steps, a number of times or a\n"
    "count that only the caller knows, and as long as a flag is true (`while`): a `bool[]` state, "
    "or\n"
    "a `bool[]` output of a function called within, asked before each round once a call has given\n"
    "it. Functions exist, and every function with a role is called by some program. The table is\n"
    "made from the roles by `programs_derive` (`ir/program.c`), when a model is lowered and when\n"
    "decode adds the sampling functions; programs find functions by role (`runtime/roles.h`), and "
    "a\n"
    "test checks that the runtime runs what the table says.\n"
    "\n"
    "```\n"
    "program generate\n"
    "  repeat prompt\n"
    "    call prefill16\n"
    "  end\n"
    "  call greedy\n"
    "  repeat tokens\n"
    "    call decode\n"
    "    call greedy\n"
    "  end\n"
    "end\n"
    "```\n"
    "\n"
    "| count | how often |\n"
    "|---|---|\n";

static const char types_text[] =
    "\n"
    "## Element types\n"
    "\n"
    "Rounding is to nearest, ties to even; integers truncate and saturate, NaN becomes 0.\n"
    "\n"
    "| type | bits |\n"
    "|---|---|\n";

static const char rules_text[] =
    "\n"
    "## Elementwise ops\n"
    "\n"
    "Operands have the dims of the result, or rank 0. The expression is C over the operands a, b,\n"
    "c, d and the intrinsics of `ir/intrinsics.def`; it is compiled in double as the reference "
    "and\n"
    "printed into emitted code. Rules: SAME one type; EXACT one type, and the result needs no\n"
    "rounding; TEST one type, result bool; LOGIC all bool; SELECT bool, then two of the\n"
    "result's type; CAST any to attribute `dtype`; DRAW four i32 to f32; CHECK a float to bool.\n"
    "In gradients g is the gradient of the result y.\n"
    "\n"
    "| op | rule | flops | expression | gradient of a | of b | of c |\n"
    "|---|---|---|---|---|---|---|\n";

static const char reductions_text[] =
    "\n"
    "## Reductions\n"
    "\n"
    "Over attribute `axes`, which stay with extent 1. The accumulator is a tuple p0, p1, ...: "
    "`lift`\n"
    "makes one from element a at flat index i, `combine` takes q into p, `finish` gives the "
    "result.\n"
    "\n"
    "| op | identity | lift | combine | finish | flops | gradient |\n"
    "|---|---|---|---|---|---|---|\n";

static const char structured_text[] =
    "\n"
    "## Structured ops\n"
    "\n"
    "VIEW may alias its operand; INDEX moves elements without arithmetic; SOURCE has no operands "
    "and\n"
    "is evaluated where it is used; EFFECT is neither merged nor dropped as a common\n"
    "subexpression; LEAF stands in the module or the parameter list.\n"
    "\n"
    "| op | operands | results | kind | meaning |\n"
    "|---|---|---|---|---|\n";

/* What a structured op computes, with its attributes and what happens at the edges. */
static const char *const meanings[OP_COUNT] = {
    [OP_param] = "an input of the function",
    [OP_weight] = "a tensor of the checkpoint, as its file stores it",
    [OP_state] = "a value that lives between calls; starts at `fill`, or as weight `source`",
    [OP_const] =
        "{value dtype}: a scalar; {values dims dtype}: up to 64 integers; {blob dims dtype}",
    [OP_iota] = "{dims axis dtype}: the index along `axis`; i32 unless `dtype` says otherwise",
    [OP_positions] = "{dims=[B,T]}: i32, the position of each token; decode replaces it",
    [OP_reshape] = "{dims}: the same elements in row-major order",
    [OP_transpose] = "{perm}: axis i of the result is axis perm[i] of the operand",
    [OP_broadcast] = "{dims}: axes of extent 1 repeat; of the same rank, or from rank 0",
    [OP_slice] = "{axis at len step}: elements at, at+step, ...",
    [OP_concat] =
        "{axis granule}: one operand after the other, or with `granule` so many elements of each "
        "in turn. Weights joined along the columns of a product are its segments: nothing is "
        "copied. The `pair` of GPU kernels is another map, of one weight's own columns j and "
        "j + pair into one tile (see ir/skeletons.def)",
    [OP_pad] = "{low high value}: `value` before and after, for each axis",
    [OP_gather] =
        "%table[b.., N, d..], %ids[b.., i..] {batch} to [b.., i.., d..]; an id outside is "
        "clamped to 0..N-1",
    [OP_decode] =
        "%codes u8[.., K*bits/8], %scales[.., K/group] {encoding group}: the numbers of a packed "
        "weight, f32[.., K]; pass cast makes it",
    [OP_scatter_add] = "%ids[i..], %rows[i.., d..] {dims=[N, d..]}: sums the rows of each id, in "
                       "order; ids are clamped",
    [OP_matmul] = "%a[..,M,K], %b[..,K,N] {transa transb dtype}; %b of rank 2 serves the whole "
                  "batch; of %a's type unless `dtype` says otherwise",
    [OP_conv2d] = "%x[N,H,W,I], %w[O,kh,kw,I/groups] {stride pad groups dtype} to [N,H',W',O]",
    [OP_conv2d_input] = "%w, %dy {dims stride pad groups dtype}: the gradient of %x",
    [OP_conv2d_filter] = "%x, %dy {dims stride pad groups dtype}: the gradient of %w",
    [OP_attention] =
        "%q[B,T,H,d], %k[B,S,G,d], %v[B,S,G,d], %pos i32[B] if `cached`, %bias[B or 1, H or 1, T "
        "or "
        "1, S] if `biased` {causal window scale cached ring dtype}: softmax(scale q k + bias) v. "
        "Query i stands at position pos[b]+i (i without `cached`), key slot j at position j; with "
        "`ring` at the largest position up to the last query's that is congruent to j mod S, and "
        "is not seen if that is negative. `causal` hides later keys, `window` those that are so "
        "many or more positions behind. A query that sees no key gives zeros. No gradient if "
        "`cached`: keys and values come from earlier calls",
    [OP_update] =
        "%cache[B,S,..], %new[B,C,..], %pos i32[B], %count i32[B] {ring}: new row i of b "
        "goes to slot pos[b]+i (mod S with `ring`) for i < count[b]; rows that would fall "
        "outside are not stored. No gradient: what a state keeps is read by later calls",
    [OP_mark] = "%seen bool[B,V], %ids i32[B,C], %count i32[B]: seen[b, ids[b,i]] = true for "
                "i < count[b]; ids outside are not marked",
    [OP_sort] = "%x {axis descending}: values and i32 indices; stable, NaN last",
    [OP_loop] =
        "%carried.., %sliced.., %others.. {body trips carried sliced reverse}: calls function "
        "`body` (role body, defined before) for i = 0 .. trips-1, or backward with "
        "`reverse`, on i (i32[]), the carried values, part i of axis 0 of the sliced operands and "
        "the others. Its first outputs are the next carried values, and the loop gives the last "
        "ones; the outputs behind them are stacked along a new axis 0. A body uses no weights and "
        "no states. `unroll` replaces loops by their iterations",
    [OP_cumsum] = "%x {axis exclusive}: running sums, without the element itself if `exclusive`",
};

/* Text in a cell of a table: a bar would end it. */
static void cell(struct str *out, const char *text)
{
    if (!text || strcmp(text, "-") == 0) {
        str_printf(out, " |");
        return;
    }
    str_printf(out, " `");
    for (; *text; text++)
        str_printf(out, *text == '|' ? "\\|" : "%c", *text);
    str_printf(out, "` |");
}

static const char *rule_name(enum ew_rule rule)
{
    static const char *const names[] = {
        [RULE_SAME] = "SAME",   [RULE_EXACT] = "EXACT",   [RULE_TEST] = "TEST",
        [RULE_LOGIC] = "LOGIC", [RULE_SELECT] = "SELECT", [RULE_CAST] = "CAST",
        [RULE_DRAW] = "DRAW",   [RULE_CHECK] = "CHECK"};
    return names[rule];
}

static void print_ew(struct str *out, const struct op_info *info)
{
    str_printf(out, "| %s | %s | %d |", info->name, rule_name(info->rule), info->flops);
    cell(out, info->expression);
    for (int i = 0; i < 3; i++)
        cell(out, info->gradient[i]);
    str_printf(out, "\n");
}

static void print_red(struct str *out, const struct op_info *info)
{
    str_printf(out, "| %s |", info->name);
    cell(out, info->identity);
    cell(out, info->lift);
    cell(out, info->combine);
    cell(out, info->finish);
    str_printf(out, " %d |", info->flops);
    cell(out, info->gradient[0]);
    str_printf(out, "\n");
}

static const char *flag_name(unsigned flags)
{
    return flags & OP_VIEW     ? "VIEW"
           : flags & OP_INDEX  ? "INDEX"
           : flags & OP_SOURCE ? "SOURCE"
           : flags & OP_EFFECT ? "EFFECT"
           : flags & OP_LEAF   ? "LEAF"
                               : "";
}

static void print_structured(struct str *out, enum op op)
{
    const struct op_info *info = op_info(op);
    if (!meanings[op])
        fatal(INTERNAL, "ir/docs.c does not say what an op means", info->name);
    str_printf(out, "| %s | %d", info->name, info->operands_min);
    if (info->operands_max != info->operands_min)
        str_printf(out, "-%d", info->operands_max);
    if (info->results)
        str_printf(out, " | %d", info->results);
    else
        str_printf(out, " | 1-%d", MAX_RESULTS);
    str_printf(out, " | %s | %s |\n", flag_name(info->flags), meanings[op]);
}

static void print_ops(struct str *out, enum op_kind kind)
{
    for (int op = 0; op < OP_COUNT; op++) {
        if (op_info((enum op)op)->kind != kind)
            continue;
        if (kind == KIND_EW)
            print_ew(out, op_info((enum op)op));
        else if (kind == KIND_RED)
            print_red(out, op_info((enum op)op));
        else
            print_structured(out, (enum op)op);
    }
}

static void print_attribute_table(struct str *out)
{
    static const char *const kinds[] = {"integer", "real", "flag", "text", "list", "type"};
    str_printf(out, "\n## Attributes\n\nIn the order in which they print; one that has its default "
                    "is absent.\n\n| attribute | kind | default |\n|---|---|---|\n");
    for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
        const struct attribute_info *info = attribute_info((enum attribute_id)i);
        str_printf(out, "| %s | %s | ", info->name, kinds[info->kind]);
        if (info->kind == KIND_INT || info->kind == KIND_REAL)
            str_double(out, info->fallback);
        str_printf(out, " |\n");
    }
}

static void print_encodings(struct str *out)
{
    const struct encoding *row;
    str_printf(
        out,
        "\n## Stored encodings of weights\n\nA weight `{encoding group scales}` is packed in "
        "its file: a code is so many bits of a byte, low ones\nfirst; its number is (code ^ "
        "flip) - zero, times the scale of its group of `group`\nneighbours of the last axis, "
        "from weight `scales`. Pass `cast` makes the weight the bytes that\nthe file holds and "
        "puts a `decode` where it is used. Without `encoding`, `stored` is the file's\ntype.\n"
        "\n| encoding | bits | flip | zero | codes |\n|---|---|---|---|---|\n");
    for (int i = 0; (row = encoding_row(i)); i++)
        str_printf(out, "| %s | %d | %d | %d | %s |\n", row->name, row->bits, row->flip, row->zero,
                   row->meaning);
}

static void print_skeletons(struct str *out)
{
    str_printf(out,
               "\n## Kernel skeletons\n\nWhat may stand in a kernel of each is the contract in "
               "`ir/skeletons.def`; the verifier checks it.\n\n| skeleton | built around | "
               "backends | what it is |\n|---|---|---|---|\n");
#define SKELETON(name, anchor, where, description) \
    str_printf(out, "| %s | %s | %s | %s |\n", #name, #anchor, #where, description);
#include "ir/skeletons.def"
}

const char *ir_docs(struct arena *arena)
{
    struct str out = str_create(arena);
    str_printf(&out, "%s%s", introduction, program_text);
    for (int i = COUNT_NUMBER + 1; i < COUNT_END; i++)
        str_printf(&out, "| `%s` | %s |\n", count_name((enum count)i),
                   count_meaning((enum count)i));
    str_printf(&out, "%s", types_text);
    for (int i = 0; i < DTYPE_COUNT; i++)
        str_printf(&out, "| %s | %d |\n", dtype_name((enum dtype)i), dtype_bits((enum dtype)i));
    str_printf(&out, "%s", rules_text);
    print_ops(&out, KIND_EW);
    str_printf(&out, "%s", reductions_text);
    print_ops(&out, KIND_RED);
    str_printf(&out, "%s", structured_text);
    print_ops(&out, KIND_OP);
    print_encodings(&out);
    print_attribute_table(&out);
    print_skeletons(&out);
    return out.text;
}
