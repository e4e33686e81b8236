#!/bin/sh
# One layer of each 7B network, at its real sizes, on a GPU that is emulated: every distinct kernel
# of the decode step and of the prefill chunks against the interpreter, at sampled outputs.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sinter=${SINTER:?the compiler to use}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for network in mistral-7b gemma-7b; do
    mkdir "$work/$network"
    sed 's/"num_hidden_layers": *[0-9]*/"num_hidden_layers": 1/' \
        "$root/bench/networks/$network.json" > "$work/$network/config.json"
    "$sinter" check "$work/$network" --init random --dtype bf16 --max-length 50 --target a100 \
        > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    grep ' distinct kernels for a100 under emulation, 0 wrong' "$work/log"
    for skeleton in gemv skinny attention split_attention; do
        grep -q " $skeleton " "$work/log" || { echo "no $skeleton in $network"; exit 1; }
    done
done
