// The texts of /proc/PID/mountinfo and /proc/swaps.
#include "fuzz.hpp"
#include "printers.hpp"

using namespace pvegpu;

namespace {

bool same(const Mount& one, const Mount& other)
{
    return one.number == other.number && one.place == other.place;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto mounts = parse_mounts(text);
    const auto again = parse_mounts(fuzz::print_mounts(mounts));
    fuzz::require(std::equal(mounts.begin(), mounts.end(), again.begin(), again.end(), same));
    const auto swaps = parse_swaps(text);
    fuzz::require(parse_swaps(fuzz::print_swaps(swaps)) == swaps);
    return 0;
}
