#!/bin/sh
# A program whose products cuBLASLt computes, from the command line to the numbers, on a driver and
# a library without a GPU: nothing of it needs NVRTC. Without the library it says so.
set -eu
fake=$BUILD_DIR/tests/libfake_cuda.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/x.model" <<'MODEL'
model m
entry main {
    input x : f32[96, 40]
    weight w : f32[40, 24] init constant(0.5)
    weight u : f32[40, 8] init constant(0.25)
    weight v : f32[24, 8] init constant(0.125)
    output y = (x @ w) @ v + x @ u
}
MODEL
cd "$work"
"$SINTER" explain x.model --target h200 --blas always >explained
[ "$(grep -c 'matmul/cublaslt' explained)" = 3 ]
"$SINTER" ir x.model --target h200 --blas always --after plan >x.ir
grep -q 'kernel y matmul {tiles=1 workspace=33554432 provider=cublaslt}' x.ir
"$SINTER" check x.ir --target h200 | grep -q '3 distinct kernels for h200 under emulation, 0 wrong'
"$SINTER" plan x.model --target h200 --blas always >planned
for never in '' '--blas never'; do
    # shellcheck disable=SC2086
    if "$SINTER" ir x.model --target h200 $never --after plan | grep provider; then
        exit 1
    fi
done
"$SINTER" build x.model --target cpu -o on_cpu 2>said
"$SINTER" build x.model --target h200 --blas always --cuda /nowhere -o on_gpu 2>said ||
    { cat said; exit 1; }

# 96 rows of 40 bytes that all differ; sums of such numbers are exact in f32.
printf '\0\0\10\3\0\0\0\1\0\0\0\140\0\0\0\50' >x.idx
seq -s, 1 2000 | head -c 3840 >>x.idx
./on_cpu predict x.idx --scale 1 -o cpu.npy >/dev/null
export SINTER_CUDA_LIBRARY="$fake" FAKE_CUDA_SM=90
SINTER_CUBLASLT_LIBRARY="$fake" ./on_gpu predict x.idx --scale 1 -o gpu.npy >/dev/null
cmp cpu.npy gpu.npy
[ "$(od -An -tf4 -j 128 -N 4 cpu.npy | tr -d ' ')" != 0 ]
SINTER_CUBLASLT_LIBRARY="$fake" FAKE_CUDA_IDLE=1 ./on_gpu bench --kernels >times
[ "$(wc -l <times)" -ge 3 ]
code=0
SINTER_CUBLASLT_LIBRARY=/nowhere/libcublasLt.so ./on_gpu bench 2>said || code=$?
[ $code = 5 ] || { echo "exit code $code"; exit 1; }
grep -q 'needs libcublasLt.so.12 or .13.*--blas never' said
