/* Where the program begins. */
#include "runtime/main.h"
#include "runtime/program.h"

int main(int argc, char **argv)
{
    return rt_main(argc, argv, &rt_program);
}
