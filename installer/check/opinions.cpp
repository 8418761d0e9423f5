#include "check/opinions.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

// In quotes: a ';' between two devices would end the command.
std::string set_line(unsigned vmid, const HostPci& line, const std::vector<std::string>& parts)
{
    return "qm set " + std::to_string(vmid) + " --" + line.key() + " '" + join(parts, ",") + "'";
}

} // namespace

std::string conf_of(const SurveyedGuest& guest)
{
    return guest.container ? paths::ct_config(guest.vmid) : paths::vm_config(guest.vmid);
}

std::string set_command(const SurveyedGuest& guest, const std::string& rest)
{
    return (guest.container ? "pct set " : "qm set ") + std::to_string(guest.vmid) + " " + rest;
}

std::string install_command(const SurveyedGuest& guest)
{
    return (guest.container ? "pve-gpu-install --ct " : "pve-gpu-install --vm ") + std::to_string(guest.vmid);
}

const Bar* largest_memory_bar(const Function& function)
{
    const Bar* largest = nullptr;
    for (const auto& bar : function.bars)
        if (!bar.io && bar.assigned && (largest == nullptr || bar.size > largest->size)) largest = &bar;
    return largest;
}

std::string bars_without_room(const Function& function)
{
    std::string text;
    for (unsigned index = 0; function.config && index < 6; ++index) {
        const bool there = (function.config->memory_bars >> index & 1U) != 0;
        const bool assigned = std::any_of(function.bars.begin(), function.bars.end(),
                                          [&](const Bar& bar) { return bar.index == index && bar.assigned; });
        if (there && !assigned) text += (text.empty() ? "BAR " : ", BAR ") + std::to_string(index);
    }
    return text;
}

std::string where_the_command_line_is(const CheckFacts& facts)
{
    switch (facts.host.loader) {
    case BootLoader::proxmox_systemd:
        return "/etc/kernel/cmdline, then: proxmox-boot-tool refresh";
    case BootLoader::proxmox_grub:
    case BootLoader::proxmox_undecided:
    case BootLoader::grub:
        return "/etc/default/grub, then: update-grub";
    case BootLoader::unknown:
        break;
    }
    return "the boot loader's configuration";
}

std::string bytes_in_words(std::uint64_t bytes)
{
    constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
    return std::to_string(bytes) + " " + units.at(unit);
}

std::string prepare_host(const CheckFacts& facts)
{
    for (const auto& one : facts.cards)
        if (one.passed()) return "pve-gpu-install --host --vm " + vm_of(one);
    return "pve-gpu-install --host --vm N";
}

std::string set_property(unsigned vmid, const HostPci& line, const std::string& key, const std::string& value)
{
    std::vector<std::string> parts;
    for (const auto part : split(line.text, ','))
        if (!part.starts_with(key + "=")) parts.emplace_back(part);
    if (!value.empty()) parts.push_back(key + "=" + value);
    return set_line(vmid, line, parts);
}

// "host=" may be left out, so a part without a key is the host's.
std::string set_hosts(unsigned vmid, const HostPci& line, const std::vector<std::string>& hosts)
{
    std::vector<std::string> parts{join(hosts, ";")};
    for (const auto part : split(line.text, ','))
        if (!part.starts_with("host=") && part.find('=') != std::string_view::npos) parts.emplace_back(part);
    return set_line(vmid, line, parts);
}

std::vector<const SurveyedGuest*> guests_with_devices(const CheckFacts& facts)
{
    std::vector<const SurveyedGuest*> guests;
    for (const auto& guest : facts.survey.guests) {
        const bool named = !guest.config.hostpci.empty() || !guest.config.warnings.empty();
        if (!guest.container && !guest.config.is_template && named) guests.push_back(&guest);
    }
    return guests;
}

std::vector<const SurveyedGuest*> guests_with_gpus(const CheckFacts& facts)
{
    auto guests = guests_with_devices(facts);
    std::erase_if(guests, [&](const auto* guest) { return first_card_of(facts, guest->vmid) == nullptr; });
    return guests;
}

const CardFacts* first_card_of(const CheckFacts& facts, unsigned vmid)
{
    const auto found = std::find_if(facts.cards.begin(), facts.cards.end(), [&](const auto& one) {
        return std::find(one.vmids.begin(), one.vmids.end(), vmid) != one.vmids.end();
    });
    return found == facts.cards.end() ? nullptr : &*found;
}

} // namespace pvegpu
