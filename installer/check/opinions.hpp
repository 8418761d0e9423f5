// How checks write their findings.
#pragma once

#include "base/text.hpp"
#include "check/facts.hpp"

#include <string>

namespace pvegpu {

// What a person reads and what a shell reads are kept apart: a command is pasted as it is.
struct Fix {
    std::string text;
    bool install_does_it = false;
    std::string command = {};
};
inline const Fix nothing_to_do{};

inline Fix by_command(std::string command, std::string text = "", bool install_does_it = false)
{
    return {std::move(text), install_does_it, std::move(command)};
}

inline Finding about(std::string subject, std::vector<unsigned> guests, Verdict verdict, std::string evidence,
                     const Fix& fix = nothing_to_do)
{
    return {std::move(subject),
            verdict,
            std::move(evidence),
            fix.text,
            fix.install_does_it,
            std::move(guests),
            {},
            {},
            fix.command};
}

inline Finding about_host(Verdict verdict, std::string evidence, const Fix& fix = nothing_to_do)
{
    return about("host", {}, verdict, std::move(evidence), fix);
}

inline Finding about_card(const CardFacts& card, Verdict verdict, std::string evidence,
                          const Fix& fix = nothing_to_do)
{
    return about(to_string(card.gpu), card.vmids, verdict, std::move(evidence), fix);
}

std::string conf_of(const SurveyedGuest& guest); // "/etc/pve/qemu-server/101.conf"

inline Finding about_guest(const SurveyedGuest& guest, Verdict verdict, std::string evidence,
                           const Fix& fix = nothing_to_do)
{
    return about(name_of(guest), {guest.vmid}, verdict, std::move(evidence), fix);
}

// "qm set 101 REST", "pct set 901 REST"
std::string set_command(const SurveyedGuest& guest, const std::string& rest);

inline Fix set(const SurveyedGuest& guest, const std::string& rest, std::string text = "")
{
    return by_command(set_command(guest, rest), std::move(text));
}

// "pve-gpu-install --vm 101", "pve-gpu-install --ct 901"
std::string install_command(const SurveyedGuest& guest);

// "/sys/bus/pci/devices/0000:03:00.0/NAME"
inline std::string file_of(const PciAddress& address, std::string_view attribute)
{
    return "/sys/bus/pci/devices/" + to_string(address) + "/" + std::string(attribute);
}

// "101", or "N" where there is no guest: for commands.
inline std::string number_of(const std::vector<unsigned>& vmids)
{
    return vmids.empty() ? "N" : std::to_string(vmids.front());
}
inline std::string vm_of(const CardFacts& card)
{
    return number_of(card.vmids);
}

// "pve-gpu-install --host --vm 101", for the first guest that is passed a GPU.
std::string prepare_host(const CheckFacts& facts);

// "qm set 101 --hostpci0 0000:03:00.0,pcie=1": the line as it is, with that property, or without it where the
// value is empty.
std::string set_property(unsigned vmid, const HostPci& line, const std::string& key,
                         const std::string& value);

// The same with other devices: every other property stays.
std::string set_hosts(unsigned vmid, const HostPci& line, const std::vector<std::string>& hosts);

const Bar* largest_memory_bar(const Function& function); // that has an address; nullptr if there is none

// "BAR 0, BAR 2": those that the card shows in its configuration space and the kernel has found no room for.
std::string bars_without_room(const Function& function);

// OVMF's window for 64-bit BARs is 32 GiB unless it may trust the guest's number of address bits, which it
// does not at QEMU's default of 40 (edk2's PlatformInitLib; the same in qemu-server's CPUConfig.pm).
inline constexpr std::uint64_t window_of_ovmf = 32ULL << 30U;

// "1 function", "2 functions"
inline std::string counted(std::size_t number, const std::string& one)
{
    return std::to_string(number) + " " + one + (number == 1 ? "" : "s");
}

// What an administrator edits, and what then brings it to the boot loader.
std::string where_the_command_line_is(const CheckFacts& facts);

std::string bytes_in_words(std::uint64_t bytes); // "256 MiB"

// The guests that this is all about: VMs, no templates, with hostpci lines.
std::vector<const SurveyedGuest*> guests_with_devices(const CheckFacts& facts);

// Those of them that are passed a GPU whole.
std::vector<const SurveyedGuest*> guests_with_gpus(const CheckFacts& facts);

// One finding for each guest that is passed a GPU, about its configuration: look(guest).
template <typename Look> Findings of_guests(const CheckFacts& facts, Look look)
{
    Findings findings;
    for (const auto* guest : guests_with_gpus(facts)) {
        findings.push_back(look(*guest));
        findings.back().evidence.insert(0, conf_of(*guest) + ": ");
    }
    return findings;
}

// The one GPU that a guest is passed, or its first one; nullptr if there is none.
const CardFacts* first_card_of(const CheckFacts& facts, unsigned vmid);

} // namespace pvegpu
