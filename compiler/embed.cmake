# sinter_embed(OUTPUT TABLE FILES...): writes an assembler file that holds FILES as the table
# `const struct embedded_file TABLE[]` and their number as TABLE without its last letter plus
# `_count` (compiler/embedded.h). Names are base names, or paths from SINTER_EMBED_BASE.
function(sinter_embed output table)
    string(REGEX REPLACE "s$" "_count" count_name ${table})
    set(texts "")
    set(rows "")
    set(index 0)
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        if(SINTER_EMBED_BASE)
            file(RELATIVE_PATH name ${SINTER_EMBED_BASE} ${file})
        endif()
        string(APPEND texts "name_${index}: .asciz \"${name}\"\n"
            "text_${index}: .incbin \"${file}\"\nend_${index}: .byte 0\n")
        string(APPEND rows
            "    .quad name_${index}, text_${index}, end_${index} - text_${index}\n")
        math(EXPR index "${index} + 1")
    endforeach()
    file(CONFIGURE OUTPUT ${output} @ONLY CONTENT "    .section .rodata
${texts}    .balign 8
    .global ${count_name}
${count_name}: .quad ${index}
    .section .data.rel.ro, \"aw\"
    .balign 8
    .global ${table}
${table}:
${rows}    .section .note.GNU-stack, \"\", %progbits
")
    set_source_files_properties(${output} PROPERTIES OBJECT_DEPENDS "${ARGN}")
endfunction()
