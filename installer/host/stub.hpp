// What stands in a snippet's place once the package is removed and a guest still refers to it. Proxmox does
// not start a guest whose hookscript is missing (PVE::GuestHelpers::check_hookscript).
#pragma once

#include "machine/system.hpp"

#include <string>
#include <string_view>

namespace pvegpu {

// A script that says why it is there and succeeds. Where the program is there it runs that: on another node
// that shares the storage, and again on this one once the package is back.
std::string_view stub_text();

// Within seconds, whatever storage it is on.
bool is_stub(const SysReader& reader, const std::string& path);

// In place of what is there, a file or a link, at once: a guest of any node that starts meanwhile finds the
// one or the other. Throws Error; then what was there still is.
void leave_stub(System& system, const std::string& path);

// The link to the hook, in the same way.
void link_to_hook(System& system, const std::string& path);

} // namespace pvegpu
