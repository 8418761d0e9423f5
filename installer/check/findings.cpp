#include "check/findings.hpp"

#include "base/lists.hpp"
#include "check/guest_args.hpp"
#include "host/reboot.hpp"

#include <array>

namespace pvegpu {
namespace {

// In quotes: a ';' between two devices would end the command.
std::string set_line(unsigned vmid, const HostPci& line, const std::vector<std::string>& parts)
{
    return "qm set " + std::to_string(vmid) + " --" + line.key() + " '" + join(parts, ",") + "'";
}

} // namespace

void add_about(Findings& all, const Subject& subject, Finding finding)
{
    finding.subject = subject.name;
    finding.guests.insert(finding.guests.begin(), subject.guests.begin(), subject.guests.end());
    all.push_back(std::move(finding));
}

void add_about(Findings& all, const Subject& subject, const Findings& findings)
{
    for (const auto& finding : findings) add_about(all, subject, finding);
}

bool has_devices(const SurveyedGuest& guest)
{
    const auto& config = guest.config;
    return guest.id.is_vm() && !config.is_template && (!config.hostpci.empty() || !config.warnings.empty());
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

std::string with_type(std::string_view line, std::string_view type)
{
    std::vector<std::string> parts{std::string(type)};
    for (const auto part : split(line, ','))
        if (part.find('=') != std::string_view::npos && !part.starts_with("type=") &&
            !part.starts_with("cputype="))
            parts.emplace_back(part);
    return shell_quoted(join(parts, ","));
}

std::string install_for(const CheckFacts& facts, const std::vector<unsigned>& vmids)
{
    const auto vmid = facts.advised(vmids);
    if (vmid && facts.is_elsewhere(*vmid)) return "pve-gpu-install --host";
    const auto is_its = [&](const GpuFacts& gpu) { return vmid && contains(gpu.vmids, *vmid); };
    const bool left_alone =
        std::ranges::any_of(facts.gpus, is_its) &&
        std::ranges::none_of(facts.gpus, [&](const GpuFacts& gpu) { return is_its(gpu) && gpu.card.port; });
    const bool host_alone = left_alone || (vmid && facts.is_template(*vmid));
    return std::string("pve-gpu-install ") + (host_alone ? "--host " : "") + option_for(facts, vmid);
}

bool is_of_templates(const CheckFacts& facts, const GpuFacts& gpu)
{
    return gpu.passed() && facts.is_template(gpu.vmids.front());
}

Remedy try_for(const CheckFacts& facts, const GpuFacts& gpu, std::string words)
{
    const auto vmid = facts.advised(gpu.vmids);
    if (is_of_templates(facts, gpu) || (vmid && facts.is_elsewhere(*vmid))) return {std::move(words)};
    return by_command("pve-gpu-install try " + option_for(facts, vmid), std::move(words));
}

std::string prepare_host(const CheckFacts& facts)
{
    std::vector<unsigned> with_port, with_gpu;
    for (const auto& gpu : facts.gpus) append(gpu.card.port ? with_port : with_gpu, gpu.vmids);
    append(with_port, with_gpu);
    std::erase_if(with_port,
                  [&](unsigned vmid) { return !facts.asked.empty() && !contains(facts.asked, vmid); });
    const auto vmid = facts.advised(with_port);
    const bool named = vmid && !facts.is_elsewhere(*vmid);
    return "pve-gpu-install --host" + (named ? " " + option_for(facts, vmid) : "");
}

Remedy prepare(const CheckFacts& facts, bool written, const std::string& command, const std::string& then)
{
    if (!written) return by_command(command, then, true);
    if (reboot_helps(facts.survey, false)) return {"reboot: all that it takes is written already"};
    return by_command("update-initramfs -u -k all",
                      "then reboot: it is written already, and the host was booted since without it");
}

const std::string caution_of_q35 =
    "q35 is other hardware for a guest that was installed without it: back it up or make a snapshot first; "
    "network interfaces get other names, Windows looks for its drivers anew";

std::string where_the_command_line_is(const CheckFacts& facts)
{
    const auto loader = facts.host.loader;
    if (loader == BootLoader::proxmox_systemd) return "/etc/kernel/cmdline, then: proxmox-boot-tool refresh";
    return loader == BootLoader::unknown ? "the boot loader's configuration"
                                         : "/etc/default/grub, then: update-grub";
}

std::string vms_in_words(const CheckFacts& facts, const std::vector<unsigned>& vmids,
                         std::string_view between)
{
    std::string text;
    for (const auto vmid : vmids) text.append(text.empty() ? "" : between).append(facts.survey.name_of(vmid));
    return text;
}

std::string option_for(const CheckFacts& facts, const std::optional<unsigned>& vmid)
{
    if (!vmid) return "--vm N";
    const auto* const guest = facts.survey.find(*vmid);
    return guest == nullptr ? "--vm " + std::to_string(*vmid) : guest->id.option();
}

std::string bytes_in_words(std::uint64_t bytes)
{
    constexpr std::array units{"bytes", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
    return std::to_string(bytes) + " " + units.at(unit);
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
    std::vector<std::string> names;
    for (const auto index : bars_without_memory(function)) names.push_back("BAR " + std::to_string(index));
    return join(names, ", ");
}

} // namespace pvegpu
