// What a report for strangers leaves out.
#include "check/facts.hpp"
#include "check/report_html.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

constexpr bool is_word(char c)
{
    return is_alnum(c) || c == '-' || c == '_';
}

// Of the form, with 'h' for a hexadecimal digit; nothing that goes on is meant.
bool has_form(std::string_view text, std::string_view form)
{
    if (text.size() < form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i)
        if (form[i] == 'h' ? !is_hex(text[i]) : text[i] != form[i]) return false;
    return text.size() == form.size() || !(is_word(text[form.size()]) || text[form.size()] == ':');
}

// "192.168.1.10": four numbers; a kernel's version has three and then a word.
std::size_t length_of_ip(std::string_view text)
{
    std::size_t at = 0;
    for (int part = 0; part < 4; ++part) {
        const auto digits = count_front(text.substr(at), is_digit);
        if (digits == 0 || digits > 3) return 0;
        at += digits;
        if (part < 3 && (at >= text.size() || text[at++] != '.')) return 0;
    }
    return at < text.size() && (is_word(text[at]) || text[at] == '.') ? 0 : at;
}

// A letter is no name; and the names that installers give tell nothing, but stand in paths and commands.
bool is_telling(std::string_view name)
{
    constexpr std::array<std::string_view, 5> of_installers{"pve", "proxmox", "localhost", "host", "vm"};
    return name.size() > 1 && !contains(of_installers, name);
}

std::pair<std::size_t, std::string_view> shaped_secret(std::string_view text)
{
    using Form = EnumName<std::string_view>;
    constexpr std::array forms{
        Form{"hh:hh:hh:hh:hh:hh:hh:hh", "[serial]"}, Form{"hh-hh-hh-hh-hh-hh-hh-hh", "[serial]"},
        Form{"hh:hh:hh:hh:hh:hh", "[MAC]"}, Form{"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "[UUID]"}};
    for (const auto& [form, name] : forms)
        if (has_form(text, form)) return {form.size(), name};
    if (const auto length = length_of_ip(text); length != 0) return {length, "[IP]"};
    return {0, ""};
}

} // namespace

Redactor::Redactor(const CheckFacts& facts) : active_(true)
{
    const auto add = [&](const std::string& text, const std::string& instead) {
        if (is_telling(lower(text))) secrets_.emplace_back(lower(text), instead);
    };
    add(facts.host.cluster.node, "[host]");
    for (const auto& guest : facts.survey.guests)
        for (const auto* key : {"name", "hostname"})
            add(guest.config.setting(key), "[name of " + std::to_string(guest.id.vmid) + "]");
    unsigned number = 0;
    for (const auto& name : facts.survey.instance_names) {
        const auto instead = "[instance " + std::to_string(++number) + "]";
        add(name, instead);
        if (const auto parts = split_once(name, '/')) add(std::string(parts->second), instead);
    }
    for (const auto& mapping : facts.mappings.mappings)
        for (const auto& device : mapping.devices) add(device.node, "[host]");
    std::ranges::stable_sort(secrets_, std::ranges::greater{},
                             [](const auto& secret) { return secret.first.size(); });
}

std::string Redactor::operator()(std::string_view text) const
{
    if (!active_) return std::string(text);
    const auto lowered = lower(text);
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        const bool starts_word = at == 0 || !is_word(text[at - 1]);
        const auto rest = std::string_view(lowered).substr(at);
        const auto* known = find_where(secrets_, [&](const auto& secret) {
            return rest.starts_with(secret.first) &&
                   (rest.size() == secret.first.size() || !is_word(rest[secret.first.size()]));
        });
        const auto shaped = starts_word ? shaped_secret(rest) : std::pair<std::size_t, std::string_view>{};
        if (starts_word && known != nullptr) {
            result += known->second;
            at += known->first.size();
        } else if (shaped.first != 0) {
            result += shaped.second;
            at += shaped.first;
        } else {
            result += text[at++];
        }
    }
    return result;
}

} // namespace pvegpu
