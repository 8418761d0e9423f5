// What has to be undone if this run does not get to it, written down before it is done. The next run of any
// guest repairs what a killed run left.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct Undo {
    enum class Kind {
        setting,       // write `text` to `path`; cannot block on the PCI core
        console,       // the same of a virtual console that was taken off a card
        hotplug,       // the same of a port's hotplug service
        device,        // write `text` to `path` of a device, which may have to be found again first
        pci,           // write `text` to `path`, a rescan or a driver's bind; not while the PCI core is stuck
        bridge_control // clear the secondary bus reset bit of the port whose `config` is `path`
    };

    Kind kind = Kind::setting;
    std::string path;
    std::string text;

    bool operator==(const Undo&) const = default;
};

std::string print_journal(unsigned vmid, const std::vector<Undo>& entries);

// Nothing of a damaged file, and only paths below /sys, is ever returned.
std::vector<Undo> parse_journal(std::string_view text);

class Journal {
public:
    Journal(System& system, unsigned vmid) : system_(system), vmid_(vmid) {}

    // Before the change, and on the disk when it returns. What was set on a device is noted once: of a path
    // that is noted already the first text stays.
    void note(const std::vector<Undo>& undos);
    void note(const Undo& undo) { note(std::vector{undo}); }

    // After it has been undone, or cannot need it any more. Written down with the next note or by
    // `write_settled`: undoing it once more does no harm.
    void settled(const Undo& undo) { out_of_date_ |= std::erase(entries_, undo) > 0; }
    void write_settled();

    const std::vector<Undo>& entries() const { return entries_; }

    // All went well: what is still noted has served its purpose.
    void close();

    // Settings only, newest first: before a card is tried another way. A console that was taken off the card
    // stays off it until the guest has stopped, and what was set on a device is put back when it is there.
    void undo_settings();

    // Newest first, each within a few seconds. With `pci_core_stuck` no rescan and no bind; they stay written
    // down. Never throws.
    void undo_all(bool pci_core_stuck);

private:
    void undo(bool pci_core_stuck);
    void save();
    bool is_noted(const Undo& undo) const;

    System& system_;
    unsigned vmid_;
    std::vector<Undo> entries_;
    bool out_of_date_ = false; // the file holds more
};

// Undoes what the journals of ended runs hold. Call it with the host lock held: no run is then alive. With
// `pci_core_stuck` no rescan and no bind; they stay written down. Else what cannot be undone is
// Error(stuck_write) after `pci_within`: a rescan probes the drivers of all that it finds.
void repair_interrupted_runs(System& system, bool pci_core_stuck, Milliseconds pci_within);

} // namespace pvegpu
