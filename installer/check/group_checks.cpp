// What is around the card: companions, twins, IOMMU group, virtual functions.
#include "check/findings.hpp"

#include "base/lists.hpp"

namespace pvegpu {
namespace {

using Addresses = std::vector<PciAddress>;

std::string kind_of(const Function& function)
{
    switch (function.class_code >> 16U) {
    case 0x01:
        return "a disk controller";
    case 0x02:
        return "a network card";
    case 0x03:
    case 0x12:
        return "another GPU";
    case 0x04:
        return "an audio device";
    case 0x0c:
        return "a USB or serial bus controller";
    default:
        return "a device of class 0x" + to_hex(function.class_code, 6);
    }
}

// --- how a guest is passed more of a card ---

// Whether the line, written with the slot alone, takes what it takes now and these functions, and no more.
bool takes_whole_slot(const CheckFacts& facts, const SurveyedGuest& guest, const HostPci& line,
                      const PciAddress& gpu, const Addresses& left)
{
    const auto slot = facts.topology.on_slot_of(facts.topology.at(gpu));
    return std::ranges::all_of(slot,
                               [&](const Function* function) {
                                   const auto key = guest.keys.find(function->address);
                                   return contains(left, function->address) ||
                                          (key != guest.keys.end() && key->second == line.key());
                               }) &&
           std::ranges::all_of(line.hosts, [&](const HostSelector& host) {
               return std::ranges::any_of(
                   slot, [&](const auto* function) { return host.matches(to_string(function->address)); });
           });
}

// The GPU's own line with the functions of its slot too. All else that it says stays.
std::string with_the_slot(const CheckFacts& facts, const SurveyedGuest& guest, const HostPci& line,
                          const PciAddress& gpu, const Addresses& left)
{
    std::vector<std::string> hosts;
    if (takes_whole_slot(facts, guest, line, gpu, left)) {
        const auto address = to_string(gpu);
        hosts.push_back(address.substr(0, address.find('.')));
    } else {
        for (const auto& host : line.hosts) hosts.push_back(host.text);
        for (const auto& address : left) hosts.push_back(to_string(address));
    }
    return set_hosts(guest.id.vmid, line, hosts);
}

// A line of its own for each; behind the others if there is room, so that the guest's order stays.
std::vector<std::string> with_new_lines(const SurveyedGuest& guest, const Addresses& left)
{
    std::vector<bool> taken(max_hostpci);
    for (const auto& line : guest.config.hostpci) taken.at(line.index) = true;
    const bool q35 = guest.config.setting("machine").find("q35") != std::string::npos;
    std::vector<std::string> commands;
    auto next = guest.config.hostpci.back().index;
    for (const auto& address : left) {
        if (!contains(taken, false)) break;
        while (taken.at(next)) next = (next + 1) % max_hostpci;
        taken.at(next) = true;
        commands.push_back(guest.id.set_command("--hostpci" + std::to_string(next) + " " +
                                                to_string(address) + (q35 ? ",pcie=1" : "")));
    }
    return commands;
}

Remedy pass_them(const CheckFacts& facts, const SurveyedGuest& guest, const PciAddress& gpu,
                 const Addresses& left)
{
    const auto& line = *find_where(guest.config.hostpci, [&](const HostPci& one) { // it is passed
        return one.key() == guest.keys.at(gpu);
    });
    if (line.mapping) return {"add it to the resource mapping: Datacenter > Resource Mappings"};
    Addresses of_slot, others;
    for (const auto& address : left) (same_slot(address, gpu) ? of_slot : others).push_back(address);
    auto commands = with_new_lines(guest, others);
    const bool all = commands.size() == others.size();
    if (!of_slot.empty()) commands.insert(commands.begin(), with_the_slot(facts, guest, line, gpu, of_slot));
    return by_command(join(commands, "; "),
                      all ? ""
                          : "the VM has no 'hostpci' line left: name several functions in one, with ';'");
}

// --- the checks ---

std::string named_list(const CheckFacts& facts, const Addresses& addresses)
{
    std::vector<std::string> names;
    names.reserve(addresses.size());
    for (const auto& address : addresses) names.push_back(named(facts.topology.at(address)));
    return join(names, ", ");
}

// Of guests that are not passed the GPU themselves.
std::vector<unsigned> others_with(const CheckFacts& facts, const GpuFacts& gpu, const PciAddress& address)
{
    std::vector<unsigned> vmids;
    for (const auto& guest : facts.survey.guests)
        if (guest.keys.contains(address) && !guest.config.is_template && !guest.keys.contains(gpu.address))
            vmids.push_back(guest.id.vmid);
    return vmids;
}

// Functions of the card that this guest has not.
Finding half_of(const CheckFacts& facts, const GpuFacts& gpu, const SurveyedGuest& guest,
                const Addresses& left)
{
    Finding finding{Verdict::warning,
                    named_list(facts, left) + " is on the card, and no 'hostpci' line of " + guest.id.name() +
                        " names it",
                    pass_them(facts, guest, gpu.address, left)};
    for (const auto& address : left) {
        const auto others = others_with(facts, gpu, address);
        if (others.empty()) continue;
        finding.evidence += "; " + vms_in_words(others) + " is passed " + quote(to_string(address));
        finding.remedy.words = "first take it out of the other VM's 'hostpci' lines: half a card can neither "
                               "be reset nor run beside the other half";
        append(finding.guests, others);
    }
    return finding;
}

// Where nobody resets the card as a whole, nothing but the GPU has to be passed; the rest may be the host's
// own: an APU's slot has its security processor and USB controllers.
Findings card_companions(const CheckFacts& facts, const GpuFacts& gpu)
{
    if (facts.function(gpu).virtual_function) return {};
    if (!gpu.card.port)
        return {{Verdict::ok, "its card is not reset as a whole: " + gpu.card.left_alone_because}};
    for (const auto vmid : gpu.vmids) {
        const auto& guest = *facts.survey.find(vmid); // it is passed the GPU
        auto left = gpu.card.functions;
        std::erase_if(left, [&](const auto& address) { return guest.keys.contains(address); });
        if (!left.empty()) return {half_of(facts, gpu, guest, left)};
    }
    return {{Verdict::ok, "'hostpci' lines name every function of the card"}};
}

Finding card_twins(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto id = device_id(facts.function(gpu));
    for (const auto& other : facts.gpus)
        if (other.address != gpu.address && device_id(facts.function(other)) == id && !other.passed())
            return {Verdict::note, named(facts.function(other)) + " has the same ids and stays with the host",
                    by_command(install_for(gpu), "it binds by address; use no 'ids='", true)};
    return {Verdict::ok,
            std::string(paths::pci_functions) + " has no other GPU " + id + " that stays with the host"};
}

std::string use_of(const CheckFacts& facts, const PciAddress& address)
{
    const auto* holder =
        find_where(facts.neighbours_in_use, [&](const Holder& one) { return one.function == address; });
    return holder == nullptr ? "" : ", in use: " + describe(*holder);
}

// In the GPU's group, and neither on its card nor with its guests.
struct Neighbours {
    std::vector<std::string> of_host, of_others;
    std::vector<unsigned> others; // guests
    bool held = false;            // one of the host's
};

Neighbours neighbours_of(const CheckFacts& facts, const GpuFacts& gpu)
{
    Neighbours found;
    for (const auto& member : facts.function(gpu).group_members) {
        const auto* function = facts.topology.find(member);
        if (function == nullptr || function->bridge) continue;
        if (const auto others = others_with(facts, gpu, member); !others.empty()) {
            found.of_others.push_back(named(*function) + ", which " + vms_in_words(others) + " is passed");
            for (const auto vmid : others)
                if (!contains(found.others, vmid)) found.others.push_back(vmid);
        } else if (!(gpu.card.port && gpu.card.has(member)) && !facts.is_passed(member)) {
            const auto use = use_of(facts, member);
            found.held = found.held || !use.empty();
            found.of_host.push_back(named(*function) + ", " + kind_of(*function) + use);
        }
    }
    std::ranges::sort(found.others);
    return found;
}

// A group is one guest's at a time: vfio gives it to one process.
Finding group_isolation(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto& group = facts.function(gpu).iommu_group;
    if (!group)
        return {Verdict::error,
                gpu.file("iommu_group") + " is absent",
                {"see 'iommu.enabled'"},
                "without an IOMMU group vfio cannot give the card to a guest"};
    const auto members_file = paths::iommu_group_members(*group);
    const auto [of_host, of_others, others, held] = neighbours_of(facts, gpu);
    auto members = of_host;
    append(members, of_others);
    if (members.empty()) return {Verdict::ok, members_file + " has nothing of the host"};
    Finding finding{held ? Verdict::error : Verdict::warning,
                    members_file + " also has " + join(members, "; "),
                    {"put the card into another slot, or turn on 'ACS' in the firmware's setup; "
                     "'pcie_acs_override' only hides it, and then a guest can reach the host's memory"}};
    if (of_host.empty()) finding.why = "vfio gives a group to one VM at a time";
    if (others.empty()) return finding;
    finding.evidence += "; a group can be one guest's only, so " + vms_in_words(gpu.vmids) + " and " +
                        vms_in_words(others) + " cannot run at the same time";
    finding.remedy.words += "; or pass the whole group to one VM";
    finding.guests = others;
    return finding;
}

Finding card_sriov(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto existing = facts.function(gpu).virtual_functions;
    if (existing == 0) return {Verdict::ok, gpu.file("virtfn*") + " is absent"};
    return {Verdict::error,
            gpu.file("virtfn*") + ": it is passed itself and has " + counted(existing, "virtual function"),
            by_command("echo 0 > " + gpu.file("sriov_numvfs"),
                       "this gives them up; or pass a virtual function instead")};
}

} // namespace

std::vector<Check> group_checks()
{
    return {
        {"card.companions", "all of the card is passed", "functions of the card that are not passed",
         "a host driver on half of the card keeps it busy, and then it cannot be reset",
         each_passed_gpu<card_companions>},
        {"card.twins", "no GPU of the host has the card's ids", "GPUs of the host with the same ids",
         "whatever goes by ids takes the host's card too", each_passed_gpu<card_twins>},
        {"group.isolation", "the card has an IOMMU group of its own",
         "other devices in the GPU's IOMMU group",
         "Proxmox takes the whole group from the host, disks and network cards with it",
         each_passed_gpu<group_isolation>},
        {"card.sriov", "the card has no virtual functions",
         "virtual functions of a card that is passed itself",
         "they vanish when their parent is taken away, under the guests that have them",
         each_passed_gpu<card_sriov>},
    };
}

} // namespace pvegpu
