#include "usage/holders.hpp"

#include "base/enum_names.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "pci/topology.hpp"
#include "usage/block_users.hpp"
#include "usage/claims.hpp"
#include "usage/containers.hpp"
#include "usage/device_files.hpp"
#include "usage/instances.hpp"
#include "usage/open_files.hpp"
#include "usage/reservations.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

std::string describe_process(const Holder& holder)
{
    if (!holder.pid) return "an unknown process (the vfio device is open)";
    const auto process = "pid " + std::to_string(*holder.pid) + ", " + printable(holder.program);
    if (holder.vmid) return "VM " + std::to_string(*holder.vmid) + " (" + process + ')';
    if (!holder.instance.empty()) return "VM " + quote(holder.instance) + " (" + process + ')';
    const auto opened = holder.detail.empty() ? "" : ", which has " + quote(holder.detail) + " open";
    const auto who = holder.container                     ? "container " + std::to_string(*holder.container)
                     : !holder.instance_container.empty() ? "container " + quote(holder.instance_container)
                                                          : std::string("a process");
    return who + " (" + process + ')' + opened;
}

std::string vm(const Holder& holder)
{
    return "VM " +
           (holder.instance.empty() ? std::to_string(holder.vmid.value_or(0)) : quote(holder.instance));
}

class HolderSearch {
public:
    HolderSearch(const SysReader& reader, const std::vector<Function>& functions,
                 std::optional<unsigned> own_vmid)
        : reader_(reader), functions_(functions), own_vmid_(own_vmid)
    {
        std::vector<DeviceNumber> numbers;
        for (const auto& function : functions) {
            files_.push_back(find_device_files(reader, function));
            append(numbers, files_.back().nodes);
        }
        open_nodes_ = find_open_nodes(reader, std::move(numbers));
        reservations_ = read_reservations(reader);
        std::erase_if(reservations_, [&](const auto& each) { return !reservation_holds(reader, each); });
        claims_ = read_claims(reader);
        std::erase_if(claims_, [&](const auto& each) { return !claim_holds(reader, each); });
    }

    std::vector<Holder> run()
    {
        for (std::size_t i = 0; i < functions_.size(); ++i) look_at(functions_[i].address, files_[i]);
        return std::move(found_);
    }

private:
    void look_at(const PciAddress& address, const DeviceFiles& files)
    {
        const auto before = found_.size();
        add_processes(address, files);
        if (files.vfio_open && found_.size() == before) add_unseen_vfio_user(address);
        add_reservations(address);
        add_claims(address);
        for (const auto& use : users_of_disks(reader_, files.block_devices))
            add(Holder::Kind::mount, address, use);
        for (const auto& [name, use] : files.interfaces)
            add(use.empty() ? Holder::Kind::idle_network : Holder::Kind::network, address,
                quote(name) + (use.empty() ? "" : ", " + use));
        for (const auto& name : files.usb_devices) add(Holder::Kind::usb, address, name);
    }

    Holder& add(Holder::Kind kind, const PciAddress& address, std::string detail)
    {
        return found_.emplace_back(Holder{kind, address, {}, {}, "", std::move(detail), {}});
    }

    void add_process(const PciAddress& address, bool on_vfio, pid_t pid, const std::string& node)
    {
        const auto known = [&](const auto& holder) {
            return holder.function == address && holder.pid == pid;
        };
        if (std::ranges::any_of(found_, known)) return;
        auto& holder = add(on_vfio ? Holder::Kind::vfio : Holder::Kind::process, address, node);
        holder.pid = pid;
        holder.program = program_of(reader_, pid);
        holder.vmid = vmid_of(reader_, pid);
        if (holder.vmid) return;
        holder.container = container_of(reader_, pid);
        if (holder.container) return;
        if (const auto vm = on_vfio ? instance_of_qemu(reader_, pid) : std::nullopt)
            holder.instance = vm->text();
        else if (const auto inside = instance_of_container(reader_, pid))
            holder.instance_container = inside->text();
    }

    void add_processes(const PciAddress& address, const DeviceFiles& files)
    {
        for (const auto& open : open_nodes_)
            if (contains(files.nodes, open.number)) add_process(address, files.on_vfio, open.pid, open.path);
    }

    // It is open, and nobody has its group: somebody was handed the device itself, or it lies in a message
    // between two processes and no process has it.
    void add_unseen_vfio_user(const PciAddress& address)
    {
        if (!open_vfio_devices_) open_vfio_devices_ = find_open_vfio_devices(reader_);
        const auto before = found_.size();
        for (const auto& open : *open_vfio_devices_)
            if (open.function == address) add_process(address, true, open.pid, "");
        if (found_.size() == before) add(Holder::Kind::vfio, address, "");
    }

    bool is_reserved(const PciAddress& address, unsigned vmid) const
    {
        return std::ranges::any_of(
            reservations_, [&](const auto& each) { return each.vmid == vmid && reserves(each, address); });
    }

    void add_reservations(const PciAddress& address)
    {
        for (const auto& reservation : reservations_)
            if (reservation.vmid != own_vmid_ && reserves(reservation, address))
                add(Holder::Kind::reservation, address, reservation.id).vmid = reservation.vmid;
    }

    // A claim has done its work when Proxmox has reserved the device for that VM.
    void add_claims(const PciAddress& address)
    {
        for (const auto& claim : claims_)
            if (claim.vmid != own_vmid_ && contains(claim.functions, address) &&
                !is_reserved(address, claim.vmid))
                add_claim(address, claim);
    }

    void add_claim(const PciAddress& address, const Claim& claim)
    {
        auto& holder = add(Holder::Kind::claim, address, "");
        if (is_instance(claim.vmid))
            holder.instance = name_noted(reader_, claim.vmid);
        else
            holder.vmid = claim.vmid;
        holder.pid = claim.parent.pid;
        holder.program = program_of(reader_, claim.parent.pid);
    }

    const SysReader& reader_;
    const std::vector<Function>& functions_;
    std::optional<unsigned> own_vmid_;
    std::vector<DeviceFiles> files_; // of the functions, in their order
    std::vector<OpenNode> open_nodes_;
    std::optional<std::vector<OpenVfioDevice>> open_vfio_devices_; // once they were needed
    std::vector<Reservation> reservations_;                        // that hold
    std::vector<Claim> claims_;                                    // that hold
    std::vector<Holder> found_;
};

std::string remedy(const Holder& holder)
{
    using enum Holder::Kind;
    if (holder.kind == vfio && !holder.pid)
        return "stop the VM that had it last, else the host has to be rebooted";
    constexpr std::array remedies{
        EnumName{"unmount it, or take it out of the guest's devices", mount},
        EnumName{"move what runs over it to another interface, or take it out of the guest's devices",
                 network},
        EnumName{"take the interface down, or take it out of the guest's devices", idle_network},
        EnumName{"unplug it, or pass the controller to the guest too", usb},
        EnumName{"wait until that VM has started, or end that process", claim},
        // from its start on, and as long as it runs
        EnumName{"wait if it is starting, else stop it first", reservation}, EnumName{"stop it first", vfio},
        EnumName{"stop it first", process}};
    return name_of(remedies, holder.kind);
}

} // namespace

std::string describe(const Holder& holder)
{
    using enum Holder::Kind;
    if (holder.kind == vfio || holder.kind == process) return describe_process(holder);
    if (holder.kind == reservation) return vm(holder) + ", for which Proxmox has reserved it";
    if (holder.kind == claim)
        return vm(holder) + ", which pid " + std::to_string(holder.pid.value_or(0)) + " (" +
               printable(holder.program) + ") is starting";
    if (holder.kind == mount) return holder.detail;
    if (holder.kind == usb) return "USB device " + quote(holder.detail);
    return "network interface " + holder.detail;
}

Advice in_use_message(const Holder& holder)
{
    return {quote(holder.function) + " is in use by " + describe(holder), remedy(holder)};
}

std::vector<Holder> find_holders(const SysReader& reader, const std::vector<Function>& functions,
                                 std::optional<unsigned> own_vmid)
{
    return HolderSearch(reader, functions, own_vmid).run();
}

} // namespace pvegpu
