/* The command line to a command: no logic of its own. */
#include "compiler/options.h"
#include "ir/base/diag.h"
#include "runtime/mapping.h"
#include "runtime/process.h"
#include "runtime/report.h"

#include <signal.h>
#include <stdio.h>

static int (*const commands[])(const struct options *) = {
#define VERB(id, ...) command_##id,
#include "compiler/verbs.def"
};

static int run(struct options *options, int argc, char **argv)
{
    rt_status status =
        rt_command_line_parse(&compiler_command_table, (struct command_line *)options, argc, argv);
    diag_set_reporter(options->json ? rt_report_json : NULL);
    if (status)
        diag_fatal_text(status, rt_status_text());
    if (options->version)
        return command_version(options);
    if (options->help) {
        rt_command_line_help(&compiler_command_table, (struct command_line *)options);
        return EXIT_OK;
    }
    return commands[options->verb](options);
}

int main(int argc, char **argv)
{
    struct options options = {0};
    signal(SIGPIPE, SIG_IGN);
    rt_map_guard("sinter");
    int code = run(&options, argc, argv);
    rt_status status = rt_flush(stdout, "standard output");
    if (status && status != EXIT_PIPE)
        diag_fatal_text(status, rt_status_text());
    return status ? status : code;
}
