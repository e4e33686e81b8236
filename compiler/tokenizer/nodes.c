/* See nodes.h. */
#include "compiler/tokenizer/nodes.h"

#include <string.h>

enum { STRING_BYTES = 4096, NESTING = 16, STRIP_MOST = 64 };

static const struct pattern {
    enum rt_pattern pattern;
    const char *text;
} patterns[] = {
    {RT_PATTERN_RUNS, "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                      "|\\s+(?!\\S)|\\s+"},
    {RT_PATTERN_DIGITS_3, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                          "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                          "|\\s+(?!\\S)|\\s+"},
    {RT_PATTERN_DIGIT, "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
                       "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                       "|\\s+(?!\\S)|\\s+"},
};

static const struct behavior {
    enum rt_behavior behavior;
    const char *name;
} behaviors[] = {
    {RT_BEHAVIOR_REMOVED, "Removed"},           {RT_BEHAVIOR_ISOLATED, "Isolated"},
    {RT_BEHAVIOR_PREVIOUS, "MergedWithPrevious"}, {RT_BEHAVIOR_NEXT, "MergedWithNext"},
    {RT_BEHAVIOR_CONTIGUOUS, "Contiguous"},
};

static void set_from(struct draft *draft, struct rt_step *step, struct node_text text,
                     size_t most)
{
    step->from = draft_string(draft, text.text, text.length, most);
    step->from_length = (uint32_t)text.length;
}

/* A string that must not be empty: an empty pattern matches everywhere. */
static struct node_text node_pattern_text(struct node node)
{
    struct node_text text = node_string(node);
    if (text.length == 0)
        node_refuse(node, "empty");
    return text;
}

/* One character, as what a word's blank is replaced with. */
static struct node_text node_character(struct node node)
{
    struct node_text text = node_pattern_text(node);
    size_t characters = 0;
    for (size_t i = 0; i < text.length; i++)
        characters += ((unsigned char)text.text[i] & 0xc0) != 0x80;
    if (characters != 1)
        draft_invalid(node.draft, "%s is not one character", node.path);
    return text;
}

static struct rt_step replace_step(struct node node, size_t most)
{
    struct rt_step step = {.kind = RT_STEP_REPLACE};
    struct node pattern = node_get(node, "pattern");
    if (node_get(pattern, "Regex").value)
        node_refuse(node_get(pattern, "Regex"), "regular expression");
    set_from(node.draft, &step, node_pattern_text(node_get(pattern, "String")), most);
    struct node_text to = node_string(node_get(node, "content"));
    step.to = draft_string(node.draft, to.text, to.length, STRING_BYTES);
    step.to_length = (uint32_t)to.length;
    return step;
}

/* The elements of a Sequence; `depth` bounds how deep sequences nest. */
static struct node sequence(struct node node, const char *key, int depth)
{
    if (depth >= NESTING)
        node_refuse(node, "nested too deeply");
    struct node elements = node_get(node, key);
    if (!elements.value)
        draft_invalid(node.draft, "%s is missing", elements.path);
    return elements;
}

static void read_normalizer_at(struct node node, int depth)
{
    struct draft *draft = node.draft;
    struct rt_step step = {0};
    if (node_is(node, "Sequence")) {
        struct node elements = sequence(node, "normalizers", depth);
        for (size_t i = 0; i < node_count(elements); i++)
            read_normalizer_at(node_at(elements, i), depth + 1);
        return;
    }
    if (node_is(node, "Prepend")) {
        step.kind = RT_STEP_PREPEND;
        set_from(draft, &step, node_string(node_get(node, "prepend")), STRING_BYTES);
    } else if (node_is(node, "Replace")) {
        step = replace_step(node, STRING_BYTES);
    } else if (node_is(node, "NFC")) {
        step.kind = RT_STEP_NFC;
    } else {
        node_refuse(node, node_type(node));
    }
    array_push(draft->arena, &draft->normalize, step);
}

void read_normalizer(struct node node)
{
    if (node.value)
        read_normalizer_at(node, 0);
}

static enum rt_behavior read_behavior(struct node node)
{
    struct node_text name = node_string(node);
    for (size_t i = 0; i < sizeof behaviors / sizeof *behaviors; i++)
        if (strcmp(behaviors[i].name, name.text) == 0)
            return behaviors[i].behavior;
    node_refuse(node, name.text);
}

static enum rt_pattern read_pattern(struct node node)
{
    struct node_text text = node_string(node);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strlen(patterns[i].text) == text.length && !strcmp(patterns[i].text, text.text))
            return patterns[i].pattern;
    node_refuse(node, "not one of the known regular expressions");
}

static void add_split(struct draft *draft, struct rt_step step)
{
    array_push(draft->arena, &draft->split, step);
}

static void read_split(struct node node)
{
    struct rt_step step = {.kind = RT_STEP_SPLIT, .pattern = RT_PATTERN_LITERAL};
    struct node pattern = node_get(node, "pattern");
    if (node_get(pattern, "Regex").value)
        step.pattern = read_pattern(node_get(pattern, "Regex"));
    else
        set_from(node.draft, &step, node_pattern_text(node_get(pattern, "String")), STRING_BYTES);
    step.first = read_behavior(node_get(node, "behavior"));
    step.second = node_bool(node_get(node, "invert"), false);
    add_split(node.draft, step);
}

static enum rt_metaspace read_scheme(struct node node)
{
    struct node scheme = node_get(node, "prepend_scheme");
    bool wanted = node_bool(node_get(node, "add_prefix_space"), true);
    struct node_text name = scheme.value ? node_string(scheme) : (struct node_text){"always", 6};
    if (strcmp(name.text, "never") == 0 || (!wanted && !scheme.value))
        return RT_METASPACE_NEVER;
    if (!wanted)
        draft_invalid(node.draft, "%s: add_prefix_space contradicts prepend_scheme", node.path);
    if (strcmp(name.text, "first") == 0)
        return RT_METASPACE_FIRST;
    if (strcmp(name.text, "always") != 0)
        node_refuse(scheme, name.text);
    return RT_METASPACE_ALWAYS;
}

static void read_metaspace(struct node node)
{
    struct rt_step step = {.kind = RT_STEP_METASPACE, .first = read_scheme(node)};
    set_from(node.draft, &step, node_character(node_get(node, "replacement")), STRING_BYTES);
    add_split(node.draft, step);
    if (!node_bool(node_get(node, "split"), true))
        return;
    step.kind = RT_STEP_SPLIT;
    step.pattern = RT_PATTERN_LITERAL;
    step.first = RT_BEHAVIOR_NEXT;
    add_split(node.draft, step);
}

static void read_byte_level(struct node node)
{
    if (node_bool(node_get(node, "add_prefix_space"), true))
        add_split(node.draft, (struct rt_step){.kind = RT_STEP_BLANK});
    if (node_bool(node_get(node, "use_regex"), true))
        add_split(node.draft, (struct rt_step){.kind = RT_STEP_SPLIT,
                                               .pattern = RT_PATTERN_RUNS,
                                               .first = RT_BEHAVIOR_ISOLATED});
    add_split(node.draft, (struct rt_step){.kind = RT_STEP_BYTES});
    node.draft->facts |= RT_FACT_TAKES_BYTES;
}

static void read_pre_tokenizer_at(struct node node, int depth)
{
    if (node_is(node, "Sequence")) {
        struct node elements = sequence(node, "pretokenizers", depth);
        for (size_t i = 0; i < node_count(elements); i++)
            read_pre_tokenizer_at(node_at(elements, i), depth + 1);
    } else if (node_is(node, "Metaspace")) {
        read_metaspace(node);
    } else if (node_is(node, "ByteLevel")) {
        read_byte_level(node);
    } else if (node_is(node, "Split")) {
        read_split(node);
    } else {
        node_refuse(node, node_type(node));
    }
}

void read_pre_tokenizer(struct node node)
{
    if (node.value)
        read_pre_tokenizer_at(node, 0);
}

static struct rt_step strip_step(struct node node)
{
    struct rt_step step = {.kind = RT_STEP_STRIP};
    int64_t start = node_int(node_get(node, "start")), stop = node_int(node_get(node, "stop"));
    if (start < 0 || stop < 0 || start > STRIP_MOST || stop > STRIP_MOST)
        node_refuse(node, "strips too much");
    step.first = (uint32_t)start;
    step.second = (uint32_t)stop;
    set_from(node.draft, &step, node_character(node_get(node, "content")), 4);
    return step;
}

static void read_decoder_at(struct node node, int depth)
{
    struct draft *draft = node.draft;
    struct rt_step step = {0};
    if (node_is(node, "Sequence")) {
        struct node elements = sequence(node, "decoders", depth);
        for (size_t i = 0; i < node_count(elements); i++)
            read_decoder_at(node_at(elements, i), depth + 1);
        return;
    }
    if (node_is(node, "ByteLevel")) {
        if (draft->decode.count || (draft->facts & RT_FACT_BYTE_PIECES))
            node_refuse(node, "ByteLevel after another decoder");
        draft->facts |= RT_FACT_BYTE_PIECES;
        return;
    }
    if (node_is(node, "Replace")) {
        step = replace_step(node, RT_DETOKENIZER_HELD);
    } else if (node_is(node, "Strip")) {
        step = strip_step(node);
    } else if (node_is(node, "ByteFallback")) {
        step.kind = RT_STEP_FALLBACK;
    } else if (node_is(node, "Fuse")) {
        step.kind = RT_STEP_FUSE;
    } else if (node_is(node, "Metaspace")) {
        step.kind = RT_STEP_UNMETASPACE;
        step.first = read_scheme(node) != RT_METASPACE_NEVER;
        set_from(draft, &step, node_character(node_get(node, "replacement")), 4);
    } else {
        node_refuse(node, node_type(node));
    }
    array_push(draft->arena, &draft->decode, step);
}

void read_decoder(struct node node)
{
    if (node.value)
        read_decoder_at(node, 0);
    else
        node.draft->facts |= RT_FACT_JOIN;
}

/* The ids of a special token of a template. */
static void template_ids(struct node processor, struct node item, bool after)
{
    struct draft *draft = processor.draft;
    struct node_text name = node_string(node_get(item, "id"));
    struct node token = node_get(node_get(processor, "special_tokens"), name.text);
    struct node ids = node_get(token, "ids");
    if (!ids.value)
        draft_invalid(draft, "%s is missing", ids.path);
    for (size_t i = 0; i < node_count(ids); i++) {
        int64_t id = node_int(node_at(ids, i));
        if (id < 0 || id >= DRAFT_IDS)
            draft_invalid(draft, "%s[%zu] is out of range", ids.path, i);
        if (after)
            array_push(draft->arena, &draft->after, (int32_t)id);
        else
            array_push(draft->arena, &draft->before, (int32_t)id);
    }
}

static void read_template(struct node node)
{
    struct node single = node_get(node, "single");
    bool text_seen = false;
    if (node.draft->before.count || node.draft->after.count)
        node_refuse(node, "a second template");
    for (size_t i = 0; i < node_count(single); i++) {
        struct node item = node_at(single, i);
        struct node special = node_get(item, "SpecialToken"), text = node_get(item, "Sequence");
        if (special.value) {
            template_ids(node, special, text_seen);
        } else if (!text.value || text_seen) {
            node_refuse(item, "neither a special token nor the one text");
        } else {
            text_seen = true;
        }
    }
    if (!text_seen)
        node_refuse(single, "without the text");
}

static void read_post_processor_at(struct node node, int depth)
{
    if (node_is(node, "Sequence")) {
        struct node elements = sequence(node, "processors", depth);
        for (size_t i = 0; i < node_count(elements); i++)
            read_post_processor_at(node_at(elements, i), depth + 1);
    } else if (node_is(node, "TemplateProcessing")) {
        read_template(node);
    } else if (!node_is(node, "ByteLevel")) { /* which moves offsets only, never ids */
        node_refuse(node, node_type(node));
    }
}

void read_post_processor(struct node node)
{
    if (node.value)
        read_post_processor_at(node, 0);
}
