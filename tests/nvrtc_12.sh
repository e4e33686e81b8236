#!/bin/sh
# NVRTC 12 does what 13 does: the tests of device code pass with it, and it makes a program, of
# kernels as planned, that an older driver will do for. SINTER_NVRTC_12 names the folder that
# tests/install-nvrtc has put it into.
set -eu
if [ -z "${SINTER_NVRTC_12:-}" ]; then
    echo 'SKIPPED 2 device code by NVRTC 12: not installed'
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME="$work"
SINTER_TEST_NVRTC=$SINTER_NVRTC_12 "$BUILD_DIR/tests/test_nvrtc" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
"$SINTER" explain tests/fixtures/tiny --task generate --max-length 64 --dtype bf16 --target a100 \
    --code --cuda "$SINTER_NVRTC_12" >"$work/explained"
grep -q '^compiled by CUDA 12\.[0-9]*: needs driver 525 or later$' "$work/explained"
if grep 'not as planned' "$work/explained"; then
    exit 1
fi
