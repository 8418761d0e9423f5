#include "host/module_aliases.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

std::string upper_hex(unsigned value, std::size_t digits)
{
    auto text = to_hex(value, digits);
    for (char& c : text)
        if (is_lower(c)) c = static_cast<char>(c - 'a' + 'A');
    return text;
}

struct Alias {
    std::string_view pattern, module;
};

// "alias pci:v...  i915"
Alias alias_of(std::string_view line)
{
    constexpr std::string_view start = "alias pci:";
    if (!line.starts_with(start)) return {};
    const auto rest = line.substr(start.size() - 4);
    const auto words = split_once(rest, ' ');
    return words ? Alias{words->first, trim(words->second)} : Alias{};
}

} // namespace

std::string modalias(const Function& function)
{
    const auto& f = function;
    return "pci:v" + upper_hex(f.vendor, 8) + "d" + upper_hex(f.device, 8) + "sv" +
           upper_hex(f.subsystem_vendor, 8) + "sd" + upper_hex(f.subsystem_device, 8) + "bc" +
           upper_hex(f.class_code >> 16U & 0xffU, 2) + "sc" + upper_hex(f.class_code >> 8U & 0xffU, 2) + "i" +
           upper_hex(f.class_code & 0xffU, 2);
}

bool matches_pattern(std::string_view pattern, std::string_view text)
{
    std::size_t at = 0, star = std::string_view::npos, resume = 0, in = 0;
    while (at < text.size()) {
        if (in < pattern.size() && pattern[in] == '*') {
            star = in++;
            resume = at;
        } else if (in < pattern.size() && (pattern[in] == '?' || pattern[in] == text[at])) {
            ++in;
            ++at;
        } else if (star != std::string_view::npos) {
            in = star + 1;
            at = ++resume;
        } else {
            return false;
        }
    }
    return count_front(pattern.substr(in), [](char c) { return c == '*'; }) == pattern.size() - in;
}

std::vector<std::vector<std::string>> modules_of(std::string_view aliases,
                                                 const std::vector<Function>& functions)
{
    std::vector<std::string> names;
    names.reserve(functions.size());
    for (const auto& function : functions) names.push_back(modalias(function));
    std::vector<std::vector<std::string>> modules(functions.size());
    for (LineReader lines(aliases); lines.next();) {
        const auto alias = alias_of(lines.line());
        for (std::size_t i = 0; i < names.size(); ++i) { // most match nothing, so that is asked first
            if (!matches_pattern(alias.pattern, names[i])) continue;
            if (!is_module_name(alias.module) || lends_devices(alias.module)) break;
            const auto name = module_name(alias.module);
            if (!contains(modules[i], name)) modules[i].push_back(name);
        }
    }
    return modules;
}

bool is_module_name(std::string_view name)
{
    return !name.empty() && name.size() < 64 &&
           consists_of(name, [](char c) { return is_alnum(c) || c == '_' || c == '-'; });
}

std::string module_name(std::string_view name)
{
    std::string result(name);
    std::ranges::replace(result, '-', '_');
    return result;
}

bool lends_devices(std::string_view module)
{
    const auto name = module_name(module);
    constexpr std::array<std::string_view, 3> stubs{"pci_stub", "xen_pciback", "pci_pf_stub"};
    return name == "vfio_pci" || name.ends_with("_vfio_pci") || contains(stubs, name);
}

} // namespace pvegpu
