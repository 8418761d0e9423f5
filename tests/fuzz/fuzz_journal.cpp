#include "fuzz.hpp"
#include "recovery/journal.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto entries = parse_journal(fuzz::text_of(data, size));
    for (const auto& undo : entries)
        fuzz::require(undo.path.starts_with("/sys/") && undo.path.find("..") == std::string::npos);
    fuzz::require(parse_journal(print_journal(101, entries)) == entries);
    return 0;
}
