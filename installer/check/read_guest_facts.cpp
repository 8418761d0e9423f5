// The guests' part: who gets what, what their hookscripts are, how the last start went; which device nodes
// containers name, what the host has of them, what a running one has.
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/facts.hpp"
#include "containers/node_plan.hpp"
#include "hook/chained_hook.hpp"
#include "host/container_survey.hpp"
#include "machine/paths.hpp"
#include "proxmox/delegated_ids.hpp"
#include "proxmox/request.hpp"
#include "proxmox/user_config.hpp"
#include "recovery/recover_gpu.hpp"
#include "usage/containers.hpp"

namespace pvegpu {
namespace {

// Our snippet is a link to /usr/sbin. Below '--root' the kernel would follow it out of the tree.
std::string end_of_link(const SysReader& reader, const std::string& path)
{
    const auto target = reader.read_link(path);
    return target && target->starts_with('/') ? *target : path;
}

void read_hookscript(const SysReader& reader, const SurveyedGuest& guest, CheckFacts& facts)
{
    const auto& volume = guest.config.hookscript;
    if (volume.empty()) return;
    HookscriptFacts hook;
    hook.path = snippet_path(facts.survey.storages, volume);
    const auto* storage = storage_of(facts.survey.storages, volume);
    hook.unseen = hook.path && storage->shared && !storage_answers(reader, *hook.path);
    if (hook.path && !hook.unseen) hook.file = reader.file_facts(end_of_link(reader, *hook.path));
    facts.hookscripts[guest.id.vmid] = hook;
}

// The hook's plan itself, so that nothing is refused that was not told of here.
std::optional<Refusal> plan_start(const SysReader& reader, const SurveyedGuest& guest,
                                  const SettingsFile& settings)
{
    const Request request{guest.id.vmid, Phase::pre_start, "", guest.id.instance};
    try {
        return plan_recovery(reader, request, {guest.config_path(), guest.config}, settings).refused;
    } catch (const Error& error) {
        return Refusal{error.reason(), error.advice()};
    }
}

void plan_starts(const SysReader& reader, CheckFacts& facts)
{
    for (const auto& guest : facts.survey.guests)
        if (guest.is_given_devices() && !guest.config.is_template && !guest.config.hostpci.empty() &&
            !facts.running_vms.contains(guest.id.vmid))
            facts.next_starts[guest.id.vmid] = plan_start(reader, guest, facts.settings);
}

// Bounded: a hookscript is a few hundred lines, and its storage may hang.
std::optional<std::string> text_of(const SysReader& reader, const std::string& path)
{
    constexpr std::size_t most = 65'536;
    constexpr Milliseconds within{2'000};
    const auto outcome = reader.read_within(path, most, within);
    return outcome.done() ? std::optional(outcome.text) : std::nullopt;
}

void read_other_hook(const SysReader& reader, const SurveyedGuest& guest, CheckFacts& facts)
{
    OtherHook other;
    const auto chained = parse_chained_hook(reader.read(paths::chained_hook(guest.id.vmid)).value_or(""));
    const auto own = facts.hookscripts.find(guest.id.vmid);
    if (guest.attached && chained)
        other = {chained->path, "", true};
    else if (!guest.attached && own != facts.hookscripts.end() && own->second.file)
        other = {*own->second.path, "", false};
    if (other.path.empty()) return;
    if (auto text = text_of(reader, other.path)) {
        other.text = std::move(*text);
        facts.other_hooks[guest.id.vmid] = std::move(other);
    }
}

void read_roms(const SysReader& reader, const SurveyedGuest& guest, CheckFacts& facts)
{
    for (const auto& line : guest.config.hostpci)
        if (const auto path = rom_of(line); !path.empty() && !reader.exists(path))
            facts.absent_roms.insert(path);
}

// Of a reader that is there, about the QEMU that is there.
void read_reader(const SysReader& reader, unsigned vmid, CheckFacts& facts)
{
    const auto note = read_reader_note(reader, vmid);
    if (note && note->qemu == qemu_of(reader, vmid) && lives(reader, note->reader))
        facts.readers[vmid] = note->state;
}

void read_tokens(const SysReader& reader, CheckFacts& facts)
{
    const auto is_template = [](const SurveyedGuest& one) {
        return one.id.is_vm() && one.config.is_template;
    };
    if (std::ranges::none_of(facts.survey.guests, is_template)) return;
    const auto users = read_pve_file(reader, paths::pve_users).value_or("");
    facts.cloning_tokens = cloning_tokens(users, reader.wall_clock()).size();
}

bool is_container(const SurveyedGuest& guest)
{
    return guest.id.is_container() && !guest.lxc.is_template;
}

} // namespace

void read_guest_facts(const SysReader& reader, const GuestEntry* visiting, CheckFacts& facts)
{
    facts.host.cluster = read_cluster(reader);
    Prepared vms;
    vms.every_instance = true;
    for (const auto& guest : list_guests(reader, facts.host.cluster.node))
        if (guest.id.is_vm()) vms.vms.push_back(guest.id.vmid);
    if (visiting != nullptr && visiting->id.is_vm()) vms.vms.push_back(visiting->id.vmid);
    facts.survey = survey_host(reader, vms, visiting);
    facts.cpu_models = parse_cpu_models(read_pve_file(reader, paths::pve_cpu_models).value_or(""));
    facts.mappings = parse_pci_mappings(read_pve_file(reader, paths::pve_pci_mappings).value_or(""));
    for (const auto& guest : facts.survey.guests) {
        if (guest.running) {
            facts.running_vms.insert(guest.id.vmid);
            read_reader(reader, guest.id.vmid, facts);
        }
        read_hookscript(reader, guest, facts);
        read_other_hook(reader, guest, facts);
        read_roms(reader, guest, facts);
        const auto report = reader.read(paths::report(guest.id.vmid, to_string(Phase::pre_start)));
        if (const auto run = report ? parse_last_run(*report) : std::nullopt)
            facts.last_runs[guest.id.vmid] = *run;
    }
    plan_starts(reader, facts);
    facts.taken = read_taken(reader);
    read_tokens(reader, facts);
}

void read_container_facts(const SysReader& reader, CheckFacts& facts)
{
    if (std::ranges::none_of(facts.survey.guests, is_container)) return;
    facts.nvidia_version = nvidia_module_version(reader);
    std::vector<WantedNode> all;
    for (const auto& guest : facts.survey.guests)
        if (is_container(guest)) append(all, wanted_nodes(guest.lxc, guest.lxc.devices_at_next_start()));
    facts.node_host = read_node_host(reader, all, std::nullopt);
    auto owners = read_node_owners(reader);
    const auto running = running_containers(reader);
    for (const auto& guest : facts.survey.guests) {
        if (!is_container(guest)) continue;
        const auto devices = guest.lxc.devices_at_next_start();
        const auto wanted = wanted_nodes(guest.lxc, devices);
        const bool refused =
            std::ranges::any_of(devices, [](const auto& device) { return device.start_error.has_value(); }) ||
            contains(guest.lxc.warnings, true, &ConfigWarning::loses_device);
        if (wanted.empty() && !refused && double_entries(guest.lxc, devices).empty()) continue;
        ContainerFacts container{
            guest.id.vmid, read_nodes(reader, wanted, facts.node_host), contains(running, guest.id.vmid), {}};
        container.owners = owners[guest.id.vmid];
        container.other_node = guest.other_node;
        container.not_delegated = not_delegated(reader, guest.lxc);
        if (!wanted.empty())
            container.inside = look_at_container(reader, guest.id.vmid, guest.lxc, wanted, container.running);
        facts.containers.push_back(std::move(container));
    }
    for (const auto& gpu : facts.gpus)
        if (gpu.passed()) facts.card_nodes.push_back(nodes_of_function(reader, facts.function(gpu)));
}

} // namespace pvegpu
