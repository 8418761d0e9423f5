#include "host/modprobe_config.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"
#include "host/kernel_cmdline.hpp"
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

// The parameters of the modules vfio-pci and vfio-pci-core that vfio-pci takes (drivers/vfio/pci/vfio_pci.c).
constexpr std::array<std::string_view, 6> vfio_parameters{
    "ids", "nointxmask", "disable_vga", "disable_idle_d3", "enable_sriov", "disable_denylist"};

std::string without_quotes(std::string word)
{
    std::erase(word, '"'); // the kernel takes ids="..." too (next_arg, lib/cmdline.c)
    return word;
}

void add_bad(const std::string& word, const std::string& file, std::vector<BadOption>& bad)
{
    const auto text = without_quotes(word);
    const auto name = std::string_view(text).substr(0, text.find('='));
    if (is_vfio_id(name)) {
        bad.push_back({word, "an id that stands alone: ids are one list, with ',' between them", file});
    } else if (std::ranges::find(vfio_parameters, name) == vfio_parameters.end()) {
        bad.push_back({word, "no option of vfio-pci", file});
    } else if (name == "ids") {
        for (const auto id :
             split(std::string_view(text).substr(std::min(text.size(), name.size() + 1)), ','))
            if (!is_vfio_id(id)) bad.push_back({std::string(id), "no id, which is like '10de:2204'", file});
    }
}

} // namespace

std::string to_string(Kind kind)
{
    return name_of(kinds, kind);
}

bool is_vfio_id(std::string_view text)
{
    constexpr std::size_t most = 6, digits = 8; // fields, and of each
    const auto fields = split(text, ':');
    return fields.size() >= 2 && fields.size() <= most &&
           std::ranges::all_of(fields,
                               [](std::string_view field) {
                                   return !field.empty() && field.size() <= digits &&
                                          consists_of(field, is_hex);
                               }) &&
           fields[0].size() <= 4 && fields[1].size() <= 4;
}

std::vector<BadOption> bad_vfio_options(const std::vector<ModprobeLine>& lines)
{
    std::vector<BadOption> bad;
    for (const auto& line : lines)
        if (line.kind == Kind::options && line.module == "vfio_pci")
            for (const auto& word : line.words) add_bad(word, line.file, bad);
    return bad;
}

std::vector<ModprobeLine> parse_modprobe_tokens(const std::vector<std::string>& tokens)
{
    const std::string file(paths::kernel_command_line);
    std::vector<ModprobeLine> lines, of_kernel;
    for (const auto& token : tokens) {
        const auto pair = split_once(token, '=');
        if (!pair) continue;
        const bool of_kmod = pair->first == "modprobe.blacklist";
        if (const auto option = split_once(pair->first, '.');
            option && module_name(option->first) == "vfio_pci")
            lines.push_back({Kind::options,
                             "vfio_pci",
                             {std::string(option->second) + "=" + std::string(pair->second)},
                             file});
        if (pair->first == "module_blacklist") of_kernel.clear();
        if (!of_kmod && pair->first != "module_blacklist") continue;
        for (const auto name : split(pair->second, ','))
            if (is_module_name(name) && (of_kmod || module_name(name) == name))
                (of_kmod ? lines : of_kernel).push_back({Kind::blacklist, module_name(name), {}, file});
    }
    lines.insert(lines.end(), of_kernel.begin(), of_kernel.end());
    return lines;
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
        for (const auto& quoted : line.words) {
            const auto word = without_quotes(quoted);
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
    const auto tokens = parse_command_line(reader.read(std::string(paths::kernel_command_line)).value_or(""));
    for (auto& line : parse_modprobe_tokens(tokens)) lines.push_back(std::move(line));
    return lines;
}

} // namespace pvegpu
