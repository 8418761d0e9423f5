#include "host/modprobe_config.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"
#include "host/module_aliases.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <array>
#include <map>

namespace pvegpu {
namespace {

using Kind = ModprobeLine::Kind;
constexpr std::array kinds{EnumName{"blacklist", Kind::blacklist}, EnumName{"softdep", Kind::softdep},
                           EnumName{"options", Kind::options}, EnumName{"install", Kind::install}};

void add(const std::string& line, const std::string& file, std::vector<ModprobeLine>& lines)
{
    const auto words = words_of(line);
    if (words.size() < 2) return;
    const auto* const kind = find_name(kinds, words[0]);
    if (kind == kinds.end() || !is_module_name(words[1])) return;
    lines.push_back({kind->value, module_name(words[1]), {words.begin() + 2, words.end()}, file});
}

// "pre: a b post: c" -> a, b
bool has_pre(const std::vector<std::string>& words, std::string_view module)
{
    bool in_pre = false;
    for (const auto& word : words) {
        if (word.ends_with(':'))
            in_pre = word == "pre:";
        else if (in_pre && module_name(word) == module)
            return true;
    }
    return false;
}

bool blocks(const ModprobeLine& line)
{
    if (line.kind == Kind::blacklist) return true;
    return line.kind == Kind::install && !line.words.empty() &&
           (line.words.front().ends_with("/false") || line.words.front().ends_with("/true"));
}

// kmod's default_config_paths (libkmod.c); modprobe.d(5). Where /lib is a link to /usr/lib the last two are
// one.
constexpr std::array<std::string_view, 5> directories{"/etc/modprobe.d", "/run/modprobe.d",
                                                      "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d",
                                                      "/lib/modprobe.d"};

} // namespace

std::string to_string(Kind kind)
{
    return name_of(kinds, kind);
}

std::vector<ModprobeLine> parse_modprobe(std::string_view text, const std::string& file)
{
    std::vector<ModprobeLine> lines;
    std::string pending;
    for (LineReader reader(text); reader.next();) {
        auto line = reader.line();
        const bool goes_on = line.ends_with('\\');
        if (goes_on) line.remove_suffix(1);
        pending += line;
        if (goes_on) continue;
        add(pending, file, lines);
        pending.clear();
    }
    add(pending, file, lines);
    return lines;
}

std::vector<std::string> parse_module_list(std::string_view text)
{
    std::vector<std::string> modules;
    for (LineReader reader(text); reader.next();)
        if (const auto words = words_of(reader.line()); !words.empty() && is_module_name(words.front()))
            modules.push_back(module_name(words.front()));
    return modules;
}

bool is_blacklisted(const std::vector<ModprobeLine>& lines, std::string_view module)
{
    return std::ranges::any_of(lines,
                               [&](const auto& line) { return blocks(line) && line.module == module; });
}

bool waits_for_vfio(const std::vector<ModprobeLine>& lines, std::string_view module)
{
    return std::ranges::any_of(lines, [&](const auto& line) {
        return line.kind == Kind::softdep && line.module == module && has_pre(line.words, "vfio_pci");
    });
}

std::vector<VfioId> vfio_ids(const std::vector<ModprobeLine>& lines)
{
    constexpr std::string_view option = "ids=";
    constexpr std::size_t vendor_and_device = 9; // "10de:2204"; subsystem ids may follow
    std::vector<VfioId> ids;
    for (const auto& line : lines) {
        if (line.kind != Kind::options || line.module != "vfio_pci") continue;
        for (auto word : line.words) {
            std::erase(word, '"'); // the kernel takes ids="..." too (next_arg, lib/cmdline.c)
            if (word.starts_with(option))
                for (const auto id : split(std::string_view(word).substr(option.size()), ','))
                    ids.push_back({lower(id.substr(0, vendor_and_device)), line.file});
        }
    }
    return ids;
}

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
