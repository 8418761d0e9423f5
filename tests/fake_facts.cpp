#include "fake_facts.hpp"

#include <array>
#include <cstdio>
#include <sstream>

namespace pvegpu::testing {
namespace {

constexpr unsigned pcie_capability = 0x40;

void put(std::string& bytes, unsigned offset, unsigned value, unsigned count)
{
    for (unsigned i = 0; i < count; ++i) bytes[offset + i] = static_cast<char>((value >> (8 * i)) & 0xffU);
}

std::string header(unsigned vendor, unsigned device, unsigned class_code, unsigned type)
{
    std::string bytes(config_bytes, '\0');
    put(bytes, 0x00, vendor, 2);
    put(bytes, 0x02, device, 2);
    put(bytes, 0x06, 0x0010, 2); // status: there is a list of capabilities
    put(bytes, 0x09, class_code, 3);
    put(bytes, 0x0e, type, 1);
    return bytes;
}

unsigned number_of(PcieType type)
{
    switch (type) {
    case PcieType::root_port:
        return 4;
    case PcieType::switch_upstream:
        return 5;
    case PcieType::switch_downstream:
        return 6;
    case PcieType::bridge:
        return 7;
    default:
        return 0;
    }
}

void put_pcie(std::string& bytes, PcieType type, unsigned link_width, unsigned link_bits)
{
    put(bytes, 0x34, pcie_capability, 1);
    put(bytes, pcie_capability, 0x10, 1);
    put(bytes, pcie_capability + 0x02, 2 | (number_of(type) << 4U), 2);
    put(bytes, pcie_capability + 0x12, 1 | (link_width << 4U) | link_bits, 2);
}

std::string resource_line(std::uint64_t start, std::uint64_t end, std::uint64_t flags)
{
    std::array<char, 64> line{};
    std::snprintf(line.data(), line.size(), "0x%016llx 0x%016llx 0x%016llx\n",
                  static_cast<unsigned long long>(start), static_cast<unsigned long long>(end),
                  static_cast<unsigned long long>(flags));
    return line.data();
}

} // namespace

std::string fake_config(const FunctionFacts& facts)
{
    auto bytes = header(facts.vendor, facts.device, facts.class_code, 0);
    put(bytes, 0x2c, facts.subsystem_vendor, 2);
    put(bytes, 0x2e, facts.subsystem_device, 2);
    if (facts.express) put_pcie(bytes, PcieType::endpoint, facts.link_width, 0);
    return bytes;
}

std::string fake_config(const BridgeFacts& facts, const FakeBridgeNumbers& numbers)
{
    constexpr unsigned link_active = 1U << 13U;
    auto bytes = header(facts.vendor, facts.device, 0x060400, 1);
    put(bytes, 0x18, numbers.primary, 1);
    put(bytes, 0x19, numbers.secondary, 1);
    put(bytes, 0x1a, numbers.subordinate, 1);
    const auto type = facts.type.value_or(PcieType::root_port);
    if (type == PcieType::other) return bytes;
    put_pcie(bytes, type, facts.link_width, facts.link_active ? link_active : 0);
    put(bytes, pcie_capability + 0x0e, facts.link_active_reported ? 1U << 4U : 0, 2);
    return bytes;
}

// Six BARs, the ROM and six for virtual functions; a bridge has its four windows besides (resource_show in
// the kernel's drivers/pci/pci-sysfs.c). A BAR without room is a line of zeros: reset_resource in
// setup-bus.c.
std::string resource_text(const std::vector<Bar>& bars, bool bridge)
{
    std::array<Bar, 17> lines{};
    for (const auto& bar : bars) lines.at(bar.index) = bar;
    std::string text;
    for (unsigned i = 0; i < (bridge ? 17U : 13U); ++i) {
        const auto& bar = lines.at(i);
        text += bar.size == 0 || !bar.assigned ? resource_line(0, 0, 0)
                                               : resource_line(bar.start, bar.start + bar.size - 1, 0x14220c);
    }
    return text;
}

std::vector<Bar> bars_of(const std::string& resource_text)
{
    std::vector<Bar> bars;
    std::istringstream lines(resource_text);
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t flags = 0;
    for (unsigned i = 0; i < 6 && lines >> std::hex >> start >> end >> flags; ++i)
        if (flags != 0) bars.push_back({i, start, end - start + 1, true});
    return bars;
}

} // namespace pvegpu::testing
