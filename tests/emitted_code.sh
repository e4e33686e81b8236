#!/bin/sh
# The kernels in docs/emitted_code.md are those that sinter prints today: every fenced block
# "```c k_NAME" must hold the kernel of that name. With --update they are put in anew.
# Usage: SINTER=build/compiler/sinter tests/emitted_code.sh [--update]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
sinter=${SINTER:?the compiler to use}
document=$root/docs/emitted_code.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/model"
cp "$root/bench/networks/mistral-7b.json" "$work/model/config.json"
"$sinter" build "$work/model" --init random --dtype bf16 --max-length 50 --target a100 \
    --emit-only "$work/project" > "$work/log" 2>&1 || { cat "$work/log"; exit 1; }

# The comment before the kernel and the kernel itself are the end of its file.
awk -v folder="$work/project/a100" '
function put_kernel(name,    file, line, count, lines, first, i) {
    file = folder "/" name ".cu"
    while ((getline line < file) > 0) {
        lines[++count] = line
        if (line == "/*")
            first = count
    }
    if (!first) {
        print "no kernel " name " is emitted" > "/dev/stderr"
        exit 1
    }
    for (i = first; i <= count; i++)
        print lines[i]
    close(file)
}
/^```c k_/ { print; put_kernel($2); inside = 1; next }
/^```$/ && inside { inside = 0 }
!inside { print }
' "$document" > "$work/document"

if [ "${1:-}" = --update ]; then
    cp "$work/document" "$document"
elif ! diff "$document" "$work/document"; then
    echo "docs/emitted_code.md is old; run tests/emitted_code.sh --update"
    exit 1
fi
