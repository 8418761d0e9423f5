// Who gets the card at boot: modules, their order, ids, blacklists, the screen.
#include "check/check_families.hpp"
#include "check/opinions.hpp"
#include "host/module_aliases.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

bool names(const std::vector<std::string>& list, std::string_view module)
{
    return std::find(list.begin(), list.end(), module) != list.end();
}

bool kept_away(const CheckFacts& facts, const std::string& module)
{
    return waits_for_vfio(facts.modprobe, module) || is_blacklisted(facts.modprobe, module);
}

std::string install_for(const SurveyedFunction& function)
{
    return "pve-gpu-install --vm " + std::to_string(function.vmids.front());
}

// vfio-pci is to have it from boot on.
bool leaves_the_host(const SurveyedFunction& function)
{
    return function.passed && !function.goes_back;
}

// Native drivers of passed functions that nothing keeps from them.
std::vector<std::string> taken_before_vfio(const CheckFacts& facts)
{
    std::vector<std::string> modules;
    for (const auto& function : facts.survey.functions)
        for (const auto& module : function.modules)
            if (leaves_the_host(function) && !kept_away(facts, module) && !names(modules, module))
                modules.push_back(module);
    return modules;
}

Finding order_of(const CheckFacts& facts, const SurveyedFunction& function)
{
    const auto subject = to_string(function.facts.address);
    const auto& driver = function.facts.driver;
    std::vector<std::string> free;
    for (const auto& module : function.modules)
        if (!kept_away(facts, module)) free.push_back(module);
    const auto now = file_of(function.facts.address, "driver") +
                     (driver.empty() ? " is absent" : " leads to " + quote(driver));
    if (function.driver_can_be_kept_away)
        return about(subject, function.vmids, Verdict::warning, now + ", not vfio-pci",
                     by_command(install_for(function), "then reboot", true));
    if (!free.empty())
        return about(subject, function.vmids, Verdict::warning,
                     "no line in " + std::string(paths::modprobe_directory) + " has vfio-pci before " +
                         quote(join(free, "', '")) + "; " + now,
                     by_command(install_for(function), "", true));
    return about(subject, function.vmids, Verdict::ok, now);
}

// Of functions that stay with the host.
Findings caught_by(const CheckFacts& facts, const std::string& id, const std::string& where)
{
    const auto file = where == paths::kernel_command_line ? where_the_command_line_is(facts)
                                                          : where + ", then: update-initramfs -u -k all";
    Findings findings;
    for (const auto& known : facts.topology.functions) {
        const auto& address = known.first;
        if (device_id(known.second) != id || known.second.bridge) continue;
        const bool passed = std::any_of(facts.survey.guests.begin(), facts.survey.guests.end(),
                                        [&](const auto& guest) { return guest.keys.contains(address); });
        if (!passed)
            findings.push_back(about_host(
                Verdict::warning,
                where + " gives every " + quote(id) + " to vfio-pci, " + quote(to_string(address)) +
                    " too, which no guest is passed",
                {"take the id out of " + file + "; let 'pve-gpu-install --vm N' bind by address"}));
    }
    return findings;
}

std::vector<VfioId> all_vfio_ids(const CheckFacts& facts)
{
    auto ids = vfio_ids(facts.modprobe);
    for (const auto& token : facts.host.running) {
        const auto pair = split_once(token, '=');
        if (!pair || (pair->first != "vfio-pci.ids" && pair->first != "vfio_pci.ids")) continue;
        for (const auto id : split(pair->second, ','))
            ids.push_back({lower(id.substr(0, 9)), std::string(paths::kernel_command_line)});
    }
    return ids;
}

std::string files_with(const CheckFacts& facts, const std::vector<std::string>& modules)
{
    std::string files;
    for (const auto& line : facts.modprobe)
        if (is_blacklisted({line}, line.module) && names(modules, line.module) &&
            files.find(line.file) == std::string::npos)
            files += (files.empty() ? "" : ", ") + line.file;
    return files;
}

bool is_firmware_screen(const std::string& place)
{
    return place.find("efi-framebuffer.") != std::string::npos ||
           place.find("vesa-framebuffer.") != std::string::npos ||
           place.find("simple-framebuffer.") != std::string::npos;
}

bool is_vga(const Function& function)
{
    return function.class_code >> 8U == 0x0300;
}

} // namespace

Findings modules_obsolete(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [file, modules] : facts.module_lists)
        if (names(modules, "vfio_virqfd") && !kernel_before(facts.host.kernel, 6, 2))
            findings.push_back(about_host(
                Verdict::note, file + " has 'vfio_virqfd', which is part of 'vfio' since Linux 6.2",
                by_command("sed -i '/^vfio_virqfd/d' " + file + " && update-initramfs -u -k all")));
    if (findings.empty())
        findings.push_back(about_host(Verdict::ok, std::string(paths::modules_file) + ", " +
                                                       std::string(paths::modules_load_directory) + " and " +
                                                       std::string(paths::initramfs_modules) +
                                                       " name no module that is gone"));
    return findings;
}

Findings modules_initramfs(const CheckFacts& facts)
{
    const auto early = taken_before_vfio(facts);
    if (std::none_of(facts.survey.functions.begin(), facts.survey.functions.end(), leaves_the_host))
        return {};
    const auto file = std::string(paths::initramfs_modules);
    const auto list = facts.module_lists.find(file);
    if (list == facts.module_lists.end())
        return {about_host(Verdict::unknown, file + " cannot be read",
                           by_command("lsinitramfs /boot/initrd.img-$(uname -r) | grep vfio"))};
    if (names(list->second, "vfio_pci")) return {about_host(Verdict::ok, file + " has 'vfio_pci'")};
    const auto fix = by_command(prepare_host(facts), "then reboot", true);
    if (early.empty())
        return {about_host(Verdict::note,
                           file + " has no 'vfio_pci', but every driver of a passed card is kept away in " +
                               std::string(paths::modprobe_directory),
                           fix)};
    return {about_host(Verdict::warning,
                       file + " has no 'vfio_pci', so " + quote(join(early, "', '")) +
                           " is first where the initramfs has it",
                       fix)};
}

Findings driver_order(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& function : facts.survey.functions)
        if (leaves_the_host(function)) findings.push_back(order_of(facts, function));
    return findings;
}

Findings driver_ids(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [id, where] : all_vfio_ids(facts))
        for (auto& finding : caught_by(facts, id, where)) findings.push_back(std::move(finding));
    if (findings.empty())
        findings.push_back(about_host(Verdict::ok, "no 'ids=' in " + std::string(paths::modprobe_directory) +
                                                       " and " + std::string(paths::kernel_command_line) +
                                                       " takes a device that the host keeps"));
    return findings;
}

Findings driver_blacklist(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        const auto modules = facts.native_modules.find(one.gpu);
        if (one.passed() || modules == facts.native_modules.end() || modules->second.empty()) continue;
        const bool all = std::all_of(modules->second.begin(), modules->second.end(), [&](const auto& module) {
            return is_blacklisted(facts.modprobe, module);
        });
        findings.push_back(
            all ? about_card(one, Verdict::warning,
                             files_with(facts, modules->second) + " blacklists " +
                                 quote(join(modules->second, "', '")) +
                                 ", the only drivers of this GPU of the host",
                             {"remove the blacklist lines, then: update-initramfs -u -k all; "
                              "'pve-gpu-install --vm N' keeps a driver from the guest's card alone"})
                : about_card(one, Verdict::ok,
                             std::string(paths::modprobe_directory) + " lets the host load " +
                                 quote(join(modules->second, "', '"))));
    }
    return findings;
}

// vfio-pci takes the firmware's screen off a VGA device itself (vfio_pci_core.c), of other classes it does
// not.
Findings display_framebuffer(const CheckFacts& facts)
{
    Findings findings;
    const auto screen =
        std::find_if(facts.framebuffers.begin(), facts.framebuffers.end(), is_firmware_screen);
    for (const auto& one : facts.cards) {
        if (!one.passed() || !facts.gpu(one).boot_vga) continue;
        if (screen == facts.framebuffers.end())
            findings.push_back(about_card(
                one, Verdict::ok, std::string(paths::framebuffers) + " has no screen of the firmware"));
        else
            findings.push_back(
                about_card(one, is_vga(facts.gpu(one)) ? Verdict::note : Verdict::warning,
                           std::string(paths::framebuffers) + " has the firmware's screen, " + quote(*screen),
                           {"nothing, if the hook is attached: it takes the screen off; else add "
                            "'initcall_blacklist=sysfb_init' to the kernel's command line",
                            true}));
    }
    return findings;
}

Findings display_boot_vga(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& one : facts.cards) {
        if (!one.passed()) continue;
        const auto file = file_of(one.gpu, "boot_vga");
        if (!facts.gpu(one).boot_vga)
            findings.push_back(about_card(one, Verdict::ok, file + " is not 1"));
        else
            findings.push_back(about_card(
                one, Verdict::note, file + " is 1: it is the display that the host boots on",
                {"choose the integrated or another GPU as 'primary display' ('Init display first') in the "
                 "firmware's setup; or use the network or a serial console of the host while the guest "
                 "runs"}));
    }
    return findings;
}

} // namespace pvegpu
