// What is done when a guest stops: its cards back to the host as far as the settings want it, and what the
// start has set as it was before. Pure.
#pragma once

#include "recovery/guest_state.hpp"
#include "recovery/plan.hpp"

#include <algorithm>
#include <optional>
#include <vector>

namespace pvegpu {

// Writes a text to a file of /sys where it reads otherwise.
struct PutBack {
    enum class Kind { console, reset_method, power };

    Kind kind = Kind::power;
    Setting setting;
};
StepReport report_of(const PutBack& step);

struct ReturnPlan {
    std::optional<Refusal> refused;
    std::vector<CardPlan> cards; // their steps end with the drivers that the host had
    std::vector<PutBack> put_back;
    Settings settings; // of the guest

    bool gives_cards_back() const { return std::ranges::any_of(cards, &CardPlan::is_cycled); }
};

// Before the stop: a card that falls asleep when QEMU lets go of it may not wake again (D3cold).
ReturnPlan plan_keep_awake(const GuestState& state);

// Where a start has failed: the card and the ports above it may sleep as before.
ReturnPlan plan_sleep(const GuestState& state, const std::vector<GuestState>& of_all_guests);

// After the stop. With after_stop "native" the cards are reset once more, for the guest has left them dirty,
// and given to the drivers that they had before the start; what had no driver stays on vfio-pci. A file of
// `power` that another guest with a running card still needs stays as it is. `situation` is of the functions
// that the guest was given and that are still there.
ReturnPlan plan_return(const GuestState& state, const std::vector<GuestState>& of_all_guests,
                       const VmFacts& vm_facts, const SettingsFile& settings);

std::vector<StepReport> planned_steps(const ReturnPlan& plan);

} // namespace pvegpu
