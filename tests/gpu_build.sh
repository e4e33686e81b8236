#!/bin/sh
# One executable for a CPU and two GPUs: every kernel compiles for both architectures, is as its
# printer planned it (spills, shared memory, number of tensor-core instructions), the same bytes
# come from NVRTC and from the cache, and the CPU's program runs as if it were alone.
set -eu
model=tests/fixtures/tiny
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME="$work/cache"
mkdir "$XDG_CACHE_HOME"

build() {
    "$SINTER" build "$model" --task generate --max-length 64 "$@" 2>"$work/said"
}
code=0
build --target a100 --dtype bf16 -o "$work/first" || code=$?
if [ $code = 7 ] && grep -q 'no NVRTC found' "$work/said"; then
    echo 'SKIPPED 3 builds of a model for GPUs: no NVRTC'
    exit 0
fi
[ $code = 0 ] || { cat "$work/said"; exit 1; }
build --target a100 --dtype bf16 -o "$work/again"
cmp "$work/first" "$work/again"

build --target cpu,a100,h100 -o "$work/all"
cat "$work/said"
if grep -q 'not as planned\|slower than planned' "$work/said"; then
    exit 1
fi
build --target cpu -o "$work/cpu"
"$work/all" generate 'Once upon' --device cpu >"$work/all.out"
"$work/cpu" generate 'Once upon' >"$work/cpu.out"
cmp "$work/all.out" "$work/cpu.out"
"$work/all" info >"$work/info"
grep -q '^targets .*, a100, h100$' "$work/info"
grep -A1 '^on h100$' "$work/info" | grep -q '^memory ' # the plan and functions of each
[ "$(grep -c '^  decode (decode' "$work/info")" = 3 ]
[ "$("$work/all" info --json | grep -c '"planned_bytes"')" = 3 ]
code=0
SINTER_CUDA_LIBRARY=/nowhere "$work/all" generate x --device cuda 2>"$work/said" || code=$?
[ $code = 5 ] || { echo "exit code $code"; exit 1; }
SINTER_CUDA_LIBRARY=/nowhere "$work/all" generate 'Once upon' >"$work/all.out"
cmp "$work/all.out" "$work/cpu.out"

"$SINTER" explain "$model" --task generate --max-length 64 --dtype bf16 --target a100 --code \
    >"$work/explained"
grep -q '^compiled by CUDA 1[23]\.[0-9]*: needs driver 5[28][05] or later$' "$work/explained"
if grep 'not as planned' "$work/explained"; then
    exit 1
fi
