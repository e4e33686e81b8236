/*
 * IR text to a module. Lines are read one by one; a value must stand before its uses, and the
 * type that a line states must be the one that the shape rule gives.
 */
#include "ir/build.h"
#include "ir/loop.h"
#include "ir/names.h"
#include "ir/program.h"
#include "ir/shape.h"
#include "ir/text.h"

#include <string.h>

enum { MAX_FILES = 1024, MAX_OPERANDS = 64 };

struct parser {
    struct lexer lexer;
    struct module *module;
    struct function *function; /* NULL between functions */
    struct kernel *kernel;     /* that nodes belong to */
    struct map kernel_names;   /* of the function */
    ARRAY_OF(uint32_t) files;  /* diag's numbers */
};

/* --- parts --- */

/* " !1:21:5"; nowhere if it is absent. */
static struct location parse_location(struct parser *p)
{
    struct location location = {0};
    if (!lexer_take(&p->lexer, "!"))
        return location;
    const struct location at = p->lexer.token.location;
    uint64_t file = lexer_unsigned(&p->lexer, MAX_FILES);
    if (file < 1 || file > p->files.count)
        fatal_at(at, IR_EXPECTED, "the number of a file line");
    location.file = p->files.items[file - 1];
    lexer_need(&p->lexer, ":");
    location.line = (uint32_t)lexer_unsigned(&p->lexer, UINT32_MAX);
    lexer_need(&p->lexer, ":");
    location.column = (uint32_t)lexer_unsigned(&p->lexer, UINT32_MAX);
    return location;
}

/* " : type, type @ place, place !1:2:3 ^scope" and the end of the line. */
static void parse_tail(struct parser *p, struct node *node)
{
    struct lexer *lexer = &p->lexer;
    int count = node->result_count;
    for (int i = 0; i < count; i++) {
        lexer_need(lexer, i ? "," : ":");
        node->results[i].type = parse_type(lexer);
    }
    if (lexer_take(lexer, "@")) {
        for (int i = 0; i < count; i++) {
            if (i)
                lexer_need(lexer, ",");
            node->results[i].place = parse_place(lexer);
        }
    }
    node->location = parse_location(p);
    if (lexer_take(lexer, "^"))
        node->scope = lexer_word(lexer);
    lexer_need_line(lexer);
}

static void keep_name(struct parser *p, struct value *value, struct location at)
{
    if (!name_keep(p->module, p->function, value) || value->name[0] == '\0')
        fatal_at(at, IR_TWICE, value->name);
}

static struct value *parse_operand(struct parser *p)
{
    struct location at = p->lexer.token.location;
    const char *name = lexer_value_name(&p->lexer);
    struct value *value = map_get(&p->module->names, name);
    if (!value && p->function)
        value = map_get(&p->function->names, name);
    if (!value)
        fatal_at(at, IR_UNDEFINED, name);
    return value;
}

static void note_text_location(struct parser *p, const struct node *node, struct location at)
{
    while (p->module->text_locations.count <= node->id)
        array_push(p->module->arena, &p->module->text_locations, at);
}

/* --- header lines --- */

static void parse_module_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    lexer_need(lexer, "ir");
    const struct location at = lexer->token.location;
    uint64_t version = lexer_unsigned(lexer, UINT32_MAX);
    if (version != IR_TEXT_VERSION)
        fatal_at(at, IR_VERSION, (unsigned)version, (int)IR_TEXT_VERSION);
    lexer_need_line(lexer);
    lexer_need(lexer, "module");
    p->module = module_create(lexer->arena, lexer_word(lexer));
    lexer_need(lexer, "stage");
    lexer_need(lexer, "=");
    p->module->stage = lexer_word(lexer);
    if (lexer_take(lexer, "target")) {
        lexer_need(lexer, "=");
        p->module->target = lexer_word(lexer);
    }
    if (lexer_take(lexer, "arena")) {
        lexer_need(lexer, "=");
        p->module->arena_bytes = lexer_unsigned(lexer, INT64_MAX);
        lexer_need(lexer, "state");
        lexer_need(lexer, "=");
        p->module->state_bytes = lexer_unsigned(lexer, p->module->arena_bytes);
    }
    lexer_need_line(lexer);
}

/* The number of a file that is known already, or a new one. */
static uint32_t file_number(const char *name)
{
    const struct source *source;
    for (uint32_t i = 1; (source = diag_source(i)); i++)
        if (strcmp(source->name, name) == 0)
            return i;
    return diag_add_source(name, NULL, 0);
}

static void parse_file_line(struct parser *p)
{
    struct location at = p->lexer.token.location;
    uint64_t number = lexer_unsigned(&p->lexer, MAX_FILES);
    if (number != p->files.count + 1)
        fatal_at(at, IR_EXPECTED, "files numbered 1, 2, 3, ...");
    if (p->lexer.token.kind != TOKEN_STRING)
        lexer_expected(&p->lexer, "the name of the file in quotes");
    array_push(p->lexer.arena, &p->files, file_number(p->lexer.token.text));
    lexer_next(&p->lexer);
    lexer_need_line(&p->lexer);
}

static void parse_fact_line(struct parser *p)
{
    const char *name = lexer_word(&p->lexer);
    module_add_fact(p->module, name, lexer_word(&p->lexer));
    lexer_need_line(&p->lexer);
}

static void parse_blob_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    struct location at = lexer->token.location;
    struct blob blob = {.name = lexer_word(lexer)};
    if (strspn(blob.name, "0123456789abcdef") != 16 || blob.name[16] ||
        module_find_blob(p->module, blob.name))
        fatal_at(at, IR_EXPECTED, "a new name of 16 hexadecimal digits");
    blob.size = lexer_unsigned(lexer, (uint64_t)1 << 40);
    if (blob.size / 3 > lexer->token.length)
        lexer_expected(lexer, "a string with this many bytes in base64");
    unsigned char *bytes = arena_array(lexer->arena, unsigned char, blob.size + 1);
    parse_base64(lexer, bytes, blob.size);
    blob.bytes = bytes;
    lexer_need_line(lexer);
    array_push(lexer->arena, &p->module->blobs, blob);
}

/* "%name {attributes} : type ..." after weight, state or param. */
static void parse_leaf_line(struct parser *p, enum op op)
{
    struct location at = p->lexer.token.location;
    struct node *node = node_create(p->module, op, 0);
    node->results[0].name = lexer_value_name(&p->lexer);
    node->attributes = parse_attributes(&p->lexer);
    parse_tail(p, node);
    keep_name(p, &node->results[0], at);
    note_text_location(p, node, at);
    struct arena *arena = p->lexer.arena;
    if (op == OP_param)
        array_push(arena, &p->function->params, node);
    else if (op == OP_weight)
        array_push(arena, &p->module->weights, node);
    else
        array_push(arena, &p->module->states, node);
}

/* --- functions --- */

static void parse_function_line(struct parser *p)
{
    struct location at = p->lexer.token.location;
    const char *name = lexer_word(&p->lexer);
    if (module_find_function(p->module, name))
        fatal_at(at, IR_TWICE, name);
    p->function = module_add_function(p->module, name);
    p->function->attributes = parse_attributes(&p->lexer);
    p->function->location = parse_location(p);
    p->kernel = NULL;
    p->kernel_names = map_create(p->lexer.arena);
    lexer_need_line(&p->lexer);
}

static void parse_kernel_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    struct location at = lexer->token.location;
    struct kernel *kernel = arena_new(lexer->arena, struct kernel);
    if (!p->kernel && p->function->nodes.count)
        fatal_at(at, IR_EXPECTED, "all nodes of a function in kernels, or none");
    kernel->name = lexer_word(lexer);
    if (map_get(&p->kernel_names, kernel->name))
        fatal_at(at, IR_TWICE, kernel->name);
    map_set(&p->kernel_names, kernel->name, kernel);
    if (lexer->token.kind != TOKEN_WORD ||
        !skeleton_parse(lexer->token.text, lexer->token.length, &kernel->skeleton))
        lexer_expected(lexer, "the name of a kernel skeleton");
    lexer_next(lexer);
    kernel->attributes = parse_attributes(lexer);
    lexer_need_line(lexer);
    array_push(lexer->arena, &p->function->kernels, kernel);
    p->kernel = kernel;
}

static enum op parse_op(struct parser *p, int results)
{
    enum op op;
    const struct token *token = &p->lexer.token;
    if (token->kind != TOKEN_WORD || !op_parse(token->text, token->length, &op) ||
        (op_info(op)->flags & OP_LEAF))
        lexer_expected(&p->lexer, "the name of an op");
    if (op != OP_loop && op_info(op)->results != results)
        lexer_expected(&p->lexer, arena_printf(p->lexer.arena, "an op with %d results", results));
    lexer_next(&p->lexer);
    return op;
}

/* The shape rule runs at the line of the text, not at the model's. */
static void check_types(const struct node *node, struct location at)
{
    struct type types[MAX_RESULTS];
    infer_types(node->op, node->operands, node->operand_count, &node->attributes, at, types);
    for (int i = 0; i < node->result_count; i++) {
        const struct type *type = &node->results[i].type;
        if (type->dtype != types[i].dtype || !type_same_dims(type, &types[i]))
            fatal_at(at, IR_TYPE, op_info(node->op)->name, shape_text(&types[i]), shape_text(type));
    }
}

/* The body's name to the function; a missing one is left to the shape rule. */
static void find_body(struct parser *p, struct node *node, struct location at)
{
    const char *name = node_text(node, body);
    struct function *body = name ? module_find_function(p->module, name) : NULL;
    if (!body || body == p->function)
        return;
    attributes_set_body(p->lexer.arena, &node->attributes, body);
    if (body->bindings.count != (size_t)node->result_count)
        fatal_at(at, IR_EXPECTED, "as many results as the body of the loop has outputs");
}

static void parse_node_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    struct location at = lexer->token.location;
    const char *names[MAX_RESULTS];
    struct value *operands[MAX_OPERANDS];
    int results = 0, count = 0;
    do {
        if (results == MAX_RESULTS)
            lexer_expected(lexer, "at most 24 results");
        names[results++] = lexer_value_name(lexer);
    } while (lexer_take(lexer, ","));
    lexer_need(lexer, "=");
    enum op op = parse_op(p, results);
    while (lexer->token.kind == TOKEN_VALUE) {
        if (count == MAX_OPERANDS)
            lexer_expected(lexer, "at most 64 operands");
        operands[count++] = parse_operand(p);
        if (!lexer_take(lexer, ","))
            break;
        if (lexer->token.kind != TOKEN_VALUE)
            lexer_expected(lexer, "another operand");
    }
    struct node *node = node_create_results(p->module, op, count, results);
    if (count)
        memcpy(node->operands, operands, (size_t)count * sizeof *operands);
    node->attributes = parse_attributes(lexer);
    if (op == OP_loop)
        find_body(p, node, at);
    node->kernel = p->kernel;
    parse_tail(p, node);
    check_types(node, at);
    for (int i = 0; i < results; i++) {
        node->results[i].name = names[i];
        keep_name(p, &node->results[i], at);
    }
    note_text_location(p, node, at);
    array_push(lexer->arena, &p->function->nodes, node);
}

/* "return %x as name" and "store %state = %x" */
static void parse_binding_line(struct parser *p, bool store)
{
    struct location at = p->lexer.token.location;
    struct binding binding = {.value = parse_operand(p)};
    lexer_need(&p->lexer, store ? "=" : "as");
    if (store) {
        binding.state = binding.value;
        binding.name = binding.state->name;
        binding.value = parse_operand(p);
        if (binding.state->node->op != OP_state)
            fatal_at(at, IR_EXPECTED, "a state");
    } else {
        binding.name = lexer_word(&p->lexer);
    }
    binding.location = parse_location(p);
    lexer_need_line(&p->lexer);
    array_push(p->lexer.arena, &p->function->bindings, binding);
}

/* --- lines --- */

static void parse_body_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    if (lexer->token.kind == TOKEN_VALUE) {
        parse_node_line(p);
    } else if (lexer_take(lexer, "param")) {
        parse_leaf_line(p, OP_param);
    } else if (lexer_take(lexer, "kernel")) {
        parse_kernel_line(p);
    } else if (lexer_is(lexer, "return") || lexer_is(lexer, "store")) {
        bool store = lexer_is(lexer, "store");
        lexer_next(lexer);
        parse_binding_line(p, store);
    } else if (lexer_take(lexer, "end")) {
        p->function = NULL;
        lexer_need_line(lexer);
    } else {
        lexer_expected(lexer, "a line '%name = ...', param, kernel, return, store or end");
    }
}

static void parse_top_line(struct parser *p)
{
    struct lexer *lexer = &p->lexer;
    if (lexer_take(lexer, "file"))
        parse_file_line(p);
    else if (lexer_take(lexer, "fact"))
        parse_fact_line(p);
    else if (lexer_take(lexer, "blob"))
        parse_blob_line(p);
    else if (lexer_take(lexer, "weight"))
        parse_leaf_line(p, OP_weight);
    else if (lexer_take(lexer, "state"))
        parse_leaf_line(p, OP_state);
    else if (lexer_take(lexer, "program"))
        program_parse(p->module, lexer);
    else if (lexer_take(lexer, "func"))
        parse_function_line(p);
    else
        lexer_expected(lexer, "a line: file, fact, blob, weight, state, program or func");
}

struct module *ir_parse(struct arena *arena, uint32_t file)
{
    struct parser p = {.lexer = lexer_open(arena, file)};
    parse_module_line(&p);
    while (p.lexer.token.kind != TOKEN_END) {
        if (p.function)
            parse_body_line(&p);
        else
            parse_top_line(&p);
    }
    if (p.function)
        lexer_expected(&p.lexer, "'end' of the function");
    return p.module;
}
