#include "fuzz.hpp"
#include "recovery/guest_state.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto state = parse_guest_state(fuzz::text_of(data, size));
    if (!state) return 0;
    for (const auto& setting : state->power) fuzz::require(setting.path.starts_with("/sys/"));
    for (const auto& function : state->functions)
        fuzz::require(function.native_driver.find('/') == std::string::npos);
    fuzz::require(parse_guest_state(print_guest_state(*state)) == state);
    return 0;
}
