// Who gets the card at boot: modules, their order, ids, blacklists, the screen.
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "host/module_aliases.hpp"

#include <array>
#include <functional>
#include <map>

namespace pvegpu {
namespace {

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
            if (function.leaves_the_host() && !contains(early, module)) early.push_back(module);
    if (std::ranges::none_of(facts.survey.functions, &SurveyedFunction::leaves_the_host)) return {};
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

bool in_initramfs(const CheckFacts& facts)
{
    const auto list = facts.module_lists.find(std::string(paths::initramfs_modules));
    return list != facts.module_lists.end() && contains(list->second, "vfio_pci");
}

// All that the installer writes for it is there: the drivers wait, and vfio-pci is told of it.
bool is_prepared(const CheckFacts& facts, const SurveyedFunction& function)
{
    const auto ids = vfio_ids(facts.modprobe);
    const auto rules = facts.survey.file(paths::udev_rules).value_or("");
    const bool told =
        rules.find(to_string(function.facts.address)) != std::string::npos ||
        std::ranges::any_of(ids, [&](const VfioId& one) { return one.id == device_id(function.facts); });
    return told && free_drivers(facts, function).empty() && in_initramfs(facts);
}

Finding order_of(const CheckFacts& facts, const SurveyedFunction& function)
{
    const auto& driver = function.facts.driver;
    const auto free = free_drivers(facts, function);
    const auto install = install_for(facts, function.vmids);
    const auto now = paths::function(function.facts.address, "driver") +
                     (driver.empty() ? " is absent" : " leads to " + quote(driver));
    if (function.driver_can_be_kept_away)
        return {Verdict::warning, now + ", not vfio-pci",
                prepare(facts, is_prepared(facts, function), install, "then reboot")};
    if (!free.empty())
        return {Verdict::warning,
                "no line in " + std::string(paths::modprobe_directory) + " has vfio-pci before " +
                    quote(join(free, "', '")) + "; " + now,
                by_command(install, "", true)};
    return {Verdict::ok, now};
}

Findings driver_order(const CheckFacts& facts)
{
    return about_each<order_of>(facts, facts.survey.functions,
                                std::mem_fn(&SurveyedFunction::leaves_the_host));
}

// Of a guest, or on the card of one: that goes with it.
bool is_a_guests(const CheckFacts& facts, const PciAddress& address)
{
    if (!facts.named_by(address).empty()) return true;
    return std::ranges::any_of(facts.gpus, [&](const GpuFacts& gpu) {
        return gpu.passed() && gpu.card.port && gpu.card.has(address);
    });
}

// By file, each with everything that is wrong in it.
Findings driver_options(const CheckFacts& facts)
{
    const auto bad = bad_vfio_options(facts.modprobe);
    std::map<std::string, std::string> by_file;
    for (const auto& [word, why, file] : bad)
        by_file[file] += (by_file[file].empty() ? "" : "; ") + quote(word) + " is " + why;
    const auto finding = [&](const std::string& file, const std::string& text) {
        const auto place = file == paths::kernel_command_line ? where_the_command_line_is(facts)
                                                              : file + ", then: update-initramfs -u -k all";
        return Finding{
            Verdict::warning,
            file + ": " + text,
            {"correct them in " + place + "; " + quote(prepare_host(facts)) + " needs no such list"}};
    };
    Findings findings;
    for (const auto& [file, text] : by_file) findings.push_back(finding(file, text));
    const auto has = [&](const std::string& id) {
        return std::ranges::any_of(facts.topology.functions,
                                   [&](const auto& entry) { return device_id(entry.second) == id; });
    };
    for (const auto& [id, where] : vfio_ids(facts.modprobe))
        if (is_vfio_id(id) && !has(id))
            findings.push_back(
                {Verdict::note,
                 where + " gives " + quote(id) + " to vfio-pci, and no device of this host has it",
                 {"if it is misspelt, 'lspci -nn' shows the ids; else take it out"},
                 "it does nothing, and hides the cause of trouble"});
    return findings;
}

Findings driver_ids(const CheckFacts& facts)
{
    Findings findings;
    for (const auto& [id, where] : vfio_ids(facts.modprobe)) {
        const auto file = where == paths::kernel_command_line ? where_the_command_line_is(facts)
                                                              : where + ", then: update-initramfs -u -k all";
        for (const auto& [address, function] : facts.topology.functions)
            if (device_id(function) == id && !function.bridge && !is_a_guests(facts, address))
                findings.push_back({Verdict::warning,
                                    where + " gives every " + quote(id) + " to vfio-pci, " +
                                        quote(to_string(address)) + " too, which no guest is passed",
                                    {"take the id out of " + file + "; " + quote(prepare_host(facts)) +
                                     " binds by address instead"}});
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
    const auto files = files_that_blacklist(facts, modules->second);
    return {{Verdict::warning,
             files + " blacklists " + names + ", the only drivers of this GPU of the host",
             {"take them out" +
              (files.find(paths::kernel_command_line) == std::string::npos
                   ? ", then: update-initramfs -u -k all"
                   : " of " + where_the_command_line_is(facts) + "; reboot") +
              "; " + quote(prepare_host(facts)) + " keeps a driver from the guest's card alone"}}};
}

Findings driver_blacklist(const CheckFacts& facts)
{
    return about_each<blacklists_of>(
        facts, facts.gpus, [&](const GpuFacts& gpu) { return facts.named_by(gpu.address).empty(); });
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
        {"driver.options", "the kernel takes every option of vfio-pci",
         "'options vfio-pci' in modprobe.d, and vfio-pci.ids on the command line",
         "the kernel ignores an option or an id that is misspelt, and the host keeps the device",
         driver_options},
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
