#include "fuzz.hpp"
#include "usage/claims.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (const auto claim = parse_claim(fuzz::text_of(data, size)))
        fuzz::require(parse_claim(print_claim(*claim)) == claim);
    return 0;
}
