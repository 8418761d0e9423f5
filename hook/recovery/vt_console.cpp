#include "recovery/vt_console.hpp"

#include "machine/paths.hpp"

#include <array>

namespace pvegpu {
namespace {

std::vector<std::string> framebuffers(const SysReader& reader)
{
    auto names = reader.list(std::string(paths::framebuffers));
    std::erase_if(names, [](const auto& name) { return !name.starts_with("fb") || name == "fbcon"; });
    return names;
}

// The platform device that stands for the screen as the firmware left it; empty if a real driver has it.
std::string firmware_device(const std::string& place)
{
    constexpr std::array<std::string_view, 3> kinds{"efi-framebuffer.", "vesa-framebuffer.",
                                                    "simple-framebuffer."};
    for (const auto kind : kinds)
        if (const auto at = place.find(kind); at != std::string::npos)
            return place.substr(at, place.find('/', at) - at);
    return "";
}

bool belongs_to(const std::string& place, const Function& gpu)
{
    if (place.find("/" + to_string(gpu.address) + "/") != std::string::npos) return true;
    return gpu.boot_vga && !firmware_device(place).empty();
}

void take_consoles_off(const RunContext& run)
{
    for (const auto& name : run.system.list(std::string(paths::virtual_consoles))) {
        const auto directory = paths::join(paths::virtual_consoles, name);
        const auto what = run.system.read(directory + "/name").value_or("");
        const bool on_screen = what.find("frame buffer") != std::string::npos;
        // Bounded: the kernel takes the console's lock to answer (show_bind in drivers/tty/vt/vt.c).
        const auto bound = run.system.read_within(directory + "/bind", 1, console_within);
        if (!on_screen || bound.text != "1") continue;
        run.journal.note({Undo::Kind::console, directory + "/bind", "1"});
        write_checked(run, directory + "/bind", "0", console_within, 0);
    }
}

} // namespace

void release_console(const RunContext& run, const Function& gpu)
{
    const auto screens = framebuffers(run.system);
    if (screens.size() != 1) return; // none, or another screen for the console to stay on
    // "../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0/graphics/fb0" or
    // ".../platform/efi-framebuffer.0/graphics/fb0"
    const auto screen = paths::join(paths::framebuffers, screens.front());
    const auto place = run.system.read_link(screen).value_or("");
    if (!belongs_to(place, gpu)) return;
    take_consoles_off(run);
    const auto device = firmware_device(place);
    const auto driver = paths::join(paths::platform_devices, device) + "/driver";
    if (!device.empty() && run.system.exists(driver))
        write_checked(run, driver + "/unbind", device, console_within, 0);
    run.warn({"host console on " + quote(gpu.address) + " turned off",
              "use SSH or a serial console while the guest runs"});
}

} // namespace pvegpu
