#include "host/kernel_cmdline.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

using Harm = TokenRemark::Harm;

struct Remark {
    std::string_view token; // a whole one, or the key of one if it ends in '='
    Harm harm;
    std::string_view text, remedy;
};

constexpr std::array<Remark, 13> remarks{{
    {"intel_iommu=off", Harm::fatal, "turns the IOMMU off, and without it no device can be passed to a guest",
     "remove it"},
    {"amd_iommu=off", Harm::fatal, "turns the IOMMU off, and without it no device can be passed to a guest",
     "remove it"},
    {"iommu=off", Harm::fatal, "turns the IOMMU off, and without it no device can be passed to a guest",
     "remove it"},
    {"amd_iommu=on", Harm::useless, "is not a value that the kernel knows: AMD's IOMMU is on by default",
     "it can be removed"},
    {"vfio_iommu_type1.allow_unsafe_interrupts=1", Harm::harmful, "lets a guest raise interrupts of the host",
     "remove it unless the board has no interrupt remapping"},
    {"pcie_acs_override=", Harm::harmful,
     "fakes isolation: guests may reach other devices, and through them the host's memory",
     "remove it if the groups are good without it"},
    {"pci=nomsi", Harm::harmful,
     "turns off message-signalled interrupts, which NVMe disks, network cards and vfio-pci need to work well",
     "remove it"},
    {"vfio-pci.ids=", Harm::harmful, "takes every device with these ids, twins of the guest's card included",
     "remove it if the host needs one of them"},
    {"vfio_pci.ids=", Harm::harmful, "takes every device with these ids, twins of the guest's card included",
     "remove it if the host needs one of them"},
    {"video=efifb:off", Harm::useless, "has had no effect since Linux 5.15", "it can be removed"},
    {"vfio_virqfd", Harm::useless, "names a module that Linux 6.2 and later do not have",
     "it can be removed"},
    {"nomodeset", Harm::harmful, "keeps every graphics driver of the host from working",
     "remove it if the host has a screen"},
    {"nofb", Harm::useless, "is not read by this kernel", "it can be removed"},
}};

// "pci=noaer,nomsi" says "pci=nomsi" too.
bool is_about(const Remark& remark, std::string_view token)
{
    if (remark.token.ends_with('=')) return token.starts_with(remark.token);
    const auto wanted = split_once(remark.token, '='), given = split_once(token, '=');
    if (!wanted || !given) return token == remark.token;
    const auto parts = split(given->second, ',');
    return given->first == wanted->first && contains(parts, wanted->second);
}

std::string_view key_of(std::string_view token)
{
    return token.substr(0, std::min(token.find('='), token.size()));
}

std::string_view first_line(std::string_view text) // without its end
{
    return text.substr(0, text.find('\n'));
}

// What stands behind NAME=, without its quotes; nothing if the line is about something else.
std::string_view value_of(std::string_view line, std::string_view name)
{
    if (!line.starts_with(name)) return {};
    auto value = trim(line.substr(name.size()));
    const auto quoted = [&](char q) { return value.size() > 1 && value.front() == q && value.back() == q; };
    if (quoted('"') || quoted('\'')) value = value.substr(1, value.size() - 2);
    return value;
}

} // namespace

CpuVendor parse_cpu_vendor(std::string_view cpu_info)
{
    for (LineReader lines(cpu_info); lines.next();) {
        const auto pair = split_once(lines.line(), ':');
        if (!pair || trim(pair->first) != "vendor_id") continue;
        if (trim(pair->second) == "GenuineIntel") return CpuVendor::intel;
        return trim(pair->second) == "AuthenticAMD" ? CpuVendor::amd : CpuVendor::other;
    }
    return CpuVendor::other;
}

Tokens parse_command_line(std::string_view text)
{
    Tokens tokens(1);
    bool quoted = false;
    for (const char c : text) {
        if (c == '"') quoted = !quoted;
        if (!quoted && is_space(c))
            tokens.emplace_back();
        else
            tokens.back() += c;
    }
    std::erase_if(tokens, [](const auto& token) { return token.empty(); });
    return tokens;
}

Tokens parse_cmdline_file(std::string_view text)
{
    return parse_command_line(first_line(text));
}

Tokens parse_grub_defaults(std::string_view text)
{
    Tokens tokens;
    for (LineReader lines(text); lines.next();)
        for (const auto* name : {"GRUB_CMDLINE_LINUX_DEFAULT=", "GRUB_CMDLINE_LINUX="})
            for (auto& token : parse_command_line(value_of(trim(lines.line()), name)))
                tokens.push_back(std::move(token));
    return tokens;
}

bool has_token(const Tokens& tokens, std::string_view token)
{
    return contains(tokens, token);
}

bool has_key(const Tokens& tokens, std::string_view key)
{
    return std::ranges::any_of(tokens, [&](const auto& token) { return key_of(token) == key; });
}

Tokens needed_tokens(CpuVendor cpu, std::string_view kernel_release)
{
    Tokens tokens;
    if (cpu == CpuVendor::intel && version_before(kernel_release, {6, 8}) == true)
        tokens.emplace_back("intel_iommu=on");
    tokens.emplace_back("iommu=pt");
    return tokens;
}

Tokens missing_tokens(const Tokens& needed, const Tokens& given)
{
    Tokens missing;
    for (const auto& token : needed)
        if (!has_key(given, key_of(token))) missing.push_back(token);
    return missing;
}

std::vector<TokenRemark> command_line_remarks(const Tokens& given)
{
    std::vector<TokenRemark> found;
    for (const auto& token : given)
        for (const auto& remark : remarks)
            if (is_about(remark, token)) found.push_back({token, remark.harm, remark.text, remark.remedy});
    return found;
}

std::vector<Advice> command_line_warnings(const Tokens& given)
{
    std::vector<Advice> warnings;
    for (const auto& remark : command_line_remarks(given))
        warnings.push_back({quote(remark.token) + " on the kernel's command line " + std::string(remark.text),
                            std::string(remark.remedy)});
    return warnings;
}

std::string append_tokens(std::string_view cmdline_file, const Tokens& tokens)
{
    const auto first = first_line(cmdline_file);
    const auto rest = cmdline_file.substr(first.size());
    std::string line(trim(first));
    for (const auto& token : tokens) line += (line.empty() ? "" : " ") + token;
    return line + (rest.empty() ? "\n" : std::string(rest));
}

} // namespace pvegpu
