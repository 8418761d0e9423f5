// The hookscript that a guest had before ours: the installer remembers it in
// /var/lib/pve-gpu-hook/chained/VMID.json, and we run it with the arguments that Proxmox gave us.
#pragma once

#include "machine/system.hpp"
#include "proxmox/request.hpp"
#include "settings/settings.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pvegpu {

struct ChainedHook {
    std::string volume; // "local:snippets/old.sh", for messages
    std::string path;
};

// {"volume":"local:snippets/old.sh","path":"/var/lib/vz/snippets/old.sh"}; nothing for text that is not so,
// or a path that is not absolute and plain.
std::optional<ChainedHook> parse_chained_hook(std::string_view text);

// Nothing to do if the guest has none. Its output goes to the log line by line. Throws Error(failed) if it
// fails, may be changed by others than root, is this program itself, or does not end in time.
// `settings` is asked only where there is one.
void run_chained_hook(System& system, const Request& request, const std::function<Settings()>& settings);

} // namespace pvegpu
