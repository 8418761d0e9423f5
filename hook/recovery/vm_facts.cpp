#include "recovery/vm_facts.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"
#include "proxmox/named_devices.hpp"
#include "recovery/absent.hpp"
#include "recovery/lost_devices.hpp"
#include "recovery/port.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

std::set<PciAddress> taken_by(const std::vector<PciAddress>& functions, const Topology& topology)
{
    std::set<PciAddress> taken;
    for (const auto& address : functions) {
        const auto* function = topology.find(address);
        if (function == nullptr) continue;
        taken.insert(address);
        for (const auto& member : function->group_members)
            if (const auto* other = topology.find(member); other != nullptr && !other->bridge)
                taken.insert(member);
    }
    return taken;
}

// Proxmox unbinds a parent that is not on vfio's driver yet, and its own driver then takes them down
// (pci_disable_sriov).
std::map<PciAddress, PciAddress>
virtual_functions_of(const SysReader& reader, const std::set<PciAddress>& taken, const Topology& topology)
{
    std::map<PciAddress, PciAddress> result;
    for (const auto& parent : taken) {
        const auto& function = topology.at(parent);
        for (std::size_t i = 0; i < function.virtual_functions && !is_vfio_driver(function.driver); ++i)
            if (const auto link = reader.read_link(paths::function(parent, "virtfn" + std::to_string(i))))
                if (const auto address = parse_pci_address(last_name(*link)))
                    result.emplace(*address, parent);
    }
    return result;
}

// What lies behind a controller of Intel's VMD, in a domain of its own, which goes with the controller's
// driver (vmd_probe in the kernel's drivers/pci/controller/vmd.c makes the link `domain`).
std::map<PciAddress, PciAddress>
behind_controllers(const SysReader& reader, const std::set<PciAddress>& taken, const Topology& topology)
{
    std::map<PciAddress, PciAddress> result;
    for (const auto& controller : taken) {
        if (is_vfio_driver(topology.at(controller).driver)) continue;
        const auto domain = reader.read_link(paths::function(controller, "domain"));
        const auto root = domain ? "/" + std::string(last_name(*domain)) + "/" : "";
        if (root.empty()) continue;
        for (const auto& address : list_functions(reader))
            if (reader.read_link(paths::function(address)).value_or("").find(root) != std::string::npos)
                result.emplace(address, controller);
    }
    return result;
}

std::vector<PciAddress> whole_functions(const std::vector<PassedDevice>& devices, bool every_alternative)
{
    std::vector<PciAddress> result;
    for (const auto& device : devices) {
        if (!device.passed_whole()) continue;
        for (const auto& one : device.alternatives)
            if (every_alternative || &one == &device.taken()) append(result, one.functions);
    }
    return result;
}

// What mediated devices are made of, and what the host has bound to vfio itself.
std::vector<PciAddress> other_functions(const std::vector<PassedDevice>& devices)
{
    std::vector<PciAddress> result;
    for (const auto& device : devices)
        if (!device.passed_whole())
            for (const auto& one : device.alternatives) append(result, one.functions);
    return result;
}

// The devices to ask about: everything that may be taken or is shared, with everything on the cards.
std::vector<Function> watched(const SysReader& reader, const VmFacts& vm_facts,
                              const std::vector<PciAddress>& candidates)
{
    const auto& topology = vm_facts.topology;
    auto addresses = taken_by(candidates, topology);
    auto going = virtual_functions_of(reader, addresses, topology);
    going.merge(behind_controllers(reader, addresses, topology));
    for (const auto& card : find_cards(topology, candidates))
        addresses.insert(card.functions.begin(), card.functions.end());
    for (const auto& address : other_functions(vm_facts.devices))
        if (topology.find(address) != nullptr) addresses.insert(address);
    std::vector<Function> result;
    result.reserve(addresses.size());
    for (const auto& address : addresses) result.push_back(topology.at(address));
    for (const auto& [address, parent] : going)
        if (auto function = addresses.contains(address) ? std::nullopt : read_function(reader, address))
            result.push_back(std::move(*function));
    return result;
}

// Everything about the situation's devices.
void read_surroundings(const SysReader& reader, VmFacts& vm_facts, std::optional<unsigned> own_vmid)
{
    const auto candidates = whole_functions(vm_facts.devices, true);
    auto named = candidates;
    append(named, other_functions(vm_facts.devices));
    vm_facts.topology = read_topology(reader, named, config_space_within);
    vm_facts.mapping_mismatches = mapping_mismatches(reader, vm_facts.devices, vm_facts.topology);
    vm_facts.holders = find_holders(reader, watched(reader, vm_facts, candidates), own_vmid);
    choose_free_alternatives(vm_facts.devices, vm_facts.holders);
    const auto functions = whole_functions(vm_facts.devices, false);
    vm_facts.taken = taken_by(functions, vm_facts.topology);
    vm_facts.virtual_functions = virtual_functions_of(reader, vm_facts.taken, vm_facts.topology);
    vm_facts.behind = behind_controllers(reader, vm_facts.taken, vm_facts.topology);
    vm_facts.cards = find_cards(vm_facts.topology, functions);
    vm_facts.config_space_writable = locked_down(reader) != true;
}

// Every function of the host, for lines to name; a guest without lines does not ask for them.
std::vector<PciAddress> functions_to_name(const SysReader& reader, const GuestConfig& config)
{
    if (config.is_template || config.hostpci.empty()) return {};
    return list_functions(reader);
}

VmFacts read_named_among(const SysReader& reader, const Request& request, const VmFile& vm,
                         const std::vector<PciAddress>& all)
{
    VmFacts vm_facts;
    vm_facts.request = request;
    vm_facts.vm = vm;
    for (const auto& warning : vm.config.warnings) vm_facts.warnings.push_back(warning.in(vm.path));
    if (vm.config.is_template || vm.config.hostpci.empty()) return vm_facts;
    auto named = read_named_devices(reader, vm.config, all);
    vm_facts.devices = std::move(named.devices);
    append(vm_facts.warnings, named.warnings);
    return vm_facts;
}

// A card's own bridges get their numbers back with the card.
std::optional<Function> find_lost_bridge(const SysReader& reader, const VmFacts& vm_facts)
{
    for (const auto& card : vm_facts.cards) {
        if (!card.port) continue;
        const auto& port = vm_facts.topology.at(*card.port);
        if (has_lost_its_numbers(port)) return port;
        for (const auto& above : port.above)
            if (has_lost_its_numbers(vm_facts.topology.at(above))) return vm_facts.topology.at(above);
    }
    for (const auto& card : vm_facts.lost_cards)
        if (auto bridge = lost_bridge_above(reader, card.port)) return bridge;
    return std::nullopt;
}

VmFacts read_vm_facts_with(const SysReader& reader, const Request& request, const VmFile& vm,
                           const std::vector<PciAddress>& all)
{
    auto vm_facts = read_named_among(reader, request, vm, all);
    if (vm_facts.devices.empty()) return vm_facts;
    read_surroundings(reader, vm_facts, request.vmid);
    vm_facts.absent = why_absent(reader, vm_facts.devices, all);
    vm_facts.search = find_lost(reader, vm_facts.devices, all);
    if (!vm_facts.search.empty()) vm_facts.lost_cards = find_lost_cards(reader, vm_facts.devices, request);
    vm_facts.lost_bridge = find_lost_bridge(reader, vm_facts);
    if (!vm_facts.nothing_to_do()) vm_facts.writers = find_pci_writers(reader);
    return vm_facts;
}

bool is_gpu_class(const SysReader& reader, const PciAddress& address)
{
    const auto text = reader.read(paths::function(address, "class")).value_or("");
    return text.starts_with("0x03") || text.starts_with("0x12");
}

} // namespace

VmFacts read_named(const SysReader& reader, const Request& request, const VmFile& vm)
{
    return read_named_among(reader, request, vm, functions_to_name(reader, vm.config));
}

bool may_have_a_gpu(const SysReader& reader, const VmFacts& named)
{
    const auto functions = whole_functions(named.devices, true);
    return !missing_functions(named.devices).empty() ||
           std::ranges::any_of(functions,
                               [&](const PciAddress& address) { return is_gpu_class(reader, address); });
}

VmFacts read_vm_facts(const SysReader& reader, const Request& request, const VmFile& vm)
{
    // What is found or removed by somebody else in between is missing in one part and there in another.
    constexpr unsigned most_times = 4;
    for (unsigned time = 1;; ++time) {
        const auto all = functions_to_name(reader, vm.config);
        auto vm_facts = read_vm_facts_with(reader, request, vm, all);
        if (vm_facts.devices.empty() || time == most_times || list_functions(reader) == all) return vm_facts;
    }
}

VmFacts read_vm_facts_of(const SysReader& reader, const Request& request,
                         const std::vector<PciAddress>& functions)
{
    VmFacts vm_facts;
    vm_facts.request = request;
    PassedDevice given;
    given.key = "the last start";
    given.keep_driver = given.on_vfio = true; // whichever of vfio's has them
    given.alternatives.push_back({functions, {}, std::nullopt});
    vm_facts.devices.push_back(std::move(given));
    read_surroundings(reader, vm_facts, std::nullopt);
    vm_facts.writers = find_pci_writers(reader);
    return vm_facts;
}

} // namespace pvegpu
