#!/bin/sh
# Every header of the CUDA device library compiles by itself, with nothing told to the compiler but
# the file: as C for the host, where its emulated twins are, with and without shadow memory, and by
# nvcc. All of them, twice each, are one unit too. (NVRTC: see test_nvrtc.)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for header in "$root"/backends/cuda/lib/*.cuh; do
    echo "#include \"$header\"" >"$work/$(basename "$header" .cuh).c"
done
cat "$work"/*.c "$work"/*.c >"$work/all"
mv "$work/all" "$work/all.c"

failed=0
# try COMMAND...: counts what does not compile.
try() {
    "$@" || { echo "does not compile: $*" >&2; failed=$((failed + 1)); }
}
for compiler in cc clang-19; do
    command -v "$compiler" >/dev/null || continue
    for unit in "$work"/*.c; do
        for twin in '' -DSINTER_SHADOW; do
            # shellcheck disable=SC2086
            try "$compiler" -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -DSINTER_EMULATED $twin \
                "$unit"
        done
    done
done

nvcc=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
[ -x "$nvcc" ] || nvcc=$(command -v nvcc || true)
if [ -z "$nvcc" ]; then
    echo 'SKIPPED 1 headers of the device library by nvcc: no nvcc'
else
    for unit in "$work"/*.c; do
        mv "$unit" "$unit.cu"
        try "$nvcc" -arch=sm_80 -Werror all-warnings -cubin -o "$work/cubin" "$unit.cu"
    done
    try "$nvcc" -arch=sm_90a -Werror all-warnings -cubin -o "$work/cubin" "$work/all.c.cu"
fi
exit "$((failed > 0))"
