// What works of a GPU inside a guest that runs. Read-only: programs that print, and a short load where the
// guest has a tool for one.
#pragma once

#include "base/instance_name.hpp"
#include "base/json.hpp"
#include "check/check.hpp"
#include "machine/system.hpp"
#include "pci/topology.hpp"
#include "proxmox/guest.hpp"

#include <functional>
#include <string>
#include <vector>

namespace pvegpu {

struct GuestVerification {
    Guest guest;
    Findings checks; // "gpu.visible"; a note: there is nothing to check it with

    bool good() const { return count(checks, Verdict::error) == 0; }
};

// nvidia-smi takes several seconds without a persistence daemon, rocminfo as long; the load is two seconds of
// video.
inline constexpr Milliseconds program_ends_within{30'000};

Finding found(std::string_view name, Verdict verdict, std::string evidence, std::string remedy = "");

// Runs a program in a guest.
struct GuestAnswer;
using GuestRunner = std::function<GuestAnswer(const std::vector<std::string>& words)>;

// What works of these GPUs inside a VM whose programs `run` runs. `agent` is what makes it answer.
void inspect_vm(GuestVerification& guest, const GuestRunner& run, const std::vector<Function>& gpus,
                const std::string& agent);

// How a program in a guest ended.
struct GuestAnswer {
    enum class Kind { done, failed, not_installed, no_answer, not_run }; // the last: only listed
    Kind kind = Kind::no_answer;
    std::string text;
};

// What a program in a guest printed, on a few lines of a message.
std::string first_lines(const std::string& text, unsigned count);

// Of `qm guest exec`: the JSON that the guest agent's answer is printed as. Pure.
GuestAnswer parse_agent_answer(const SysResult& outcome);
// Of `pct exec`, which ends as the program did. Pure.
GuestAnswer parse_attach_answer(const SysResult& outcome);

// Within a minute or two for each GPU, whatever the guest does. Throws Error for a guest that is not here.
GuestVerification verify_container(System& system, unsigned vmid);
GuestVerification verify_vm(System& system, unsigned vmid);
GuestVerification verify_instance(System& system, const InstanceName& name);

Json verification_json(const std::vector<GuestVerification>& guests); // "pve-gpu-hook/verify/1"
std::string print_verification(const GuestVerification& verified);

} // namespace pvegpu
