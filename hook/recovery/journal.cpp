#include "recovery/journal.hpp"

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "recovery/link_switches.hpp"
#include "usage/instances.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

namespace pvegpu {
namespace {

// Proxmox sends SIGKILL 5 s after SIGTERM, and there may be several things to undo. What takes longer is left
// to the next start, which has more time.
constexpr Milliseconds setting_within_at_the_end{1'000};
constexpr Milliseconds pci_within_at_the_end{3'000};

constexpr std::array kind_names{
    EnumName{"setting", Undo::Kind::setting}, EnumName{"console", Undo::Kind::console},
    EnumName{"hotplug", Undo::Kind::hotplug}, EnumName{"device", Undo::Kind::device},
    EnumName{"pci", Undo::Kind::pci},         EnumName{"bridge-control", Undo::Kind::bridge_control}};

std::optional<Undo> undo_from(const Json& entry)
{
    const auto path = text_in(entry, "path");
    const bool clean = path.starts_with("/sys/") && path.find("..") == std::string::npos;
    const auto* const kind = find_name(kind_names, text_in(entry, "kind"));
    if (!clean || kind == kind_names.end()) return std::nullopt;
    return Undo{kind->value, path, text_in(entry, "text")};
}

SysResult undo_one(System& system, const Undo& undo, Milliseconds pci_within)
{
    if (undo.kind == Undo::Kind::pci) return system.write(undo.path, undo.text, pci_within);
    if (undo.kind == Undo::Kind::bridge_control) // by now the card may be somebody's: no second pulse
        return system.clear_secondary_bus_reset(undo.path, setting_within_at_the_end);
    if (undo.kind != Undo::Kind::device) return system.write(undo.path, undo.text, setting_within_at_the_end);
    // What is as it was is not written: numa_node taints the kernel.
    if (says(system, undo.path, undo.text)) return {};
    return system.write(undo.path, undo.text + '\n', setting_within_at_the_end);
}

auto is_of(Undo::Kind kind)
{
    return [kind](const Undo& undo) { return undo.kind == kind; };
}

// Cannot block on the PCI core.
bool is_quick(const Undo& undo)
{
    return undo.kind == Undo::Kind::setting || undo.kind == Undo::Kind::console ||
           undo.kind == Undo::Kind::hotplug;
}

// Newest first. Gives back what could not be undone. A refusal is an answer too: what the setting belonged to
// is gone. After one that does not come back the others of its kind would only wait behind it.
template <typename Kind>
std::vector<Undo> undo_of_kind(System& system, const std::vector<Undo>& entries, Kind is_of_kind,
                               Milliseconds pci_within = pci_within_at_the_end)
{
    const std::vector<Undo> newest_first(entries.rbegin(), entries.rend());
    std::vector<Undo> left;
    for (const auto& undo : newest_first) {
        if (!is_of_kind(undo)) continue;
        if (!left.empty() || undo_one(system, undo, pci_within).still_running())
            left.insert(left.begin(), undo);
    }
    return left;
}

// Settings first: they are quick, concern the whole host, and Proxmox may kill us before the rest is done.
std::vector<Undo> undo_entries(System& system, const std::vector<Undo>& entries, bool pci_core_stuck,
                               Milliseconds pci_within)
{
    auto left = undo_of_kind(system, entries, is_quick);
    append(left, undo_of_kind(system, entries, is_of(Undo::Kind::bridge_control)));
    if (pci_core_stuck)
        std::ranges::copy_if(entries, std::back_inserter(left), is_of(Undo::Kind::pci));
    else
        append(left, undo_of_kind(system, entries, is_of(Undo::Kind::pci), pci_within));
    // What was set on a device has to wait until it is on the bus again.
    if (std::ranges::any_of(left, is_of(Undo::Kind::pci)))
        std::ranges::copy_if(entries, std::back_inserter(left), is_of(Undo::Kind::device));
    else
        append(left, undo_of_kind(system, entries, is_of(Undo::Kind::device)));
    return left;
}

void repair(System& system, unsigned vmid, bool pci_core_stuck, Milliseconds pci_within)
{
    const auto entries = parse_journal(system.read(paths::journal(vmid)).value_or(""));
    if (entries.empty()) { // ours never are
        system.remove_file(paths::journal(vmid));
        system.say(Severity::warning, "the notes of an interrupted run for " + vm_called(system, vmid) +
                                          " were damaged; if the host is not as it should be, reboot it");
        return;
    }
    const auto left = undo_entries(system, entries, pci_core_stuck, pci_within);
    if (!left.empty()) {
        system.replace_file(paths::journal(vmid), print_journal(vmid, left));
        if (pci_core_stuck) return;
        throw Error(ErrorKind::stuck_write,
                    {"what an interrupted run left could not be undone within " + in_seconds(pci_within),
                     "start the guest again; if this repeats, reboot the host"},
                    left.back().path);
    }
    system.remove_file(paths::journal(vmid));
    system.say(Severity::warning,
               "repaired what an interrupted run for " + vm_called(system, vmid) + " had left");
}

} // namespace

std::string print_journal(unsigned vmid, const std::vector<Undo>& entries)
{
    Json list = Json::array();
    for (const auto& undo : entries)
        list.push_back({{"kind", name_of(kind_names, undo.kind)}, {"path", undo.path}, {"text", undo.text}});
    return print(Json{{"vmid", vmid}, {"undo", list}});
}

std::vector<Undo> parse_journal(std::string_view text)
{
    const auto json = Json::parse(text, nullptr, false);
    std::vector<Undo> entries;
    if (!json.is_object() || !json.contains("undo") || !json["undo"].is_array()) return entries;
    for (const auto& entry : json["undo"]) {
        const bool complete = entry.is_object() &&
                              std::ranges::all_of(entry, [](const Json& value) { return value.is_string(); });
        if (!complete) continue;
        if (auto undo = undo_from(entry)) entries.push_back(std::move(*undo));
    }
    return entries;
}

void Journal::save()
{
    out_of_date_ = false;
    if (entries_.empty())
        system_.remove_file(paths::journal(vmid_));
    else
        system_.replace_file(paths::journal(vmid_), print_journal(vmid_, entries_));
}

bool Journal::is_noted(const Undo& undo) const
{
    return std::ranges::any_of(entries_, [&](const Undo& one) {
        return one == undo ||
               (undo.kind == Undo::Kind::device && one.kind == undo.kind && one.path == undo.path);
    });
}

void Journal::note(const std::vector<Undo>& undos)
{
    const auto before = entries_.size();
    for (const auto& undo : undos)
        if (!is_noted(undo)) entries_.push_back(undo);
    if (entries_.size() != before) save();
}

void Journal::write_settled()
{
    if (out_of_date_) save();
}

void Journal::close()
{
    if (entries_.empty() && !out_of_date_) return;
    entries_.clear();
    save();
}

void Journal::undo_all(bool pci_core_stuck)
{
    try {
        undo(pci_core_stuck);
    } catch (const std::exception& error) {
        if (reason_of(error) == ErrorKind::interrupted)
            return undo_all(pci_core_stuck); // told once: now it goes on
        system_.say(Severity::error, std::string("cannot undo everything: ") + error.what());
    }
}

void Journal::undo_settings()
{
    const auto stays = [](const Undo& undo) {
        return undo.kind == Undo::Kind::device || undo.kind == Undo::Kind::console;
    };
    std::vector<Undo> kept;
    std::ranges::copy_if(entries_, std::back_inserter(kept), stays);
    std::erase_if(entries_, stays);
    undo_all(true);
    append(entries_, kept);
    save();
}

void Journal::undo(bool pci_core_stuck)
{
    entries_ = undo_entries(system_, entries_, pci_core_stuck, pci_within_at_the_end);
    system_.forget_guarded_writes(); // they are among the settings
    save();
}

void repair_interrupted_runs(System& system, bool pci_core_stuck, Milliseconds pci_within)
{
    for (const auto& name : system.list(std::string(paths::journals))) {
        const auto parts = split_once(name, '.');
        const auto vmid = parts && parts->second == "json" ? parse_decimal(parts->first) : std::nullopt;
        if (vmid) repair(system, *vmid, pci_core_stuck, pci_within);
    }
}

} // namespace pvegpu
