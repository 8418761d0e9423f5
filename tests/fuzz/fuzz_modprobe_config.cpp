#include "check/facts.hpp"
#include "fuzz.hpp"
#include "host/module_aliases.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto lines = parse_modprobe(text, "fuzz.conf");
    for (const auto& line : lines) {
        fuzz::require(is_module_name(line.module));
        for (const auto& word : line.words) fuzz::require(!word.empty());
    }
    for (const auto& [id, file] : vfio_ids(lines)) fuzz::require(id.size() <= 9 && file == "fuzz.conf");
    for (const auto& module : parse_module_list(text)) fuzz::require(is_module_name(module));
    fuzz::require(parse_cpu_list(text).size() <= 8192);
    return 0;
}
