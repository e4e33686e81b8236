/* The two forms of an inspection: see inspect.h. */
#include "compiler/inspect.h"

#include "compiler/language/language.h"
#include "runtime/json.h"
#include "runtime/json_write.h"

#include <string.h>

/* --- text: one fact a line, its name in the first column --- */

static void print_label(FILE *file, const char *label)
{
    fprintf(file, "%-14s", label);
}

/* Text from the files: a control byte could do things to a terminal. */
static void print_text(FILE *file, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text, file);
}

static void print_value(FILE *file, struct config_value value)
{
    switch (value.kind) {
    case CONFIG_BOOL: fputs(value.truth ? "true" : "false", file); break;
    case CONFIG_INTEGER: fprintf(file, "%lld", (long long)value.integer); break;
    case CONFIG_REAL: fprintf(file, "%g", value.real); break;
    case CONFIG_TEXT: print_text(file, value.text); break;
    case CONFIG_LIST:
        for (size_t i = 0; i < value.count; i++) {
            fputs(i ? "," : "", file);
            print_value(file, value.items[i]);
        }
        break;
    default: fputs(value.kind == CONFIG_OTHER ? "..." : "none", file); break;
    }
}

/* Bytes in the unit that leaves one to three digits before the point. */
static void print_bytes(FILE *file, uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    fprintf(file, unit ? "%.2f %s" : "%.0f %s", value, units[unit]);
}

static void print_weights(const struct inspection *inspection, FILE *file)
{
    const struct rt_checkpoint *checkpoint = inspection->checkpoint;
    print_label(file, "weights");
    if (!checkpoint) {
        fputs("none\n", file);
        return;
    }
    fprintf(file, "%llu parameters in %u tensors, ", (unsigned long long)inspection->parameters,
            checkpoint->tensor_count);
    print_bytes(file, inspection->bytes);
    for (unsigned i = 0; i < RT_STORED_COUNT; i++)
        if (inspection->types[i].tensors > 0)
            fprintf(file, ", %llu of %s", (unsigned long long)inspection->types[i].tensors,
                    inspection->types[i].name);
    fputc('\n', file);
    for (uint32_t i = 0; i < checkpoint->file_count; i++) {
        const struct inspected_file *one = &inspection->files[i];
        print_label(file, "");
        fprintf(file, "%s: %u tensors, %llu bytes", one->name, one->tensors,
                (unsigned long long)one->bytes);
        if (one->sha256)
            fprintf(file, ", sha256 %s", one->sha256);
        fputc('\n', file);
    }
}

static void print_configuration(const struct inspection *inspection, FILE *file)
{
    if (inspection->item_count == 0)
        return;
    print_label(file, "configuration");
    for (size_t i = 0, column = 14; i < inspection->item_count; i++) {
        const struct config_item *item = &inspection->items[i];
        size_t length = strlen(item->name) + strlen(item->text) + 2;
        if (column + length > 98 && column > 14) {
            fputc('\n', file);
            print_label(file, "");
            column = 14;
        }
        fprintf(file, "%s=", item->name);
        print_text(file, item->text);
        fputc(' ', file);
        column += length;
    }
    fputc('\n', file);
}

static void print_tokenizer(const struct inspection *inspection, FILE *file)
{
    const struct tokenizer_summary *summary = inspection->tokenizer;
    print_label(file, "tokenizer");
    if (!summary) {
        fputs("none\n", file);
        return;
    }
    fprintf(file, "%s: %s, %zu ids", summary->file, summary->kind, summary->vocabulary);
    if (summary->merges)
        fprintf(file, ", %zu merges", summary->merges);
    if (summary->bos >= 0)
        fprintf(file, ", BOS %d%s", (int)summary->bos, summary->adds_bos ? " is prepended" : "");
    for (size_t i = 0; i < summary->eos_count; i++)
        fprintf(file, "%s %d", i ? "," : ", EOS", (int)summary->eos[i]);
    fprintf(file, ", %zu special\n", summary->special_count);
    print_label(file, "");
    fprintf(file, "sha256 %s\n", summary->sha256);
}

static void print_generation(const struct inspection *inspection, FILE *file)
{
    struct config_view *view = inspection->directory->generation;
    const char *key;
    print_label(file, "generation");
    for (size_t i = 0; view && (key = config_key(view, i)); i++) {
        print_text(file, key);
        fputc('=', file);
        print_value(file, config_get(view, key));
        fputc(' ', file);
    }
    fputs(view ? "\n" : "no generation_config.json\n", file);
}

void inspect_print(const struct inspection *inspection, FILE *file)
{
    print_label(file, "directory");
    fprintf(file, "%s\n", inspection->directory->path);
    print_label(file, "model type");
    print_text(file, inspection->model_type ? inspection->model_type : "none");
    if (inspection->description)
        fprintf(file, ", described by %s.model", inspection->description);
    fputc('\n', file);
    print_label(file, "architectures");
    print_value(file, inspection->architectures);
    fputc('\n', file);
    print_weights(inspection, file);
    print_configuration(inspection, file);
    print_tokenizer(inspection, file);
    print_generation(inspection, file);
    for (size_t i = 0; i < inspection->warnings.count; i++) {
        fputs("warning: ", file);
        print_text(file, inspection->warnings.items[i]);
        fputc('\n', file);
    }
}

/* --- JSON --- */

static void write_value(struct rt_json_writer *json, const char *key, struct config_value value)
{
    switch (value.kind) {
    case CONFIG_BOOL: rt_json_write_bool(json, key, value.truth); break;
    case CONFIG_INTEGER: rt_json_write_int(json, key, value.integer); break;
    case CONFIG_REAL: rt_json_write_double(json, key, value.real); break;
    case CONFIG_TEXT: rt_json_write_text(json, key, value.text); break;
    case CONFIG_LIST:
        rt_json_write_array(json, key);
        for (size_t i = 0; i < value.count; i++)
            write_value(json, NULL, value.items[i]);
        rt_json_write_end(json);
        break;
    default: rt_json_write_null(json, key); break;
    }
}

/* The language writes values as JSON does, but for `none`. */
static void write_configuration(struct rt_json_writer *json, const struct inspection *inspection)
{
    rt_json_write_object(json, "configuration");
    for (size_t i = 0; i < inspection->item_count; i++) {
        const struct config_item *item = &inspection->items[i];
        struct rt_json value;
        rt_json_open(&value, item->text, strlen(item->text));
        if (strcmp(item->text, "none") == 0)
            rt_json_write_null(json, item->name);
        else if (rt_json_skip(&value, rt_json_next(&value)) && rt_json_next(&value) == RT_JSON_END)
            rt_json_write_raw(json, item->name, item->text);
        else
            rt_json_write_text(json, item->name, item->text);
    }
    rt_json_write_end(json);
}

static void write_types(struct rt_json_writer *json, const struct inspection *inspection)
{
    rt_json_write_object(json, "dtypes");
    for (unsigned i = 0; i < RT_STORED_COUNT; i++) {
        const struct inspected_type *type = &inspection->types[i];
        if (type->tensors == 0)
            continue;
        rt_json_write_object(json, type->name);
        rt_json_write_unsigned(json, "tensors", type->tensors);
        rt_json_write_unsigned(json, "parameters", type->elements);
        rt_json_write_unsigned(json, "bytes", type->bytes);
        rt_json_write_end(json);
    }
    rt_json_write_end(json);
}

static void write_weights(struct rt_json_writer *json, const struct inspection *inspection)
{
    if (!inspection->checkpoint) {
        rt_json_write_null(json, "weights");
        return;
    }
    rt_json_write_object(json, "weights");
    rt_json_write_unsigned(json, "parameters", inspection->parameters);
    rt_json_write_unsigned(json, "tensors", inspection->checkpoint->tensor_count);
    rt_json_write_unsigned(json, "bytes", inspection->bytes);
    write_types(json, inspection);
    rt_json_write_array(json, "files");
    for (uint32_t i = 0; i < inspection->checkpoint->file_count; i++) {
        const struct inspected_file *one = &inspection->files[i];
        rt_json_write_object(json, NULL);
        rt_json_write_text(json, "name", one->name);
        rt_json_write_unsigned(json, "bytes", one->bytes);
        rt_json_write_unsigned(json, "tensors", one->tensors);
        if (one->sha256)
            rt_json_write_text(json, "sha256", one->sha256);
        rt_json_write_end(json);
    }
    rt_json_write_end(json);
    rt_json_write_end(json);
}

static void write_tokenizer(struct rt_json_writer *json, const struct tokenizer_summary *summary)
{
    if (!summary) {
        rt_json_write_null(json, "tokenizer");
        return;
    }
    rt_json_write_object(json, "tokenizer");
    rt_json_write_text(json, "file", summary->file);
    rt_json_write_text(json, "ignored", summary->ignored);
    rt_json_write_text(json, "kind", summary->kind);
    rt_json_write_unsigned(json, "vocabulary", summary->vocabulary);
    rt_json_write_unsigned(json, "merges", summary->merges);
    rt_json_write_int(json, "bos", summary->bos);
    rt_json_write_bool(json, "adds_bos", summary->adds_bos);
    rt_json_write_array(json, "eos");
    for (size_t i = 0; i < summary->eos_count; i++)
        rt_json_write_int(json, NULL, summary->eos[i]);
    rt_json_write_end(json);
    rt_json_write_object(json, "special");
    for (size_t i = 0; i < summary->special_count; i++)
        rt_json_write_int(json, summary->special[i].text, summary->special[i].id);
    rt_json_write_end(json);
    rt_json_write_text(json, "sha256", summary->sha256);
    rt_json_write_end(json);
}

static void write_generation(struct rt_json_writer *json, struct config_view *view)
{
    const char *key;
    rt_json_write_object(json, "generation");
    for (size_t i = 0; view && (key = config_key(view, i)); i++)
        write_value(json, key, config_get(view, key));
    rt_json_write_end(json);
}

void inspect_write_json(const struct inspection *inspection, FILE *file)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, file, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_text(&json, "directory", inspection->directory->path);
    rt_json_write_text(&json, "model_type", inspection->model_type);
    rt_json_write_text(&json, "description", inspection->description);
    write_value(&json, "architectures", inspection->architectures);
    write_weights(&json, inspection);
    write_configuration(&json, inspection);
    write_tokenizer(&json, inspection->tokenizer);
    write_generation(&json, inspection->directory->generation);
    rt_json_write_array(&json, "warnings");
    for (size_t i = 0; i < inspection->warnings.count; i++)
        rt_json_write_text(&json, NULL, inspection->warnings.items[i]);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
}
