// Proxmox hosts that the installer's tests share.
#pragma once

#include "changes/show.hpp"
#include "machines.hpp"

#include <string>
#include <vector>

namespace pvegpu::testing {

struct HostOptions {
    std::string proxmox = "8.4.1";
    std::string cpu = "GenuineIntel";
    std::string running = "BOOT_IMAGE=/boot/vmlinuz-pve root=/dev/mapper/pve-root ro quiet";
    bool iommu = true;
    bool proxmox_boot = false; // proxmox-boot-tool
    bool systemd_boot = false;
};

void add_host(FakeSystem& machine, const HostOptions& options = {});

// A guest in .vmlist too, and `qm set` changes its file as Proxmox does.
void add_vm(FakeSystem& machine, unsigned vmid, const std::string& lines);

// Two VMs on two nodes.
void join_cluster(FakeSystem& machine, bool quorate = true);

std::string hookscript_of(const FakeSystem& machine, unsigned vmid); // empty if it has none

// All that an installation says, as the goldens have it.
std::string print_plan(const InstallPlan& plan);

} // namespace pvegpu::testing
