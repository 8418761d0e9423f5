// What the installer will change, decided from what is known. Pure.
#pragma once

#include "base/advice.hpp"
#include "base/enum_names.hpp"
#include "changes/attachment.hpp"
#include "changes/change.hpp"
#include "incus/attached_instance.hpp"

#include <array>
#include <string>
#include <vector>

namespace pvegpu {

struct HostFacts;
struct Survey;

// What becomes of a card when its guest reboots by itself: "clean", it is started anew; "leave", nothing.
enum class GuestReboot { where_needed, clean, leave };
inline constexpr std::array guest_reboot_names{EnumName{"clean", GuestReboot::clean},
                                               EnumName{"leave", GuestReboot::leave}};

struct InstallRequest {
    std::vector<unsigned> vms; // those of Incus or LXD too, by their numbers
    bool host_only = false;    // prepare the host for these VMs, attach nothing
    bool blacklist = false;
    GuestReboot guest_reboot = GuestReboot::where_needed;
};

struct InstallPlan {
    std::vector<Change> changes; // in the order in which they are made
    std::vector<Attachment> attachments;
    std::vector<AttachedInstance> instances;
    std::vector<std::string> notes;
    std::vector<Advice> warnings;
    std::vector<std::string> losses; // "container 901 loses '/dev/nvidia1'": asked about by themselves
    std::vector<std::string> reboot_reasons; // once everything is done
};

// Throws Error with what to do where a VM cannot be attached or the host cannot be prepared.
InstallPlan make_install_plan(const Survey& survey, const InstallRequest& request);

// Whether any of them is about a file that a boot reads.
bool changes_next_boot(const std::vector<Change>& changes);

// The programs that bring changed files into the initramfs and to the boot loader, and each is its own
// inverse.
std::vector<Change> build_programs(const HostFacts& host, const std::vector<Change>& changes);

} // namespace pvegpu
