// The guests' part: who gets what, what their hookscripts are, how the last start went.
#include "base/text.hpp"
#include "check/facts.hpp"
#include "machine/paths.hpp"
#include "proxmox/request.hpp"

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
    facts.hookscripts[guest.vmid] = hook;
}

void read_last_run(const SysReader& reader, unsigned vmid, CheckFacts& facts)
{
    const auto text = reader.read(paths::report(vmid, to_string(Phase::pre_start)));
    if (!text) return;
    if (const auto run = parse_last_run(*text)) facts.last_runs[vmid] = *run;
}

} // namespace

void read_guest_facts(const SysReader& reader, CheckFacts& facts)
{
    facts.host.cluster = read_cluster(reader);
    std::vector<unsigned> vms;
    for (const auto& guest : list_guests(reader, facts.host.cluster.node))
        if (!guest.container) vms.push_back(guest.vmid);
    facts.survey = survey_host(reader, vms);
    facts.cpu_models = parse_cpu_models(read_pve_file(reader, paths::pve_cpu_models).value_or(""));
    facts.mappings = parse_pci_mappings(read_pve_file(reader, paths::pve_pci_mappings).value_or(""));
    for (const auto& guest : facts.survey.guests) {
        if (!guest.container && vm_runs(reader, guest.vmid)) facts.running_vms.insert(guest.vmid);
        read_hookscript(reader, guest, facts);
        read_last_run(reader, guest.vmid, facts);
    }
}

} // namespace pvegpu
