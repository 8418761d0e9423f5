// What of a host's files may be given to strangers: a list of what the programs read, not one of secrets.
// What is not listed stays on the host. Pure: text in, text out.
#pragma once

#include "pci/topology.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// A line that is left out of a configuration leaves an empty one (pci.cfg: a comment), so that messages name
// the same lines; volumes lose their names, snapshots are numbered.
std::string shareable_vm_config(std::string_view text);
std::string shareable_ct_config(std::string_view text);

// Whether there is anything in it that concerns a GPU.
bool concerns_gpus(std::string_view shareable_config);

// The nodes of a cluster as "pve1", which is this one, "pve2", ... in the order of their names.
class NodeNames {
public:
    NodeNames(const std::string& own, const std::set<std::string>& others);

    const std::string& of(std::string_view name) const; // one that is not known is "pve9"
    std::string list(std::string_view names) const;     // "a,b:2" as "pve1,pve2:2"

private:
    std::map<std::string, std::string, std::less<>> names_;
    std::string unknown_ = "pve9";
};

// Of these mappings and storages only, and without descriptions.
std::string shareable_mappings(std::string_view text, const std::set<std::string>& used,
                               const NodeNames& nodes);
std::string shareable_storages(std::string_view text, const std::set<std::string>& used,
                               const NodeNames& nodes);
std::string shareable_cpu_models(std::string_view text);
std::string shareable_ha(std::string_view text, const NodeNames& nodes);

std::string shareable_command_line(std::string_view text);
std::string shareable_grub_defaults(std::string_view text);
std::string shareable_modprobe(std::string_view text);
std::string shareable_module_list(std::string_view text);
std::string shareable_aliases(std::string_view text, const Topology& topology);
std::string shareable_packages(std::string_view dpkg_status);
std::string shareable_settings(std::string_view text); // empty if they are not valid, or none
std::string shareable_report(const std::string& json); // of the hook's last run

// Those of these disks; a mount's place only if it is the system's own ("/boot/efi"), "/mnt" otherwise.
std::string shareable_mounts(std::string_view text, const std::set<std::string>& numbers);
std::string shareable_swaps(std::string_view text);

// Times are told from `now` = 1700000000 on, when a machine that is read back stands still.
std::string shareable_reservations(std::string_view text, std::int64_t now);

// The lines whose key, before the colon, is one of these.
std::string lines_with(std::string_view text, const std::vector<std::string_view>& keys);

} // namespace pvegpu
