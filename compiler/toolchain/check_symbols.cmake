# Fails if OBJECT uses a symbol that the table SYMBOLS does not list: a program that holds it
# could not be linked. Names of our own (rt_...) are the linker's business.
execute_process(COMMAND ${NM} -u --format=posix ${OBJECT} OUTPUT_VARIABLE used
    COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${SYMBOLS} lines REGEX "^lib")
string(REPLACE ";" " " listed " ${lines} ")
string(REGEX MATCHALL "[^\n]+" used "${used}")
set(missing "")
foreach(line IN LISTS used)
    string(REGEX REPLACE " .*" "" name "${line}")
    if(NOT name MATCHES "^(rt_.*|_GLOBAL_OFFSET_TABLE_)$" AND NOT listed MATCHES " ${name} ")
        list(APPEND missing ${name})
    endif()
endforeach()
if(missing)
    file(REMOVE ${OBJECT})
    list(JOIN missing ", " missing)
    message(FATAL_ERROR "the runtime uses symbols that compiler/toolchain/libc.symbols does not "
        "list: ${missing}. Add each with its version in glibc (nm -D libc.so.6 | grep NAME), if "
        "that is not later than 2.34; otherwise do without it.")
endif()
