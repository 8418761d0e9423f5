#include "base/pci_address.hpp"

#include "base/text.hpp"

namespace pvegpu {
namespace {

// The kernel prints a domain with at least four digits, and never a zero in front of a longer one.
std::optional<unsigned> parse_domain(std::string_view text)
{
    const bool padded = text.size() == 4 || (text.size() > 4 && text.front() != '0');
    return padded && consists_of(text, is_lower_hex) ? parse_hex(text) : std::nullopt;
}

std::optional<std::uint8_t> parse_field(std::string_view text, std::size_t digits, unsigned largest)
{
    if (text.size() != digits || !consists_of(text, is_lower_hex)) return std::nullopt;
    const auto value = parse_hex(text);
    if (!value || *value > largest) return std::nullopt;
    return static_cast<std::uint8_t>(*value);
}

// "bb:dd" at the front.
bool starts_with_bus_and_slot(std::string_view text)
{
    return count_front(text.substr(0, 2), is_lower_hex) == 2 && text.size() >= 5 && text[2] == ':' &&
           consists_of(text.substr(3, 2), is_lower_hex);
}

bool is_optional_function(std::string_view text)
{
    return text.empty() || (text.size() == 2 && text[0] == '.' && is_lower_hex(text[1]));
}

} // namespace

std::optional<PciAddress> parse_pci_address(std::string_view text)
{
    constexpr std::string_view tail = "bb:dd.f";
    if (text.size() <= tail.size()) return std::nullopt;
    const auto [domain_text, rest] =
        std::pair(text.substr(0, text.size() - tail.size()), text.substr(text.size() - tail.size()));
    if (domain_text.back() != ':' || rest[2] != ':' || rest[5] != '.') return std::nullopt;

    const auto domain = parse_domain(domain_text.substr(0, domain_text.size() - 1));
    const auto bus = parse_field(rest.substr(0, 2), 2, 0xff);
    const auto slot = parse_field(rest.substr(3, 2), 2, 0x1f);
    const auto function = parse_field(rest.substr(6), 1, 7);
    if (!domain || !bus || !slot || !function) return std::nullopt;
    return PciAddress{*domain, *bus, *slot, *function};
}

std::string to_string(const PciAddress& address)
{
    return to_string(bus_of(address)) + ":" + to_hex(address.slot, 2) + "." + to_hex(address.function, 1);
}

std::string to_string(const PciBus& bus)
{
    return to_hex(bus.domain, 4) + ":" + to_hex(bus.bus, 2);
}

std::string quote(const PciAddress& address)
{
    return "'" + to_string(address) + "'";
}

std::string quote(const PciBus& bus)
{
    return "'" + to_string(bus) + "'";
}

bool is_id_pair(std::string_view text)
{
    return text.size() == 9 && text[4] == ':' && consists_of(text.substr(0, 4), is_hex) &&
           consists_of(text.substr(5), is_hex);
}

bool same_slot(const PciAddress& one, const PciAddress& other)
{
    return bus_of(one) == bus_of(other) && one.slot == other.slot;
}

std::size_t length_of_slot_with_domain(std::string_view text)
{
    const std::size_t domain = count_front(text, is_lower_hex);
    if (domain < 4 || domain == text.size() || text[domain] != ':') return 0;
    return starts_with_bus_and_slot(text.substr(domain + 1)) ? domain + 1 + std::string_view("bb:dd").size()
                                                             : 0;
}

bool is_host_selector(std::string_view text)
{
    if (const std::size_t length = length_of_slot_with_domain(text); length != 0)
        return is_optional_function(text.substr(length));
    return starts_with_bus_and_slot(text) && is_optional_function(text.substr(5));
}

} // namespace pvegpu
