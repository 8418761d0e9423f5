#include "journal.hpp"

#include "error.hpp"
#include "paths.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

namespace pvegpu {
namespace {

using Json = nlohmann::ordered_json;

// Proxmox sends SIGKILL 5 s after SIGTERM, and there may be several things to undo.
constexpr Milliseconds setting_within{1'000};
constexpr Milliseconds pci_within{3'000};

// A dead child may have left the bit set; setting it once more for the 2 ms of the standard and clearing it
// is the same operation as the reset itself.
constexpr Milliseconds shortest_reset{2};

struct KindName {
    Undo::Kind kind;
    std::string_view name;
};

constexpr std::array<KindName, 3> kind_names{{{Undo::Kind::setting, "setting"},
                                              {Undo::Kind::pci, "pci"},
                                              {Undo::Kind::bridge_control, "bridge-control"}}};

std::string name_of(Undo::Kind kind)
{
    for (const auto& [known, name] : kind_names)
        if (known == kind) return std::string(name);
    return "";
}

std::optional<Undo> undo_from(const Json& entry)
{
    const auto path = entry.value("path", std::string());
    const bool clean = path.starts_with("/sys/") && path.find("..") == std::string::npos;
    for (const auto& [kind, name] : kind_names)
        if (clean && entry.value("kind", std::string()) == name)
            return Undo{kind, path, entry.value("text", std::string())};
    return std::nullopt;
}

Outcome undo_one(System& system, const Undo& undo)
{
    switch (undo.kind) {
    case Undo::Kind::pci:
        return system.write(undo.path, undo.text, pci_within);
    case Undo::Kind::bridge_control:
        return system.pulse_secondary_bus_reset(undo.path, shortest_reset, setting_within);
    case Undo::Kind::setting:
        break;
    }
    return system.write(undo.path, undo.text, setting_within);
}

// Newest first. Gives back what could not be undone. A refusal is an answer too: what the setting belonged to
// is gone. After one that does not come back the others of its kind would only wait behind it.
std::vector<Undo> undo_of_kind(System& system, const std::vector<Undo>& entries, bool settings)
{
    const std::vector<Undo> newest_first(entries.rbegin(), entries.rend());
    std::vector<Undo> left;
    for (const auto& undo : newest_first) {
        if ((undo.kind == Undo::Kind::setting) != settings) continue;
        if (!left.empty() || undo_one(system, undo).still_running()) left.insert(left.begin(), undo);
    }
    return left;
}

// Settings first: they are quick, concern the whole host, and Proxmox may kill us before the rest is done.
std::vector<Undo> undo_entries(System& system, const std::vector<Undo>& entries, bool pci_core_stuck)
{
    auto left = undo_of_kind(system, entries, true);
    if (pci_core_stuck)
        std::copy_if(entries.begin(), entries.end(), std::back_inserter(left),
                     [](const Undo& undo) { return undo.kind != Undo::Kind::setting; });
    else
        for (auto& undo : undo_of_kind(system, entries, false)) left.push_back(std::move(undo));
    return left;
}

void repair(System& system, unsigned vmid, bool pci_core_stuck)
{
    const auto text = system.read(paths::journal(vmid)).value_or("");
    const auto left = undo_entries(system, parse_journal(text), pci_core_stuck);
    if (!left.empty()) {
        system.replace_file(paths::journal(vmid), print_journal(vmid, left));
        if (pci_core_stuck) return;
        throw Error(Reason::stuck_write,
                    "what an interrupted run left cannot be undone; the host has to be rebooted",
                    left.back().path);
    }
    system.remove_file(paths::journal(vmid));
    system.say(Severity::warning,
               "repaired what an interrupted run for VM " + std::to_string(vmid) + " had left");
}

} // namespace

std::string print_journal(unsigned vmid, const std::vector<Undo>& entries)
{
    Json list = Json::array();
    for (const auto& undo : entries)
        list.push_back({{"kind", name_of(undo.kind)}, {"path", undo.path}, {"text", undo.text}});
    return Json{{"vmid", vmid}, {"undo", list}}.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<Undo> parse_journal(std::string_view text)
{
    const auto json = Json::parse(text, nullptr, false);
    std::vector<Undo> entries;
    if (!json.is_object() || !json.contains("undo") || !json["undo"].is_array()) return entries;
    for (const auto& entry : json["undo"]) {
        const bool complete =
            entry.is_object() &&
            std::all_of(entry.begin(), entry.end(), [](const Json& value) { return value.is_string(); });
        if (!complete) continue;
        if (auto undo = undo_from(entry)) entries.push_back(std::move(*undo));
    }
    return entries;
}

void Journal::save()
{
    if (entries_.empty())
        system_.remove_file(paths::journal(vmid_));
    else
        system_.replace_file(paths::journal(vmid_), print_journal(vmid_, entries_));
}

void Journal::note(const Undo& undo)
{
    if (holds(undo)) return;
    entries_.push_back(undo);
    save();
}

void Journal::settled(const Undo& undo)
{
    if (std::erase(entries_, undo) > 0) save();
}

bool Journal::holds(const Undo& undo) const
{
    return std::find(entries_.begin(), entries_.end(), undo) != entries_.end();
}

void Journal::close()
{
    if (entries_.empty()) return;
    entries_.clear();
    save();
}

void Journal::undo_all(bool pci_core_stuck)
{
    try {
        undo(pci_core_stuck);
    } catch (const std::exception& error) {
        if (reason_of(error) == Reason::interrupted)
            return undo_all(pci_core_stuck); // told once: now it goes on
        system_.say(Severity::error, std::string("cannot undo everything: ") + error.what());
    }
}

void Journal::undo(bool pci_core_stuck)
{
    entries_ = undo_entries(system_, entries_, pci_core_stuck);
    system_.forget_guarded_writes(); // they are among the settings
    save();
}

void repair_interrupted_runs(System& system, bool pci_core_stuck)
{
    for (const auto& name : system.list(std::string(paths::journals))) {
        const auto parts = split_once(name, '.');
        const auto vmid = parts && parts->second == "json" ? parse_decimal(parts->first) : std::nullopt;
        if (vmid) repair(system, *vmid, pci_core_stuck);
    }
}

} // namespace pvegpu
