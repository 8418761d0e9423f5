#include "check/more_of_a_card.hpp"

#include "base/lists.hpp"
#include "check/findings.hpp"
#include "check/guest_args.hpp"

namespace pvegpu {
namespace {

using Addresses = std::vector<PciAddress>;

// A line of its own for each; behind the others if there is room, so that the guest's order stays. Never part
// of the GPU's line: with several functions in it QEMU's device is called 'hostpci0.0' and no longer
// 'hostpci0' (print_hostpci_devices in PCI.pm), and what 'args' says of that one keeps the VM from starting.
std::vector<std::string> with_new_lines(const SurveyedGuest& guest, const std::vector<std::string>& values)
{
    std::vector<bool> taken(max_hostpci);
    for (const auto& line : guest.config.hostpci) taken.at(line.index) = true;
    const bool q35 = guest.config.setting("machine").find("q35") != std::string::npos;
    std::vector<std::string> commands;
    auto next = guest.config.hostpci.back().index;
    for (const auto& value : values) {
        if (!contains(taken, false)) break;
        while (taken.at(next)) next = (next + 1) % max_hostpci;
        taken.at(next) = true;
        commands.push_back(
            guest.id.set_command("--hostpci" + std::to_string(next) + " " + value + (q35 ? ",pcie=1" : "")));
    }
    return commands;
}

// The mapping of its line takes them too. Proxmox compares the ids of every path of an entry with that
// entry's one 'id' (assert_valid in Mapping/PCI.pm), so a GPU and its audio are one entry only as a slot
// without a function; of that function 0 is compared.
std::optional<std::string> with_whole_slot(const CheckFacts& facts, const MappedDevice& mapped,
                                           const PciAddress& gpu, const Addresses& left)
{
    const auto name = to_string(gpu);
    if (gpu.function != 0 || mapped.paths.size() != 1 || mapped.paths.front().text != name)
        return std::nullopt;
    for (const auto* function : facts.topology.on_slot_of(facts.topology.at(gpu)))
        if (function->address != gpu && !contains(left, function->address)) return std::nullopt;
    if (std::ranges::any_of(left, [&](const auto& one) { return !same_slot(one, gpu); })) return std::nullopt;
    auto text = mapped.text;
    const auto path = "path=" + name;
    const auto at = text.find(path);
    if (at == std::string::npos) return std::nullopt;
    return text.replace(at, path.size(), path.substr(0, path.rfind('.')));
}

// Every entry of the mapping, that one by another text: 'pvesh set' replaces them all.
std::string set_mapping(const PciMapping& mapping, const MappedDevice& changed, const std::string& text)
{
    auto command = "pvesh set /cluster/mapping/pci/" + mapping.name;
    for (const auto& entry : mapping.devices)
        command += " --map " + shell_quoted(entry.line == changed.line ? text : entry.text);
    return command;
}

std::string new_mapping(const CheckFacts& facts, const std::string& name, const Function& function)
{
    auto entry = "id=" + device_id(function);
    if (function.iommu_group) entry += ",iommugroup=" + std::to_string(*function.iommu_group);
    entry += ",node=" + facts.host.cluster.node + ",path=" + to_string(function.address) +
             ",subsystem-id=" + subsystem_id(function);
    return "pvesh create /cluster/mapping/pci --id " + name + " --map " + shell_quoted(entry);
}

// A name that is free: "arc-audio", "arc-audio2".
std::string name_beside(const CheckFacts& facts, const std::string& name, unsigned number)
{
    auto wanted = name + "-more" + (number == 1 ? "" : std::to_string(number));
    return facts.mappings.find(wanted) == nullptr ? wanted : name_beside(facts, name, number + 1);
}

bool named_in_args(const SurveyedGuest& guest, const HostPci& line)
{
    return guest.config.setting("args").find("device." + line.key()) != std::string::npos;
}

// For Proxmox several entries of one node are alternatives, of which the guest gets one. So more of the card
// is the same entry, or a mapping and a line of its own.
Remedy map_them(const CheckFacts& facts, const SurveyedGuest& guest, const HostPci& line,
                const PciAddress& gpu, const Addresses& left)
{
    const auto* mapping = facts.mappings.find(*line.mapping);
    const auto& devices = devices_of(facts, guest);
    const auto* device = find_where(devices, [&](const PassedDevice& one) { return one.key == line.key(); });
    if (mapping == nullptr || device == nullptr) return {"see 'guest.mapping'"};
    for (const auto& alternative : device->alternatives)
        if (alternative.mapped && contains(alternative.functions, gpu) && !named_in_args(guest, line))
            if (const auto text = with_whole_slot(facts, *alternative.mapped, gpu, left))
                return by_command(set_mapping(*mapping, *alternative.mapped, *text),
                                  "one entry for the whole slot: a second entry of this node would be an "
                                  "alternative to the GPU");
    if (device->alternatives.size() > 1)
        return {"name one GPU in each resource mapping: of several Proxmox chooses one, and nothing chooses "
                "the rest of its card with it"};
    std::vector<std::string> commands, values;
    unsigned number = 1;
    for (const auto& address : left) {
        const auto name = name_beside(facts, mapping->name, number++);
        commands.push_back(new_mapping(facts, name, facts.topology.at(address)));
        values.push_back("mapping=" + name);
    }
    append(commands, with_new_lines(guest, values));
    return by_command(join(commands, "; "), "a mapping and a line of its own for each: a second entry in " +
                                                quote(mapping->name) + " would be an alternative to the GPU");
}

} // namespace

Remedy pass_them(const CheckFacts& facts, const SurveyedGuest& guest, const PciAddress& gpu,
                 const Addresses& left)
{
    const auto& line = *find_where(guest.config.hostpci, [&](const HostPci& one) { // it is passed
        return one.key() == guest.keys.at(gpu);
    });
    if (line.mapping) return map_them(facts, guest, line, gpu, left);
    std::vector<std::string> values;
    for (const auto& address : left) values.push_back(to_string(address));
    const auto commands = with_new_lines(guest, values);
    return by_command(join(commands, "; "),
                      commands.size() == left.size()
                          ? ""
                          : "the VM has no 'hostpci' line left: name several functions in one, with ';'; in "
                            "'args' its devices are then called 'hostpciN.0' and so on");
}

Remedy give_back(const SurveyedGuest& guest, const Card& card)
{
    std::vector<std::string> commands;
    for (const auto& line : guest.config.hostpci) {
        std::vector<std::string> others;
        bool of_card = false;
        for (const auto& [address, key] : guest.keys) {
            if (key != line.key()) continue;
            if (card.has(address))
                of_card = true;
            else
                others.push_back(to_string(address));
        }
        if (of_card && (others.empty() || line.mapping))
            commands.push_back(guest.id.set_command("--delete " + line.key()));
        else if (of_card)
            commands.push_back(set_hosts(guest.id.vmid, line, others));
    }
    return by_command(join(commands, "; "), "half a card can neither be reset nor run beside the other half: "
                                            "pass all of it to one VM");
}

} // namespace pvegpu
