#include "commands/instances.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "incus/start.hpp"
#include "incus/taken_devices.hpp"
#include "machine/paths.hpp"
#include "proxmox/guest_files.hpp"

namespace pvegpu {
namespace {

constexpr Milliseconds at_once{0};

} // namespace

void require_host_of(const SysReader& reader, const Options& options)
{
    const bool asked =
        !options.vms.empty() || !options.containers.empty() || options.cluster || options.guest;
    if (!asked || daemon_sockets(reader).empty() || is_proxmox_host(reader)) return;
    throw Error(ErrorKind::not_found, {"this is no Proxmox VE host, so it has no guests with VMIDs",
                                       "name a VM of Incus or LXD with '--incus'"});
}

void take_instance_lock(Session& session, const InstanceName& name)
{
    if (!session.system.lock(paths::instance_lock(number_of(name)), at_once))
        throw Error(ErrorKind::in_use, {"another pve-gpu-install is at work for VM " + quote(name.text()),
                                        "wait until it has ended"});
}

void begin_with(Session& session, const InstanceName& name)
{
    find_instance(session.system, name); // it is there, and its daemon answers
    if (!contains(read_taken(session.system), name, &TakenDevices::name)) return;
    if (session.options.dry_run) {
        session.console.progress("an interrupted start has left " + name.vm() +
                                 " without its devices, which would be put back first");
        return;
    }
    take_instance_lock(session, name);
    repair_instances(session.system, session.another_system, name);
}

void require_instance(const SysReader& reader, const Survey& survey, const InstanceName& name)
{
    if (survey.find(number_of(name)) != nullptr) return;
    const auto instance = find_instance(reader, name);
    if (!instance.is_vm)
        throw Error(ErrorKind::invalid_config,
                    {quote(name.text()) + " is a container, which uses the GPU by the host's driver",
                     "'" + instance.command("config device add", "gpu gpu") + "' gives it one"});
    throw Error(ErrorKind::timed_out, {name.vm() + " cannot be looked at: its QEMU does not answer",
                                       "see '" + instance.command("info") + "'"});
}

} // namespace pvegpu
