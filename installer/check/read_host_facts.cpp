// The host's part: interrupts, modules, screens, processors, the kernel's log.
#include "base/text.hpp"
#include "check/facts.hpp"
#include "host/modprobe_config.hpp"
#include "machine/paths.hpp"
#include "usage/device_files.hpp"

namespace pvegpu {
namespace {

// The kernel's log is 256 KiB unless log_buf_len says more; records are a few times longer as text.
constexpr std::size_t most_of_the_log = 4U << 20U;
constexpr Milliseconds log_within{500};

std::optional<bool> unsafe_interrupts(const SysReader& reader)
{
    const auto text = reader.read(std::string(paths::unsafe_interrupts));
    if (!text) return std::nullopt;
    return text->starts_with('Y') || text->starts_with('1');
}

void read_module_lists(const SysReader& reader, CheckFacts& facts)
{
    std::vector<std::string> files{std::string(paths::modules_file), std::string(paths::initramfs_modules)};
    for (const auto& name : reader.list(std::string(paths::modules_load_directory)))
        if (name.ends_with(".conf") && name != "modules.conf") // that one is Debian's link to /etc/modules
            files.push_back(paths::join(paths::modules_load_directory, name));
    for (const auto& file : files)
        if (const auto text = reader.read(file)) facts.module_lists[file] = parse_module_list(*text);
}

void read_framebuffers(const SysReader& reader, CheckFacts& facts)
{
    for (const auto& name : reader.list(std::string(paths::framebuffers)))
        if (name.starts_with("fb") && name != "fbcon")
            if (const auto place = reader.read_link(paths::join(paths::framebuffers, name)))
                facts.framebuffers.push_back(*place);
}

std::optional<std::string> frequency_fact(const SysReader& reader, const std::string& name)
{
    const auto text = reader.read(paths::join(paths::cpus, "cpu0/cpufreq/" + name));
    return text ? std::optional(std::string(trim(*text))) : std::nullopt;
}

void read_nodes(const SysReader& reader, CheckFacts& facts)
{
    constexpr std::string_view start = "node";
    for (const auto& name : reader.list(std::string(paths::numa_nodes))) {
        if (!name.starts_with(start)) continue;
        const auto number = parse_decimal(std::string_view(name).substr(start.size()));
        const auto list = reader.read(paths::join(paths::numa_nodes, name) + "/cpulist");
        if (number && list) facts.node_cpus[*number] = parse_cpu_list(trim(*list));
    }
}

// NVIDIA's MIG guide, "Device Nodes and Capabilities": capabilities/gpuMINOR/mig/giN, one for each instance.
void read_mig(const SysReader& reader, CheckFacts& facts)
{
    for (const auto& name : reader.list(std::string(paths::nvidia_gpus))) {
        const auto address = parse_pci_address(lower(name));
        const auto minor = address ? nvidia_minor(reader, *address) : std::nullopt;
        if (!minor) continue;
        const auto directory =
            paths::join(paths::nvidia_capabilities, "gpu" + std::to_string(*minor)) + "/mig";
        if (reader.list(directory).empty() && !reader.exists(directory)) continue; // it has no MIG
        unsigned instances = 0;
        for (const auto& entry : reader.list(directory)) instances += entry.starts_with("gi") ? 1U : 0U;
        facts.mig_instances[*address] = instances;
    }
}

// "350735.47 234388.90": seconds.
std::optional<std::uint64_t> time_up(const SysReader& reader)
{
    constexpr std::uint64_t microseconds = 1'000'000;
    const auto text = reader.read(std::string(paths::uptime)).value_or("");
    const auto seconds = parse_decimal(std::string_view(text).substr(0, text.find('.')));
    return seconds ? std::optional(*seconds * microseconds) : std::nullopt;
}

} // namespace

std::set<unsigned> parse_cpu_list(std::string_view text)
{
    constexpr unsigned most_cpus = 8192;
    std::set<unsigned> cpus;
    for (const auto part : split(text, ',')) {
        const auto ends = split_once(part, '-').value_or(std::pair(part, part));
        const auto first = parse_decimal(ends.first), last = parse_decimal(ends.second);
        if (!first || !last) continue;
        for (unsigned cpu = *first; cpu <= *last && cpu < most_cpus; ++cpu) cpus.insert(cpu);
    }
    return cpus;
}

void read_host_facts(const SysReader& reader, CheckFacts& facts)
{
    facts.unsafe_interrupts = unsafe_interrupts(reader);
    facts.modprobe = read_modprobe(reader);
    read_module_lists(reader, facts);
    for (const auto* name : {"vfio_pci", "vendor_reset", "nvidia_vgpu_vfio"})
        if (reader.exists(paths::join(paths::modules, name))) facts.loaded_modules.insert(name);
    read_framebuffers(reader, facts);
    facts.governor = frequency_fact(reader, "scaling_governor");
    facts.frequency_driver = frequency_fact(reader, "scaling_driver");
    read_nodes(reader, facts);
    read_mig(reader, facts);
    facts.writers = find_pci_writers(reader);
    facts.up = time_up(reader);
    const auto log = reader.read_records(std::string(paths::kernel_log), most_of_the_log, log_within);
    if (log) facts.log = parse_kernel_log(*log);
}

} // namespace pvegpu
