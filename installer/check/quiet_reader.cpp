#include "check/quiet_reader.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <cerrno>

namespace pvegpu {
namespace {

// Their show functions in drivers/pci read the device's configuration space.
bool reads_the_device(std::string_view attribute)
{
    static const auto names = words_of("config current_link_speed current_link_width max_link_speed "
                                       "max_link_width secondary_bus_number subordinate_bus_number "
                                       "serial_number vpd");
    return contains(names, attribute) ||
           (attribute.starts_with("resource") && attribute.ends_with("_resize"));
}

// What is known of that, or what `look` answers; one that throws is asked again.
template <typename Known, typename Look>
typename Known::mapped_type once(Known& known, const typename Known::key_type& key, Look look)
{
    const auto found = known.find(key);
    return found != known.end() ? found->second : known.emplace(key, look()).first->second;
}

} // namespace

// A device's own D3hot does not matter: its configuration space answers there, and nobody resumes it.
bool QuietReader::sleeps(const PciAddress& address, bool itself) const
{
    const auto word = [&](std::string_view file) {
        return trim(read(paths::function(address, file)).value_or(""));
    };
    const auto state = word("power_state");
    if (state == "D3cold") return true;
    if (itself) return false;
    const auto runtime = word("power/runtime_status");
    return state == "D3hot" || runtime == "suspended" || runtime == "suspending";
}

bool QuietReader::asleep(const PciAddress& address) const
{
    if (const auto known = asleep_.find(address); known != asleep_.end()) return known->second;
    bool found = sleeps(address, true);
    const auto way_down = read_link(paths::function(address)).value_or("");
    for (const auto part : split(way_down, '/'))
        if (const auto bridge = parse_pci_address(part); bridge && *bridge != address)
            found = found || sleeps(*bridge, false);
    return asleep_[address] = found;
}

// What a hotplug slot has is read from its port's registers (pciehp_get_adapter_status).
bool QuietReader::would_wake_port_of(const std::string& slot, std::string_view file) const
{
    if (file == "address") return false;
    const auto place = trim(read(paths::join(slot, "address")).value_or(""));
    const auto bus = "pci_bus/" + place.substr(0, place.rfind(':'));
    for (const auto& name : list(std::string(paths::pci_functions)))
        if (const auto port = parse_pci_address(name); port && exists(paths::function(*port, bus)))
            return asleep(*port);
    return false;
}

bool QuietReader::would_wake(const std::string& path) const
{
    const auto slash = path.rfind('/');
    if (!path.starts_with(paths::sys) || slash == std::string::npos) return false;
    const auto directory = std::string_view(path).substr(0, slash);
    if (directory.starts_with(paths::pci_slots))
        return would_wake_port_of(std::string(directory), path.substr(slash + 1));
    const auto address = parse_pci_address(directory.substr(directory.rfind('/') + 1));
    return address && reads_the_device(std::string_view(path).substr(slash + 1)) && asleep(*address);
}

std::optional<std::string> QuietReader::read(const std::string& path) const
{
    return once(texts_, path, [&]() -> std::optional<std::string> {
        if (would_wake(path)) return std::nullopt;
        return ForwardingReader::read(path);
    });
}

SysResult QuietReader::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    return once(slow_, std::pair(path, bytes), [&]() -> SysResult {
        if (would_wake(path)) return {SysResult::Kind::refused, EHOSTDOWN, "", 0, ""};
        return ForwardingReader::read_within(path, bytes, timeout);
    });
}

std::optional<std::string> QuietReader::read_link(const std::string& path) const
{
    return once(links_, path, [&] { return ForwardingReader::read_link(path); });
}

std::vector<std::string> QuietReader::list(const std::string& path) const
{
    return once(lists_, path, [&] { return ForwardingReader::list(path); });
}

std::vector<std::string> QuietReader::list_directories(const std::string& path) const
{
    return once(directories_, path, [&] { return ForwardingReader::list_directories(path); });
}

SysResult QuietReader::try_claim_within(const std::string& /*path*/, Milliseconds /*timeout*/) const
{
    return {SysResult::Kind::refused, EHOSTDOWN, "", 0, ""};
}

} // namespace pvegpu
