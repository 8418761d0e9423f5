// The table of devices that is compiled in: a wrong one is refused whole.
#include "base/error.hpp"
#include "fuzz.hpp"
#include "pci/device_table.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        traits_from_table(fuzz::text_of(data, size), 0x8086, 0x56a6);
    } catch (const Error& error) {
        fuzz::require_printable(error.what());
    }
    return 0;
}
