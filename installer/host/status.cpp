#include "host/status.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "host/reboot.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"
#include "proxmox/request.hpp"
#include "recovery/journal.hpp"
#include "usage/instances.hpp"

namespace pvegpu {
namespace {

std::vector<PciAddress> find_gpus(const SysReader& reader)
{
    std::vector<PciAddress> gpus;
    for (const auto& address : list_functions(reader))
        if (const auto function = read_function(reader, address); function && is_gpu(*function))
            gpus.push_back(address);
    return gpus;
}

// The last start tells more than the stop after it.
std::optional<LastRun> read_last_run(const SysReader& reader, unsigned vmid)
{
    for (const auto& path : {paths::report(vmid, to_string(Phase::pre_start)), paths::report(vmid)})
        if (const auto text = reader.read(path))
            if (auto run = parse_last_run(*text)) return run;
    return std::nullopt;
}

std::vector<OpenJournal> read_journals(const SysReader& reader)
{
    std::vector<OpenJournal> journals;
    for (const auto& name : reader.list(std::string(paths::journals))) {
        const auto parts = split_once(name, '.');
        const auto vmid = parts && parts->second == "json" ? parse_decimal(parts->first) : std::nullopt;
        if (!vmid) continue;
        OpenJournal journal{*vmid, vm_called(reader, *vmid), {}};
        for (const auto& undo : parse_journal(reader.read(paths::journal(*vmid)).value_or("")))
            journal.paths.push_back(undo.path);
        journals.push_back(std::move(journal));
    }
    return journals;
}

// Version 0.1 wrote a text.
std::string error_in(const Json& report)
{
    const auto& error = member(report, "error");
    if (error.is_string()) return error.get<std::string>();
    const auto where = text_in(error, "where");
    return to_string(
        Advice{(where.empty() ? "" : where + ": ") + text_in(error, "what"), text_in(error, "remedy")});
}

} // namespace

std::optional<LastRun> parse_last_run(const std::string& report)
{
    const auto json = Json::parse(report, nullptr, false);
    if (!json.is_object() || !json.contains("outcome")) return std::nullopt;
    LastRun run{text_in(json, "phase"), text_in(json, "outcome"), text_in(json, "started"), error_in(json),
                0};
    if (const auto elapsed = json.find("elapsed_ms"); elapsed != json.end())
        run.elapsed_ms = whole_number<std::int64_t>(*elapsed).value_or(0);
    return run;
}

std::vector<Guest> Status::guests_of(const PciAddress& function) const
{
    std::vector<Guest> found;
    for (const auto& [guest, run] : guests)
        if (contains(guest.passed, function)) found.push_back(guest.id);
    return found;
}

std::vector<unsigned> Status::numbers_of(const PciAddress& function) const
{
    std::vector<unsigned> vmids;
    for (const auto& guest : guests_of(function))
        if (!guest.is_instance()) vmids.push_back(guest.vmid);
    return vmids;
}

std::vector<std::string> Status::instances_of(const PciAddress& function) const
{
    std::vector<std::string> names;
    for (const auto& guest : guests_of(function))
        if (guest.is_instance()) names.push_back(guest.instance);
    return names;
}

Status read_status(const SysReader& reader)
{
    const auto survey = survey_host(reader, {});
    Status status;
    status.host = survey.host;
    const auto gpus = find_gpus(reader);
    status.topology = read_topology(reader, gpus, driver_answers_within);
    status.cards = find_cards(status.topology, gpus);
    std::vector<const Function*> shown;
    for (const auto& card : status.cards)
        for (const auto& address : card.functions) shown.push_back(&status.topology.at(address));
    status.names = device_names(reader, shown);
    for (const auto& guest : survey.guests)
        if (guest.attached || !guest.config.hostpci.empty())
            status.guests.push_back({guest, read_last_run(reader, guest.id.vmid)});
    status.daemons = survey.daemons;
    status.silent = survey.silent;
    status.daemon_problem = survey.daemon_problem;
    status.taken = read_taken(reader);
    status.open_journals = read_journals(reader);
    constexpr bool changes_nothing = false;
    status.reboot_reasons = reboot_reasons(survey, changes_nothing);
    return status;
}

} // namespace pvegpu
