/* See library.h. Paths are from the repository root. */
    .section .rodata, "a", @progbits
core_text:
    .incbin "backends/cuda/lib/core.cuh"
memory_text:
    .incbin "backends/cuda/lib/memory.cuh"
copy_text:
    .incbin "backends/cuda/lib/copy.cuh"
mma_text:
    .incbin "backends/cuda/lib/mma.cuh"
publish_text:
    .incbin "backends/cuda/lib/publish.cuh"
attention_text:
    .incbin "backends/cuda/lib/attention.cuh"
tile_text:
    .incbin "backends/cuda/lib/tile.cuh"
gemv_text:
    .incbin "backends/cuda/lib/gemv.cuh"
math_text:
    .incbin "backends/cuda/lib/math.cuh"
shared_math_text:
    .incbin "backends/lib/math.h"
philox_text:
    .incbin "backends/cuda/lib/philox.cuh"
shared_philox_text:
    .incbin "backends/lib/philox.h"
end_text:

    .section .data.rel.ro, "aw", @progbits
    .balign 8
    .globl cuda_library_files
cuda_library_files:
    .quad core_text, memory_text - core_text
    .quad memory_text, copy_text - memory_text
    .quad copy_text, mma_text - copy_text
    .quad mma_text, publish_text - mma_text
    .quad publish_text, attention_text - publish_text
    .quad attention_text, tile_text - attention_text
    .quad tile_text, gemv_text - tile_text
    .quad gemv_text, math_text - gemv_text
    .quad math_text, shared_math_text - math_text
    .quad shared_math_text, philox_text - shared_math_text
    .quad philox_text, shared_philox_text - philox_text
    .quad shared_philox_text, end_text - shared_philox_text

    .section .rodata, "a", @progbits
    .balign 8
    .globl cuda_library_file_count
cuda_library_file_count:
    .quad 12
    .section .note.GNU-stack, "", @progbits
