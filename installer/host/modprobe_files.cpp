#include "host/modprobe_files.hpp"

#include "machine/paths.hpp"

#include <array>
#include <map>

namespace pvegpu {
namespace {

// kmod's default_config_paths (libkmod.c); modprobe.d(5). Where /lib is a link to /usr/lib the last two are
// one.
constexpr std::array<std::string_view, 5> directories{"/etc/modprobe.d", "/run/modprobe.d",
                                                      "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
                                                      "/lib/modprobe.d"};

} // namespace

// The same name in an earlier directory hides the later one; those that are left are read in the order of
// their names, whatever directory they are in (conf_files_list, libkmod-config.c).
std::vector<ModprobeLine> read_modprobe(const SysReader& reader)
{
    std::map<std::string, std::string> files; // path by name
    for (const auto directory : directories)
        for (const auto& name : reader.list(std::string(directory)))
            if (name.ends_with(".conf")) files.try_emplace(name, paths::join(directory, name));
    std::vector<ModprobeLine> lines;
    for (const auto& [name, path] : files)
        for (auto& line : parse_modprobe(reader.read(path).value_or(""), path))
            lines.push_back(std::move(line));
    return lines;
}

} // namespace pvegpu
