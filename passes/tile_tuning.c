/* See tile_tuning.h. */
#include "passes/tile_tuning.h"

#include <stdlib.h>
#include <string.h>

extern const struct tile_tuning tile_tuning_files[];

enum { KEY_DIGITS = 16, LONGEST_ROW = 512 };

/* What a candidate's attributes are called, as the IR prints them. */
static const struct {
    const char *name;
    size_t offset;
    int64_t fallback;
} fields[] = {
#define FIELD(name, fallback) {#name, offsetof(struct tile_candidate, name), fallback}
    FIELD(threads, 0), FIELD(rows, 0),    FIELD(cols, 0),    FIELD(nr, 0),    FIELD(kc, 0),
    FIELD(keys, 0),    FIELD(warps_m, 0), FIELD(warps_n, 0), FIELD(stages, 0), FIELD(split, 1),
    FIELD(band, 1),    FIELD(pair, 0),    FIELD(vector, 1),
#undef FIELD
};

enum { FIELDS = sizeof fields / sizeof *fields };

struct tile_tuning tile_tuning_of(const struct gpu *gpu)
{
    size_t row = 0;
    while (gpu_row(row) != gpu)
        row++;
    return tile_tuning_files[row];
}

static int64_t *field(struct tile_candidate *candidate, int i)
{
    return (int64_t *)(void *)((char *)candidate + fields[i].offset);
}

/* One "NAME=VALUE" of a row; what follows from the candidate counts for nothing. */
static bool read_word(char *word, struct tile_candidate *out)
{
    char *equals = strchr(word, '='), *end;
    if (!equals)
        return false;
    *equals = '\0';
    if (strcmp(word, "us") == 0) {
        out->us = strtod(equals + 1, &end);
        return *end == '\0' && out->us > 0;
    }
    enum gpu_provider provider;
    if (strcmp(word, attribute_info(ATTRIBUTE_provider)->name) == 0) {
        bool known = gpu_provider_parse(equals + 1, &provider);
        out->provider = known ? provider : PROVIDER_COUNT;
        return known;
    }
    for (int i = 0; i < FIELDS; i++)
        if (strcmp(word, fields[i].name) == 0) {
            *field(out, i) = strtoll(equals + 1, &end, 10);
            return *end == '\0';
        }
    enum attribute_id derived;
    return attribute_parse(word, strlen(word), &derived);
}

/* The candidate of a row for this key; false if the row is for another, or none. */
static bool read_row(const char *text, size_t length, uint64_t key, struct tile_candidate *out)
{
    char row[LONGEST_ROW], *rest, *end;
    if (length >= sizeof row)
        return false;
    memcpy(row, text, length);
    row[length] = '\0';
    char *word = strtok_r(row, " ", &rest);
    if (!word || strlen(word) != KEY_DIGITS || strtoull(word, &end, 16) != key || *end)
        return false;
    *out = (struct tile_candidate){0};
    for (int i = 0; i < FIELDS; i++)
        *field(out, i) = fields[i].fallback;
    while ((word = strtok_r(NULL, " ", &rest)))
        if (!read_word(word, out))
            return false;
    return out->us > 0;
}

static bool same_tiles(struct tile_candidate *a, struct tile_candidate *b)
{
    if (a->provider != b->provider)
        return false;
    for (int i = 0; i < FIELDS; i++) {
        int64_t x = *field(a, i), y = *field(b, i), least = fields[i].fallback;
        if ((x > least ? x : least) != (y > least ? y : least))
            return false;
    }
    return true;
}

static struct tile_candidate *find(struct tile_list *list, struct tile_candidate *measured)
{
    for (int i = 0; i < list->count; i++)
        if (same_tiles(&list->items[i], measured))
            return &list->items[i];
    return NULL;
}

void tile_tune(struct tile_tuning tuning, uint64_t key, struct tile_list *list)
{
    bool known[TILE_CANDIDATES] = {false};
    double best = 0, off = 1;
    const char *end = tuning.text + tuning.length;
    for (const char *at = tuning.text, *next; at < end; at = next) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct tile_candidate measured;
        next = newline ? newline + 1 : end;
        size_t length = (size_t)((newline ? newline : end) - at);
        struct tile_candidate *found =
            read_row(at, length, key, &measured) ? find(list, &measured) : NULL;
        if (!found || known[found - list->items])
            continue;
        if (best == 0 || measured.us < best) {
            best = measured.us;
            off = measured.us / found->us;
        }
        found->us = measured.us;
        found->doubt_us = 0;
        known[found - list->items] = true;
    }
    for (int i = 0; i < list->count; i++)
        if (!known[i]) {
            list->items[i].us *= off;
            list->items[i].doubt_us *= off;
        }
}
