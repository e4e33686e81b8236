/*
 * Stop strings in a text that comes in pieces: a match may begin in one token and end in
 * another, so the end of the text that could be the start of a stop string is held back.
 */
#ifndef SINTER_STOPS_H
#define SINTER_STOPS_H

#include "runtime/options.h"

#include <stddef.h>

struct rt_stops {
    const struct rt_list *list; /* empty strings in it never match */
    char *text;                 /* all so far, without the stop string and what follows it */
    size_t length, capacity;
    size_t settled; /* bytes of text that no later piece can take back */
    bool matched;
};

void rt_stops_open(struct rt_stops *stops, const struct rt_list *list);
void rt_stops_close(struct rt_stops *stops);

/* Begins a new text; keeps the memory. */
void rt_stops_start(struct rt_stops *stops);

/* Room for `bytes` more, so that the next pushes of that much in all allocate nothing. */
rt_status rt_stops_reserve(struct rt_stops *stops, size_t bytes);

/* Appends a piece. After a match, further pieces are dropped. */
rt_status rt_stops_push(struct rt_stops *stops, const char *piece, size_t length);

/* No more pieces: all of the text is settled. */
void rt_stops_finish(struct rt_stops *stops);

#endif
