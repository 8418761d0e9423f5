// What the configuration files of VMs and of containers have in common (parse_vm_config in qemu-server's
// QemuServer.pm, parse_pct_config in pve-container's LXC/Config.pm).
#pragma once

#include <optional>
#include <string_view>

namespace pvegpu {

struct ConfigSetting {
    std::string_view key, value;
};

// "key: value" with a lower-case key in column 0; a container's key has no '-'. A value of blanks only is its
// last blank, as Proxmox's pattern has it; no character at all is no setting.
std::optional<ConfigSetting> parse_config_setting(std::string_view line, bool dash_in_key);

bool has_config_value(std::string_view line, std::string_view key_and_colon);

// "snapstate: prepare" or "delete". Proxmox looks for it at the end of any line, even one that begins with
// another key, and before it looks at that key.
bool ends_in_snapstate(std::string_view line);

// pve-volume-id (pve-storage's Plugin.pm): "STORAGE:VOLUME".
bool is_volume_id(std::string_view value);

} // namespace pvegpu
