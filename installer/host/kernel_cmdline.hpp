// The kernel's command line: what it says, what it lacks, what in it does harm. Pure.
#pragma once

#include "base/advice.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

enum class CpuVendor { intel, amd, other };

CpuVendor parse_cpu_vendor(std::string_view cpu_info); // the text of /proc/cpuinfo

using Tokens = std::vector<std::string>;

// Words between blanks; what stands in double quotes is one word with them.
Tokens parse_command_line(std::string_view text);

// Of the text of /etc/kernel/cmdline: proxmox-boot-tool reads its first line (zz-proxmox-boot), whatever
// stands below it.
Tokens parse_cmdline_file(std::string_view text);

// What GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT are given in /etc/default/grub or a drop-in of it.
Tokens parse_grub_defaults(std::string_view text);

bool has_token(const Tokens& tokens, std::string_view token);
bool has_key(const Tokens& tokens, std::string_view key); // "iommu" of "iommu=pt"

// What a host with that CPU and kernel needs. Intel's IOMMU is off by default before 6.8; AMD's never was.
Tokens needed_tokens(CpuVendor cpu, std::string_view kernel_release);

// Those of the needed ones that the administrator has neither given nor given another value.
Tokens missing_tokens(const Tokens& needed, const Tokens& given);

// What is known of a token that is useless or does harm. None of them is ever removed by us.
struct TokenRemark {
    enum class Harm { useless, harmful, fatal }; // fatal: no device can be passed with it
    std::string token;
    Harm harm = Harm::useless;
    std::string_view text, remedy; // the text follows the token: "is not a value that ..."
};
std::vector<TokenRemark> command_line_remarks(const Tokens& given);

// The same about the tokens.
std::vector<Advice> command_line_warnings(const Tokens& given);

// "6.5.11-8-pve" is before 6.8; text that is no release is not.
bool kernel_before(std::string_view release, unsigned major, unsigned minor);

// The text of /etc/kernel/cmdline with the tokens appended to its first line; the others stay.
std::string append_tokens(std::string_view cmdline_file, const Tokens& tokens);

} // namespace pvegpu
