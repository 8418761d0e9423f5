#include "pci/read_topology.hpp"

#include "machine/paths.hpp"
#include "pci/read_function.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

class TopologyReader {
public:
    TopologyReader(const SysReader& reader, Milliseconds config_timeout)
        : reader_(reader), config_timeout_(config_timeout)
    {
    }

    void add(const PciAddress& address)
    {
        const Function* function = add_one(address);
        if (function == nullptr) return;
        if (is_gpu(*function)) add_surroundings(*function);
        add_members(*function);
    }

    Topology take() { return std::move(topology_); }

private:
    // A function whose bridge has gone since it was read is gone with it: the topology is closed upwards.
    const Function* add_one(const PciAddress& address)
    {
        if (const auto* known = topology_.find(address)) return known;
        auto function = read_function(reader_, address);
        if (!function) return nullptr;
        const auto above = function->above;
        topology_.functions.emplace(address, std::move(*function));
        const auto is_gone = [&](const PciAddress& bridge) { return add_one(bridge) == nullptr; };
        if (std::ranges::any_of(above, is_gone)) topology_.functions.erase(address);
        return topology_.find(address);
    }

    void add_surroundings(const Function& gpu)
    {
        if (gpu.above.empty()) {
            add_bus(bus_of(gpu.address), gpu.address.slot);
        } else {
            add_below(gpu.above.front());
            for (const auto& bridge : gpu.above) add_config(bridge);
        }
        for (const auto* neighbour : sharing_port_or_switch(gpu)) add_config(neighbour->address);
    }

    void add_bus(const PciBus& bus, std::uint8_t slot)
    {
        constexpr std::uint8_t functions_of_a_slot = 8;
        for (std::uint8_t number = 0; number < functions_of_a_slot; ++number)
            add_one({bus.domain, bus.bus, slot, number});
    }

    void add_below(const PciAddress& bridge)
    {
        for (const auto& address : list_below(reader_, bridge))
            if (const auto* function = add_one(address)) add_members(*function);
    }

    // A copy: adding one may move the others.
    void add_members(const Function& function)
    {
        const auto members = function.group_members;
        for (const auto& member : members) add_one(member);
    }

    // On a switch a card may be everything below its upstream port, which is two bridges up.
    std::vector<const Function*> sharing_port_or_switch(const Function& gpu) const
    {
        const auto* port = topology_.bridge_above(gpu);
        if (port == nullptr) return topology_.on_slot_of(gpu);
        const bool on_switch = port->config && port->config->pcie == PcieType::switch_downstream;
        const auto* upstream = on_switch ? topology_.bridge_above(*port) : nullptr;
        return topology_.below(upstream != nullptr ? *upstream : *port);
    }

    void add_config(const PciAddress& address)
    {
        const auto found = topology_.functions.find(address);
        if (found == topology_.functions.end() || found->second.config) return;
        auto& function = found->second;
        function.config = read_config_space(reader_, address, config_timeout_);
        if (function.bridge && function.config && function.config->health == Health::dead)
            function.config->pcie = type_by_place(function);
    }

    // A dead bridge does not tell its type. The switch of a card that has died is told by what it hangs on;
    // the bridges above are read first.
    std::optional<PcieType> type_by_place(const Function& bridge) const
    {
        const auto* above = topology_.bridge_above(bridge);
        if (above == nullptr || !above->config || !above->config->pcie) return std::nullopt;
        const auto type = *above->config->pcie;
        if (type == PcieType::root_port || type == PcieType::switch_downstream)
            return PcieType::switch_upstream;
        return type == PcieType::switch_upstream ? std::optional(PcieType::switch_downstream) : std::nullopt;
    }

    const SysReader& reader_;
    Milliseconds config_timeout_;
    Topology topology_;
};

} // namespace

Topology read_topology(const SysReader& reader, const std::vector<PciAddress>& wanted,
                       Milliseconds config_timeout)
{
    TopologyReader topology(reader, config_timeout);
    for (const auto& address : wanted) topology.add(address);
    return topology.take();
}

} // namespace pvegpu
