// Proxmox's "key=value,key=value" strings, as parse_property_string in pve-common's JSONSchema.pm reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pvegpu {

using Properties = std::vector<std::pair<std::string, std::string>>;

// The properties in the order of the text, or a sentence that says what is wrong. A part without "=" is the
// value of `default_key`, an error where that is empty. A part of blanks only is skipped. There is no
// quoting and no trimming; a key may not come twice. Which keys and values are allowed is the caller's.
std::variant<Properties, std::string> parse_property_string(std::string_view text,
                                                            std::string_view default_key);

// 1, on, yes, true and 0, off, no, false in any case; nothing for other text.
std::optional<bool> parse_boolean(std::string_view text);

} // namespace pvegpu
