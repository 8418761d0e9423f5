#include "fuzz.hpp"
#include "pci/config_space.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto space = parse_config_space(fuzz::text_of(data, size));
    fuzz::require(space.link_width < 64);
    fuzz::require(space.health == Health::alive || !space.pcie);
    if (space.health == Health::alive)
        fuzz::require(size >= 64 && space.vendor != 0xffff && space.header_type < 0x7f);
    return 0;
}
