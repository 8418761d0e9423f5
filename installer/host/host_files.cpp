#include "host/host_files.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "host/module_aliases.hpp"

#include <array>

namespace pvegpu {
namespace {

constexpr std::string_view header = "# Written by pve-gpu-install; 'pve-gpu-install uninstall' removes it.\n";
constexpr std::string_view block_begin = "# BEGIN pve-gpu-hook: written by pve-gpu-install\n";
constexpr std::string_view block_end = "# END pve-gpu-hook\n";

// Linux 6.2 has folded vfio_virqfd into vfio; on older kernels it is loaded as a dependency.
constexpr std::array<std::string_view, 3> vfio_modules{"vfio", "vfio_iommu_type1", "vfio-pci"};

std::string vfio_lines()
{
    std::string text;
    for (const auto module : vfio_modules) text += std::string(module) + "\n";
    return text;
}

void add_once(std::vector<std::string>& list, const std::string& text)
{
    if (!contains(list, text)) list.push_back(text);
}

// What is on the card and not passed stays with the host: nobody has to come before its driver.
std::vector<std::string> modules_of_passed(const std::vector<SurveyedFunction>& functions)
{
    std::vector<std::string> modules;
    for (const auto& function : functions)
        if (function.passed)
            for (const auto& module : function.modules) add_once(modules, module);
    return modules;
}

// The modules of the file's lines that are made of `begin`, a module and `end`.
void add_modules_of(std::string_view modprobe, std::string_view begin, std::string_view end,
                    std::vector<std::string>& modules)
{
    for (LineReader lines(modprobe); lines.next();) {
        const auto line = lines.line();
        if (!line.starts_with(begin) || !line.ends_with(end) || line.size() <= begin.size() + end.size())
            continue;
        const auto module = line.substr(begin.size(), line.size() - begin.size() - end.size());
        if (is_module_name(module)) add_once(modules, std::string(module));
    }
}

std::vector<std::string> ids_for_vfio(const std::vector<SurveyedFunction>& functions)
{
    std::vector<std::string> ids;
    for (const auto& function : functions)
        if (function.leaves_the_host() && !function.by_address) add_once(ids, device_id(function.facts));
    return ids;
}

// The addresses of a host can change when a card is added, so the ids are looked at too: this must never
// catch the host's disks.
constexpr std::string_view rules_why = "# In the initramfs the first event of any PCI device may load a "
                                       "driver that takes all cards with its ids,\n"
                                       "# so each event names the guest's first; afterwards a function that "
                                       "is found again is named by its own event.\n";

// `$attr{[pci/ADDRESS]...}` and `ATTR{[pci/ADDRESS]...}=` are about another device than the event's: udev(7).
// The file is one that initramfs-tools puts into each initramfs. A key with a dot in front is not stored.
std::string early_rules(const Function& function)
{
    const auto other = "[pci/" + to_string(function.address) + "]";
    const std::string in_initramfs = R"(ACTION=="add", SUBSYSTEM=="pci", TEST=="/conf/initramfs.conf", )";
    return in_initramfs + "ENV{.pve_gpu_hook}=\"$attr{" + other + "vendor}:$attr{" + other + "device}\"\n" +
           in_initramfs + "ENV{.pve_gpu_hook}==\"0x" + to_hex(function.vendor, 4) + ":0x" +
           to_hex(function.device, 4) + "\", ATTR{" + other + "driver_override}=\"vfio-pci\"\n";
}

std::string late_rule(const Function& function)
{
    return R"(ACTION=="add", SUBSYSTEM=="pci", KERNEL==")" + to_string(function.address) +
           R"(", ATTR{vendor}=="0x)" + to_hex(function.vendor, 4) + R"(", ATTR{device}=="0x)" +
           to_hex(function.device, 4) + R"(", ATTR{driver_override}="vfio-pci")" + "\n";
}

} // namespace

std::string grub_drop_in_text(const Tokens& tokens)
{
    return std::string(header) + "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT " +
           join(tokens, " ") + "\"\n";
}

std::string modules_load_text()
{
    return std::string(header) + vfio_lines();
}

std::string modprobe_text(const std::vector<SurveyedFunction>& functions, bool blacklist,
                          std::string_view now)
{
    std::string text(header);
    auto modules = modules_of_passed(functions);
    add_modules_of(now, "softdep ", " pre: vfio-pci", modules);
    for (const auto& module : modules) text += "softdep " + module + " pre: vfio-pci\n";
    const auto ids = ids_for_vfio(functions);
    text += "options vfio-pci" + (ids.empty() ? "" : " ids=" + join(ids, ",")) + " disable_idle_d3=1\n";
    std::vector<std::string> kept_away;
    add_modules_of(now, "blacklist ", "", kept_away);
    if (blacklist)
        for (const auto& module : gpu_modules(functions)) add_once(kept_away, module);
    for (const auto& module : kept_away) text += "blacklist " + module + "\n";
    return text;
}

std::string udev_rules_text(const std::vector<SurveyedFunction>& functions)
{
    std::string early, late;
    for (const auto& function : functions) {
        if (!function.leaves_the_host() || !function.by_address) continue;
        early += early_rules(function.facts);
        late += late_rule(function.facts);
    }
    return early.empty() ? "" : std::string(header) + std::string(rules_why) + early + late;
}

std::string without_initramfs_block(std::string_view modules)
{
    const auto begin = modules.find(block_begin);
    if (begin == std::string_view::npos) return std::string(modules);
    const auto end = modules.find(block_end, begin);
    const auto rest =
        end == std::string_view::npos ? std::string_view{} : modules.substr(end + block_end.size());
    return std::string(modules.substr(0, begin)) + std::string(rest);
}

std::string with_initramfs_block(std::string_view modules)
{
    auto text = without_initramfs_block(modules);
    if (!text.empty() && text.back() != '\n') text += '\n';
    return text + std::string(block_begin) + vfio_lines() + std::string(block_end);
}

// A virtual function exists by its parent's driver.
std::vector<std::string> gpu_modules(const std::vector<SurveyedFunction>& functions)
{
    std::vector<std::string> modules;
    for (const auto& function : functions)
        if (function.passed && is_gpu(function.facts) && !function.facts.virtual_function)
            for (const auto& module : function.modules) add_once(modules, module);
    return modules;
}

} // namespace pvegpu
