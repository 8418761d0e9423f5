// What the fuzz targets share: a broken promise stops the run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace pvegpu::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size}; // bytes are what a file has
}

inline void require(bool promise)
{
    if (!promise) std::abort();
}

// Messages reach terminals and logs.
inline void require_printable(std::string_view text)
{
    require(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < '\x7f'; }));
}

// Selectors become parts of paths.
inline void require_selector(std::string_view text)
{
    require(!text.empty() && text.find_first_not_of("0123456789abcdef:.") == std::string_view::npos &&
            text.find("..") == std::string_view::npos);
}

} // namespace pvegpu::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
