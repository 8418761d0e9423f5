#include "machine/harden_process.hpp"

#include <array>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pvegpu {
namespace {

// CHOWN, DAC_*, FOWNER: files of other users (a storage's, /etc/pve's). SYS_ADMIN: configuration space beyond
// its first 64 bytes (pci_read_config in the kernel's drivers/pci/pci-sysfs.c). The others for the probe of a
// native driver, which older kernels run within the write that rescans a bus or binds: I/O ports, pinned
// memory, priorities of its threads. SYS_PTRACE: a container's root directory (proc_ns access to
// /proc/PID/root). Modules and firmware come by the kernel's own hand.
constexpr std::array kept{CAP_CHOWN,        CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                          CAP_SYS_ADMIN,    CAP_SYS_RAWIO,    CAP_IPC_LOCK,        CAP_SYS_NICE,
                          CAP_SYS_RESOURCE, CAP_SYS_PTRACE};

using Words = std::array<__user_cap_data_struct, 2>;

void keep_only(Words& words)
{
    Words mask{};
    for (const auto capability : kept)
        mask.at(CAP_TO_INDEX(static_cast<unsigned>(capability))).effective |=
            CAP_TO_MASK(static_cast<unsigned>(capability));
    for (std::size_t i = 0; i < words.size(); ++i) {
        words.at(i).effective &= mask.at(i).effective;
        words.at(i).permitted &= mask.at(i).effective;
        words.at(i).inheritable = 0;
    }
}

} // namespace

void harden_process()
{
    constexpr rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); // the limit alone does not hold for a core_pattern that is a program
    umask(S_IRWXG | S_IRWXO);
}

// Without any of these the child works as well, so nobody is told of a kernel that refuses.
void harden_child()
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    Words words{};
    if (syscall(SYS_capget, &header, words.data()) != 0) return;
    keep_only(words);
    syscall(SYS_capset, &header, words.data());
}

} // namespace pvegpu
