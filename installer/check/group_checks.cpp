// What is around the card: companions, twins, IOMMU group, virtual functions.
#include "check/findings.hpp"

#include "base/lists.hpp"
#include "check/more_of_a_card.hpp"

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

std::string named_list(const CheckFacts& facts, const Addresses& addresses)
{
    std::vector<std::string> names;
    names.reserve(addresses.size());
    for (const auto& address : addresses) names.push_back(named(facts.names, facts.topology.at(address)));
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
        finding.evidence += "; " + vms_in_words(facts, others) + " is passed " + quote(to_string(address));
        finding.remedy.words = "first take it out of the other VM's 'hostpci' lines: half a card can neither "
                               "be reset nor run beside the other half";
        append(finding.guests, others);
        if (const auto* other = facts.survey.find(facts.meant(others).front());
            contains(facts.asked, other->id.vmid) && !contains(facts.asked, guest.id.vmid))
            finding.remedy = give_back(*other, gpu.card);
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
    for (const auto vmid : facts.meant(gpu.vmids)) {
        const auto& guest = *facts.survey.find(vmid); // it is passed the GPU
        auto left = gpu.card.functions;
        std::erase_if(left, [&](const auto& address) {
            return guest.keys.contains(address) || facts.topology.at(address).virtual_function;
        });
        if (!left.empty()) return {half_of(facts, gpu, guest, left)};
    }
    return {{Verdict::ok, "'hostpci' lines name every function of the card"}};
}

// With vfio-pci told by address nothing goes by ids, and there is nothing to do.
Finding card_twins(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto id = device_id(facts.function(gpu));
    for (const auto& other : facts.gpus) {
        if (other.address == gpu.address || facts.function(other).virtual_function ||
            device_id(facts.function(other)) != id || !facts.named_by(other.address).empty())
            continue;
        const auto evidence =
            named(facts.names, facts.function(other)) + " has the same ids and stays with the host";
        const auto ids = vfio_ids(facts.modprobe);
        const bool by_ids = std::ranges::any_of(ids, [&](const VfioId& one) { return one.id == id; });
        if (!by_ids && facts.has_hook(facts.advised(gpu.vmids).value()))
            return {Verdict::ok, evidence + "; nothing gives these ids to vfio-pci"};
        return {Verdict::note, evidence,
                by_command(install_for(facts, gpu.vmids), "it binds by address; use no 'ids='", true)};
    }
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
            found.of_others.push_back(named(facts.names, *function) + ", which " +
                                      vms_in_words(facts, others) + " is passed");
            for (const auto vmid : others)
                if (!contains(found.others, vmid)) found.others.push_back(vmid);
        } else if (!(gpu.card.port && gpu.card.has(member)) && !facts.is_passed(member)) {
            const auto use = use_of(facts, member);
            found.held = found.held || !use.empty();
            found.of_host.push_back(named(facts.names, *function) + ", " + kind_of(*function) + use);
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
    finding.evidence += "; a group can be one guest's only, so " + vms_in_words(facts, gpu.vmids) + " and " +
                        vms_in_words(facts, others) + " cannot run at the same time";
    finding.remedy.words += "; or pass the whole group to one VM";
    finding.guests = others;
    return finding;
}

Finding card_sriov(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto existing = facts.function(gpu).virtual_functions;
    if (existing == 0) return {Verdict::ok, gpu.file("virtfn*") + " is absent"};
    const auto evidence =
        gpu.file("virtfn*") + ": it is passed itself and has " + counted(existing, "virtual function");
    const auto start = facts.next_starts.find(facts.advised(gpu.vmids).value());
    if (start != facts.next_starts.end() && start->second && start->second->reason == ErrorKind::in_use)
        return {Verdict::error,
                evidence,
                {"pass a virtual function instead; they can be given up when nobody has one: 'guest.start' "
                 "says who"}};
    return {Verdict::error, evidence,
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
