// The memory of a virtual machine with a card: how much stays, which node of the host has it, what is saved
// of it.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// "8192", or "current=8192".
unsigned memory_of(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("memory");
    const auto pair = split_once(text, '=');
    return parse_decimal(pair ? pair->second : std::string_view(text)).value_or(512); // Proxmox's own default
}

Finding balloon(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("balloon");
    const auto target = parse_decimal(text);
    if (!target || *target == 0 || *target >= memory_of(guest))
        return about_guest(guest, Verdict::ok,
                           text.empty() ? "no 'balloon' line, which means none" : "'balloon: " + text + "'");
    return about_guest(guest, Verdict::note,
                       "'balloon: " + text + "' of " + std::to_string(memory_of(guest)) + " MiB",
                       set(guest, "--balloon 0"));
}

Fix pin_to(const SurveyedGuest& guest, unsigned node)
{
    return set(guest, "--affinity $(cat " + paths::join(paths::numa_nodes, "node" + std::to_string(node)) +
                          "/cpulist)");
}

// "numa0: cpus=0-3,hostnodes=0;2-3,memory=4096": the host's nodes that a guest's memory comes from.
std::set<unsigned> host_nodes_of(const SurveyedGuest& guest)
{
    constexpr std::string_view key = "hostnodes=";
    std::set<unsigned> nodes;
    for (const auto& [name, value] : guest.config.settings) {
        if (!name.starts_with("numa") || name == "numa") continue;
        for (const auto part : split(value, ','))
            if (part.starts_with(key))
                for (const auto list : split(part.substr(key.size()), ';')) nodes.merge(parse_cpu_list(list));
    }
    return nodes;
}

Finding bound(const SurveyedGuest& guest, const std::string& place, unsigned node)
{
    if (host_nodes_of(guest).contains(node))
        return about_guest(guest, Verdict::ok, place + " has a 'numaN' line with it in 'hostnodes'");
    return about_guest(guest, Verdict::warning, place + " has 'numaN' lines with other 'hostnodes'",
                       {"give the 'numaN' lines 'hostnodes=" + std::to_string(node) + "'"});
}

Finding pinning(const CheckFacts& facts, const SurveyedGuest& guest, unsigned node)
{
    const auto text = guest.config.setting("affinity");
    const auto place = file_of(first_card_of(facts, guest.vmid)->gpu, "numa_node") + " is " +
                       std::to_string(node) + ", and " + conf_of(guest);
    if (text.empty() && !host_nodes_of(guest).empty()) return bound(guest, place, node);
    if (text.empty())
        return about_guest(guest, Verdict::note, place + " has no 'affinity' line", pin_to(guest, node));
    const auto& there = facts.node_cpus.at(node);
    const auto pinned = parse_cpu_list(text);
    if (std::all_of(pinned.begin(), pinned.end(), [&](auto cpu) { return there.contains(cpu); }))
        return about_guest(guest, Verdict::ok,
                           place + " has 'affinity: " + text + "', processors of that node");
    return about_guest(guest, Verdict::warning,
                       place + " has 'affinity: " + text + "', with processors of another node",
                       pin_to(guest, node));
}

Finding numa(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto gpu = first_card_of(facts, guest.vmid)->gpu;
    const auto node = facts.state(gpu).numa_node;
    if (facts.node_cpus.empty())
        return about_guest(guest, Verdict::unknown, std::string(paths::numa_nodes) + " has no node",
                           by_command("lscpu | grep NUMA"));
    if (facts.node_cpus.size() == 1)
        return about_guest(guest, Verdict::ok, std::string(paths::numa_nodes) + " has one node");
    if (!node || !facts.node_cpus.contains(*node))
        return about_guest(guest, Verdict::unknown, file_of(gpu, "numa_node") + " does not say",
                           {"look in the board's manual which processor has the slot"});
    return pinning(facts, guest, *node);
}

Finding hibernate(const SurveyedGuest& guest)
{
    const auto& lock = guest.config.lock;
    const bool hibernated =
        lock == "suspended" || lock == "suspending" || !guest.config.setting("vmstate").empty();
    if (!hibernated) return about_guest(guest, Verdict::ok, "it is not hibernated");
    return about_guest(
        guest, Verdict::error,
        "it is hibernated (lock " + quote(lock) + "), and its 'hostpci' device cannot be saved with it",
        by_command("qm unlock " + std::to_string(guest.vmid) + "; " + set_command(guest, "--delete vmstate"),
                   "it then starts without what was in its memory"));
}

Finding ram_snapshots(const SurveyedGuest& guest)
{
    const auto& names = guest.config.ram_snapshots;
    if (names.empty()) return about_guest(guest, Verdict::ok, "no snapshot has its memory");
    std::vector<std::string> quoted;
    quoted.reserve(names.size());
    for (const auto& name : names) quoted.push_back(quote(name));
    return about_guest(
        guest, Verdict::note, "snapshots with memory: " + join(quoted, ", "),
        {"make snapshots without RAM; go back to these only after the 'hostpci' lines are removed"});
}

} // namespace

Findings guest_balloon(const CheckFacts& facts)
{
    return of_guests(facts, balloon);
}

Findings guest_numa(const CheckFacts& facts)
{
    Findings findings;
    for (const auto* guest : guests_with_gpus(facts)) findings.push_back(numa(facts, *guest));
    return findings;
}

Findings guest_hibernate(const CheckFacts& facts)
{
    return of_guests(facts, hibernate);
}

Findings guest_ram_snapshots(const CheckFacts& facts)
{
    return of_guests(facts, ram_snapshots);
}

} // namespace pvegpu
