#include "fuzz.hpp"
#include "printers.hpp"
#include "proxmox/guest_config.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const GuestConfig config = parse_guest_config(fuzz::text_of(data, size));
    fuzz::require(config.hostpci.size() <= 16);
    for (const HostPci& device : config.hostpci) {
        fuzz::require(device.index < 16 && device.line > 0);
        fuzz::require(device.start_error || device.hosts.empty() == device.mapping.has_value());
        for (const HostSelector& host : device.hosts) fuzz::require_selector(host.text);
    }
    for (const ConfigWarning& warning : config.warnings) fuzz::require_printable(to_string(warning.advice));
    const auto again = parse_guest_config(fuzz::print(config));
    fuzz::require(fuzz::same(config, again) && again.warnings.empty());
    return 0;
}
