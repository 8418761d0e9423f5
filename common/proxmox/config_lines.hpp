// The grammar that Proxmox's files share: the lines of guests' configurations, values of several properties,
// files of sections.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pvegpu {

// --- the configuration files of VMs and of containers (parse_vm_config in qemu-server's QemuServer.pm,
// parse_pct_config in pve-container's LXC/Config.pm) ---

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

// --- "key=value,key=value" strings, as parse_property_string in pve-common's JSONSchema.pm reads them ---

using Properties = std::vector<std::pair<std::string, std::string>>;

// The properties in the order of the text, or a sentence that says what is wrong. A part without "=" is the
// value of `default_key`, an error where that is empty. A part of blanks only is skipped. There is no
// quoting and no trimming; a key may not come twice. Which keys and values are allowed is the caller's.
std::variant<Properties, std::string> parse_property_string(std::string_view text,
                                                            std::string_view default_key);

// 1, on, yes, true and 0, off, no, false in any case; nothing for other text.
std::optional<bool> parse_boolean(std::string_view text);

// --- files of sections, as PVE::SectionConfig (pve-common) reads them: "type: id", then indented "key value"
// lines ---

struct ConfigSection {
    std::string type, id; // empty of a section whose first line is not like that
    std::map<std::string, std::string, std::less<>> settings; // of two with one key the first

    std::string_view get(std::string_view key) const; // empty if there is none
    bool is_set(std::string_view key) const;          // a boolean; a key alone is true
};

std::vector<ConfigSection> parse_sections(std::string_view text);

// "a,b" without the blanks around them; empty ones are left out.
std::vector<std::string> parse_list(std::string_view text);

} // namespace pvegpu
