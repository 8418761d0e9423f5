// THE STORY of a start by us: a VM of Incus or LXD gets a clean card, and is started.
//
// Incus asks nobody before it starts a VM, so nothing can be done beside a bare 'incus start', nor when the
// guest reboots by itself: whoever wants a clean card starts the VM by this.
#pragma once

#include "hook/report.hpp"
#include "incus/instance.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

// The host lock lasts as long as a System: each recovery has one of its own.
using NewSystem = std::function<std::unique_ptr<System>()>;
using Tell = std::function<void(std::string_view)>; // one line of how far it is

Request request_for(const InstanceName& name);

// Throws Error where the VM must not be touched: it runs, is being started or changed by somebody, is a
// container, is on another member of a cluster, or its devices cannot be made out.
void require_stopped(const SysReader& reader, const Instance& instance);

// What was left in the middle of earlier runs, of this VM and of others that nobody is at. Throws Error where
// this VM cannot be put right; of others it is said.
void repair_instances(System& system, const NewSystem& another, const InstanceName& name);

// Recovers the cards with the devices taken out of the VM, and puts them back whatever becomes of that.
// Throws Error where they cannot be taken or put back; how the recovery ended is in the report.
Report recover_without_devices(System& system, System& for_recovery, const Instance& instance);

// How a start of Incus failed, and whether a card that is recovered once more may help.
struct StartFailure {
    std::string reason; // in Incus' words, and QEMU's where it was that
    bool card = false;  // vfio-pci did not get a device, it was not there, or QEMU could not open it
};
StartFailure failure_of(const DaemonReader& daemon, const Instance& instance, const std::string& error);

struct StartedInstance {
    std::vector<Report> recoveries;
    bool started = false;
    std::optional<pid_t> qemu; // that has the GPU open
};

// All of it; up to three times where that helps. The caller holds the VM's lock. Throws Error; what had been
// done until then is in `result`.
void start_instance(System& system, const NewSystem& another, const InstanceName& name, const Tell& tell,
                    StartedInstance& result);

} // namespace pvegpu
