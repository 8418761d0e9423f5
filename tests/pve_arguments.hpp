// How Proxmox's command line tools read their arguments: get_options of pve-common's JSONSchema.pm, which
// configures Getopt::Long.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pvegpu::testing {

struct PveSyntax {
    std::vector<std::string>
        options;        // each takes a value; "dev*" stands for dev0 to dev255, "hostpci*" for its 16
    bool extra = false; // what follows the guest's number is not its own ("extra-args")
};

struct PveArguments {
    std::string vmid;
    std::map<std::string, std::string> options;
    std::vector<std::string> extra;
};

// `words` are those behind the command ("exec", "guest exec"). Nothing where the tool says "unable to parse
// option", "not enough arguments" or "too many arguments".
std::optional<PveArguments> read_as_proxmox(const std::vector<std::string>& words, const PveSyntax& syntax);

// Of pct and qm, as their sources define them (PVE/CLI/pct.pm, PVE/CLI/qm.pm and the API behind them).
inline const PveSyntax pct_set{{"dev*", "delete", "revert", "digest", "hookscript"}, false};
inline const PveSyntax qm_set{{"hostpci*", "machine", "bios", "efidisk0", "cpu", "vga", "balloon", "affinity",
                               "onboot", "args", "kvm", "reboot", "delete", "hookscript"},
                              false}; // those of it that we use
inline const PveSyntax pct_reboot{{"timeout"}, false};
inline const PveSyntax pct_exec{{"keep-env"}, true};
inline const PveSyntax qm_guest_exec{{"synchronous", "timeout", "pass-stdin"}, true};

} // namespace pvegpu::testing
