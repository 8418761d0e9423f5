// Who gets the card at boot: modules, their order, ids, blacklists, the screen.
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "host/module_aliases.hpp"

#include <array>

namespace pvegpu {
namespace {

// vfio-pci is to have it from boot on.
bool leaves_the_host(const SurveyedFunction& function)
{
    return function.passed && !function.goes_back;
}

// Its native drivers that nothing keeps from it.
std::vector<std::string> free_drivers(const CheckFacts& facts, const SurveyedFunction& function)
{
    auto modules = function.modules;
    std::erase_if(modules, [&](const auto& module) {
        return waits_for_vfio(facts.modprobe, module) || is_blacklisted(facts.modprobe, module);
    });
    return modules;
}

Findings modules_obsolete(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [file, modules] : facts.module_lists)
        if (contains(modules, "vfio_virqfd") && version_before(facts.host.kernel, {6, 2}) == false)
            findings.push_back(
                {Verdict::note, file + " has 'vfio_virqfd', which is part of 'vfio' since Linux 6.2",
                 by_command("sed -i '/^vfio_virqfd/d' " + file + " && update-initramfs -u -k all")});
    return or_ok(findings, std::string(paths::modules_file) + ", " +
                               std::string(paths::modules_load_directory) + " and " +
                               std::string(paths::initramfs_modules) + " name no module that is gone");
}

Findings modules_initramfs(const CheckFacts& facts)
{
    std::vector<std::string> early; // of passed functions, and nothing keeps them away
    for (const auto& function : facts.survey.functions)
        for (const auto& module : free_drivers(facts, function))
            if (leaves_the_host(function) && !contains(early, module)) early.push_back(module);
    if (std::ranges::none_of(facts.survey.functions, leaves_the_host)) return {};
    const std::string file(paths::initramfs_modules);
    const auto list = facts.module_lists.find(file);
    if (list == facts.module_lists.end())
        return {{Verdict::unknown, file + " cannot be read",
                 by_command("lsinitramfs /boot/initrd.img-$(uname -r) | grep vfio")}};
    if (contains(list->second, "vfio_pci")) return {{Verdict::ok, file + " has 'vfio_pci'"}};
    const auto who =
        early.empty()
            ? ", but every driver of a passed card is kept away in " + std::string(paths::modprobe_directory)
            : ", so " + quote(join(early, "', '")) + " is first where the initramfs has it";
    return {{early.empty() ? Verdict::note : Verdict::warning, file + " has no 'vfio_pci'" + who,
             by_command(prepare_host(facts), "then reboot", true)}};
}

Finding order_of(const CheckFacts& facts, const SurveyedFunction& function)
{
    const auto& driver = function.facts.driver;
    const auto free = free_drivers(facts, function);
    const auto install = "pve-gpu-install --vm " + number_of(function.vmids);
    const auto now = paths::function(function.facts.address, "driver") +
                     (driver.empty() ? " is absent" : " leads to " + quote(driver));
    if (function.driver_can_be_kept_away)
        return {Verdict::warning, now + ", not vfio-pci", by_command(install, "then reboot", true)};
    if (!free.empty())
        return {Verdict::warning,
                "no line in " + std::string(paths::modprobe_directory) + " has vfio-pci before " +
                    quote(join(free, "', '")) + "; " + now,
                by_command(install, "", true)};
    return {Verdict::ok, now};
}

Findings driver_order(const CheckFacts& facts)
{
    return about_each<order_of>(facts, facts.survey.functions, leaves_the_host);
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

Findings driver_ids(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [id, where] : all_vfio_ids(facts)) {
        const auto file = where == paths::kernel_command_line ? where_the_command_line_is(facts)
                                                              : where + ", then: update-initramfs -u -k all";
        for (const auto& [address, function] : facts.topology.functions)
            if (device_id(function) == id && !function.bridge && !facts.is_passed(address))
                findings.push_back(
                    {Verdict::warning,
                     where + " gives every " + quote(id) + " to vfio-pci, " + quote(to_string(address)) +
                         " too, which no guest is passed",
                     {"take the id out of " + file + "; let 'pve-gpu-install --vm N' bind by address"}});
    }
    return or_ok(findings, "no 'ids=' in " + std::string(paths::modprobe_directory) + " and " +
                               std::string(paths::kernel_command_line) +
                               " takes a device that the host keeps");
}

std::string files_that_blacklist(const CheckFacts& facts, const std::vector<std::string>& modules)
{
    std::vector<std::string> files;
    for (const auto& line : facts.modprobe)
        if (is_blacklisted({line}, line.module) && contains(modules, line.module) &&
            !contains(files, line.file))
            files.push_back(line.file);
    return join(files, ", ");
}

Findings blacklists_of(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto modules = facts.native_modules.find(gpu.address);
    if (modules == facts.native_modules.end() || modules->second.empty()) return {};
    const auto names = quote(join(modules->second, "', '"));
    if (!std::ranges::all_of(modules->second,
                             [&](const auto& module) { return is_blacklisted(facts.modprobe, module); }))
        return {{Verdict::ok, std::string(paths::modprobe_directory) + " lets the host load " + names}};
    return {{Verdict::warning,
             files_that_blacklist(facts, modules->second) + " blacklists " + names +
                 ", the only drivers of this GPU of the host",
             {"remove the blacklist lines, then: update-initramfs -u -k all; "
              "'pve-gpu-install --vm N' keeps a driver from the guest's card alone"}}};
}

Findings driver_blacklist(const CheckFacts& facts)
{
    return about_each<blacklists_of>(facts, facts.gpus, [](const GpuFacts& gpu) { return !gpu.passed(); });
}

bool is_firmware_screen(const std::string& place)
{
    return std::ranges::any_of(std::array{"efi-framebuffer.", "vesa-framebuffer.", "simple-framebuffer."},
                               [&](const char* driver) { return place.find(driver) != std::string::npos; });
}

// vfio-pci takes the firmware's screen off a VGA device itself (vfio_pci_core.c), of other classes it does
// not.
Findings display_framebuffer(const CheckFacts& facts, const GpuFacts& gpu)
{
    if (!facts.function(gpu).boot_vga) return {};
    const bool vga = facts.function(gpu).class_code >> 8U == 0x0300;
    const std::string screens(paths::framebuffers);
    const auto* screen = find_where(facts.framebuffers, is_firmware_screen);
    if (screen == nullptr) return {{Verdict::ok, screens + " has no screen of the firmware"}};
    return {{vga ? Verdict::note : Verdict::warning,
             screens + " has the firmware's screen, " + quote(*screen),
             {"nothing, if the hook is attached: it takes the screen off; else add "
              "'initcall_blacklist=sysfb_init' to the kernel's command line",
              true}}};
}

Finding display_boot_vga(const CheckFacts& facts, const GpuFacts& gpu)
{
    const auto file = gpu.file("boot_vga");
    if (!facts.function(gpu).boot_vga) return {Verdict::ok, file + " is not 1"};
    return {Verdict::note,
            file + " is 1: it is the display that the host boots on",
            {"choose the integrated or another GPU as 'primary display' ('Init display first') in the "
             "firmware's setup; or use the network or a serial console of the host while the guest runs"}};
}

} // namespace

std::vector<Check> driver_checks()
{
    return {
        {"modules.obsolete", "no module is loaded that is gone",
         "/etc/modules, modules-load.d and the initramfs list: vfio_virqfd",
         "a module that is gone costs an error at every boot", modules_obsolete},
        {"modules.initramfs", "vfio-pci is in the initramfs", "/etc/initramfs-tools/modules",
         "the driver that is loaded first gets the card; in the initramfs that can be the native one",
         modules_initramfs},
        {"driver.order", "vfio-pci gets the card before its native driver",
         "modprobe.d and the driver of each passed function",
         "a native driver that has seen the card leaves it in a state that the guest's driver may not bear",
         driver_order},
        {"driver.ids", "vfio-pci takes no device of the host by its ids",
         "'ids=' of vfio-pci in modprobe.d and on the command line",
         "ids do not tell twins apart: the host loses its own card, disk or network", driver_ids},
        {"driver.blacklist", "the host's own GPU has its driver",
         "blacklists against the GPUs that stay with the host",
         "a blacklist is for a driver, not for a card: the host's own screen stays dark", driver_blacklist},
        {"display.framebuffer", "the firmware's screen is off the card",
         "the firmware's framebuffer on a passed card",
         "it keeps a part of the card's memory: \"BAR can't reserve\"", each_passed_gpu<display_framebuffer>},
        {"display.boot-vga", "the host boots on another display", "boot_vga of the passed cards",
         "the host loses its screen, and some cards give a guest no picture once the firmware has used them",
         each_passed_gpu<display_boot_vga>},
    };
}

} // namespace pvegpu
