# Turns a text file into a C++ file that defines it as a constant of namespace pvegpu:
#   cmake -D INPUT=device_table.json -D OUTPUT=device_table_json.cpp -D NAME=device_table_json
#         -D HEADER=pci/device_table.hpp -P embed.cmake
# HEADER declares it and is included, so that the definition has external linkage.
foreach(variable INPUT OUTPUT NAME HEADER)
    if(NOT DEFINED ${variable})
        message(FATAL_ERROR "embed.cmake: ${variable} is not set")
    endif()
endforeach()

# A byte at a time: no raw string delimiter can occur in the text, and no length limit of literals applies.
file(READ "${INPUT}" hex HEX)
string(REPEAT "[0-9a-f][0-9a-f]" 16 row)
string(REGEX REPLACE "(${row})" "\\1\n    " rows "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${rows}")
file(WRITE "${OUTPUT}" "// Made by embed.cmake.
#include \"${HEADER}\"

namespace pvegpu {

namespace {

constexpr char bytes[] = {
    ${bytes}
};

} // namespace

const std::string_view ${NAME}(bytes, sizeof bytes);

} // namespace pvegpu
")
