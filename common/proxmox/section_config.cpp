#include "proxmox/section_config.hpp"

#include "base/text.hpp"

namespace pvegpu {

std::string_view ConfigSection::get(std::string_view key) const
{
    const auto found = settings.find(key);
    return found == settings.end() ? std::string_view{} : found->second;
}

bool ConfigSection::is_set(std::string_view key) const
{
    const auto found = settings.find(key);
    return found != settings.end() && found->second != "0";
}

std::vector<ConfigSection> parse_sections(std::string_view text)
{
    std::vector<ConfigSection> sections;
    for (LineReader lines(text); lines.next();) {
        const auto line = trim_right(lines.line());
        if (line.empty() || trim_left(line).starts_with('#')) continue;
        if (!is_space(line.front())) {
            const auto head = split_once(line, ':');
            auto& section = sections.emplace_back();
            if (!head) continue;
            section.type = trim(head->first);
            section.id = trim(head->second);
        } else if (!sections.empty()) {
            const auto key = words_of(line).front();
            const auto value = trim(trim_left(line).substr(key.size()));
            sections.back().settings.emplace(key, value);
        }
    }
    return sections;
}

std::vector<std::string> parse_list(std::string_view text)
{
    std::vector<std::string> list;
    for (const auto part : split(text, ','))
        if (!is_blank(part)) list.emplace_back(trim(part));
    return list;
}

} // namespace pvegpu
