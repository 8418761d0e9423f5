#include "pve_arguments.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace pvegpu::testing {
namespace {

bool is_one_of(std::string_view name, const std::string& start, unsigned most)
{
    const auto number = name.starts_with(start) ? parse_decimal(name.substr(start.size())) : std::nullopt;
    return number && *number < most && name == start + std::to_string(*number);
}

bool knows(const PveSyntax& syntax, const std::string& name)
{
    return std::any_of(syntax.options.begin(), syntax.options.end(), [&](const std::string& option) {
        if (option == "dev*")
            return is_one_of(name, "dev", 256); // MAX_DEVICES in pve-container's LXC/Config.pm
        if (option == "hostpci*") return is_one_of(name, "hostpci", 16); // MAX_HOSTPCI_DEVICES in PCI.pm
        return option == name;
    });
}

// Options stand anywhere before "--"; what is none is kept in its order.
std::optional<std::vector<std::string>> take_options(const std::vector<std::string>& words,
                                                     const PveSyntax& syntax, PveArguments& result)
{
    std::vector<std::string> others;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--") {
            others.insert(others.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
            break;
        }
        const auto dashes = count_front(words[i], [](char c) { return c == '-'; });
        if (dashes == 0 || words[i] == "-") {
            others.push_back(words[i]);
            continue;
        }
        const auto name = words[i].substr(std::min<std::size_t>(dashes, 2));
        if (!knows(syntax, name) || i + 1 == words.size()) return std::nullopt;
        result.options[name] = words[++i];
    }
    return others;
}

} // namespace

std::optional<PveArguments> read_as_proxmox(const std::vector<std::string>& words, const PveSyntax& syntax)
{
    PveArguments result;
    const auto others = take_options(words, syntax, result);
    if (!others || others->empty()) return std::nullopt;
    result.vmid = others->front();
    result.extra.assign(others->begin() + 1, others->end());
    if (!parse_decimal(result.vmid) || (!syntax.extra && !result.extra.empty())) return std::nullopt;
    return result;
}

} // namespace pvegpu::testing
