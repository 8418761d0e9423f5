// What is planned, and what happened, for people and programs. The JSON is CONTRACT.md's: plan/1 and
// report/1.
#pragma once

#include "containers/node_plan.hpp"
#include "pci/device_names.hpp"
#include "proxmox/guest_files.hpp"
#include "recovery/return_plan.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace pvegpu {

enum class RunOutcome { recovered, nothing_to_do, warned, refused, failed };

std::string to_string(RunOutcome outcome);

// What a phase does for a guest; nothing where it only looks.
using Plan = std::variant<std::monostate, RecoveryPlan, NodePlan, ReturnPlan>;

struct PhasePlan {
    Request request;
    GuestKind guest = GuestKind::unknown;
    Plan plan;
    std::optional<Refusal> refused; // of the plan, or what kept it from being made
    std::vector<Advice> warnings;   // of the phase; the plan has its own

    Guest id() const { return {request.vmid, guest, request.instance}; }

    std::vector<Advice> all_warnings() const;
    std::vector<StepReport> steps() const; // none of them reached
};

struct Report {
    PhasePlan plan;
    RunOutcome outcome = RunOutcome::nothing_to_do;
    std::vector<Problem> errors; // why it was refused or failed; else empty
    std::int64_t started = 0;    // seconds since 1970
    Milliseconds elapsed{0};
    std::vector<StepReport> steps;

    // The guest has no GPU, or the phase nothing to do with it.
    bool concerns_nothing() const;

    // 0, or 1 when the start must not go on.
    int exit_status() const
    {
        return outcome == RunOutcome::refused || outcome == RunOutcome::failed ? 1 : 0;
    }
};

std::string plan_json(const PhasePlan& plan);
std::string plan_text(const PhasePlan& plan); // a line for each step, or why there is none
// Before them a line for each GPU: "VM 101: Intel Arc A310, 0000:03:00.0 (hostpci0), below port 0000:00:1c.0;
// nothing uses it".
std::string plan_heading(const PhasePlan& plan, const DeviceNames& names);
std::vector<const Function*> gpus_of(const PhasePlan& plan);
std::string why_nothing(const PhasePlan& phase); // "no hostpci line passes a whole GPU through"
std::string report_json(const Report& report);
// What is said of a run that did something: of several cards a line for each with the times of its steps,
// then one for all. Nothing of one that did nothing.
std::vector<std::string> summary(const Report& report, const DeviceNames& names);

// "2026-11-21T03:04:05Z"
std::string rfc3339(std::int64_t seconds_since_1970);

} // namespace pvegpu
