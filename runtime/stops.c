/* Stop strings: see stops.h. */
#include "runtime/stops.h"

#include <stdlib.h>
#include <string.h>

void rt_stops_open(struct rt_stops *stops, const struct rt_list *list)
{
    *stops = (struct rt_stops){.list = list};
}

void rt_stops_close(struct rt_stops *stops)
{
    free(stops->text);
    *stops = (struct rt_stops){0};
}

void rt_stops_start(struct rt_stops *stops)
{
    stops->length = stops->settled = 0;
    stops->matched = false;
}

rt_status rt_stops_reserve(struct rt_stops *stops, size_t bytes)
{
    size_t wanted = stops->length + bytes;
    if (wanted <= stops->capacity)
        return 0;
    wanted = wanted < 2 * stops->capacity ? 2 * stops->capacity : wanted;
    char *larger = realloc(stops->text, wanted);
    if (!larger)
        return rt_fail(OUT_OF_MEMORY, wanted);
    stops->text = larger;
    stops->capacity = wanted;
    return 0;
}

/* Cuts the text at the first stop string that ends behind `old` bytes. */
static void cut(struct rt_stops *stops, size_t old)
{
    size_t first = stops->length;
    for (int i = 0; i < stops->list->count; i++) {
        size_t length = strlen(stops->list->items[i]);
        if (length == 0)
            continue;
        size_t begin = old >= length ? old - length + 1 : 0;
        const char *found = memmem(stops->text + begin, stops->length - begin,
                                   stops->list->items[i], length);
        if (found && (size_t)(found - stops->text) < first)
            first = (size_t)(found - stops->text);
        stops->matched = stops->matched || found;
    }
    stops->length = first;
}

/* The longest end of the text that is the start of a stop string, but not all of it. */
static size_t held_back(const struct rt_stops *stops)
{
    size_t most = 0;
    for (int i = 0; i < stops->list->count; i++) {
        const char *stop = stops->list->items[i];
        size_t length = strlen(stop);
        size_t held = length == 0 ? 0 : length - 1;
        held = held < stops->length ? held : stops->length;
        while (held > most && memcmp(stops->text + stops->length - held, stop, held) != 0)
            held--;
        most = held > most ? held : most;
    }
    return most;
}

rt_status rt_stops_push(struct rt_stops *stops, const char *piece, size_t length)
{
    if (stops->matched || length == 0)
        return 0;
    rt_status status = rt_stops_reserve(stops, length);
    if (status)
        return status;
    size_t old = stops->length;
    memcpy(stops->text + old, piece, length);
    stops->length += length;
    cut(stops, old);
    stops->settled = stops->matched ? stops->length : stops->length - held_back(stops);
    return 0;
}

void rt_stops_finish(struct rt_stops *stops)
{
    stops->settled = stops->length;
}
