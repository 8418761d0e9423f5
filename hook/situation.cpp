#include "situation.hpp"

#include "error.hpp"
#include "paths.hpp"
#include "read_pve_file.hpp"
#include "read_topology.hpp"
#include "text.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

// A configuration read that wakes a sleeping device takes up to a second; one of a dead device a minute.
constexpr Milliseconds config_space_answers_within{5'000};

// It becomes part of a path, and came from the environment.
void check_node_name(const std::string& node)
{
    const bool good = !node.empty() && std::all_of(node.begin(), node.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!good)
        throw Error(Reason::invalid_config, "PVE_MIGRATED_FROM is not the name of a node: " + quote(node));
}

struct GuestFiles {
    std::string vm, ct;
};

GuestFiles files_of(const Request& request)
{
    const auto& [vmid, phase, node] = request;
    if (node.empty()) return {paths::vm_config(vmid), paths::ct_config(vmid)};
    check_node_name(node);
    return {paths::vm_config_on(node, vmid), paths::ct_config_on(node, vmid)};
}

Error no_such_guest(const Request& request)
{
    const auto [vm, ct] = files_of(request);
    return {Reason::not_found, "there is no guest " + std::to_string(request.vmid) +
                                   " on this node; looked for '" + vm + "' and '" + ct + "'"};
}

std::string read_guest(const SysReader& reader, Situation& situation)
{
    const auto [vm, ct] = files_of(situation.request);
    if (auto text = read_pve_file(reader, vm)) return std::move(*text);
    situation.guest = GuestKind::container;
    if (auto text = read_pve_file(reader, ct)) return std::move(*text);
    throw no_such_guest(situation.request);
}

// As Proxmox's nodename(): the host name up to the first dot.
std::string node_name(const SysReader& reader)
{
    const auto name = reader.read(std::string(paths::host_name)).value_or("");
    return name.substr(0, name.find_first_of(".\n"));
}

PciMappings read_mappings(const SysReader& reader, const GuestConfig& config)
{
    const bool needed = std::any_of(config.hostpci.begin(), config.hostpci.end(),
                                    [](const HostPci& line) { return line.mapping.has_value(); });
    if (!needed) return {};
    return parse_pci_mappings(read_pve_file(reader, paths::pve_pci_mappings).value_or(""));
}

void collect_warnings(const std::vector<ConfigWarning>& from, const std::string& file,
                      std::vector<std::string>& to)
{
    for (const auto& warning : from)
        to.push_back(file + ":" + std::to_string(warning.line) + ": " + warning.text);
}

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

std::vector<PciAddress> whole_functions(const std::vector<PassedDevice>& devices, bool every_alternative)
{
    std::vector<PciAddress> result;
    for (const auto& device : devices) {
        if (!device.passed_whole()) continue;
        for (const auto& one : device.alternatives)
            if (every_alternative || &one == &device.taken())
                result.insert(result.end(), one.functions.begin(), one.functions.end());
    }
    return result;
}

// The devices to ask about: everything that may be taken, with everything on the cards.
std::vector<const Function*> watched(const Topology& topology, const std::vector<PciAddress>& functions)
{
    auto addresses = taken_by(functions, topology);
    for (const auto& card : find_cards(topology, functions))
        addresses.insert(card.functions.begin(), card.functions.end());
    std::vector<const Function*> result;
    result.reserve(addresses.size());
    for (const auto& address : addresses) result.push_back(&topology.at(address));
    return result;
}

// What makes Proxmox pass an alternative over (reserve_pci_usage in qemu-server's PCI.pm): another VM's
// reservation of one of its own functions, whoever else has it open. Our claims are reservations to be.
bool is_spoken_for(const std::vector<Holder>& holders, const std::vector<PciAddress>& functions)
{
    return std::any_of(holders.begin(), holders.end(), [&](const Holder& holder) {
        return (holder.kind == Holder::Kind::reservation || holder.kind == Holder::Kind::claim) &&
               std::find(functions.begin(), functions.end(), holder.function) != functions.end();
    });
}

void choose(Situation& situation)
{
    choose_alternatives(situation.devices, [&](const std::vector<PciAddress>& functions) {
        return !is_spoken_for(situation.holders, functions);
    });
}

// A path of a mapping as Proxmox looks at it: function 0 where it names a whole slot.
std::optional<PciAddress> first_function(const std::string& path)
{
    return parse_pci_address(path.find('.') == std::string::npos ? path + ".0" : path);
}

void check_mapping(const PassedDevice& device, const MappedDevice& mapped, Situation& situation)
{
    for (std::size_t index = 0; index < mapped.paths.size(); ++index) {
        const auto address = first_function(mapped.paths[index].text);
        const auto* function = address ? situation.topology.find(*address) : nullptr;
        if (function == nullptr) continue; // it is missing, which is another matter
        // On vfio-pci, where it will be when Proxmox looks, nothing offers mediated devices.
        const MappedFacts facts{device_id(*function), subsystem_id(*function), function->iommu_group,
                                std::nullopt};
        if (const auto reason = mapping_mismatch(mapped, facts, index))
            situation.mapping_mismatches.push_back("mapping '" + device.mapping.value_or("") +
                                                   "': " + *reason);
    }
}

// assert_valid in pve-guest-common's Mapping/PCI.pm: Proxmox checks every alternative before it chooses one.
void check_mappings(Situation& situation)
{
    for (const auto& device : situation.devices)
        for (const auto& one : device.alternatives)
            if (one.mapped) check_mapping(device, *one.mapped, situation);
}

// The one bridge without anything below it whose bus range holds the number: nothing else can have lost it.
std::optional<PciBus> empty_bus_for(const SysReader& reader, const std::string& name,
                                    const std::vector<PciAddress>& all)
{
    const auto wanted = first_function(name);
    if (!wanted) return std::nullopt;
    std::optional<PciBus> found;
    for (const auto& address : all) {
        if (address.domain != wanted->domain) continue;
        const auto bridge = read_function(reader, address);
        if (!bridge || !bridge->bridge || bridge->secondary_bus->bus > wanted->bus ||
            bridge->subordinate_bus < wanted->bus)
            continue;
        const bool empty = std::none_of(all.begin(), all.end(), [&](const PciAddress& other) {
            return other.domain == wanted->domain && other.bus >= bridge->secondary_bus->bus &&
                   other.bus <= bridge->subordinate_bus;
        });
        if (empty) found = bridge->secondary_bus;
    }
    return found;
}

// A function fell off the bus, or was removed by a run that was killed.
void look_for_missing(const SysReader& reader, Situation& situation, const std::vector<PciAddress>& all)
{
    std::set<PciBus> buses;
    for (const auto& device : situation.devices) {
        if (!device.passed_whole()) continue;
        for (const auto& selector : device.taken().missing) {
            const bool has_domain = selector.text.find(':') != selector.text.rfind(':');
            if (const auto bus =
                    empty_bus_for(reader, has_domain ? selector.text : "0000:" + selector.text, all))
                buses.insert(*bus);
        }
    }
    situation.search.assign(buses.begin(), buses.end());
}

// "none [integrity] confidentiality": anything but none forbids writing configuration space.
bool locked_down(const SysReader& reader)
{
    const auto text = reader.read(std::string(paths::kernel_lockdown)).value_or("");
    return text.find('[') != std::string::npos && text.find("[none]") == std::string::npos;
}

// Everything about the situation's devices.
void read_surroundings(const SysReader& reader, Situation& situation, unsigned own_vmid,
                       std::int64_t wall_clock)
{
    const auto candidates = whole_functions(situation.devices, true);
    situation.topology = read_topology(reader, candidates, config_space_answers_within);
    check_mappings(situation);
    situation.holders = find_holders(reader, watched(situation.topology, candidates), own_vmid, wall_clock);
    choose(situation);
    const auto functions = whole_functions(situation.devices, false);
    situation.taken = taken_by(functions, situation.topology);
    situation.cards = find_cards(situation.topology, functions);
    situation.config_space_writable = !locked_down(reader);
}

// As lspci of pve-common's SysFSTools.pm: since kernel 6.8 NVIDIA's driver makes vGPUs in files of its own.
bool makes_nvidia_vgpus(const SysReader& reader, const PciAddress& function)
{
    return !reader.exists(paths::function(function, "mdev_supported_types")) &&
           reader.exists(paths::function(function, "nvidia"));
}

// parse_hostpci in qemu-server's PCI.pm: one alternative of that kind makes it of that kind.
bool is_nvidia_vgpu(const SysReader& reader, const PassedDevice& device)
{
    constexpr std::string_view prefix = "nvidia-";
    const auto type = std::string_view(*device.mdev);
    if (!type.starts_with(prefix) || type.size() == prefix.size() ||
        !consists_of(type.substr(prefix.size()), is_digit))
        return false;
    return std::any_of(device.alternatives.begin(), device.alternatives.end(), [&](const Alternative& one) {
        return one.functions.size() == 1 && makes_nvidia_vgpus(reader, one.functions.front());
    });
}

// Proxmox looks at every alternative of a mapping before it chooses one (parse_hostpci in qemu-server's
// PCI.pm), and starts no guest while one is not there: what one lacks, all of them lack.
void share_what_is_missing(PassedDevice& device)
{
    std::vector<HostSelector> missing;
    for (const auto& one : device.alternatives)
        missing.insert(missing.end(), one.missing.begin(), one.missing.end());
    for (auto& one : device.alternatives) one.missing = missing;
}

// The guest's lines and what they name; true if there are any that matter.
bool read_named_devices(const SysReader& reader, Situation& situation, const std::vector<PciAddress>& all)
{
    const auto mappings = read_mappings(reader, situation.config);
    collect_warnings(mappings.warnings, std::string(paths::pve_pci_mappings), situation.warnings);
    situation.devices = resolve_hostpci(situation.config, mappings, node_name(reader), all);
    for (auto& device : situation.devices) {
        device.nvidia_vgpu = device.mdev && is_nvidia_vgpu(reader, device);
        share_what_is_missing(device);
    }
    return !situation.devices.empty();
}

bool read_config(const SysReader& reader, Situation& situation)
{
    const auto text = read_guest(reader, situation);
    if (situation.guest == GuestKind::container) {
        situation.container = parse_lxc_config(text);
        situation.wanted = wanted_nodes(situation.container);
        if (!situation.wanted.empty())
            collect_warnings(situation.container.warnings, paths::ct_config(situation.request.vmid),
                             situation.warnings);
        return false;
    }
    situation.config = parse_guest_config(text);
    collect_warnings(situation.config.warnings, paths::vm_config(situation.request.vmid), situation.warnings);
    return !situation.config.is_template && !situation.config.hostpci.empty();
}

bool is_gpu_class(const SysReader& reader, const PciAddress& address)
{
    const auto text = reader.read(paths::function(address, "class")).value_or("");
    return text.starts_with("0x03") || text.starts_with("0x12");
}

} // namespace

bool may_have_a_gpu(const SysReader& reader, Situation& situation)
{
    if (!read_config(reader, situation)) return false;
    if (!read_named_devices(reader, situation, list_functions(reader))) return false;
    const auto functions = whole_functions(situation.devices, true);
    return std::any_of(situation.devices.begin(), situation.devices.end(),
                       [](const PassedDevice& device) {
                           return device.passed_whole() && !device.taken().missing.empty();
                       }) ||
           std::any_of(functions.begin(), functions.end(),
                       [&](const PciAddress& address) { return is_gpu_class(reader, address); });
}

Situation read_situation(const SysReader& reader, const Request& request, std::int64_t wall_clock)
{
    Situation situation;
    situation.request = request;
    if (!read_config(reader, situation)) return situation;
    const auto all = list_functions(reader);
    read_named_devices(reader, situation, all);
    read_surroundings(reader, situation, request.vmid, wall_clock);
    look_for_missing(reader, situation, all);
    if (!situation.nothing_to_do()) situation.writers = find_pci_writers(reader);
    return situation;
}

Situation read_situation_of(const SysReader& reader, const Request& request,
                            const std::vector<PciAddress>& functions, std::int64_t wall_clock)
{
    constexpr unsigned nobody = 0;
    Situation situation;
    situation.request = request;
    Alternative given;
    given.functions = functions;
    situation.devices.push_back({"the last start", std::nullopt, std::nullopt, false, {std::move(given)}, 0});
    read_surroundings(reader, situation, nobody, wall_clock);
    situation.writers = find_pci_writers(reader);
    return situation;
}

GuestKind kind_of_guest(const SysReader& reader, const Request& request, Milliseconds answers_within)
{
    const auto [vm, ct] = files_of(request);
    const auto as_vm = reader.read_within(vm, 1, answers_within);
    if (as_vm.done()) return GuestKind::vm;
    if (as_vm.still_running()) return GuestKind::unknown;
    const auto as_ct = reader.read_within(ct, 1, answers_within);
    if (as_ct.done()) return GuestKind::container;
    if (as_vm.error_number != ENOENT || as_ct.error_number != ENOENT) return GuestKind::unknown;
    throw no_such_guest(request);
}

std::string name_for_log(const SysReader& reader, const Request& request)
{
    // A word in the journal is worth no more; the run itself waits longer, and says what is wrong.
    constexpr Milliseconds answers_within{2'000};
    const auto number = std::to_string(request.vmid);
    try {
        const auto kind = kind_of_guest(reader, request, answers_within);
        if (kind == GuestKind::vm) return "VM " + number;
        if (kind == GuestKind::container) return "CT " + number;
    } catch (const Error&) { // the run itself says so
    }
    return "guest " + number;
}

} // namespace pvegpu
