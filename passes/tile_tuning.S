/* See tile_tuning.h: the files in the order of ir/gpus.def. Paths are from the repository root. */
    .macro text path
    .pushsection .rodata, "a", @progbits
1:  .incbin "\path"
2:  .popsection
    .quad 1b, 2b - 1b
    .endm

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl tile_tuning_files
tile_tuning_files:
    text "backends/cuda/tune/a100.tbl"
    text "backends/cuda/tune/a100-80.tbl"
    text "backends/cuda/tune/h100.tbl"
    text "backends/cuda/tune/h200.tbl"
    .section .note.GNU-stack, "", @progbits
