#include "proxmox/guest.hpp"

#include "machine/paths.hpp"

namespace pvegpu {

std::string Guest::config_path(std::string_view node) const
{
    return is_container() ? paths::ct_config(vmid, node) : paths::vm_config(vmid, node);
}

} // namespace pvegpu
