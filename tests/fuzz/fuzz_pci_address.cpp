#include "base/pci_address.hpp"
#include "fuzz.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text = fuzz::text_of(data, size);
    if (const auto address = parse_pci_address(text)) fuzz::require(to_string(*address) == text);
    return 0;
}
