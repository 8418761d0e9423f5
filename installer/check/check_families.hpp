// Every check: "card.alive" is card_alive. checks.cpp is the table that names them and says why each matters.
//
// They stand together by what they look at, not one in a file of its own: half of them are three lines around
// a helper that their neighbours need too (which functions are left over, who is passed the card), and
// whoever reads about a card's memory wants its four checks beside each other. A check's way from name to
// code is its name.
#pragma once

#include "check/check.hpp"
#include "check/facts.hpp"

namespace pvegpu {

// host_checks.cpp
Findings pve_cluster_fs(const CheckFacts& facts);
Findings iommu_enabled(const CheckFacts& facts);
Findings iommu_interrupt_remapping(const CheckFacts& facts);
Findings iommu_unsafe_interrupts(const CheckFacts& facts);
Findings command_line_missing(const CheckFacts& facts);
Findings command_line_harmful(const CheckFacts& facts);
Findings kernel_lockdown(const CheckFacts& facts);
Findings kernel_stuck(const CheckFacts& facts);
Findings cpu_governor(const CheckFacts& facts);

// driver_checks.cpp
Findings modules_obsolete(const CheckFacts& facts);
Findings modules_initramfs(const CheckFacts& facts);
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
Findings bars_large_memory(const CheckFacts& facts);

// group_checks.cpp
Findings card_companions(const CheckFacts& facts);
Findings card_twins(const CheckFacts& facts);
Findings group_isolation(const CheckFacts& facts);
Findings card_sriov(const CheckFacts& facts);

// nvidia_checks.cpp
Findings nvidia_vgpu_host_driver(const CheckFacts& facts);
Findings nvidia_mig(const CheckFacts& facts);
Findings nvidia_nvlink(const CheckFacts& facts);
Findings nvidia_large_memory(const CheckFacts& facts);

// guest_checks.cpp
Findings guest_config(const CheckFacts& facts);
Findings guest_device_present(const CheckFacts& facts);
Findings guest_mapping(const CheckFacts& facts);
Findings guest_mdev(const CheckFacts& facts);
Findings guest_shared_card(const CheckFacts& facts);
Findings guest_migration(const CheckFacts& facts);
Findings guest_hookscript(const CheckFacts& facts);
Findings guest_last_run(const CheckFacts& facts);

// guest_hardware_checks.cpp
Findings guest_legacy_igd(const CheckFacts& facts);
Findings guest_machine(const CheckFacts& facts);
Findings guest_firmware(const CheckFacts& facts);
Findings guest_pcie(const CheckFacts& facts);
Findings guest_x_vga(const CheckFacts& facts);
Findings guest_cpu(const CheckFacts& facts);

// guest_memory_checks.cpp
Findings guest_balloon(const CheckFacts& facts);
Findings guest_numa(const CheckFacts& facts);
Findings guest_hibernate(const CheckFacts& facts);
Findings guest_ram_snapshots(const CheckFacts& facts);

// ct_checks.cpp
Findings ct_config(const CheckFacts& facts);
Findings ct_nodes(const CheckFacts& facts);
Findings ct_boot_unit(const CheckFacts& facts);
Findings ct_numbers(const CheckFacts& facts);
Findings ct_rights(const CheckFacts& facts);
Findings ct_library(const CheckFacts& facts);
Findings ct_restart(const CheckFacts& facts);
Findings ct_shared_card(const CheckFacts& facts);

// log_checks.cpp
Findings log_readable(const CheckFacts& facts);
Findings log_has(const CheckFacts& facts, const KnownMessage& message);

} // namespace pvegpu
