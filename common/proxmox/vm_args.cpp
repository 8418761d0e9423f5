#include "proxmox/vm_args.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "proxmox/config_lines.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

constexpr std::array<std::array<std::string_view, 2>, 2> our_pairs{
    {{"-chardev", "socket,id=pve-gpu-hook,path=,server=on,wait=off"},
     {"-mon", "chardev=pve-gpu-hook,mode=control"}}};

struct Range {
    std::size_t begin = 0, end = 0;
};

// Of our options with their values, in the order in which they stand.
std::vector<Range> ranges_of_ours(const std::vector<ArgsWord>& words)
{
    std::vector<Range> ranges;
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
        for (const auto& [option, value] : our_pairs)
            if (words[i].text == option && words[i + 1].text == value)
                ranges.push_back({words[i].begin, words[i + 1].end});
    return ranges;
}

// Something that is not ours but has our name: QEMU does not start with two of one name.
bool names_ours(const std::vector<ArgsWord>& words)
{
    const std::string name = "=" + std::string(monitor_name);
    return std::ranges::any_of(words, [&](const ArgsWord& word) {
        return (word.text + ",").find(name + ",") != std::string::npos ||
               word.text.find('"' + std::string(monitor_name) + '"') != std::string::npos; // as JSON
    });
}

// What a pending change deletes: "delete: args,!vga" (parse_pending_delete in pve-guest-common's
// AbstractConfig.pm).
bool deletes(std::string_view list, std::string_view key)
{
    std::string text(list);
    std::ranges::replace_if(
        text, [](char c) { return c == ',' || c == ';' || c == '!'; }, ' ');
    return contains(words_of(std::string_view(text)), key);
}

} // namespace

ArgsWords args_words(std::string_view text)
{
    ArgsWords result;
    ArgsWord word;
    bool in_word = false;
    char quoted = '\0';
    const auto enter = [&](std::size_t at) {
        if (!in_word) word.begin = at;
        in_word = true;
    };
    const auto leave = [&](std::size_t at) {
        word.end = at;
        if (in_word) result.words.push_back(std::move(word));
        word = {};
        in_word = false;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\\' && quoted != '\'' && i + 1 < text.size()) {
            enter(i);
            word.text += text[++i];
        } else if (quoted != '\0') {
            if (c == quoted)
                quoted = '\0';
            else
                word.text += c;
        } else if (c == '\'' || c == '"') {
            enter(i);
            quoted = c;
        } else if (is_space(c)) {
            leave(i);
        } else {
            enter(i);
            word.text += c;
        }
    }
    leave(text.size());
    result.open_quote = quoted != '\0';
    return result;
}

bool has_monitor(std::string_view args)
{
    const auto [words, open_quote] = args_words(args);
    return !open_quote && ranges_of_ours(words).size() == our_pairs.size();
}

std::optional<std::string> with_monitor(std::string_view args)
{
    if (has_monitor(args)) return std::string(args);
    auto text = without_monitor(args); // half of them is left where somebody has taken the other half out
    if (names_ours(args_words(text).words)) return std::nullopt;
    text += (text.empty() ? "" : " ") + std::string(monitor_words);
    return has_monitor(text) ? std::optional(text) : std::nullopt; // not behind an open quote, or a backslash
}

// With each the one blank that parted it from what stands before it, or at the beginning from what follows.
std::string without_monitor(std::string_view args)
{
    std::string text(args);
    const auto ranges = ranges_of_ours(args_words(args).words);
    for (auto i = ranges.size(); i-- > 0;) {
        auto [begin, end] = ranges[i];
        if (begin > 0)
            --begin;
        else if (end < text.size())
            ++end;
        text.erase(begin, end - begin);
    }
    return text;
}

VmArgs read_vm_args(std::string_view config)
{
    VmArgs args;
    std::string section; // empty: the live one
    std::optional<std::string> pending;
    bool deleted = false;
    for (LineReader lines(config); lines.next();) {
        const auto line = trim_right(lines.line());
        if (line.starts_with('[') && line.ends_with(']')) {
            section = lower(line.substr(1, line.size() - 2));
            continue;
        }
        constexpr bool dash_in_key = true;
        const auto setting = parse_config_setting(lines.line(), dash_in_key);
        if (!setting) continue;
        if (section == "pending" && setting->key == "delete") deleted = deletes(setting->value, "args");
        if (setting->key != "args") continue;
        if (section.empty())
            args.live = setting->value;
        else if (section == "pending")
            pending = std::string(setting->value);
        else if (has_monitor(setting->value) && !contains(args.snapshots, section))
            args.snapshots.push_back(section);
    }
    args.next = pending ? *pending : deleted ? "" : args.live;
    return args;
}

} // namespace pvegpu
