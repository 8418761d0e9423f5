#include "fuzz.hpp"
#include "usage/open_files.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto stat = parse_proc_stat(text);
    if (!stat) return 0;
    fuzz::require(stat->pid >= 0 && stat->parent >= 0);
    fuzz::require(text.find(stat->program) != std::string_view::npos);
    fuzz::require(text.find(") " + std::string(1, stat->state) + ' ') != std::string_view::npos);
    return 0;
}
