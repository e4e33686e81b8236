/* See reference.h. */
#include "tests/reference.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char folder[] = "tests/fixtures/checkpoints";

static _Noreturn void die(const char *what, const char *which)
{
    fprintf(stderr, "reference: %s: %s\n", what, which);
    abort();
}

static void open_reference(struct reference *r, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s/golden.safetensors", folder, name);
    if (rt_checkpoint_open(path, &r->file))
        die(path, rt_status_text());
    const struct rt_tensor *ids = rt_checkpoint_find(r->file, "ids");
    const struct rt_tensor *logits = rt_checkpoint_find(r->file, "logits");
    if (!ids || !logits)
        die("no ids or logits", path);
    r->name = name;
    r->rows = (int)logits->shape[0];
    r->length = (int)logits->shape[1];
    r->vocabulary = (int)logits->shape[2];
    r->ids = rt_tensor_data(r->file, ids);
    r->logits = rt_tensor_data(r->file, logits);
    snprintf(path, sizeof path, "%s/%s/golden.json", folder, name);
    r->facts = json_load_file(path, 0, NULL);
    if (!r->facts)
        die("cannot read", path);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int reference_each(void (*visit)(const struct reference *reference, void *context), void *context)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        struct reference reference;
        open_reference(&reference, entries[i]->d_name);
        visit(&reference, context);
        json_decref(reference.facts);
        rt_checkpoint_close(reference.file);
        free(entries[i]);
    }
    free(entries);
    return count;
}

void reference_directory(const struct reference *reference, const char *config, json_t *changes,
                         char *out)
{
    char path[512], target[600], *real;
    snprintf(path, sizeof path, "%s/%s", folder, reference->name);
    real = realpath(path, NULL);
    strcpy(out, "/tmp/reference.XXXXXX");
    DIR *directory = opendir(path);
    if (!real || !directory || !mkdtemp(out))
        die("cannot set up", path);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "config", 6) == 0)
            continue;
        snprintf(target, sizeof target, "%s/%s", real, entry->d_name);
        snprintf(path, sizeof path, "%s/%s", out, entry->d_name);
        if (symlink(target, path) != 0)
            die("cannot link", path);
    }
    closedir(directory);
    snprintf(target, sizeof target, "%s/%s", real, config);
    json_t *values = json_load_file(target, 0, NULL);
    if (!values)
        die("cannot read", target);
    if (changes)
        json_object_update(values, changes);
    snprintf(path, sizeof path, "%s/config.json", out);
    if (json_dump_file(values, path, 0) != 0)
        die("cannot write", path);
    json_decref(values);
    free(real);
}

void reference_remove(const char *directory)
{
    char path[512];
    DIR *list = opendir(directory);
    for (struct dirent *entry; list && (entry = readdir(list));) {
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (list)
        closedir(list);
    rmdir(directory);
}
