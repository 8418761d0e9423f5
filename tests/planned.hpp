// What a start of a VM would do on a fake machine, from its files.
#pragma once

#include "proxmox/guest_files.hpp"
#include "recovery/recover_gpu.hpp"
#include "recovery/vm_facts.hpp"
#include "settings/settings.hpp"

#include <string>
#include <vector>

namespace pvegpu::testing {

inline VmFile vm_file(const SysReader& machine, unsigned vmid = 101)
{
    const auto file = read_guest_file(machine, {.vmid = vmid});
    return {file.path, parse_guest_config(file.text)};
}

inline VmFacts vm_facts_of(const SysReader& machine)
{
    return read_vm_facts(machine, {.vmid = 101}, vm_file(machine));
}

inline RecoveryPlan plan_start(const SysReader& machine)
{
    return plan_recovery(machine, {.vmid = 101}, vm_file(machine), read_settings(machine));
}

// The targets of the steps of one kind.
template <typename OneStep> std::vector<std::string> targets(const std::vector<Step>& steps)
{
    std::vector<std::string> result;
    for (const auto& step : steps)
        if (std::holds_alternative<OneStep>(step)) result.push_back(report_of(step).target);
    return result;
}

} // namespace pvegpu::testing
