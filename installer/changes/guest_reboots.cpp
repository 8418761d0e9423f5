#include "changes/guest_reboots.hpp"

#include "base/text.hpp"
#include "events/hindrance.hpp"

namespace pvegpu {
namespace {

void note_next_start(const SurveyedGuest& guest, InstallPlan& plan)
{
    if (guest.running)
        plan.notes.push_back(
            guest.id.name() +
            " runs: its changed 'args' count from its next start on, not from a reboot inside "
            "the guest");
}

void leave(const SurveyedGuest& guest, InstallPlan& plan)
{
    auto change = monitor_change(
        guest, without_monitor(guest.args.next),
        "because of '--guest-reboot leave': when the guest reboots by itself, nothing is done");
    if (!change) return;
    plan.changes.push_back(std::move(*change));
    note_next_start(guest, plan);
}

void clean(const SurveyedGuest& guest, InstallPlan& plan)
{
    if (has_monitor(guest.args.next)) return;
    if (ends_at_a_reset(guest.config)) {
        plan.notes.push_back(guest.id.name() +
                             " has 'reboot: 0' (or '-no-reboot'), which is kept: when the guest "
                             "reboots by itself it stays off; without it, '" +
                             guest.id.install_command() + "' lets it be started anew");
        return;
    }
    const auto args = with_monitor(guest.args.next);
    if (!args) {
        plan.warnings.push_back(
            {"'args' of " + guest.id.name() + " cannot be given the hook's monitor: " +
                 (args_words(guest.args.next).open_quote ? "a quote in it is never closed"
                                                         : "something in it has the name 'pve-gpu-hook'"),
             "correct it ('qm config " + guest.id.number() + "') and run this again"});
        return;
    }
    if (auto change =
            monitor_change(guest, *args,
                           "so that QEMU tells when the guest reboots by itself; it is then started anew, "
                           "with a clean card ('--guest-reboot leave': it is not)"))
        plan.changes.push_back(std::move(*change));
    note_next_start(guest, plan);
}

} // namespace

bool is_ours(const SurveyedGuest& guest)
{
    if (guest.id.is_instance()) return false; // it has no hookscript
    return guest.attached || without_monitor(guest.args.next) != guest.args.next;
}

std::optional<Change> monitor_change(const SurveyedGuest& guest, const std::string& args, std::string reason)
{
    if (args == guest.args.next) return std::nullopt;
    return setting_change({guest.id, guest.args.next, args, "args"}, std::move(reason));
}

void plan_guest_reboots(const Survey& survey, const SurveyedGuest& guest, GuestReboot wish, InstallPlan& plan)
{
    if (wish == GuestReboot::leave) return leave(guest, plan);
    if (wish == GuestReboot::clean || survey.reboot_leaves_dirty(guest.id.vmid)) clean(guest, plan);
}

} // namespace pvegpu
