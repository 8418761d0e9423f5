// What becomes of the card when the guest reboots by itself: QEMU resets the machine and goes on, and no hook
// of Proxmox's runs.
#include "check/findings.hpp"
#include "check/guest_args.hpp"
#include "events/hindrance.hpp"
#include "events/reader_unit.hpp"
#include "machine/paths.hpp"

#include <vector>

namespace pvegpu {
namespace {

Findings stays_off(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto& args = guest.config.setting("args");
    auto words = shell_words(args);
    const bool by_args = std::erase_if(words, is_no_reboot) > 0;
    const std::string then = facts.has_hook(guest.id.vmid)
                                 ? "then '" + guest.id.install_command() + "' lets it be started anew"
                                 : "it reboots by itself then";
    const auto remedy = !by_args        ? set(guest, "--delete reboot", then)
                        : words.empty() ? set(guest, "--delete args", then)
                                        : set(guest, "--args " + shell_quoted(shell_line(words)), then);
    return {
        {Verdict::note, guest.config_path() + ": " + (by_args ? "'args' has '-no-reboot'" : "'reboot: 0'"),
         remedy,
         "a reboot inside the guest ends the VM, and nothing starts it again; the start after it resets the "
         "card"}};
}

Findings not_covered(const SurveyedGuest& guest)
{
    const bool next = has_monitor(guest.args.next);
    const std::string evidence = guest.config_path() + ": 'args' has no monitor of the hook" +
                                 (next ? " as it runs" : "") + ", and the card has no reset of its own";
    if (next)
        return {
            {Verdict::note, evidence, by_command("qm reboot " + guest.id.number(), "its next start has it")}};
    const auto* const where = guest.other_node.empty() ? "" : "on its node, ";
    return {{Verdict::warning, evidence,
             by_command(guest.id.install_command() + " --guest-reboot clean",
                        where + std::string("from its next start on"), true)}};
}

Findings by_reader(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto unit = reader_unit(guest.id.vmid);
    const auto file = paths::reader_note(guest.id.vmid);
    const auto found = facts.readers.find(guest.id.vmid);
    if (found == facts.readers.end())
        return {{Verdict::warning, file + " is of no process that runs: nobody reads its events",
                 by_command("systemctl restart " + unit, "'journalctl -u " + unit + "' says why it ended")}};
    const auto evidence = file + " says " + quote(name_of(reader_state_names, found->second));
    if (found->second == ReaderState::refused)
        return {{Verdict::warning,
                 evidence + ": its QEMU does not know 'set-action'",
                 {"upgrade the package pve-qemu-kvm (QEMU 6.0 or newer), and start the VM anew"}}};
    if (found->second == ReaderState::waits)
        return {{Verdict::note, evidence + ": for now a reboot inside the guest leaves the card as it is",
                 by_command("journalctl -u " + unit + " -n 3", "it says what it waits for")}};
    return {{Verdict::ok, evidence}};
}

Findings own_reboot(const CheckFacts& facts, const SurveyedGuest& guest)
{
    if (ends_at_a_reset(guest.config)) return stays_off(facts, guest);
    const bool covered = has_monitor(guest.running ? guest.args.live : guest.args.next);
    if (covered && guest.running) return by_reader(facts, guest);
    if (covered) return {{Verdict::ok, guest.config_path() + ": 'args' has the hook's monitor"}};
    // Without the hook 'card.reset' tells, and the same command does both.
    if (!facts.has_hook(guest.id.vmid) || !facts.survey.reboot_leaves_dirty(guest.id.vmid)) return {};
    return not_covered(guest);
}

} // namespace

std::vector<Check> own_reboot_checks()
{
    return {{"guest.own-reboot", "the guest gets a clean card when it reboots by itself",
             "the hook's monitor in 'args' and who reads it; 'reboot: 0', and '-no-reboot' in 'args'",
             "Windows Update or 'reboot' in the guest then leave the card dirty: no picture until the VM is "
             "stopped and started",
             each_vm_with_gpu<own_reboot>}};
}

} // namespace pvegpu
