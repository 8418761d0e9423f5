// How checks go through a host and write what they find.
#pragma once

#include "base/text.hpp"
#include "check/facts.hpp"
#include "machine/paths.hpp"
#include "proxmox/passthrough.hpp"

#include <string>
#include <type_traits>

namespace pvegpu {

// The checks of each topic, in the file of that name.
std::vector<Check> pve_checks();
std::vector<Check> iommu_checks();
std::vector<Check> host_checks();
std::vector<Check> reboot_checks();
std::vector<Check> driver_checks();
std::vector<Check> card_checks();
std::vector<Check> bar_checks();
std::vector<Check> group_checks();
std::vector<Check> nvidia_checks();
std::vector<Check> guest_checks();
std::vector<Check> guest_hardware_checks();
std::vector<Check> guest_option_checks();
std::vector<Check> template_checks();
std::vector<Check> own_reboot_checks();
std::vector<Check> container_checks();
std::vector<Check> instance_checks();
std::vector<Check> log_checks();

// --- one look at each GPU or guest ---

// What findings about a thing are under, and whom they concern.
struct Subject {
    std::string name;
    std::vector<unsigned> guests;
};
inline Subject subject_of(const GpuFacts& gpu)
{
    return {to_string(gpu.address), gpu.vmids};
}
inline Subject subject_of(const SurveyedFunction& function)
{
    return {to_string(function.facts.address), function.vmids};
}
inline Subject subject_of(const SurveyedGuest& guest)
{
    return {guest.id.name(), {guest.id.vmid}};
}
inline Subject subject_of(const ContainerFacts& container)
{
    return {"container " + std::to_string(container.vmid), {container.vmid}};
}

// Whom a finding concerns besides the subject's guests stays.
void add_about(Findings& all, const Subject& subject, Finding finding);
void add_about(Findings& all, const Subject& subject, const Findings& findings);

// `look` gets the facts and the thing, or the thing alone, and answers with one finding or with several.
template <auto look, typename Things, typename Test>
Findings about_each(const CheckFacts& facts, const Things& things, Test test)
{
    Findings all;
    for (const auto& thing : things) {
        if (!test(thing)) continue;
        if constexpr (std::is_invocable_v<decltype(look), decltype(thing)>)
            add_about(all, subject_of(thing), look(thing));
        else
            add_about(all, subject_of(thing), look(facts, thing));
    }
    return all;
}

template <auto look> Findings each_passed_gpu(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.gpus, [](const GpuFacts& gpu) { return gpu.passed(); });
}

// Those that can start: no templates.
template <auto look> Findings each_guest(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.survey.guests, [](const SurveyedGuest& guest) {
        return !guest.config.is_template && !guest.lxc.is_template;
    });
}

// VMs with 'hostpci' lines, no templates.
bool has_devices(const SurveyedGuest& guest);
template <auto look> Findings each_vm_with_devices(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.survey.guests, has_devices);
}

// Those of them that are passed a GPU.
template <auto look> Findings each_vm_with_gpu(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.survey.guests, [&](const SurveyedGuest& guest) {
        return has_devices(guest) && facts.first_gpu_of(guest.id.vmid) != nullptr;
    });
}

// The same, of what its configuration says: that file's name is put in front.
template <auto look> Findings each_config_with_gpu(const CheckFacts& facts)
{
    auto findings = each_vm_with_gpu<look>(facts);
    for (auto& finding : findings)
        finding.evidence.insert(0, facts.survey.find(finding.guests.front())->config_path() + ": ");
    return findings;
}

template <auto look> Findings each_container(const CheckFacts& facts)
{
    return about_each<look>(facts, facts.containers, [](const ContainerFacts&) { return true; });
}

// The findings, or that all is well.
inline Findings or_ok(Findings findings, const std::string& evidence)
{
    if (findings.empty()) findings.push_back({Verdict::ok, evidence});
    return findings;
}

// --- facts ---

// Of the VM's lines; nothing where Proxmox would refuse them.
const NamedByVm& named_by(const CheckFacts& facts, const SurveyedGuest& guest);
const std::vector<PassedDevice>& devices_of(const CheckFacts& facts, const SurveyedGuest& guest);

// Whether the kernel's log has that known message about the GPU's card.
bool log_has(const CheckFacts& facts, const GpuFacts& gpu, std::string_view message);

// --- commands ---

// "qm set 101 REST", "pct set 901 REST"
inline Remedy set(const SurveyedGuest& guest, const std::string& rest, std::string words = "")
{
    return by_command(guest.id.set_command(rest), std::move(words));
}

// "qm set 101 --hostpci0 0000:03:00.0,pcie=1": the line as it is, with that property, or without it where the
// value is empty.
std::string set_property(unsigned vmid, const HostPci& line, const std::string& key,
                         const std::string& value);

// The same with other devices: every other property stays.
std::string set_hosts(unsigned vmid, const HostPci& line, const std::vector<std::string>& hosts);

// "type" of "machine: q35,viommu=intel" and of "cpu: host,hidden=1" is the part without a key. The line with
// another one, and every other property as it was; 'type=' and 'cputype=' may stand in front of it.
std::string with_type(std::string_view line, std::string_view type);

// "pve-gpu-install --vm 101": for the guest that is advised. Without the hook ("--host") where it resets none
// of the guest's GPUs, of a template, which never starts, and for a guest of another node.
std::string install_for(const CheckFacts& facts, const std::vector<unsigned>& vmids);

// "pve-gpu-install try --vm 101" with these words; the words alone where no VM of this node that can
// start has the GPU.
Remedy try_for(const CheckFacts& facts, const GpuFacts& gpu, std::string words);

// No VM that can start is passed it.
bool is_of_templates(const CheckFacts& facts, const GpuFacts& gpu);

// "pve-gpu-install --host --vm 101": for a guest that the check is for and that is passed a GPU; else for one
// whose card the hook can reset.
std::string prepare_host(const CheckFacts& facts);

// What the installer has to do for what `missing` says, or has done: then nothing but the reboot is left, or
// it has not helped.
Remedy prepare(const CheckFacts& facts, bool written, const std::string& command, const std::string& then);

// OVMF with the disk that it keeps its variables on, where the guest has a storage for one.
Remedy to_ovmf(const SurveyedGuest& guest);

// q35 is other hardware for a guest that was installed without it.
extern const std::string caution_of_q35;

// What an administrator edits, and what then brings it to the boot loader.
std::string where_the_command_line_is(const CheckFacts& facts);

// --- words ---

// "--vm 101", "--incus web"; "--vm N" where there is no guest: for commands.
std::string option_for(const CheckFacts& facts, const std::optional<unsigned>& vmid);

// "VM 101 and VM 'web'"
std::string vms_in_words(const CheckFacts& facts, const std::vector<unsigned>& vmids,
                         std::string_view between = " and ");

std::string bytes_in_words(std::uint64_t bytes); // "256 MiB"

const Bar* largest_memory_bar(const Function& function); // that has an address; nullptr if there is none

// "BAR 0, BAR 2": those that the card shows in its configuration space and the kernel has found no room for.
std::string bars_without_room(const Function& function);

// OVMF's window for 64-bit BARs is 32 GiB unless it may trust the guest's number of address bits, which it
// does not at QEMU's default of 40 (edk2's PlatformInitLib; the same in qemu-server's CPUConfig.pm).
inline constexpr std::uint64_t window_of_ovmf = 32ULL << 30U;

} // namespace pvegpu
