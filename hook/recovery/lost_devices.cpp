#include "recovery/lost_devices.hpp"

#include "machine/paths.hpp"
#include "pci/device_table.hpp"
#include "pci/read_function.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/named_devices.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/known_cards.hpp"
#include "recovery/port.hpp"
#include "usage/claims.hpp"
#include "usage/holders.hpp"
#include "usage/instances.hpp"

#include <algorithm>
#include <set>

namespace pvegpu {
namespace {

std::vector<PciAddress> missing_addresses(const std::vector<PassedDevice>& devices)
{
    std::vector<PciAddress> result;
    for (const auto& [device, selector] : missing_functions(devices))
        if (const auto address = first_function(selector.text)) result.push_back(*address);
    return result;
}

// Every bridge whose bus range holds the bus, the outermost first.
std::vector<Function> bridges_to(const SysReader& reader, const PciBus& bus,
                                 const std::vector<PciAddress>& all)
{
    std::vector<Function> bridges;
    for (const auto& address : all) {
        if (address.domain != bus.domain) continue;
        auto bridge = read_function(reader, address);
        const auto buses = bridge ? bridge->buses() : std::nullopt;
        if (buses && buses->has(bus)) bridges.push_back(std::move(*bridge));
    }
    std::ranges::stable_sort(bridges, [](const Function& one, const Function& other) {
        return one.above.size() < other.above.size();
    });
    return bridges;
}

std::vector<Function> read_below(const SysReader& reader, const PciAddress& port)
{
    std::vector<Function> result;
    for (const auto& address : list_below(reader, port))
        if (auto function = read_function(reader, address)) result.push_back(std::move(*function));
    return result;
}

std::optional<PciBus> bus_to_rescan(const SysReader& reader, const PciAddress& lost,
                                    const std::vector<PciAddress>& all)
{
    const auto bridges = bridges_to(reader, bus_of(lost), all);
    if (bridges.empty()) return std::nullopt;
    const auto& innermost = bridges.back();
    const bool beside = innermost.secondary_bus == bus_of(lost) &&
                        std::ranges::any_of(all, [&](const PciAddress& one) { return same_slot(one, lost); });
    if (beside || list_below(reader, innermost.address).empty()) return innermost.secondary_bus;
    return std::nullopt;
}

bool leads_to(const BusRange& buses, const MappingChoice& alternative)
{
    const auto is_there = [&](const PciAddress& function) { return buses.has(bus_of(function)); };
    const auto would_be_there = [&](const HostSelector& selector) {
        const auto first = first_function(selector.text);
        return first && is_there(*first);
    };
    return std::ranges::any_of(alternative.functions, is_there) ||
           std::ranges::any_of(alternative.missing, would_be_there);
}

// Whether a guest's lines, or the mappings that they name, lead to one of the buses.
bool names_something_on(const SysReader& reader, const GuestConfig& config, const BusRange& buses,
                        const std::vector<PciAddress>& all)
{
    std::vector<PassedDevice> devices;
    try {
        devices = read_named_devices(reader, config, all).devices;
    } catch (const Error&) {
        return false; // Proxmox does not start that guest
    }
    for (const auto& device : devices)
        for (const auto& one : device.alternatives)
            if (leads_to(buses, one)) return true;
    return false;
}

// "VM 102 names a device there"; empty if no other VM of this node does.
std::string named_by_another(const SysReader& reader, const BusRange& buses, unsigned own_vmid,
                             const std::vector<PciAddress>& all)
{
    for (const auto vmid : list_guests(reader, paths::pve_vm_configs)) {
        if (vmid == own_vmid) continue;
        const auto text = read_pve_file(reader, paths::vm_config(vmid));
        if (text && names_something_on(reader, read_guest_config(reader, *text), buses, all))
            return "VM " + std::to_string(vmid) + " names a device there";
    }
    return "";
}

std::string claimed_by_another(const SysReader& reader, const BusRange& buses, unsigned own_vmid)
{
    for (const auto& claim : read_claims(reader)) {
        if (claim.vmid == own_vmid || !claim_holds(reader, claim)) continue;
        for (const auto& function : claim.functions)
            if (buses.has(bus_of(function)))
                return vm_called(reader, claim.vmid) + " is being started with a device there";
    }
    return "";
}

std::string held(const SysReader& reader, const std::vector<Function>& functions, unsigned own_vmid)
{
    std::vector<Function> devices;
    std::ranges::copy_if(functions, std::back_inserter(devices),
                         [](const Function& function) { return !function.bridge; });
    const auto holders = find_holders(reader, devices, own_vmid);
    if (holders.empty()) return "";
    return quote(holders.front().function) + " there is in use by " + describe(holders.front());
}

// What is left below a port, as a card.
LostCard what_is_left(const Function& port, const std::vector<Function>& functions)
{
    LostCard card;
    card.port = port.address;
    for (const auto& function : functions) {
        if (function.above.back() == port.address) card.top.push_back(function.address);
        if (!function.bridge) card.functions.push_back(function.address);
    }
    return card;
}

// An upstream port that the device table knows as part of a graphics card.
bool is_switch_of_a_card(const Function& bridge)
{
    return device_traits(bridge).shape == DeviceTraits::CardShape::switch_on_card;
}

class LostCards {
public:
    LostCards(const SysReader& reader, unsigned vmid)
        : reader_(reader), vmid_(vmid), all_(list_functions(reader)), known_(read_known_cards(reader))
    {
    }

    void add(const PciAddress& wanted)
    {
        for (const auto& card : known_)
            if (card.has(wanted)) return add_known(card);
        add_by_table(wanted);
    }

    std::vector<LostCard> take() { return std::move(cards_); }

private:
    bool is_there(const PciAddress& port) const
    {
        return std::ranges::any_of(cards_, [&](const LostCard& one) { return one.port == port; });
    }

    void add_known(const KnownCard& known)
    {
        const auto port = read_function(reader_, known.port);
        if (!port || !port->bridge || is_there(known.port)) return;
        const auto functions = read_below(reader_, known.port);
        auto card = what_is_left(*port, functions);
        for (const auto& function : card.functions)
            if (!known.has(function)) card.left_alone_because = quote(function) + " is there by now";
        if (card.left_alone_because.empty()) card.left_alone_because = held(reader_, functions, vmid_);
        add_card(std::move(card), functions);
    }

    void add_card(LostCard card, const std::vector<Function>& functions)
    {
        card.has_lost_numbers = std::ranges::any_of(functions, has_lost_its_numbers);
        cards_.push_back(std::move(card));
    }

    // Without a note of the card: the bridges are all that is known.
    void add_by_table(const PciAddress& wanted)
    {
        const auto bridges = bridges_to(reader_, bus_of(wanted), all_);
        // The port, and below it the upstream port of the switch.
        for (std::size_t index = 1; index < bridges.size(); ++index) {
            const auto& port = bridges[index - 1];
            const auto& upstream = bridges[index];
            if (upstream.above.empty() || upstream.above.back() != port.address) continue;
            const bool outermost = index == 1 || is_switch_of_a_card(upstream);
            if (!outermost || is_there(port.address)) continue;
            const auto functions = read_below(reader_, port.address);
            auto card = what_is_left(port, functions);
            card.left_alone_because = why_not(port, upstream, card);
            add_card(std::move(card), functions);
            return;
        }
    }

    std::string why_not(const Function& port, const Function& upstream, const LostCard& card) const
    {
        if (!is_switch_of_a_card(upstream))
            return "nobody knows whether the switch " + quote(upstream.address) +
                   " is on the graphics card or on the board";
        if (!card.functions.empty()) return quote(card.functions.front()) + " is there, too";
        const auto buses = port.buses().value();
        if (auto claimed = claimed_by_another(reader_, buses, vmid_); !claimed.empty()) return claimed;
        return named_by_another(reader_, buses, vmid_, all_);
    }

    const SysReader& reader_;
    unsigned vmid_;
    std::vector<PciAddress> all_;
    std::vector<KnownCard> known_;
    std::vector<LostCard> cards_;
};

} // namespace

std::vector<PciBus> find_lost(const SysReader& reader, const std::vector<PassedDevice>& devices,
                              const std::vector<PciAddress>& all)
{
    std::set<PciBus> buses;
    for (const auto& address : missing_addresses(devices))
        if (const auto bus = bus_to_rescan(reader, address, all)) buses.insert(*bus);
    return {buses.begin(), buses.end()};
}

std::vector<LostCard> find_lost_cards(const SysReader& reader, const std::vector<PassedDevice>& devices,
                                      const Request& request)
{
    LostCards cards(reader, request.vmid);
    for (const auto& address : missing_addresses(devices)) cards.add(address);
    return cards.take();
}

} // namespace pvegpu
