// The memory of a virtual machine with a card: how much stays, which node of the host has it, what is saved
// of it.
#include "check/findings.hpp"

namespace pvegpu {
namespace {

// "8192", or "current=8192".
unsigned memory_of(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("memory");
    const auto pair = split_once(text, '=');
    return parse_decimal(pair ? pair->second : std::string_view(text)).value_or(512); // Proxmox's own default
}

Finding guest_balloon(const SurveyedGuest& guest)
{
    const auto text = guest.config.setting("balloon");
    const auto target = parse_decimal(text);
    if (!target || *target == 0 || *target >= memory_of(guest))
        return {Verdict::ok,
                text.empty() ? "no 'balloon' line, which means none" : "'balloon: " + text + "'"};
    return {Verdict::note, "'balloon: " + text + "' of " + std::to_string(memory_of(guest)) + " MiB",
            set(guest, "--balloon 0")};
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

// Where the guest's processors and memory are, against the node of its card.
Finding pinning(const CheckFacts& facts, const SurveyedGuest& guest, const std::string& place, unsigned node)
{
    const auto affinity = guest.config.setting("affinity");
    const auto number = std::to_string(node);
    const auto pin =
        set(guest, "--affinity $(cat " + paths::join(paths::numa_nodes, "node" + number) + "/cpulist)");
    if (const auto nodes = host_nodes_of(guest); affinity.empty() && !nodes.empty()) {
        if (nodes.contains(node)) return {Verdict::ok, place + " has a 'numaN' line with it in 'hostnodes'"};
        return {Verdict::warning,
                place + " has 'numaN' lines with other 'hostnodes'",
                {"give the 'numaN' lines 'hostnodes=" + number + "'"}};
    }
    if (affinity.empty()) return {Verdict::note, place + " has no 'affinity' line", pin};
    const auto& there = facts.node_cpus.at(node);
    const auto evidence = place + " has 'affinity: " + affinity + "', ";
    if (std::ranges::all_of(parse_cpu_list(affinity), [&](auto cpu) { return there.contains(cpu); }))
        return {Verdict::ok, evidence + "processors of that node"};
    return {Verdict::warning, evidence + "with processors of another node", pin};
}

Finding guest_numa(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const std::string nodes(paths::numa_nodes);
    const auto& gpu = *facts.first_gpu_of(guest.vmid);
    const auto node = facts.state(gpu.address).numa_node;
    const auto file = gpu.file("numa_node");
    if (facts.node_cpus.empty())
        return {Verdict::unknown, nodes + " has no node", by_command("lscpu | grep NUMA")};
    if (facts.node_cpus.size() == 1) return {Verdict::ok, nodes + " has one node"};
    if (!node || !facts.node_cpus.contains(*node))
        return {Verdict::unknown,
                file + " does not say",
                {"look in the board's manual which processor has the slot"}};
    return pinning(facts, guest, file + " is " + std::to_string(*node) + ", and " + conf_of(guest), *node);
}

Finding guest_hibernate(const SurveyedGuest& guest)
{
    const auto& lock = guest.config.lock;
    const bool hibernated =
        lock == "suspended" || lock == "suspending" || !guest.config.setting("vmstate").empty();
    if (!hibernated) return {Verdict::ok, "it is not hibernated"};
    return {
        Verdict::error,
        "it is hibernated (lock " + quote(lock) + "), and its 'hostpci' device cannot be saved with it",
        by_command("qm unlock " + std::to_string(guest.vmid) + "; " + set_command(guest, "--delete vmstate"),
                   "it then starts without what was in its memory")};
}

Finding guest_ram_snapshots(const SurveyedGuest& guest)
{
    auto names = guest.config.ram_snapshots;
    if (names.empty()) return {Verdict::ok, "no snapshot has its memory"};
    for (auto& name : names) name = quote(name);
    return {Verdict::note,
            "snapshots with memory: " + join(names, ", "),
            {"make snapshots without RAM; go back to these only after the 'hostpci' lines are removed"}};
}

} // namespace

std::vector<Check> guest_memory_checks()
{
    return {
        {"guest.balloon", "the guest's memory is not ballooned", "ballooning",
         "all memory of a guest with a device is pinned, so it gives nothing back",
         each_config_with_gpu<guest_balloon>},
        {"guest.numa", "the guest runs beside its card",
         "the card's NUMA node against the guest's processors",
         "every access to the card crosses the link between the processors", each_vm_with_gpu<guest_numa>},
        {"guest.hibernate", "the guest is not hibernated", "whether the guest is hibernated",
         "a device's state is not in the saved memory", each_config_with_gpu<guest_hibernate>},
        {"guest.ram-snapshots", "no snapshot has the guest's memory", "snapshots with memory",
         "they cannot be made, or gone back to, with a passed device",
         each_config_with_gpu<guest_ram_snapshots>},
    };
}

} // namespace pvegpu
