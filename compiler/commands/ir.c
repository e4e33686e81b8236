/* `sinter ir`: the intermediate code after any pass, as text that can be read back, or a graph. */
#include "compiler/dot.h"
#include "compiler/job.h"
#include "compiler/toolchain/output.h"

#include <stdio.h>
#include <string.h>

static bool to_file(const struct options *options)
{
    return options->output && strcmp(options->output, "-") != 0;
}

static void put(const struct options *options, const char *text, size_t length)
{
    if (to_file(options))
        output_write(options->output, text, length, 0666);
    else
        fwrite(text, 1, length, stdout); /* main checks the stream */
}

int command_ir(const struct options *options)
{
    struct arena *arena = arena_create();
    struct job job = job_open(arena, options);
    if (to_file(options))
        job_check_output(&job, options->output);
    if (!job.from_ir || options->after || options->from)
        job_run(&job);
    if (options->format == CHOICE_FORMAT_dot) {
        struct str text = str_create(arena);
        dot_print(job.module, &text);
        put(options, text.text, text.length);
    } else {
        size_t length;
        const char *text = ir_print(job.module, &length);
        put(options, text, length);
    }
    arena_destroy(arena);
    return EXIT_OK;
}
