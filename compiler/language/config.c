/*
 * Configuration values: the default of the description or of the model type, replaced by a
 * setting of the command line or by the first of the entry's keys that has a value, then mapped.
 */
#include "lower.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The entry of this name for the model type: an override stands for the whole entry. */
static const struct config_entry *effective(const struct description *unit, const char *type,
                                            const struct config_entry *entry)
{
    for (size_t i = 0; type && i < unit->serves.count; i++) {
        const struct serves *serves = &unit->serves.items[i];
        if (strcmp(serves->type, type) != 0)
            continue;
        for (size_t k = 0; k < serves->overrides.count; k++)
            if (strcmp(serves->overrides.items[k]->name, entry->name) == 0)
                return serves->overrides.items[k];
    }
    return entry;
}

static const char *key_of(const struct config_entry *entry)
{
    return entry->paths.count ? entry->paths.items[0] : entry->name;
}

/* --- where values come from --- */

static struct config_value parse_setting(const char *text)
{
    static const struct {
        const char *word;
        struct config_value value;
    } words[] = {{"true", {.kind = CONFIG_BOOL, .truth = true}},
                 {"false", {.kind = CONFIG_BOOL}},
                 {"null", {.kind = CONFIG_NULL}},
                 {"none", {.kind = CONFIG_NULL}}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].word) == 0)
            return words[i].value;
    char *end;
    bool digits = strspn(text, "+-.0123456789eE") == strlen(text);
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (digits && end != text && !*end && errno == 0)
        return (struct config_value){
            .kind = CONFIG_INTEGER, .integer = integer, .real = (double)integer};
    double real = strtod(text, &end);
    if (digits && end != text && !*end)
        return (struct config_value){.kind = CONFIG_REAL, .real = real};
    return (struct config_value){.kind = CONFIG_TEXT, .text = text};
}

static bool names_entry(const struct setting *setting, const struct config_entry *entry)
{
    bool found = strcmp(setting->name, entry->name) == 0;
    for (size_t i = 0; i < entry->paths.count; i++)
        found = found || strcmp(setting->name, entry->paths.items[i]) == 0;
    return found;
}

/* The setting, else the first key with a value other than null, else null if a key has that. */
static struct config_value look_up(struct lowering *l, const struct config_entry *entry,
                                   const char **out_key)
{
    const struct lower_options *options = l->options;
    struct config_value found = {.kind = CONFIG_ABSENT};
    *out_key = key_of(entry);
    for (size_t i = options->setting_count; i-- > 0;)
        if (names_entry(&options->settings[i], entry))
            return parse_setting(options->settings[i].text);
    for (size_t i = 0; options->config && i < entry->paths.count; i++) {
        struct config_value value =
            options->config->get(options->config->context, entry->paths.items[i]);
        if (value.kind == CONFIG_ABSENT || (value.kind == CONFIG_NULL && found.kind))
            continue;
        found = value;
        *out_key = entry->paths.items[i];
        if (value.kind != CONFIG_NULL)
            break;
    }
    return found;
}

static struct datum to_datum(struct lowering *l, const struct config_value *value, const char *key)
{
    struct datum list = {.kind = DATUM_LIST, .count = value->count};
    switch (value->kind) {
    case CONFIG_NULL: return (struct datum){.kind = DATUM_NONE};
    case CONFIG_BOOL: return datum_bool(value->truth);
    case CONFIG_INTEGER: return datum_integer(value->integer);
    case CONFIG_REAL: return datum_real(value->real);
    case CONFIG_TEXT: return datum_text(value->text);
    case CONFIG_LIST: break;
    default: fatal(LANGUAGE_CONFIG_KIND, key, "an object", "a plain value");
    }
    if (list.count > LIST_LIMIT)
        fatal(LANGUAGE_CONFIG_KIND, key, "a very long list", "a shorter one");
    spend(l, list.count, (struct location){0});
    list.items = arena_array(l->arena, struct datum, list.count);
    for (size_t i = 0; i < list.count; i++)
        list.items[i] = to_datum(l, &value->items[i], key);
    return list;
}

/* --- kinds and maps --- */

/* A value has the kind of its default; a whole number will do for a number. */
static struct datum check_kind(struct lowering *l, struct datum value, const struct datum *fallback,
                               const char *key)
{
    int64_t number;
    bool fits = fallback->kind == DATUM_NONE || value.kind == fallback->kind;
    if (fallback->kind == DATUM_INTEGER && datum_whole(&value, &number)) {
        value = datum_integer(number);
        fits = true;
    }
    if (fallback->kind == DATUM_REAL)
        fits = datum_is_number(&value);
    if (!fits)
        fatal(LANGUAGE_CONFIG_KIND, key, datum_show(l->arena, &value), datum_kind_name(fallback));
    return value;
}

static const char *list_choices(struct lowering *l, struct frame *f,
                                const struct config_entry *entry)
{
    const char *text = "";
    for (size_t i = 0; i < entry->map.count; i++) {
        struct datum from = evaluate(l, f, entry->map.items[i].from, NULL);
        text = arena_printf(l->arena, "%s%s%s", text, i ? ", " : "",
                            from.kind == DATUM_NONE ? "null" : datum_show(l->arena, &from));
    }
    return text;
}

/* Whether the map has a row for the value. A map with a row other than null must have one. */
static bool map_value(struct lowering *l, struct frame *f, const struct config_entry *entry,
                      const struct datum *value, const char *key, struct datum *out)
{
    bool closed = false;
    for (size_t i = 0; i < entry->map.count; i++) {
        struct datum from = evaluate(l, f, entry->map.items[i].from, NULL);
        closed = closed || from.kind != DATUM_NONE;
        if (!datum_equal(l, &from, value, entry->location))
            continue;
        *out = evaluate(l, f, entry->map.items[i].to, NULL);
        return true;
    }
    if (closed && value->kind != DATUM_NONE)
        fatal(LANGUAGE_CONFIG_CHOICE, key, datum_show(l->arena, value), l->unit->name,
              list_choices(l, f, entry));
    return false;
}

static struct datum evaluate_entry(struct lowering *l, struct frame *f,
                                   const struct config_entry *entry)
{
    const char *key;
    struct datum fallback = evaluate(l, f, entry->fallback, NULL), mapped;
    struct config_value found = look_up(l, entry, &key);
    if (found.kind == CONFIG_ABSENT)
        return fallback;
    struct datum value = to_datum(l, &found, key);
    if (map_value(l, f, entry, &value, key, &mapped))
        return mapped;
    if (value.kind == DATUM_NONE)
        return fallback;
    return check_kind(l, value, &fallback, key);
}

/* A setting must name something. */
static void check_settings(struct lowering *l)
{
    const struct description *unit = l->unit;
    for (size_t i = 0; i < l->options->setting_count; i++) {
        bool known = false;
        for (size_t k = 0; k < unit->config.count && !known; k++)
            known = names_entry(&l->options->settings[i],
                                effective(unit, l->options->model_type, unit->config.items[k]));
        if (!known)
            fatal(LANGUAGE_SETTING, l->options->settings[i].name, unit->name);
    }
}

void evaluate_config(struct lowering *l)
{
    const struct description *unit = l->unit;
    struct frame f = frame_create(l, unit);
    check_settings(l);
    for (size_t i = 0; i < unit->config.count; i++) {
        const struct config_entry *entry =
            effective(unit, l->options->model_type, unit->config.items[i]);
        struct datum *value = arena_new(l->arena, struct datum);
        *value = evaluate_entry(l, &f, entry);
        map_set(&l->globals, entry->name, value);
    }
    for (size_t i = 0; i < unit->requires.count; i++)
        run_require(l, &f, unit->requires.items[i]);
}

const char *const *description_keys(struct arena *arena, const struct description *unit,
                                    const char *model_type)
{
    ARRAY_OF(const char *) keys = {0};
    for (size_t i = 0; i < unit->config.count; i++) {
        const struct config_entry *entry = effective(unit, model_type, unit->config.items[i]);
        for (size_t k = 0; k < entry->paths.count; k++)
            array_push(arena, &keys, entry->paths.items[k]);
    }
    array_push(arena, &keys, NULL);
    return keys.items;
}

/* --- for users of the description --- */

static struct lowering config_only(struct arena *arena, const struct description *unit,
                                   const struct lower_options *options)
{
    struct lowering l = {.arena = arena,
                         .unit = (struct description *)unit,
                         .options = options,
                         .globals = map_create(arena)};
    evaluate_config(&l);
    return l;
}

const struct config_item *description_config(struct arena *arena, const struct description *unit,
                                             const struct lower_options *options, size_t *out_count)
{
    struct lowering l = config_only(arena, unit, options);
    struct config_item *items = arena_array(arena, struct config_item, unit->config.count);
    for (size_t i = 0; i < unit->config.count; i++) {
        const struct config_entry *entry =
            effective(unit, options->model_type, unit->config.items[i]);
        items[i].name = entry->name;
        items[i].key = entry->paths.count ? entry->paths.items[0] : NULL;
        items[i].text = datum_show(arena, map_get(&l.globals, entry->name));
    }
    *out_count = unit->config.count;
    return items;
}

int64_t description_config_integer(struct arena *arena, const struct description *unit,
                                   const struct lower_options *options, const char *name)
{
    struct lowering l = config_only(arena, unit, options);
    const struct datum *value = map_get(&l.globals, name);
    int64_t number;
    return value && datum_whole(value, &number) ? number : -1;
}
