#!/bin/sh
# Every anchor of bench/anchors has a prediction, six of eight a good one; so have the rows of
# Table 2 that compile.
set -eu
SINTER=$SINTER bench/anchors/run > "$BUILD_DIR/anchors.out"
cat "$BUILD_DIR/anchors.out"
[ "$(grep -c '^[a-z].* a100.* [0-9.]*  *-*[0-9.]*%  ' "$BUILD_DIR/anchors.out")" = 8 ]
grep -q '^[6-8] within 15 %$' "$BUILD_DIR/anchors.out"
command -v python3 > /dev/null || exit 0
bench/table2 --sinter "$SINTER" h200 > "$BUILD_DIR/table2.out"
cat "$BUILD_DIR/table2.out"
[ "$(grep -c 'not yet' "$BUILD_DIR/table2.out")" = 8 ]
[ "$(grep -c 'generate.* %  ' "$BUILD_DIR/table2.out")" = 4 ]
