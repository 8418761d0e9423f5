// A VM's `args` line, and the monitor in it by which we hear of the guest's own reboots. Pure.
//
// QEMU makes a socket of its own where the path is empty (qio_net_listener and unix_listen_saddr in QEMU's
// util/qemu-sockets.c: "/tmp/qemu-socket-XXXXXX"): no VMID stands in the words, so a clone runs beside its
// original, a restore under another VMID is right as it is, and nothing on the disk can go stale. The words
// were seen to start on QEMU 7.2, 10.0 and 11.1.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// A word and where in the text it stands, its quotes included.
struct ArgsWord {
    std::string text;
    std::size_t begin = 0, end = 0;
};

struct ArgsWords {
    std::vector<ArgsWord> words;
    bool open_quote = false; // Perl's shellwords then gives no words at all, so QEMU gets none of them
};

// The words of a shell: blanks, both kinds of quotes, backslashes. Proxmox reads `args` so (split_args in
// pve-common's Tools.pm: Perl's shellwords).
ArgsWords args_words(std::string_view text);

inline constexpr std::string_view monitor_name = "pve-gpu-hook";

// As they are written into `args`.
inline constexpr std::string_view monitor_words =
    "-chardev socket,id=pve-gpu-hook,path=,server=on,wait=off -mon chardev=pve-gpu-hook,mode=control";

bool has_monitor(std::string_view args); // all of our words

// With our words behind what is there; as it is where it has them. Nothing where they cannot be added: a
// quote is open, or somebody has given our name to something else.
std::optional<std::string> with_monitor(std::string_view args);

// What stood there without our words, and every other character as it is.
std::string without_monitor(std::string_view args);

// What a configuration's text says of `args`.
struct VmArgs {
    std::string live;                   // of the VM as it runs
    std::string next;                   // for its next start: the pending value, where there is one
    std::vector<std::string> snapshots; // those whose `args` has our monitor: a rollback brings it back
};
VmArgs read_vm_args(std::string_view config);

} // namespace pvegpu
