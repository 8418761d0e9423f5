// Proxmox's users and API tokens. Grammar and built-in roles: PVE::AccessControl (pve-access-control),
// parse_user_config and create_roles. No secret stands in this file; those of tokens are in priv/token.cfg,
// which nobody here reads. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The API tokens that may clone a VM ('VM.Clone' on "/", a VM or a pool), "user@realm!name", in the order of
// their names. `users` is the text of /etc/pve/user.cfg, `now` in seconds since 1970: one that has expired,
// or whose user is disabled, may nothing. A token with privileges of its own has those that its user has too.
// Which VMs a path stands for is not asked, nor whether a narrower one takes the role away ('NoAccess').
std::vector<std::string> cloning_tokens(std::string_view users, std::int64_t now);

} // namespace pvegpu
