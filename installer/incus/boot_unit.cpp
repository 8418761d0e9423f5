#include "incus/boot_unit.hpp"

#include "base/shell_quote.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

std::string escaped(const std::string& text)
{
    std::string result;
    for (const char c : text) {
        const bool plain = is_alnum(c) || c == ':' || c == '_' || (c == '.' && !result.empty());
        if (plain)
            result += c;
        else if (c == '/')
            result += '-';
        else
            result += "\\x" + to_hex(static_cast<unsigned char>(c), 2);
    }
    return result;
}

} // namespace

std::string boot_unit(const InstanceName& name)
{
    return "pve-gpu-incus@" + escaped(name.text()) + ".service";
}

std::string boot_unit_link(const InstanceName& name)
{
    return paths::join(paths::wanted_at_boot, boot_unit(name));
}

std::string disable_command(const InstanceName& name)
{
    return shell_line({"systemctl", "disable", boot_unit(name)});
}

} // namespace pvegpu
