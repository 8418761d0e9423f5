#include "fuzz.hpp"
#include "usage/claims.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto parsed = parse_claim(fuzz::text_of(data, size));
    fuzz::require(parsed.claim.has_value() == parsed.warning.empty());
    fuzz::require_printable(parsed.warning);
    if (parsed.claim) fuzz::require(parse_claim(print_claim(*parsed.claim)).claim == parsed.claim);
    return 0;
}
