#include "commands/capture.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/quiet_reader.hpp"
#include "commands/captured_host.hpp"
#include "commands/commands.hpp"
#include "commands/instances.hpp"
#include "commands/shareable.hpp"
#include "host/pve_files.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/guest_files.hpp"
#include "usage/interfaces.hpp"

#include <array>
#include <set>

namespace pvegpu {
namespace {

constexpr mode_t mode_of_capture = 0644;     // it is made to be given away
constexpr unsigned most_levels = 2;          // nvme/nvme0/nvme0n1/nvme0n1p1
constexpr std::size_t bytes_of_config = 256; // what the hook reads; serial numbers are behind it

constexpr std::string_view plain =
    "vendor device subsystem_vendor subsystem_device class revision resource reset_method enable "
    "power_state d3cold_allowed boot_vga modalias power/control current_link_width current_link_speed "
    "max_link_width max_link_speed power/runtime_status numa_node aer_dev_correctable aer_dev_fatal "
    "aer_dev_nonfatal secondary_bus_number subordinate_bus_number sriov_totalvfs sriov_offset sriov_stride";
constexpr std::array links{"driver", "iommu_group", "subsystem", "physfn"};
constexpr std::string_view present =
    "remove rescan reset reset_subordinate resource0 resource1 resource2 resource3 resource4 resource5 rom "
    "mdev_supported_types nvidia/creatable_vgpu_types";

class Capture {
public:
    explicit Capture(const SysReader& reader) : reader_(reader) {}

    MachineFacts devices()
    {
        fact(std::string(paths::kernel_release));
        fact(std::string(paths::kernel_lockdown));
        for (const auto& address : list_functions(reader_)) add_function(address);
        if (!routes_.empty()) line(std::string(paths::routes), routes_);
        for (const auto& name : reader_.list(std::string(paths::pci_buses))) add_bus(name);
        for (const auto& name : drivers_) add_driver(name);
        for (const auto& group : reader_.list(std::string(paths::iommu_groups))) add_group(group);
        fact(std::string(paths::drivers_autoprobe));
        presence(std::string(paths::drivers_probe));
        for (const auto& iommu : reader_.list(std::string(paths::iommus)))
            link(paths::join(paths::iommus, iommu));
        add_host();
        return std::move(facts_);
    }

private:
    void line(const std::string& path, const std::string& text) { facts_[path] = fact_of_text(text); }

    void fact(const std::string& path)
    {
        if (const auto text = reader_.read(path)) line(path, *text);
    }

    void link(const std::string& path)
    {
        if (const auto target = reader_.read_link(path)) facts_[path] = "-> " + *target;
    }

    void presence(const std::string& path)
    {
        if (reader_.exists(path)) facts_[path] = "has file";
    }

    // Reading these can block for ever on a sick device.
    void add_slow_files(const std::string& directory)
    {
        const auto config =
            reader_.read_within(directory + "/config", bytes_of_config, driver_answers_within);
        if (config.done()) facts_[directory + "/config"] = fact_of_bytes(config.text);
        const auto driver =
            reader_.read_within(directory + "/driver_override", bytes_of_config, driver_answers_within);
        if (driver.done()) line(directory + "/driver_override", driver.text);
    }

    // "../../../devices/pci0000:00/..." as it is below /sys.
    static std::string real_directory(const std::string& target)
    {
        constexpr std::string_view devices = "/devices/";
        const auto at = target.find(devices);
        return at == std::string::npos ? "" : std::string(paths::sys) + target.substr(at);
    }

    void add_function(const PciAddress& address)
    {
        const auto target = reader_.read_link(paths::function(address));
        const auto directory = target ? real_directory(*target) : "";
        if (directory.empty()) return;
        link(paths::function(address));
        for (const auto name : words_of(plain)) fact(paths::join(directory, name));
        for (const auto* name : links) link(paths::join(directory, name));
        for (const auto& name : reader_.list(directory))
            if (name.starts_with("virtfn")) link(paths::join(directory, name));
        for (const auto name : words_of(present)) presence(paths::join(directory, name));
        for (unsigned bar = 0; bar < 6; ++bar)
            fact(directory + "/resource" + std::to_string(bar) + "_resize");
        add_slow_files(directory);
        for (const auto& name : reader_.list_directories(directory)) add_what_drivers_made(directory, name);
        if (const auto driver = reader_.read_link(directory + "/driver"))
            drivers_.emplace(last_name(*driver));
    }

    // Nodes, disks and interfaces as device_files.cpp looks for them: their numbers and whether they are up,
    // not what they are called by people, no MAC, no serial number. An interface's own name can hold its MAC
    // ("enx...").
    void add_what_drivers_made(const std::string& above, const std::string& name)
    {
        constexpr std::array kinds{"drm", "sound", "block", "net", "nvme", "vfio-dev", "i2c-dev"};
        if (!contains(kinds, name)) return;
        const auto directory = paths::join(above, name);
        unsigned number = 0;
        for (const auto& entry : reader_.list_directories(directory)) {
            const auto shown = name == "net" ? "net" + std::to_string(number++) : entry;
            // Of whatever the host uses it for a route is left: that says the same, and no address.
            if (name == "net" && !use_of_interface(reader_, paths::join(directory, entry)).empty())
                routes_ += shown + "\t00000000\t00000000\n";
            add_device(paths::join(directory, entry), paths::join(directory, shown), most_levels);
        }
    }

    // `shown` is the directory's name in the capture.
    void add_device(const std::string& directory, const std::string& shown, unsigned levels)
    {
        for (const auto* file : {"dev", "partition", "flags"})
            if (const auto text = reader_.read(paths::join(directory, file)))
                line(paths::join(shown, file), *text);
        if (const auto target = reader_.read_link(directory + "/subsystem"))
            facts_[shown + "/subsystem"] = "-> " + *target;
        if (levels == 0) return;
        for (const auto& name : reader_.list_directories(directory))
            if (name != "power" && name != "statistics" && name != "queues" && name != "mq")
                add_device(paths::join(directory, name), paths::join(shown, name), levels - 1);
    }

    void add_bus(const std::string& name)
    {
        const auto path = paths::join(paths::pci_buses, name);
        const auto target = reader_.read_link(path);
        const auto directory = target ? real_directory(*target) : "";
        if (directory.empty()) return;
        link(path);
        presence(directory + "/rescan");
        link(directory + "/bridge");
        link(directory + "/device");
    }

    void add_driver(const std::string& name)
    {
        for (const auto& entry : reader_.list(paths::driver(name))) {
            const auto path = paths::driver(name, entry);
            if (reader_.read_link(path))
                link(path);
            else
                presence(path);
        }
    }

    void add_group(const std::string& group)
    {
        const auto devices = paths::join(paths::iommu_groups, group) + "/devices";
        for (const auto& name : reader_.list(devices)) link(paths::join(devices, name));
    }

    // What the checks ask of the host besides, as far as it names nobody.
    void add_host()
    {
        for (const auto& name : reader_.list(std::string(paths::numa_nodes)))
            if (name.starts_with("node")) fact(paths::join(paths::numa_nodes, name) + "/cpulist");
        for (const auto& number : reader_.list(std::string(paths::interrupts))) {
            const auto path = paths::join(paths::interrupts, number) + "/chip_name";
            if (trim(reader_.read(path).value_or("")).ends_with("IO-APIC")) fact(path);
        }
        for (const auto* name : {"scaling_governor", "scaling_driver"})
            fact(paths::join(paths::cpus, "cpu0/cpufreq/") + name);
        fact(std::string(paths::unsafe_interrupts));
        for (const auto* name : {"vfio_pci", "vendor_reset", "nvidia_vgpu_vfio"})
            presence(paths::join(paths::modules, name));
        // What becomes of devices that are absent. A Thunderbolt device's own id stays here.
        for (const auto& name : reader_.list(std::string(paths::pci_slots)))
            for (const auto* file : {"address", "adapter", "power"})
                fact(paths::join(paths::join(paths::pci_slots, name), file));
        for (const auto& name : reader_.list(std::string(paths::thunderbolt_devices)))
            for (const auto* file : {"authorized", "device_name"})
                fact(paths::join(paths::join(paths::thunderbolt_devices, name), file));
        for (const auto& name : reader_.list(std::string(paths::framebuffers)))
            link(paths::join(paths::framebuffers, name));
    }

    const SysReader& reader_;
    std::set<std::string> drivers_;
    std::string routes_;
    MachineFacts facts_;
};

} // namespace

MachineFacts device_facts(const SysReader& reader)
{
    return Capture(reader).devices();
}

std::string fact_of_bytes(std::string_view bytes)
{
    std::string fact = "= hex ";
    for (const char c : bytes) fact += to_hex(static_cast<unsigned char>(c), 2);
    return fact;
}

std::string fact_of_text(std::string_view text)
{
    if (!consists_of(text, [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; }))
        return fact_of_bytes(text);
    std::string fact = "= ";
    for (const char c : text) {
        if (c == '\n' || c == '\\') fact += '\\';
        fact += c == '\n' ? 'n' : c;
    }
    return fact;
}

std::string print_machine(const MachineFacts& facts)
{
    std::string text = "# made by pve-gpu-install capture\n";
    for (const auto& [path, fact] : facts) {
        const auto below = facts.lower_bound(path + "/");
        const bool has_more = below != facts.end() && below->first.starts_with(path + "/");
        if (fact != "has file" || !has_more) text.append(path).append(" ").append(fact).append("\n");
    }
    return text;
}

std::string capture_machine(const SysReader& reader)
{
    const QuietReader quiet(reader);
    auto facts = device_facts(quiet);
    for (const auto& guest : list_guests(quiet, read_cluster(quiet).node)) {
        if (!guest.id.is_vm()) continue;
        const auto path = paths::vm_config(guest.id.vmid);
        const auto lines = shareable_vm_config(read_pve_file(quiet, path).value_or(""));
        if (concerns_gpus(lines)) facts[path] = fact_of_text(lines);
    }
    return print_machine(facts);
}

int capture(Session& session)
{
    auto& system = session.system;
    const auto& options = session.options;
    require_host_of(system, options);
    if (!options.guest) {
        const auto machine = capture_machine(system);
        session.document = {{"schema", "pve-gpu-hook/capture/1"}, {"machine", machine}};
        session.console.print(machine);
        return exit_done;
    }
    session.document = {{"schema", "pve-gpu-hook/capture/1"}, {"directory", options.output}};
    if (system.exists(options.output))
        throw Error(ErrorKind::failed, {quote(options.output) + " is there already, and nothing was written",
                                        "take it away, or name another directory with '--output'"});
    for (const auto& [name, text] : capture_guest(system, *options.guest))
        system.install_file(paths::join(options.output, name), text, mode_of_capture);
    if (!options.dry_run)
        session.console.progress("the capture is in " + quote(options.output) +
                                 "; read it before you give it away");
    return exit_done;
}

} // namespace pvegpu
