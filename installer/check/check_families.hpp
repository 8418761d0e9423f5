// Every check, by family; checks.cpp names them and says why each matters.
#pragma once

#include "check.hpp"
#include "facts.hpp"

namespace pvegpu {

// host_checks.cpp
Findings cluster_file_system(const CheckFacts& facts);
Findings iommu_enabled(const CheckFacts& facts);
Findings interrupt_remapping(const CheckFacts& facts);
Findings unsafe_interrupts_allowed(const CheckFacts& facts);
Findings command_line_missing(const CheckFacts& facts);
Findings command_line_harmful(const CheckFacts& facts);
Findings kernel_lockdown(const CheckFacts& facts);
Findings kernel_stuck(const CheckFacts& facts);
Findings cpu_governor(const CheckFacts& facts);

// driver_checks.cpp
Findings modules_obsolete(const CheckFacts& facts);
Findings modules_at_boot(const CheckFacts& facts);
Findings driver_order(const CheckFacts& facts);
Findings driver_ids(const CheckFacts& facts);
Findings driver_blacklist(const CheckFacts& facts);
Findings display_framebuffer(const CheckFacts& facts);
Findings display_boot_vga(const CheckFacts& facts);

// card_checks.cpp
Findings card_alive(const CheckFacts& facts);
Findings card_power(const CheckFacts& facts);
Findings card_reset(const CheckFacts& facts);
Findings card_known(const CheckFacts& facts);
Findings card_link(const CheckFacts& facts);
Findings card_errors(const CheckFacts& facts);
Findings reset_module(const CheckFacts& facts);

// memory_checks.cpp
Findings bars_assigned(const CheckFacts& facts);
Findings bars_above_4g(const CheckFacts& facts);
Findings bars_resizable(const CheckFacts& facts);
Findings large_memory(const CheckFacts& facts);

// group_checks.cpp
Findings card_companions(const CheckFacts& facts);
Findings card_twins(const CheckFacts& facts);
Findings group_isolation(const CheckFacts& facts);
Findings card_sriov(const CheckFacts& facts);

// nvidia_checks.cpp
Findings vgpu_host_driver(const CheckFacts& facts);
Findings mig_mode(const CheckFacts& facts);
Findings nvlink_topology(const CheckFacts& facts);

// guest_checks.cpp
Findings guest_config_lines(const CheckFacts& facts);
Findings guest_device_present(const CheckFacts& facts);
Findings guest_mapping(const CheckFacts& facts);
Findings guest_mdev(const CheckFacts& facts);
Findings guest_shared_card(const CheckFacts& facts);
Findings guest_migration(const CheckFacts& facts);
Findings guest_hookscript(const CheckFacts& facts);
Findings guest_last_run(const CheckFacts& facts);

// guest_hardware_checks.cpp
Findings guest_machine(const CheckFacts& facts);
Findings guest_firmware(const CheckFacts& facts);
Findings guest_pcie(const CheckFacts& facts);
Findings guest_x_vga(const CheckFacts& facts);
Findings guest_cpu(const CheckFacts& facts);
Findings guest_balloon(const CheckFacts& facts);
Findings guest_numa(const CheckFacts& facts);
Findings guest_hibernate(const CheckFacts& facts);
Findings guest_ram_snapshots(const CheckFacts& facts);

// log_checks.cpp
Findings log_readable(const CheckFacts& facts);
Findings log_has(const CheckFacts& facts, const KnownMessage& message);

} // namespace pvegpu
