/* See library.h. Paths are from the repository root; a file stands behind what it needs. */
    .macro text path
    .pushsection .rodata, "a", @progbits
1:  .incbin "\path"
2:  .popsection
    .quad 1b, 2b - 1b
    .endm

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl cuda_library_files
cuda_library_files:
    text "backends/cuda/lib/core.cuh"
    text "backends/lib/convert.h"
    text "backends/cuda/lib/memory.cuh"
    text "backends/cuda/lib/copy.cuh"
    text "backends/cuda/lib/mma.cuh"
    text "backends/cuda/lib/publish.cuh"
    text "backends/cuda/lib/attention.cuh"
    text "backends/cuda/lib/tile.cuh"
    text "backends/cuda/lib/gemv.cuh"
    text "backends/cuda/lib/math.cuh"
    text "backends/lib/math.h"
    text "backends/cuda/lib/philox.cuh"
    text "backends/lib/philox.h"
    text "backends/lib/keys.h"
    text "backends/cuda/lib/scan.cuh"
    text "backends/cuda/lib/sort.cuh"
files_end:

    .section .rodata, "a", @progbits
    .balign 8
    .globl cuda_library_file_count
cuda_library_file_count:
    .quad (files_end - cuda_library_files) / 16
    .section .note.GNU-stack, "", @progbits
