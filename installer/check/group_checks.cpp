// What is around the card: companions, twins, IOMMU group, virtual functions.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using Addresses = std::vector<PciAddress>;

bool contains(const Addresses& list, const PciAddress& address)
{
    return std::find(list.begin(), list.end(), address) != list.end();
}

bool is_passed(const CheckFacts& facts, const PciAddress& address)
{
    return std::any_of(facts.survey.guests.begin(), facts.survey.guests.end(),
                       [&](const auto& guest) { return guest.keys.contains(address); });
}

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

const HostPci& line_of(const SurveyedGuest& guest, const std::string& key)
{
    const auto& lines = guest.config.hostpci;
    return *std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.key() == key; });
}

// Whether the line, written with the slot alone, takes what it takes now and these functions, and no more.
bool takes_whole_slot(const CheckFacts& facts, const SurveyedGuest& guest, const HostPci& line,
                      const PciAddress& gpu, const Addresses& left)
{
    const auto slot = facts.topology.on_slot_of(facts.topology.at(gpu));
    return std::all_of(slot.begin(), slot.end(),
                       [&](const Function* function) {
                           const auto key = guest.keys.find(function->address);
                           return contains(left, function->address) ||
                                  (key != guest.keys.end() && key->second == line.key());
                       }) &&
           std::all_of(line.hosts.begin(), line.hosts.end(), [&](const HostSelector& host) {
               return std::any_of(slot.begin(), slot.end(),
                                  [&](const auto* one) { return host.matches(to_string(one->address)); });
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
    return set_hosts(guest.vmid, line, hosts);
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
        if (std::find(taken.begin(), taken.end(), false) == taken.end()) break;
        while (taken.at(next)) next = (next + 1) % max_hostpci;
        taken.at(next) = true;
        commands.push_back(set_command(guest, "--hostpci" + std::to_string(next) + " " + to_string(address) +
                                                  (q35 ? ",pcie=1" : "")));
    }
    return commands;
}

Fix pass_them(const CheckFacts& facts, const SurveyedGuest& guest, const PciAddress& gpu,
              const Addresses& left)
{
    const auto& line = line_of(guest, guest.keys.at(gpu)); // it is passed, so there is such a line
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

std::string named_list(const CheckFacts& facts, const Addresses& addresses)
{
    std::vector<std::string> names;
    names.reserve(addresses.size());
    for (const auto& address : addresses) names.push_back(named(facts.topology.at(address)));
    return join(names, ", ");
}

// Of guests that are not passed the GPU themselves.
std::vector<unsigned> others_with(const CheckFacts& facts, const CardFacts& one, const PciAddress& address)
{
    std::vector<unsigned> vmids;
    for (const auto& guest : facts.survey.guests)
        if (guest.keys.contains(address) && !guest.config.is_template && !guest.keys.contains(one.gpu))
            vmids.push_back(guest.vmid);
    return vmids;
}

std::string vms_in_words(const std::vector<unsigned>& vmids)
{
    std::vector<std::string> names;
    names.reserve(vmids.size());
    for (const auto vmid : vmids) names.push_back("VM " + std::to_string(vmid));
    return join(names, " and ");
}

// Functions of the card that this guest has not.
Finding half_of(const CheckFacts& facts, const CardFacts& one, const SurveyedGuest& guest,
                const Addresses& left)
{
    auto evidence =
        named_list(facts, left) + " is on the card, and no 'hostpci' line of " + name_of(guest) + " names it";
    auto fix = pass_them(facts, guest, one.gpu, left);
    auto finding = about_card(one, Verdict::warning, "");
    for (const auto& address : left) {
        const auto others = others_with(facts, one, address);
        if (others.empty()) continue;
        evidence += "; " + vms_in_words(others) + " is passed " + quote(to_string(address));
        fix.text = "first take it out of the other VM's 'hostpci' lines: half a card can neither be reset "
                   "nor run beside the other half";
        finding.guests.insert(finding.guests.end(), others.begin(), others.end());
    }
    finding.evidence = evidence;
    finding.remedy = fix.text;
    finding.command = fix.command;
    return finding;
}

// Where nobody resets the card as a whole, nothing but the GPU has to be passed; the rest may be the host's
// own: an APU's slot has its security processor and USB controllers.
Finding companions_of(const CheckFacts& facts, const CardFacts& one)
{
    if (!one.card.port)
        return about_card(one, Verdict::ok,
                          "its card is not reset as a whole: " + one.card.left_alone_because);
    for (const auto vmid : one.vmids) {
        const auto& guest = *facts.survey.find(vmid); // it is passed the GPU
        Addresses left;
        for (const auto& address : one.card.functions)
            if (!guest.keys.contains(address)) left.push_back(address);
        if (!left.empty()) return half_of(facts, one, guest, left);
    }
    return about_card(one, Verdict::ok, "'hostpci' lines name every function of the card");
}

Finding twins_of(const CheckFacts& facts, const CardFacts& one)
{
    const auto& gpu = facts.gpu(one);
    for (const auto& other : facts.cards)
        if (other.gpu != one.gpu && device_id(facts.gpu(other)) == device_id(gpu) && !other.passed())
            return about_card(
                one, Verdict::note, named(facts.gpu(other)) + " has the same ids and stays with the host",
                by_command("pve-gpu-install --vm " + vm_of(one), "it binds by address; use no 'ids='", true));
    return about_card(one, Verdict::ok,
                      std::string(paths::pci_functions) + " has no other GPU " + device_id(gpu) +
                          " that stays with the host");
}

std::string use_of(const CheckFacts& facts, const PciAddress& address)
{
    for (const auto& holder : facts.neighbours_in_use)
        if (holder.function == address) return ", in use: " + describe(holder);
    return "";
}

// In the GPU's group, and neither on its card nor with its guests.
struct Neighbours {
    std::vector<std::string> of_host, of_others;
    std::vector<unsigned> others; // guests
    bool held = false;            // one of the host's
};

Neighbours neighbours_of(const CheckFacts& facts, const CardFacts& one)
{
    Neighbours found;
    for (const auto& member : facts.gpu(one).group_members) {
        const auto* function = facts.topology.find(member);
        if (function == nullptr || function->bridge) continue;
        if (const auto others = others_with(facts, one, member); !others.empty()) {
            found.of_others.push_back(named(*function) + ", which " + vms_in_words(others) + " is passed");
            found.others.insert(found.others.end(), others.begin(), others.end());
        } else if (!(one.card.port && one.card.has(member)) && !is_passed(facts, member)) {
            const auto use = use_of(facts, member);
            found.held = found.held || !use.empty();
            found.of_host.push_back(named(*function) + ", " + kind_of(*function) + use);
        }
    }
    std::sort(found.others.begin(), found.others.end());
    found.others.erase(std::unique(found.others.begin(), found.others.end()), found.others.end());
    return found;
}

// A group is one guest's at a time: vfio gives it to one process.
Finding isolation_of(const CheckFacts& facts, const CardFacts& one)
{
    const auto group = paths::iommu_group_members(*facts.gpu(one).iommu_group);
    const auto [of_host, of_others, others, held] = neighbours_of(facts, one);
    auto members = of_host;
    members.insert(members.end(), of_others.begin(), of_others.end());
    if (members.empty()) return about_card(one, Verdict::ok, group + " has nothing of the host");
    auto finding =
        about_card(one, held ? Verdict::error : Verdict::warning, group + " also has " + join(members, "; "),
                   {"put the card into another slot, or turn on 'ACS' in the firmware's setup; "
                    "'pcie_acs_override' only hides it, and then a guest can reach the host's memory"});
    if (others.empty()) return finding;
    finding.evidence += "; a group can be one guest's only, so " + vms_in_words(one.vmids) + " and " +
                        vms_in_words(others) + " cannot run at the same time";
    finding.remedy += "; or pass the whole group to one VM";
    finding.guests.insert(finding.guests.end(), others.begin(), others.end());
    return finding;
}

} // namespace

Findings card_companions(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed() && !facts.gpu(one).virtual_function) findings.push_back(companions_of(facts, one));
    return findings;
}

Findings card_twins(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards)
        if (one.passed()) findings.push_back(twins_of(facts, one));
    return findings;
}

Findings group_isolation(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (!one.passed()) continue;
        if (facts.gpu(one).iommu_group)
            findings.push_back(isolation_of(facts, one));
        else
            findings.push_back(about_card(one, Verdict::error, file_of(one.gpu, "iommu_group") + " is absent",
                                          {"see 'iommu.enabled'"}));
    }
    return findings;
}

Findings card_sriov(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto existing = facts.gpu(one).virtual_functions;
        if (!one.passed()) continue;
        if (existing == 0)
            findings.push_back(about_card(one, Verdict::ok, file_of(one.gpu, "virtfn*") + " is absent"));
        else
            findings.push_back(
                about_card(one, Verdict::error,
                           file_of(one.gpu, "virtfn*") + ": it is passed whole and has " +
                               counted(existing, "virtual function"),
                           by_command("echo 0 > " + file_of(one.gpu, "sriov_numvfs"),
                                      "this gives them up; or pass a virtual function instead")));
    }
    return findings;
}

} // namespace pvegpu
