#include "fuzz.hpp"
#include "hook/chained_hook.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto hook = parse_chained_hook(fuzz::text_of(data, size));
    if (hook) fuzz::require(hook->path.starts_with('/') && hook->path.find("/../") == std::string::npos);
    return 0;
}
