// The files of /etc/modprobe.d as far as they decide who gets a GPU. Format: modprobe.d(5).
#pragma once

#include "machine/system.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct ModprobeLine {
    enum class Kind { blacklist, softdep, options, install };

    Kind kind = Kind::blacklist;
    std::string module;             // with '_'
    std::vector<std::string> words; // what follows it
    std::string file;
};

std::string to_string(ModprobeLine::Kind kind); // "blacklist"

// What the kernel's command line adds: `modprobe.blacklist=` and options of vfio-pci are read by kmod
// (kmod_config_parse_kcmdline in libkmod-config.c), `module_blacklist=` by the kernel, which takes the last
// one and no other spelling of a name (blacklisted in kernel/module/main.c).
std::vector<ModprobeLine> parse_modprobe_tokens(const std::vector<std::string>& tokens);

// Comments and other commands are left out; a line that ends in a backslash goes on in the next.
std::vector<ModprobeLine> parse_modprobe(std::string_view text, const std::string& file);

// The names in a file like /etc/modules, with '_'; options behind a name are left out.
std::vector<std::string> parse_module_list(std::string_view text);

bool is_blacklisted(const std::vector<ModprobeLine>& lines, std::string_view module);

// softdep MODULE pre: vfio-pci
bool waits_for_vfio(const std::vector<ModprobeLine>& lines, std::string_view module);

// The ids of "options vfio-pci ids=10de:2204,10de:1aef", each with its file.
struct VfioId {
    std::string id; // "10de:2204", lower case
    std::string file;
};
std::vector<VfioId> vfio_ids(const std::vector<ModprobeLine>& lines);

// The options of vfio-pci that are none, or no ids, by file: the kernel ignores them with a line in its log,
// and the devices stay with the host.
struct BadOption {
    std::string word, why;
    std::string file;
};
std::vector<BadOption> bad_vfio_options(const std::vector<ModprobeLine>& lines);

// "10de:2204", "10de:2204:10de:1467", and class and mask behind (vfio_pci_fill_ids in the kernel's
// vfio_pci.c).
bool is_vfio_id(std::string_view text);

// The lines of every file that counts, in the order in which kmod joins them: of options given more than once
// the kernel takes the last. Files that cannot be read are left out. Behind them what the running kernel's
// command line says.
std::vector<ModprobeLine> read_modprobe(const SysReader& reader);

} // namespace pvegpu
