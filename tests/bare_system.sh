#!/bin/sh
# The compiler and a program that it made run where there is nothing but the loader, libc, libm,
# a model and a place to write: no /proc, no /tmp, no shell, no compiler. Kernels for GPUs are checked
# there, too.
set -u
sinter=${SINTER:?}
model=$PWD/tests/fixtures/tiny
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

fail() {
    echo "bare_system: $*" >&2
    exit 1
}

# only_system_libraries FILE: needs at most the loader, libc and libm.
only_system_libraries() {
    needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in $needed; do
        case $library in
        libc.so.6 | libm.so.6 | ld-linux-x86-64.so.2) ;;
        *) fail "$1 needs $library" ;;
        esac
    done
}

only_system_libraries "$sinter"
"$sinter" build "$model" --task generate --max-length 64 -o "$place/outside" ||
    fail 'the compiler fails outside the bare system'
only_system_libraries "$place/outside"
[ "$(stat -c %s "$place/outside")" -le 3145728 ] || fail 'the program has more than 3 MB'
newest=$(readelf -V "$place/outside" | grep -o 'GLIBC_2\.[0-9]*' | sort -t. -k2 -n | tail -n 1)
[ "${newest#GLIBC_2.}" -le 34 ] || fail "the program needs $newest"

chroot=$(command -v chroot || echo /usr/sbin/chroot)
if ! "$chroot" / /bin/true 2>/dev/null; then
    echo 'SKIPPED 5 compiling, running and checking kernels in a bare system (needs root)'
    exit 0
fi
mkdir -p "$place/bare/lib64" "$place/bare/lib/x86_64-linux-gnu" "$place/bare/model"
cp /lib64/ld-linux-x86-64.so.2 "$place/bare/lib64/"
cp /lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/libm.so.6 \
    "$place/bare/lib/x86_64-linux-gnu/"
cp "$sinter" "$place/bare/sinter"
cp "$model"/*.json "$model"/*.safetensors "$model"/tokenizer.* "$place/bare/model/"

env -i "$chroot" "$place/bare" /sinter version || fail 'sinter version'
env -i "$chroot" "$place/bare" /sinter build /model --task generate --max-length 64 -o /program ||
    fail 'sinter build'
cmp "$place/outside" "$place/bare/program" >/dev/null ||
    echo 'the programs differ (they hold the path of the weights)'
env -i "$chroot" "$place/bare" /program generate --ids 1 >"$place/inside.txt" || fail 'generate'
[ -s "$place/inside.txt" ] || fail 'the program printed nothing'
cp docs/examples/convnet.model "$place/bare/model/"
for target in cpu a100; do
    env -i "$chroot" "$place/bare" /sinter check /model/convnet.model --target $target \
        >"$place/checked.txt" || fail "check --target $target"
    grep -q 'distinct kernels.* 0 wrong$' "$place/checked.txt" || fail "nothing was checked"
done
left=$(ls "$place/bare" | tr '\n' ' ')
[ "$left" = 'lib lib64 model program sinter ' ] || fail "files left behind: $left"
echo 'compiled and ran in a bare system'
