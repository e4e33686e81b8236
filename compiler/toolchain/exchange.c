/* Memory files, pipes and their fallback: see exchange.h. */
#include "compiler/toolchain/exchange.h"

#include "compiler/toolchain/output.h"
#include "ir/base/diag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 18 };

static struct exchange *current; /* what a fatal message has to clean up */

static void clean(void *unused)
{
    (void)unused;
    struct exchange *exchange = current;
    current = NULL;
    if (exchange)
        exchange_end(exchange);
}

struct exchange *exchange_begin(const char *beside, size_t capacity)
{
    static bool registered;
    if (!registered)
        diag_at_fatal(clean, NULL);
    registered = true;
    struct exchange *exchange = calloc(1, sizeof *exchange);
    struct exchange_input *inputs = calloc(capacity, sizeof *inputs);
    if (!exchange || !inputs)
        fatal(OUT_OF_MEMORY, sizeof *exchange + capacity * sizeof *inputs);
    *exchange = (struct exchange){
        .beside = beside, .inputs = inputs, .capacity = capacity, .reader = -1, .writer = -1};
    current = exchange;
    return exchange;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

void exchange_end(struct exchange *exchange)
{
    close_descriptor(&exchange->reader);
    close_descriptor(&exchange->writer);
    for (size_t i = 0; i < exchange->count; i++) {
        struct exchange_input *input = &exchange->inputs[i];
        if (input->descriptor < 0)
            unlink(input->path);
        close_descriptor(&input->descriptor);
        free(input->path);
    }
    if (exchange->folder[0]) {
        unlink(exchange->output);
        rmdir(exchange->folder);
    }
    free(exchange->inputs);
    free(exchange->image);
    free(exchange);
    current = NULL;
}

/* The folder of the fallback, made at its first use. */
static const char *folder_of(struct exchange *exchange)
{
    if (exchange->folder[0])
        return exchange->folder;
    int length = snprintf(exchange->folder, sizeof exchange->folder, "%s.XXXXXX",
                          exchange->beside);
    if (length < (int)sizeof exchange->folder - 16 && mkdtemp(exchange->folder))
        return exchange->folder;
    exchange->folder[0] = '\0';
    fatal(FILE_WRITE, exchange->beside, strerror(errno));
}

/* A file in memory, or -1 where the system has none or no path leads to it. */
static int open_memory_file(char **path)
{
    int descriptor = memfd_create("sinter", MFD_CLOEXEC);
    if (descriptor >= 0 && asprintf(path, "/proc/self/fd/%d", descriptor) > 0) {
        if (access(*path, R_OK) == 0)
            return descriptor;
        free(*path);
    }
    *path = NULL;
    close_descriptor(&descriptor);
    return -1;
}

static void write_input(struct exchange *exchange, int descriptor, const void *bytes,
                        size_t length)
{
    int error = output_write_all(descriptor, bytes, length);
    if (error)
        fatal(FILE_WRITE, exchange->beside, strerror(error));
}

static void give_by_folder(struct exchange *exchange, struct exchange_input *input,
                           const void *bytes, size_t length)
{
    if (asprintf(&input->path, "%s/%zu.o", folder_of(exchange), exchange->count) < 0)
        fatal(OUT_OF_MEMORY, (size_t)PATH_MAX);
    exchange->count++;
    int descriptor = open(input->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        fatal(FILE_WRITE, input->path, strerror(errno));
    write_input(exchange, descriptor, bytes, length);
    if (close(descriptor) != 0)
        fatal(FILE_WRITE, input->path, strerror(errno));
}

const char *exchange_give(struct exchange *exchange, const void *bytes, size_t length)
{
    if (exchange->count == exchange->capacity)
        fatal(INTERNAL, "too many inputs", __func__);
    struct exchange_input *input = &exchange->inputs[exchange->count];
    input->descriptor = open_memory_file(&input->path);
    if (input->descriptor < 0) {
        give_by_folder(exchange, input, bytes, length);
        return input->path;
    }
    exchange->count++;
    write_input(exchange, input->descriptor, bytes, length);
    return input->path;
}

static void reserve_piece(struct exchange *exchange)
{
    if (exchange->image_capacity - exchange->image_length >= PIECE)
        return;
    size_t capacity = exchange->image_capacity * 2 + PIECE;
    char *larger = realloc(exchange->image, capacity);
    if (!larger)
        fatal(OUT_OF_MEMORY, capacity);
    exchange->image = larger;
    exchange->image_capacity = capacity;
}

static bool open_pipe(struct exchange *exchange)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    exchange->reader = ends[0];
    exchange->writer = ends[1];
    snprintf(exchange->output, sizeof exchange->output, "/proc/self/fd/%d", ends[1]);
    return access(exchange->output, W_OK) == 0;
}

/* A named pipe: opened for reading without waiting for its writer, which is opened next. */
static void open_named_pipe(struct exchange *exchange)
{
    close_descriptor(&exchange->reader);
    close_descriptor(&exchange->writer);
    int length = snprintf(exchange->output, sizeof exchange->output, "%s/p", folder_of(exchange));
    if (length >= (int)sizeof exchange->output || mkfifo(exchange->output, 0600) != 0)
        fatal(FILE_WRITE, exchange->beside, strerror(errno));
    exchange->reader = open(exchange->output, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    exchange->writer = open(exchange->output, O_WRONLY | O_CLOEXEC);
    if (exchange->reader < 0 || exchange->writer < 0
        || fcntl(exchange->reader, F_SETFL, O_RDONLY) != 0)
        fatal(FILE_WRITE, exchange->output, strerror(errno));
}

const char *exchange_receive(struct exchange *exchange)
{
    if (exchange->folder[0] || !open_pipe(exchange))
        open_named_pipe(exchange);
    return exchange->output;
}

const char *exchange_result(struct exchange *exchange, size_t *length)
{
    close_descriptor(&exchange->writer); /* the other process's end is then the last */
    for (;;) {
        reserve_piece(exchange);
        ssize_t got = read(exchange->reader, exchange->image + exchange->image_length, PIECE);
        if (got == 0)
            break;
        if (got > 0)
            exchange->image_length += (size_t)got;
        else if (errno != EINTR)
            fatal(FILE_READ, exchange->output, strerror(errno));
    }
    *length = exchange->image_length;
    return exchange->image;
}
