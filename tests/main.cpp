// Catch2 2 wants its main() made in one file; Catch2 3 brings it in a library and ignores the macro.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
