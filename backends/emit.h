/*
 * What all backends share for writing source text: indentation, safe identifiers and strings,
 * literals, and the expression of an op row with the names of its operands put in.
 */
#ifndef SINTER_EMIT_H
#define SINTER_EMIT_H

#include "ir/base/str.h"
#include "ir/ir.h"

/* Text that is indented: a line is indented by `level` times four spaces. */
struct writer {
    struct str text;
    int level;
};

struct writer writer_create(struct arena *arena, int level);
/* One line, indented, with its line end. */
void writer_line(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* As writer_line, and what follows is one level deeper / back again. */
void writer_open(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void writer_close(struct writer *w, const char *line);

/* An identifier made of `name`: every byte that is not a letter, digit or '_' becomes '_'. At
 * most 60 bytes; starts with a letter. */
const char *emit_identifier(struct arena *arena, const char *name);

/* A string literal with quotes; all but plain printable ASCII is escaped in octal. NULL: "0". */
void emit_string(struct str *out, const char *text, size_t length);

/* A floating-point literal that reads back as `value` rounded to `dtype` (f64: exactly). */
const char *emit_real(struct arena *arena, enum dtype dtype, double value);

/* The suffix that names of intrinsics take when they compute with this type: "f32", "f64",
 * "i32", "i64". */
const char *emit_suffix(enum dtype dtype);

/* The C type that values of this type are computed in: "float", "double", "int", "rt_i64". */
const char *emit_compute_type(enum dtype dtype);

/*
 * The text of an op row with the operand names put in: names a, b, c, d stand for names[0..3],
 * p0.. and q0.. for p[..] and q[..] (RED), i for `index`; an intrinsic m_x becomes m_x_SUFFIX.
 * Arrays that the row does not use may be NULL.
 */
struct emit_names {
    const char *const *operands, *const *p, *const *q;
    const char *index;
    const char *suffix;
};
const char *emit_expression(struct arena *arena, const char *text, const struct emit_names *names);

/* Component `which` (from 0) of a RED text, whose components are separated by top-level commas. */
const char *emit_component(struct arena *arena, const char *text, int which);

/* A text of a device library in the compiler's binary; not terminated. */
struct library_file {
    const char *text;
    size_t length;
};

/* Appends it without its includes: the texts of a library stand in order in one unit. */
void emit_library(struct str *out, const struct library_file *file);

#endif
