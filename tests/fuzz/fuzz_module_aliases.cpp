// /lib/modules/RELEASE/modules.alias.
#include "fuzz.hpp"
#include "host/module_aliases.hpp"

using namespace pvegpu;

namespace {

Function arc_gpu()
{
    Function function;
    function.vendor = 0x8086;
    function.device = 0x56a6;
    function.subsystem_vendor = 0x1849;
    function.subsystem_device = 0x6006;
    function.class_code = 0x030000;
    return function;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    const auto half = text.substr(0, size / 2);
    matches_pattern(half, text.substr(size / 2));
    if (half.find_first_of("*?") == std::string_view::npos) fuzz::require(matches_pattern(half, half));
    const auto function = arc_gpu();
    const auto modules = modules_of(text, {function, function});
    fuzz::require(modules.size() == 2 && modules[0] == modules[1]);
    // Names go into files that root's programs read.
    for (const auto& name : modules[0]) fuzz::require(is_module_name(name) && !lends_devices(name));
    return 0;
}
