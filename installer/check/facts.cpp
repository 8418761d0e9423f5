#include "check/facts.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/guest_args.hpp"
#include "check/quiet_reader.hpp"
#include "host/module_aliases.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"

#include <algorithm>
#include <bit>
#include <charconv>

namespace pvegpu {
namespace {

std::string line_of(const SysReader& reader, const PciAddress& address, std::string_view attribute)
{
    return trim(reader.read(paths::function(address, attribute)).value_or(""));
}

// "TOTAL_ERR_FATAL 2" in the text of aer_dev_fatal.
std::optional<std::uint64_t> total_in(const SysReader& reader, const PciAddress& address,
                                      const std::string& severity)
{
    const auto text = reader.read(paths::function(address, "aer_dev_" + severity)).value_or("");
    for (LineReader lines(text); lines.next();)
        if (const auto pair = split_once(lines.line(), ' '); pair && pair->first.starts_with("TOTAL_ERR_"))
            return parse_decimal(trim(pair->second));
    return std::nullopt;
}

std::optional<AerCounts> read_errors(const SysReader& reader, const PciAddress& address)
{
    const auto fatal = total_in(reader, address, "fatal");
    const auto nonfatal = total_in(reader, address, "nonfatal");
    const auto correctable = total_in(reader, address, "correctable");
    if (!fatal || !nonfatal || !correctable) return std::nullopt;
    return AerCounts{*fatal, *nonfatal, *correctable};
}

// A bitmap: bit N stands for 2^N MiB (the kernel's Documentation/ABI/testing/sysfs-bus-pci).
std::uint64_t largest_size(std::string_view bitmap)
{
    std::uint64_t bits = 0;
    std::from_chars(bitmap.data(), bitmap.data() + bitmap.size(), bits, 16);
    constexpr std::uint64_t mebibyte = 1U << 20U;
    return bits == 0 || std::bit_width(bits) > 40 ? 0 : mebibyte << (std::bit_width(bits) - 1U);
}

std::map<unsigned, std::uint64_t> read_largest_bars(const SysReader& reader, const PciAddress& address)
{
    constexpr unsigned bar_count = 6;
    std::map<unsigned, std::uint64_t> largest;
    for (unsigned index = 0; index < bar_count; ++index) {
        const auto sizes = line_of(reader, address, "resource" + std::to_string(index) + "_resize");
        if (const auto bytes = largest_size(sizes); bytes != 0) largest[index] = bytes;
    }
    return largest;
}

// The kernel writes 255 and 0 where it cannot tell.
unsigned width_in(const std::string& text)
{
    constexpr unsigned widest = 32;
    const auto width = parse_decimal(text).value_or(0);
    return width <= widest ? width : 0;
}

// From Linux 6.8 on NVIDIA's driver has no mediated devices: each virtual function has a file of its own
// (is_mdev and get_mdev_types in pve-common's SysFSTools.pm).
std::string vgpu_types_of(const SysReader& reader, const PciAddress& address)
{
    for (const auto* file :
         {"mdev_supported_types", "nvidia/creatable_vgpu_types", "virtfn0/nvidia/creatable_vgpu_types"})
        if (reader.exists(paths::function(address, file))) return file;
    return "";
}

FunctionState read_function_state(const SysReader& reader, const PciAddress& address, bool asleep)
{
    const auto text = [&](std::string_view attribute) { return line_of(reader, address, attribute); };
    FunctionState state;
    state.power_state = text("power_state");
    state.asleep = asleep;
    state.width = width_in(text("current_link_width"));
    state.max_width = width_in(text("max_link_width"));
    state.speed = text("current_link_speed");
    state.errors = read_errors(reader, address);
    state.numa_node = parse_decimal(text("numa_node")); // -1: none
    state.largest_bar = read_largest_bars(reader, address);
    state.vgpu_types = vgpu_types_of(reader, address);
    return state;
}

void add_gpus(CheckFacts& facts)
{
    std::vector<PciAddress> gpus;
    for (const auto& [address, function] : facts.topology.functions)
        if (is_gpu(function)) gpus.push_back(address);
    const auto cards = find_cards(facts.topology, gpus);
    for (const auto& address : gpus) {
        const auto* card = find_where(cards, [&](const Card& one) { return one.has(address); });
        if (card == nullptr) continue;
        GpuFacts gpu{address, *card, {}};
        std::vector<unsigned> templates; // what their clones will need counts while there is none
        for (const auto& guest : facts.survey.guests) {
            if (!guest.keys.contains(address)) continue;
            (guest.config.is_template ? templates : gpu.vmids).push_back(guest.id.vmid);
            gpu.running = gpu.running || facts.running_vms.contains(guest.id.vmid);
        }
        if (gpu.vmids.empty()) gpu.vmids = std::move(templates);
        facts.gpus.push_back(std::move(gpu));
    }
}

void add_named(const SysReader& reader, const std::vector<PciAddress>& all, CheckFacts& facts)
{
    for (const auto& guest : facts.survey.guests) {
        if (guest.config.hostpci.empty()) continue;
        try {
            NamedByVm named{read_named_devices(reader, guest.config, all).devices, {}, {}};
            named.mismatches = mapping_mismatches(reader, named.devices, facts.topology);
            named.absent = why_absent(reader, named.devices, all);
            facts.named[guest.id.vmid] = std::move(named);
        } catch (const Error&) { // 'guest.config' says why
        }
    }
}

// Of the cards, and of every bridge above them.
void add_states(const QuietReader& reader, CheckFacts& facts)
{
    const auto add = [&](const PciAddress& address) {
        if (!facts.states.contains(address))
            facts.states[address] = read_function_state(reader, address, reader.asleep(address));
    };
    for (const auto& gpu : facts.gpus) {
        for (const auto& address : gpu.card.functions) add(address);
        for (const auto& address : gpu.card.switches) add(address);
        for (const auto& address : facts.function(gpu).above) add(address);
    }
}

// Those in a GPU's group that are on no card.
void add_neighbours(const SysReader& reader, CheckFacts& facts)
{
    std::set<PciAddress> seen;
    std::vector<Function> neighbours;
    for (const auto& gpu : facts.gpus)
        for (const auto& member : facts.function(gpu).group_members) {
            const auto* function = facts.topology.find(member);
            if (function == nullptr || function->bridge || facts.gpu_with(member) != nullptr) continue;
            if (seen.insert(member).second) neighbours.push_back(*function);
        }
    facts.neighbours_in_use = find_holders(reader, neighbours, std::nullopt);
}

void add_native_modules(const SysReader& reader, CheckFacts& facts)
{
    std::vector<Function> gpus;
    gpus.reserve(facts.gpus.size());
    for (const auto& gpu : facts.gpus) gpus.push_back(facts.function(gpu));
    const auto aliases = reader.read(paths::module_aliases(facts.host.kernel)).value_or("");
    const auto modules = modules_of(aliases, gpus);
    for (std::size_t i = 0; i < gpus.size(); ++i) facts.native_modules[gpus[i].address] = modules[i];
}

void add_names(const SysReader& reader, CheckFacts& facts)
{
    std::set<PciAddress> in_groups; // of GPUs
    for (const auto& gpu : facts.gpus)
        in_groups.insert(facts.function(gpu).group_members.begin(), facts.function(gpu).group_members.end());
    std::vector<const Function*> shown;
    for (const auto& [address, function] : facts.topology.functions)
        if (!function.bridge && (facts.gpu_with(address) != nullptr || in_groups.contains(address) ||
                                 !facts.named_by(address).empty()))
            shown.push_back(&function);
    facts.names = device_names(reader, shown);
}

} // namespace

const FunctionState& CheckFacts::state(const PciAddress& address) const
{
    static const FunctionState nothing;
    const auto found = states.find(address);
    return found == states.end() ? nothing : found->second;
}

const GpuFacts* CheckFacts::gpu_with(const PciAddress& address) const
{
    return find_where(gpus, [&](const GpuFacts& gpu) {
        return gpu.card.has(address) || gpu.card.port == address || contains(gpu.card.switches, address);
    });
}

const GpuFacts* CheckFacts::first_gpu_of(unsigned vmid) const
{
    return find_where(gpus, [&](const GpuFacts& gpu) { return contains(gpu.vmids, vmid); });
}

std::vector<unsigned> CheckFacts::meant(const std::vector<unsigned>& vmids) const
{
    std::vector<unsigned> both;
    std::ranges::copy_if(vmids, std::back_inserter(both),
                         [&](unsigned vmid) { return contains(asked, vmid); });
    return both.empty() ? vmids : both;
}

bool CheckFacts::has_hook(unsigned vmid) const
{
    const auto* guest = survey.find(vmid);
    return guest != nullptr && guest->attached;
}

bool CheckFacts::is_template(unsigned vmid) const
{
    const auto* guest = survey.find(vmid);
    return guest != nullptr && guest->config.is_template;
}

bool CheckFacts::is_elsewhere(unsigned vmid) const
{
    const auto* guest = survey.find(vmid);
    return guest == nullptr || !guest->other_node.empty();
}

std::optional<unsigned> CheckFacts::advised(const std::vector<unsigned>& vmids) const
{
    auto candidates = meant(vmids);
    if (candidates.empty()) return std::nullopt;
    std::stable_partition(candidates.begin(), candidates.end(),
                          [&](unsigned vmid) { return !is_template(vmid); });
    const auto* without = find_where(candidates, [&](unsigned vmid) {
        const auto* guest = survey.find(vmid);
        return guest != nullptr && !guest->attached && !guest->config.is_template;
    });
    return without != nullptr ? *without : candidates.front();
}

std::vector<unsigned> CheckFacts::named_by(const PciAddress& address) const
{
    std::vector<unsigned> vmids;
    const auto name = to_string(address);
    for (const auto& guest : survey.guests) {
        const auto names = [&](const HostPci& line) {
            return std::ranges::any_of(line.hosts, [&](const auto& host) { return host.matches(name); });
        };
        if (guest.is_given_devices() &&
            (guest.keys.contains(address) || std::ranges::any_of(guest.config.hostpci, names) ||
             contains(passed_by_args(guest.config.setting("args")), address)))
            vmids.push_back(guest.id.vmid);
    }
    return vmids;
}

bool CheckFacts::is_passed(const PciAddress& address) const
{
    return std::ranges::any_of(survey.guests,
                               [&](const auto& guest) { return guest.keys.contains(address); });
}

CheckFacts read_check_facts(const SysReader& machine, const GuestEntry* visiting)
{
    const QuietReader reader(machine);
    CheckFacts facts;
    facts.host = read_machine(reader);
    read_host_facts(reader, facts);
    try {
        facts.settings = read_settings(reader); // wrong ones the hook refuses too
        read_guest_facts(reader, visiting, facts);
    } catch (const Error& error) {
        facts.pve_problem = error.what();
    }
    const auto all = list_functions(reader);
    facts.topology = read_topology(reader, all, driver_answers_within);
    add_named(reader, all, facts);
    add_gpus(facts);
    add_names(reader, facts);
    add_states(reader, facts);
    add_neighbours(reader, facts);
    add_native_modules(reader, facts);
    read_container_facts(reader, facts);
    return facts;
}

} // namespace pvegpu
