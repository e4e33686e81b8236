/* See library.h. Paths are from the repository root. */
    .section .rodata, "a", @progbits
program_text:
    .incbin "runtime/program.h"
base_text:
    .incbin "backends/c/lib/base.h"
convert_text:
    .incbin "backends/lib/convert.h"
math_text:
    .incbin "backends/lib/math.h"
philox_text:
    .incbin "backends/lib/philox.h"
pack_text:
    .incbin "backends/c/lib/pack.h"
product_text:
    .incbin "backends/c/lib/product.h"
gemv_text:
    .incbin "backends/c/lib/gemv.h"
attention_text:
    .incbin "backends/c/lib/attention.h"
keys_text:
    .incbin "backends/lib/keys.h"
sort_text:
    .incbin "backends/c/lib/sort.h"
end_text:

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl library_files
library_files:
    .quad program_text, base_text - program_text
    .quad base_text, convert_text - base_text
    .quad convert_text, math_text - convert_text
    .quad math_text, philox_text - math_text
    .quad philox_text, pack_text - philox_text
    .quad pack_text, product_text - pack_text
    .quad product_text, gemv_text - product_text
    .quad gemv_text, attention_text - gemv_text
    .quad attention_text, keys_text - attention_text
    .quad keys_text, sort_text - keys_text
    .quad sort_text, end_text - sort_text

    .section .rodata, "a", @progbits
    .balign 8
    .globl library_file_count
library_file_count:
    .quad 11
    .section .note.GNU-stack, "", @progbits
