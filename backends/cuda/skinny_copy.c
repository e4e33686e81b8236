/*
 * Copies of the skeleton `skinny` into the stages: 16 bytes at a time, asynchronously where the
 * weights are stored as they are used and their rows start on 16 bytes, else through registers.
 * Threads t = chunk + chunks * row copy chunk `chunk` of rows `row`, and of those that follow at
 * distances of threads / chunks, a multiple of 8, so that the swizzle is the same for all.
 */
#include "backends/cuda/skinny.h"

static int64_t rows_apart(struct generator *g)
{
    return cuda_of(g)->threads / skinny_of(g)->shape.chunks;
}

/* Copies that a thread makes of `rows` rows of a stage. */
static int64_t copy_count(struct generator *g, int64_t rows)
{
    return (rows + rows_apart(g) - 1) / rows_apart(g);
}

static const char *used_cell(struct generator *g)
{
    return cuda_cell(skinny_of(g)->shape.operands.used);
}

/* The rows as one matrix, seen as runs of `run` rows: padded rows of a batch are no run of memory
 * for a division to find, but as far apart from one run to the next. */
static struct matrix find_rows(struct generator *g, const struct value *a, int64_t run)
{
    const struct few_operands *o = &skinny_of(g)->shape.operands;
    variables_reset(g);
    generator_restart(g);
    struct index row = variable_open(g, variable_add(g, run, 0, false), "m", 0, run - 1);
    struct index step = variable_open(g, variable_add(g, o->k, 0, false), "k", 0, o->k - 1);
    struct index index = index_add(&g->space, index_scale(row, o->k), step);
    if (run < o->m) {
        struct index outer =
            variable_open(g, variable_add(g, o->m / run, 0, false), "b", 0, o->m / run - 1);
        index = index_add(&g->space, index, index_scale(outer, run * o->k));
    }
    struct matrix_axes axes = {run < o->m ? 2 : -1, -1, 0, 1};
    struct matrix found = matrix_find(g, a, index, axes, false);
    if (run < o->m && found.batch != found.major * run)
        found.kind = MATRIX_OTHER;
    return found;
}

void skinny_find_tokens(struct generator *g)
{
    struct skinny *skinny = skinny_of(g);
    const struct few_operands *o = &skinny->shape.operands;
    if (o->computed)
        return;
    const struct value *a = o->layout.segments[0].anchors[0]->operands[0];
    int64_t run = a->type.rank > 2 ? a->type.dims[a->type.rank - 2] : o->m;
    skinny->tokens = find_rows(g, a, o->m);
    if (skinny->tokens.kind != MATRIX_ROWS && run > 1 && run < o->m && o->m % run == 0)
        skinny->tokens = find_rows(g, a, run);
    if (skinny->tokens.kind != MATRIX_ROWS)
        fatal(INTERNAL, "the rows of a product of few rows are not rows of memory",
              g->kernel->name);
    skinny->tokens_aligned = skinny->tokens.major % skinny->shape.chunk == 0 &&
                             skinny->tokens.offset % skinny->shape.chunk == 0;
}

/* --- pointers --- */

static void emit_weight_pointers(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    const struct few_operands *o = &s->operands;
    struct writer *w = scope_writer(g);
    long long count = (long long)copy_count(g, s->tile_rows), cols = (long long)o->layout.cols;
    writer_line(w, "const %s *from[%lld];", cuda_cell(o->stored), count);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", count);
    writer_line(w, "const int local = (row + i * %lld)%s;", (long long)rows_apart(g),
                o->partners > 1 ? arena_printf(g->arena, " %% %lld", cols) : "");
    const char *column = few_column(g, "local"), *weights = "weights0";
    for (int64_t p = o->partners - 1, last = p; p >= 0 && o->partners > 1; p--) {
        const char *this = arena_printf(g->arena, "weights%lld", (long long)p);
        weights = p == last ? this
                            : arena_printf(g->arena, "row + i * %lld < %lld ? %s : %s",
                                           (long long)rows_apart(g), (long long)(p + 1) * cols,
                                           this, weights);
    }
    const char *first =
        s->split > 1 ? arena_printf(g->arena, " + first * %lld", (long long)s->depth) : "";
    writer_line(w, "from[i] = (%s) + (%s)%s * %s + chunk * %lld%s;", weights,
                g->dialect->index_type, column, few_stride(g), (long long)s->chunk, first);
    writer_close(w, "}");
}

static void emit_token_pointers(struct generator *g)
{
    struct skinny *skinny = skinny_of(g);
    const struct skinny_shape *s = &skinny->shape;
    struct writer *w = scope_writer(g);
    long long count = (long long)copy_count(g, s->tokens), m = (long long)s->operands.m;
    writer_line(w, "const %s *token_from[%lld];", used_cell(g), count);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", count);
    writer_line(w, "const int wanted = row + i * %lld;", (long long)rows_apart(g));
    writer_line(w, "const int token = wanted < %lld ? wanted : %lld;", m, m - 1);
    const char *pointer = matrix_pointer(g, &skinny->tokens, "0", "0", "token", "0");
    writer_line(w, "token_from[i] = %s + chunk * %lld%s;", pointer, (long long)s->chunk,
                s->split > 1 ? arena_printf(g->arena, " + first * %lld", (long long)s->depth) : "");
    writer_close(w, "}");
}

void skinny_emit_pointers(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    struct writer *w = scope_writer(g);
    long long chunks = (long long)s->chunks;
    writer_line(w, "const int row = thread / %lld, chunk = thread %% %lld;", chunks, chunks);
    const char *place = "chunk";
    if (s->mt > 0)
        place = arena_printf(g->arena, "swizzle_%s(row, chunk)", chunks == 8 ? "128" : "64");
    writer_line(w, "const shared_t to = shared + (shared_t)(row * %lld + %s * 16);",
                (long long)s->row_bytes, place);
    if (!s->operands.decoded)
        emit_weight_pointers(g);
    if (!s->operands.computed)
        emit_token_pointers(g);
}

/* --- copies --- */

static bool whole_steps(const struct skinny_shape *s)
{
    return s->operands.k % s->depth == 0;
}

/* A chunk of weights in the type that is used, through registers: `left` elements are left. */
static const char *converted_chunk(struct generator *g, const char *from)
{
    struct skinny *skinny = skinny_of(g);
    const struct few_operands *o = &skinny->shape.operands;
    const char *stored = dtype_name(o->stored);
    long long chunk = (long long)skinny->shape.chunk;
    const char *part = arena_printf(g->arena, "load_%s_part_x%lld(%s, left)", stored, chunk, from);
    const char *all = part;
    if (few_aligned(&skinny->few))
        all = arena_printf(g->arena, "left >= %lld ? load_%sx%lld(%s) : %s", chunk, stored, chunk,
                           from, part);
    if (chunk == 8)
        return arena_printf(g->arena, "pack_%sx8(%s)", dtype_name(o->used), all);
    if (o->used == DTYPE_tf32)
        return arena_printf(g->arena, "words_of_f32x4(round_tf32x4(%s))", all);
    return arena_printf(g->arena, "words_of_f32x4(%s)", all);
}

/* "left": elements of the row from this chunk on; where some chunk is not whole. */
static void emit_left(struct generator *g, const char *step, bool always)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    const char *first = s->split > 1 ? "first + " : "";
    if (always || !whole_steps(s))
        writer_line(scope_writer(g), "const int left = %lld - (%s%s) * %lld - chunk * %lld;",
                    (long long)s->operands.k, first, step, (long long)s->depth,
                    (long long)s->chunk);
}

static const char *valid_bytes(struct generator *g)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    if (whole_steps(s))
        return "16";
    return arena_printf(g->arena, "inside_bytes(left, %lld, %lld)", (long long)s->chunk,
                        16 / (long long)s->chunk);
}

static bool weights_async(const struct skinny *skinny)
{
    const struct few_operands *o = &skinny->shape.operands;
    return (o->stored == o->used || skinny_rounds(skinny)) && few_aligned(&skinny->few);
}

bool skinny_rounds(const struct skinny *skinny)
{
    const struct few_operands *o = &skinny->shape.operands;
    return !o->decoded && o->stored == DTYPE_f32 && o->used == DTYPE_tf32 &&
           few_aligned(&skinny->few);
}

/* The element at row `at_row` of the tile, from the partner whose it is: "value". */
static void emit_decoded_element(struct generator *g)
{
    const struct few_operands *o = &skinny_of(g)->shape.operands;
    writer_line(scope_writer(g), "float value = 0;");
    for (int p = 0; p < o->partners; p++) {
        scope_open_conditional(g, g->depth);
        few_emit_weight(g, p);
        writer_line(scope_writer(g), "value = weight;");
        if (o->partners == 1)
            scope_close_bare(g);
        else
            scope_close(g, "if (at_row / %lld == %d)", (long long)o->layout.cols, p);
    }
}

/* Weights that no copy gives, an element at a time. */
static void emit_decoded_weights(struct generator *g, const char *step)
{
    const struct skinny_shape *s = &skinny_of(g)->shape;
    const struct few_operands *o = &s->operands;
    struct writer *w = scope_writer(g);
    long long chunk = (long long)s->chunk, apart = (long long)rows_apart(g);
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", (long long)copy_count(g, s->tile_rows));
    writer_line(w, "const int at_row = row + i * %lld, local = at_row %% %lld;", apart,
                (long long)o->layout.cols);
    few_column(g, "local");
    writer_line(w, "struct f32x%lld all;", chunk);
    writer_line(w, "UNROLL");
    scope_open(g);
    writer_line(scope_writer(g), "const int k = (%s%s) * %lld + chunk * %lld + e;",
                s->split > 1 ? "first + " : "", step, (long long)s->depth, chunk);
    emit_decoded_element(g);
    writer_line(scope_writer(g), "all.at[e] = value;");
    scope_close(g, "for (int e = 0; e < %lld; e++)", chunk);
    const char *words = chunk == 4 ? "words_of_f32x4(all)"
                                   : arena_printf(g->arena, "pack_%sx8(all)", dtype_name(o->used));
    writer_line(w, "shared_store_16(to + put + i * %lld, %s);", apart * (long long)s->row_bytes,
                words);
    writer_close(w, "}");
}

static void emit_weight_copies(struct generator *g, const char *step)
{
    struct skinny *skinny = skinny_of(g);
    const struct skinny_shape *s = &skinny->shape;
    struct writer *w = scope_writer(g);
    const char *from = arena_printf(g->arena, "from[i] + (%s) * %lld", step, (long long)s->depth);
    const char *to =
        arena_printf(g->arena, "to + put + i * %lld", (long long)(rows_apart(g) * s->row_bytes));
    writer_line(w, "UNROLL");
    writer_line(w, "for (int i = 0; i < %lld; i++)", (long long)copy_count(g, s->tile_rows));
    if (weights_async(skinny))
        writer_line(w, "    copy_async16(%s, %s, %s);", to, from, valid_bytes(g));
    else
        writer_line(w, "    shared_store_16(%s, %s);", to, converted_chunk(g, from));
}

static void emit_token_copies(struct generator *g, const char *step)
{
    struct skinny *skinny = skinny_of(g);
    const struct skinny_shape *s = &skinny->shape;
    const struct few_operands *o = &s->operands;
    struct writer *w = scope_writer(g);
    long long apart = (long long)rows_apart(g), m = (long long)o->m, tokens = (long long)s->tokens;
    const char *from =
        arena_printf(g->arena, "token_from[i] + (%s) * %lld", step, (long long)s->depth);
    const char *to =
        arena_printf(g->arena, "to + put + (%lld + i * %lld)", (long long)s->weight_bytes,
                     (long long)(rows_apart(g) * s->row_bytes));
    writer_line(w, "UNROLL");
    writer_open(w, "for (int i = 0; i < %lld; i++) {", (long long)copy_count(g, s->tokens));
    if (tokens % apart)
        writer_open(w, "if (row + i * %lld < %lld)", apart, tokens);
    const char *valid = valid_bytes(g);
    if (m < tokens)
        valid = arena_printf(g->arena, "row + i * %lld < %lld ? %s : 0", apart, m, valid);
    if (skinny->tokens_aligned)
        writer_line(w, "copy_async16(%s, %s, %s);", to, from, valid);
    else
        writer_line(w, "shared_store_16(%s, load16_part_%s(%s, row + i * %lld < %lld ? left : 0));",
                    to, o->used == DTYPE_tf32 ? "f32" : dtype_name(o->used), from, apart, m);
    if (tokens % apart)
        w->level--;
    writer_close(w, "}");
}

void skinny_emit_copies(struct generator *g, const char *step)
{
    struct skinny *skinny = skinny_of(g);
    const struct few_operands *o = &skinny->shape.operands;
    bool tokens = !o->computed, converts = !o->decoded && !weights_async(skinny);
    if (tokens || !o->decoded)
        emit_left(g, step, converts || (tokens && !skinny->tokens_aligned));
    if (o->decoded)
        emit_decoded_weights(g, step);
    else
        emit_weight_copies(g, step);
    if (tokens)
        emit_token_copies(g, step);
}
