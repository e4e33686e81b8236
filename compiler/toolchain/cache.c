/* See cache.h. */
#include "compiler/toolchain/cache.h"

#include "compiler/tokenizer/sha256.h"
#include "compiler/toolchain/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HASH = 32, LARGEST = 64 << 20 };

static const char magic[8] = "sinter1";
struct head {
    char magic[8];
    uint8_t hash[HASH]; /* of the bytes behind */
};

/* --- the folder --- */

static bool make_folder(const char *path)
{
    struct stat facts;
    return mkdir(path, 0700) == 0
           || (errno == EEXIST && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode));
}

struct cache cache_open(struct arena *arena)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    struct cache cache = {.arena = arena};
    if (!base || base[0] != '/') {
        if (!home || home[0] != '/')
            return cache;
        base = arena_printf(arena, "%s/.cache", home);
    }
    const char *folder = arena_printf(arena, "%s/sinter", base);
    if (make_folder(base) && make_folder(folder))
        cache.folder = folder;
    return cache;
}

static const char *path_of(const struct cache *cache, const struct cache_key *key)
{
    return arena_printf(cache->arena, "%s/%s", cache->folder, key->text);
}

/* --- entries --- */

struct cache_key cache_key(struct arena *arena, const void *const *parts, const size_t *lengths,
                           size_t count)
{
    uint8_t *hashes = arena_array(arena, uint8_t, (count + 1) * HASH);
    uint8_t whole[HASH];
    struct cache_key key;
    for (size_t i = 0; i < count; i++)
        sha256(parts[i], lengths[i], hashes + i * HASH);
    sha256(hashes, count * HASH, whole);
    for (int i = 0; i < HASH; i++)
        snprintf(key.text + 2 * i, 3, "%02x", whole[i]);
    return key;
}

static bool read_exactly(int descriptor, char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t got = read(descriptor, bytes, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        bytes += got;
        length -= (size_t)got;
    }
    return true;
}

static bool sound(const char *bytes, size_t length)
{
    struct head head;
    uint8_t hash[HASH];
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.magic, magic, sizeof magic) != 0)
        return false;
    sha256(bytes + sizeof head, length - sizeof head, hash);
    return memcmp(hash, head.hash, HASH) == 0;
}

const void *cache_get(const struct cache *cache, const struct cache_key *key,
                      size_t *out_length)
{
    struct stat facts;
    char *bytes = NULL;
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK; /* a pipe is not waited for */
    int file = cache->folder ? open(path_of(cache, key), flags) : -1;
    if (file < 0)
        return NULL;
    if (fstat(file, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size <= LARGEST
        && (size_t)facts.st_size >= sizeof(struct head)) {
        bytes = arena_alloc(cache->arena, (size_t)facts.st_size, 1);
        if (!read_exactly(file, bytes, (size_t)facts.st_size)
            || !sound(bytes, (size_t)facts.st_size))
            bytes = NULL;
        else
            futimens(file, NULL); /* used just now; the order of cache_trim only */
    }
    close(file);
    *out_length = bytes ? (size_t)facts.st_size - sizeof(struct head) : 0;
    return bytes ? bytes + sizeof(struct head) : NULL;
}

void cache_put(const struct cache *cache, const struct cache_key *key, const void *bytes,
               size_t length)
{
    struct head head;
    if (!cache->folder || length > LARGEST - sizeof head)
        return;
    char *name = arena_printf(cache->arena, "%s/new.XXXXXX", cache->folder);
    int file = mkostemp(name, O_CLOEXEC);
    if (file < 0)
        return;
    memcpy(head.magic, magic, sizeof magic);
    sha256(bytes, length, head.hash);
    int error = output_write_all(file, &head, sizeof head);
    if (!error)
        error = output_write_all(file, bytes, length);
    if (close(file) != 0 || error || rename(name, path_of(cache, key)) != 0)
        unlink(name);
}

/* --- the bound --- */

struct entry {
    const char *path;
    uint64_t bytes;
    struct timespec used;
};

static int older_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

void cache_trim(const struct cache *cache, uint64_t most)
{
    ARRAY_OF(struct entry) entries = {0};
    uint64_t sum = 0;
    DIR *folder = cache->folder ? opendir(cache->folder) : NULL;
    if (!folder)
        return;
    for (struct dirent *file; (file = readdir(folder));) {
        struct stat facts;
        const char *path = arena_printf(cache->arena, "%s/%s", cache->folder, file->d_name);
        if (lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode))
            continue;
        struct entry entry = {path, (uint64_t)facts.st_size, facts.st_mtim};
        array_push(cache->arena, &entries, entry);
        sum += entry.bytes;
    }
    closedir(folder);
    if (sum > most)
        qsort(entries.items, entries.count, sizeof *entries.items, older_first);
    for (size_t i = 0; i < entries.count && sum > most; i++) {
        unlink(entries.items[i].path);
        sum -= entries.items[i].bytes;
    }
}
