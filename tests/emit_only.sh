#!/bin/sh
# A project of `sinter build --emit-only` builds with a C compiler, CMake and nvcc, and the program
# is that of the text: it tells what it is, and that there is no GPU where there is none.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/x.model" <<'MODEL'
model m
entry main {
    input x : f32[16, 24]
    weight w : f32[24, 8]
    output y = relu(x @ w) * 2
}
MODEL
"$SINTER" build "$work/x.model" --target a100,h100 --emit-only "$work/project" 2>"$work/said"
for file in CMakeLists.txt program.cmake main.c a100/program.c a100/images.S h100/program.c \
    runtime/device_cuda.c runtime/tokenizer/open.c without_zlib/zlib.h; do
    [ -s "$work/project/$file" ] || { echo "no $file"; exit 1; }
done
if grep -rn "$work" "$work/project"; then
    echo 'the project names the place where it was made'
    exit 1
fi
nvcc=${CUDA_HOME:-/usr/local/cuda}/bin/nvcc
if ! [ -x "$nvcc" ] && ! command -v nvcc >/dev/null; then
    echo 'SKIPPED 1 build of an emitted project: no nvcc'
    exit 0
fi
cmake -S "$work/project" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug >"$work/log" ||
    { cat "$work/log"; exit 1; }
ninja -C "$work/build" -j 2 >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
"$work/build/x" info | grep -q '^  predict (predict)'
code=0
SINTER_CUDA_LIBRARY=/nowhere "$work/build/x" bench 2>"$work/said" || code=$?
[ $code = 5 ] || { echo "exit code $code"; exit 1; }
grep -q 'no NVIDIA driver found' "$work/said"
