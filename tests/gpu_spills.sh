#!/bin/sh
# A kernel that spills is printed again with its next tiles; where all spill, the best of them ships
# with a warning. No kernel of ours spills, so a library between sinter and NVRTC sees to it.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

real=
for library in "${CUDA_HOME:-/usr/local/cuda}"/lib64/libnvrtc.so.1[23] \
    "${VIRTUAL_ENV:-/nowhere}"/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[23]; do
    [ -n "$real" ] || ! [ -e "$library" ] || real=$library
done
if [ -z "$real" ]; then
    echo 'SKIPPED 1 kernels that spill: no NVRTC'
    exit 0
fi
mkdir "$work/lib64"
cp "$BUILD_DIR/tests/libfake_nvrtc.so" "$work/lib64/$(basename "$real")"
export FAKE_NVRTC_REAL="$real"
cat >"$work/x.model" <<'MODEL'
model m
entry main {
    input x : f32[256, 512]
    weight w : f32[512, 512]
    output y = relu(x @ w)
}
MODEL

# explained NAME MARK: what ships for the model, where texts that hold MARK spill.
explained() {
    export XDG_CACHE_HOME="$work/$1.cache"
    FAKE_NVRTC_SPILLS="$2" "$SINTER" explain "$work/x.model" --dtype bf16 --target a100 --code \
        --cuda "$work" >"$work/$1" 2>"$work/$1.said" || { cat "$work/$1.said"; exit 1; }
    awk '/^code of kernel/ { on = 1; next } on && /^k_y/ { print }' "$work/$1"
}
"$SINTER" build "$work/x.model" --dtype bf16 --target a100 --emit-only "$work/project" 2>/dev/null
mark=$(grep -o 'KERNEL([0-9]*, [0-9]*) k_y(.*' "$work/project/a100/k_y.cu")
[ -n "$mark" ]

first=$(explained first '')
next=$(explained next "$mark")
[ "$(echo "$first" | awk '{ print $5 }')" = 0 ]
[ "$(echo "$next" | awk '{ print $5 }')" = 0 ]
[ "$first" != "$next" ] || { echo 'a kernel that spills is not replaced'; exit 1; }
if grep 'not as planned' "$work/first" "$work/next"; then
    exit 1
fi

# All of them.
explained all 'k_y(' >/dev/null
grep -q 'not as planned: it spills' "$work/all"
FAKE_NVRTC_SPILLS='k_y(' "$SINTER" build "$work/x.model" --init random --dtype bf16 --target a100 \
    --cuda "$work" -o "$work/program" 2>"$work/said"
grep -q 'k_y for a100 is slower than planned' "$work/said"
