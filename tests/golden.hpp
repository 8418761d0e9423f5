// Texts that a person reads in a file of their own. UPDATE_GOLDEN=1 in the environment writes them anew.
#pragma once

#include "catch.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace pvegpu::testing {

// `file` is below the directory of the tests.
inline void check_golden(const std::string& file, const std::string& text)
{
    const auto path = TESTS_DIR + file;
    if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
    std::ostringstream expected;
    expected << std::ifstream(path).rdbuf();
    CHECK(text == expected.str());
}

} // namespace pvegpu::testing
