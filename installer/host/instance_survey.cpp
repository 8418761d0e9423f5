#include "host/instance_survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "pci/read_topology.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/guest_state.hpp"
#include "usage/holders.hpp"
#include "usage/instances.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// "pci-04-00-0", with the domain where that is not 0000
std::string name_for(const PciAddress& address)
{
    auto text = to_string(address);
    if (address.domain == 0) text = text.substr(text.find(':') + 1);
    std::ranges::replace_if(
        text, [](char c) { return !is_alnum(c); }, '-');
    return "pci-" + text;
}

} // namespace

void add_passed(SurveyedGuest& guest, const PciMappings& mappings, const std::string& node,
                const std::vector<PciAddress>& all)
{
    for (const auto& device : resolve_hostpci(guest.config, mappings, node, all)) {
        if (!device.passed_whole()) continue;
        for (const auto& alternative : device.alternatives)
            for (const auto& address : alternative.functions)
                if (guest.keys.try_emplace(address, device.key).second) guest.passed.push_back(address);
    }
}

SurveyedGuest survey_instance(const SysReader& reader, const Instance& instance, const std::string& node,
                              const std::vector<PciAddress>& all)
{
    SurveyedGuest guest;
    guest.id = {number_of(instance.name), GuestKind::instance, instance.name.text()};
    guest.config = as_guest_config(reader, instance);
    guest.running = !instance.stopped();
    guest.instance = instance;
    if (guest.running && !guest.config.hostpci.empty()) {
        const auto state = read_guest_state(reader, guest.id.vmid);
        guest.started_bare =
            !state || !state->holder || state->holder != qemu_of_instance(reader, instance.name);
    }
    try {
        add_passed(guest, {}, node, all);
    } catch (const Error& error) {
        guest.problem = error.advice();
    }
    return guest;
}

void find_missing_devices(const SysReader& reader, SurveyedGuest& guest)
{
    auto wanted = guest.passed;
    const auto topology = read_topology(reader, wanted, driver_answers_within);
    const auto want = [&](const PciAddress& address, bool on_card) {
        const auto* function = topology.find(address);
        if (function == nullptr || function->bridge || contains(wanted, address)) return;
        wanted.push_back(address);
        guest.missing.push_back({*function, name_for(address), on_card, ""});
    };
    for (const auto& card : find_cards(topology, guest.passed))
        for (const auto& address : card.functions)
            if (role_of(topology.at(address)) != Role::neighbour) want(address, true);
    std::size_t next = 0;
    while (next < wanted.size()) { // those that are added meanwhile, too
        const auto address = wanted[next++];
        if (const auto* function = topology.find(address))
            for (const auto& member : function->group_members) want(member, false);
    }
    std::ranges::sort(guest.missing, {}, [](const MissingDevice& one) { return one.facts.address; });
    for (auto& one : guest.missing)
        if (const auto holders = find_holders(reader, {one.facts}, guest.id.vmid); !holders.empty())
            one.used_by = describe(holders.front());
}

} // namespace pvegpu
