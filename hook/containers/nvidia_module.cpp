#include "containers/nvidia_module.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

// Debian's packages have the driver's version in the module's name and an alias 'nvidia' in modprobe.d.
constexpr std::array<std::string_view, 5> names{"nvidia", "nvidia-current", "nvidia-open", "nvidia-legacy",
                                                "nvidia-tesla"};

// ".../updates/dkms/nvidia.ko.zst", "nvidia-current-open.ko", "nvidia-tesla-470.ko"; not nvidiafb.ko and
// nvidia-wmi-ec-backlight.ko, which are the kernel's own, nor nvidia-uvm.ko, which needs the other.
bool is_nvidias(std::string_view path)
{
    const auto file = last_name(path);
    const auto end = file.find(".ko");
    if (end == std::string_view::npos) return false;
    const auto name = file.substr(0, end);
    return std::ranges::any_of(names, [&](std::string_view known) {
        if (known == "nvidia" || !name.starts_with(known)) return name == known;
        const auto rest = name.substr(known.size());
        return rest.empty() || rest.front() == '-';
    });
}

std::string modules_of(std::string_view kernel)
{
    return paths::join(paths::kernel_modules, kernel);
}

// Nothing: the kernel's directory does not say. modprobe looks at modules.dep only, so that one decides; the
// directories are those where DKMS of any distribution and NVIDIA's own installer put modules.
std::optional<bool> has_module(const SysReader& reader, std::string_view kernel)
{
    const auto modules = modules_of(kernel);
    if (const auto list = reader.read(paths::join(modules, "modules.dep"))) {
        for (LineReader lines(*list); lines.next();)
            if (is_nvidias(split(lines.line(), ':').front())) return true;
        return false;
    }
    bool looked = false;
    for (const auto* directory : {"updates/dkms", "updates", "extra", "kernel/drivers/video", "misc"}) {
        const auto files = reader.list(paths::join(modules, directory));
        if (std::ranges::any_of(files, is_nvidias)) return true;
        looked = looked || !files.empty();
    }
    return looked ? std::optional(false) : std::nullopt;
}

struct Dkms {
    std::vector<std::string> versions; // "nvidia/550.90.07", that it has sources of
    bool built = false;                // one of them, for the running kernel
    std::string log;                   // of a build that failed
};

// /var/lib/dkms/MODULE/VERSION/KERNEL is there once it is built; a build that failed leaves VERSION/build.
Dkms look_at_dkms(const SysReader& reader, const std::string& kernel)
{
    Dkms dkms;
    for (const auto& module : reader.list(std::string(paths::dkms))) {
        if (!module.starts_with("nvidia")) continue;
        const auto directory = paths::join(paths::dkms, module);
        for (const auto& version : reader.list(directory)) {
            if (version.empty() || !is_digit(version.front())) continue; // kernel-...: what is installed
            const auto tree = paths::join(directory, version);
            dkms.versions.push_back(paths::join(module, version));
            dkms.built = dkms.built || contains(reader.list(tree), kernel);
            if (const auto log = tree + "/build/make.log"; reader.exists(log)) dkms.log = log;
        }
    }
    return dkms;
}

std::string other_kernel_with_it(const SysReader& reader, const std::string& running)
{
    for (const auto& kernel : reader.list(std::string(paths::kernel_modules)))
        if (kernel != running && has_module(reader, kernel).value_or(false)) return kernel;
    return "";
}

} // namespace

std::optional<Advice> no_nvidia_module(const SysReader& reader)
{
    const auto kernel = trim(reader.read(std::string(paths::kernel_release)).value_or(""));
    if (kernel.empty()) return std::nullopt;
    const auto there = has_module(reader, kernel);
    const auto dkms = look_at_dkms(reader, kernel);
    if (there.value_or(dkms.built || dkms.versions.empty())) return std::nullopt;
    const auto fact = ": the running kernel " + quote(kernel) + " has no NVIDIA module";
    // Without its headers nothing can be built for a kernel; Proxmox's package of them has its release.
    const bool headers = reader.exists(paths::join(modules_of(kernel), "build"));
    const auto build = std::string(headers ? "" : "'apt install proxmox-headers-" + kernel + "', then ") +
                       "'dkms autoinstall -k " + kernel + "'";
    if (!dkms.versions.empty() && !dkms.built)
        return Advice{fact + ", and DKMS has not built " + quote(dkms.versions.back()) + " for it" +
                          (dkms.log.empty() ? "" : " (see " + quote(dkms.log) + ")"),
                      build};
    if (dkms.built)
        return Advice{fact + ", though DKMS has built " + quote(dkms.versions.back()) + " for it",
                      "'dkms autoinstall -k " + kernel + "', then 'depmod'"};
    if (const auto other = other_kernel_with_it(reader, kernel); !other.empty())
        return Advice{fact + ", the kernel " + quote(other) + " has one",
                      "install NVIDIA's driver for the running kernel too, or boot that one"};
    return Advice{fact, "install NVIDIA's driver on the host"};
}

} // namespace pvegpu
