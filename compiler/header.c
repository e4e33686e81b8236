/*
 * See header.h. The interface is the text of runtime/library.h; in front of it stands a comment
 * about this model. Names come from other people's files: only plain characters reach the comment.
 */
#include "compiler/header.h"

#include "compiler/toolchain/output.h"
#include "compiler/version.h"
#include "ir/base/str.h"

#include <ctype.h>
#include <string.h>

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length > tail && strcmp(text + length - tail, ending) == 0;
}

const char *header_path(struct arena *arena, const char *library)
{
    const char *slash = strrchr(library, '/'), *name = slash ? slash + 1 : library;
    int place = (int)(name - library), length = (int)strlen(name);
    if (ends_with(name, ".so"))
        length -= 3;
    if (length > 3 && strncmp(name, "lib", 3) == 0) {
        name += 3;
        length -= 3;
    }
    return arena_printf(arena, "%.*s%.*s.h", place, library, length, name);
}

static void add_name(struct str *text, const char *name)
{
    for (; *name; name++)
        str_printf(text, "%c", isalnum((unsigned char)*name) || strchr("_.-", *name) ? *name : '?');
}

static void add_tensor(struct str *text, const char *kind, int index, const char *name,
                       const struct type *type)
{
    str_printf(text, " *     %-6s %d  ", kind, index);
    add_name(text, name);
    str_printf(text, " : %s, %llu bytes\n", type_text(text->arena, type),
               (unsigned long long)type_bytes(type));
}

static void add_predict(struct str *text, const struct function *function)
{
    int outputs = 0;
    str_printf(text, " * Tensors of sinter_predict, contiguous, the last dimension fastest:\n");
    for (size_t i = 0; i < function->params.count; i++) {
        const struct value *param = &function->params.items[i]->results[0];
        add_tensor(text, "input", (int)i, param->name, &param->type);
    }
    for (size_t i = 0; i < function->bindings.count; i++) {
        const struct binding *binding = &function->bindings.items[i];
        if (!binding->state)
            add_tensor(text, "output", outputs++, binding->name, &binding->value->type);
    }
}

static void add_model(struct str *text, const struct job *job)
{
    str_printf(text, "/*\n * Model ");
    add_name(text, job->name);
    str_printf(text, ", built by sinter %s for %s, %s.\n *\n", SINTER_VERSION, job->cpu->cpu,
               dtype_name(job->pipeline.compute));
    if (job->pipeline.task == TASK_generate)
        str_printf(text,
                   " * It generates text: sinter_generate, sinter_generate_ids. Prompt and new "
                   "tokens\n * together: at most %lld.\n",
                   (long long)job->pipeline.max_length);
    for (size_t i = 0; i < job->module->functions.count; i++) {
        const struct function *function = job->module->functions.items[i];
        const char *role = attributes_text(&function->attributes, ATTRIBUTE_role);
        if (role && strcmp(role, "predict") == 0)
            add_predict(text, function);
    }
    str_printf(text, " */\n");
}

void header_write(const struct job *job, const char *library)
{
    struct str text = str_create(job->arena);
    const struct embedded_file *interface = toolchain_file("library.h");
    add_model(&text, job);
    str_bytes(&text, interface->text, interface->length);
    output_write(header_path(job->arena, library), text.text, text.length, 0666);
}
