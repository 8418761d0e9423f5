#include "ct_hosts.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/lxc_config.hpp"
#include "pve_arguments.hpp"

namespace pvegpu::testing {
namespace {

void write_majors(FakeSystem& machine, bool nvidia, bool uvm, unsigned uvm_major)
{
    machine.file("/proc/devices", std::string("Character devices:\n  1 mem\n226 drm\n") +
                                      (nvidia ? "195 nvidia\n195 nvidiactl\n235 nvidia-caps\n" : "") +
                                      (uvm ? std::to_string(uvm_major) + " nvidia-uvm\n" : "") +
                                      "\nBlock devices:\n259 blkext\n");
}

void load(FakeSystem& machine, const NvidiaOptions& options, const std::string& module)
{
    const bool uvm = module == "nvidia-uvm" || machine.exists("/sys/module/nvidia_uvm");
    if (uvm) machine.tree().add_directory("/sys/module/nvidia_uvm");
    machine.file("/sys/module/nvidia/version", "550.90.07\n");
    machine.file("/proc/driver/nvidia/gpus/0000:06:00.0/information",
                 "Model: \t\t NVIDIA GeForce RTX 3090\nDevice Minor: \t 0\n");
    machine.file("/proc/driver/nvidia/capabilities/mig/config", "DeviceFileMinor: 1\nDeviceFileMode: 256\n");
    if (machine.driver_of("0000:06:00.0").empty())
        machine.write("/sys/bus/pci/drivers/nvidia/bind", "0000:06:00.0", Milliseconds(1));
    write_majors(machine, true, uvm, options.uvm_major);
}

SysResult modprobe(FakeSystem& machine, const NvidiaOptions& options, const std::string& module)
{
    if (module.starts_with("nvidia")) load(machine, options, module);
    return {};
}

// -c MINOR, -u -c 0, -m and -f FILE, as in its sources.
SysResult nvidia_modprobe(FakeSystem& machine, const NvidiaOptions& options,
                          const std::vector<std::string>& arguments)
{
    auto& tree = machine.tree();
    if (arguments.at(1) == "-u") {
        tree.set_device("/dev/nvidia-uvm", {options.uvm_major, 0});
        tree.set_device("/dev/nvidia-uvm-tools", {options.uvm_major, 1});
    }
    if (arguments.at(1) == "-m") tree.set_device("/dev/nvidia-modeset", {195, 254});
    if (arguments.at(1) == "-f") tree.set_device("/dev/nvidia-caps/nvidia-cap1", {235, 1});
    if (arguments.at(1) != "-c") return {};
    const auto minor = static_cast<unsigned>(std::stoul(arguments.at(2)));
    tree.set_device(minor == 255 ? "/dev/nvidiactl" : "/dev/nvidia" + std::to_string(minor), {195, minor});
    return {};
}

std::string group_of(unsigned vmid)
{
    return "/sys/fs/cgroup/lxc/" + std::to_string(vmid);
}

std::string config_of(const std::string& vmid)
{
    return "/etc/pve/lxc/" + vmid + ".conf";
}

// The live section's lines but those of the key, and with a new one for it unless the value is empty.
std::string with_setting(const std::string& text, const std::string& key, const std::string& value)
{
    std::string result = value.empty() ? "" : key + ": " + value + "\n";
    for (LineReader lines(text); lines.next();)
        if (!lines.line().starts_with(key + ":")) result += std::string(lines.line()) + "\n";
    return result;
}

pid_t init_of(unsigned vmid)
{
    return static_cast<pid_t>(4100 + vmid); // so that 901 is 5001
}

void give_all_nodes(FakeSystem& machine, unsigned vmid)
{
    if (!machine.exists(group_of(vmid))) return;
    const auto config = parse_lxc_config(machine.text(config_of(std::to_string(vmid))));
    for (const auto& wanted : wanted_nodes(config))
        if (const auto number = machine.device_number(wanted.node.path))
            give_node(machine, init_of(vmid), wanted.in_guest, *number);
}

SysResult fails(const std::string& text)
{
    return {SysResult::Kind::refused, 255, text + "\n", 0, ""};
}

// What update_vm of PVE/API2/LXC/Config.pm and update_pct_config of PVE/LXC/Config.pm refuse.
std::string wrong_in(const FakeSystem& machine, const PveArguments& arguments)
{
    if (arguments.options.empty()) return "no options specified";
    const auto deleted = arguments.options.find("delete");
    for (const auto& [key, value] : arguments.options) {
        if (key.starts_with("dev") && !machine.device_number(value.substr(0, value.find(','))))
            return "Device " + value + " does not exist";
        if (deleted == arguments.options.end()) continue;
        for (const auto other : split(deleted->second, ','))
            if (other == key) return quote(key) + " cannot be set and deleted at the same time";
    }
    return "";
}

SysResult set_by_pct(FakeSystem& machine, const PveArguments& arguments, bool hotplug)
{
    const auto path = config_of(arguments.vmid);
    if (!machine.exists(path)) return {SysResult::Kind::refused, 2, "no such CT\n", 0, ""};
    if (const auto wrong = wrong_in(machine, arguments); !wrong.empty()) return fails(wrong);
    auto text = machine.text(path) + "\n";
    for (const auto& [key, value] : arguments.options) {
        if (key != "delete") text = with_setting(text, key, value);
        if (key == "delete")
            for (const auto deleted : split(value, ',')) text = with_setting(text, std::string(deleted), "");
    }
    machine.file(path, text);
    if (hotplug) give_all_nodes(machine, static_cast<unsigned>(std::stoul(arguments.vmid)));
    return {};
}

SysResult reboot_by_pct(FakeSystem& machine, const PveArguments& arguments)
{
    const auto vmid = static_cast<unsigned>(std::stoul(arguments.vmid));
    if (!machine.exists(group_of(vmid))) return fails("VM " + arguments.vmid + " not running");
    give_all_nodes(machine, vmid);
    return {};
}

} // namespace

void add_pct(FakeSystem& machine, bool hotplug)
{
    machine.add_program("/usr/sbin/pct", [&machine, hotplug](const auto& arguments) -> SysResult {
        const std::vector<std::string> words(arguments.begin() + 2, arguments.end());
        const bool set = arguments.at(1) == "set";
        if (!set && arguments.at(1) != "reboot") return fails("unknown command");
        const auto read = read_as_proxmox(words, set ? pct_set : pct_reboot);
        if (!read) return fails("unable to parse option");
        return set ? set_by_pct(machine, *read, hotplug) : reboot_by_pct(machine, *read);
    });
}

void add_nvidia_host(FakeSystem& machine, const NvidiaOptions& options)
{
    machine.add_driver("nvidia", {"10de:2204"});
    add_slot(machine, {.driver = ""});
    machine.file("/sys/bus/pci/devices/0000:06:00.0/modalias",
                 "pci:v000010DEd00002204sv00000000sd00000000bc03sc00i00\n");
    write_majors(machine, false, false, options.uvm_major);
    machine.add_program(std::string(paths::modprobe_program), [&machine, options](const auto& arguments) {
        return modprobe(machine, options, arguments.at(2));
    });
    if (options.nvidia_modprobe)
        machine.add_program(std::string(paths::nvidia_modprobe_program),
                            [&machine, options](const auto& arguments) {
                                return nvidia_modprobe(machine, options, arguments);
                            });
    if (!options.loaded) return;
    load(machine, options, "nvidia");
    load(machine, options, "nvidia-uvm");
    for (const auto* minor : {"0", "255"}) nvidia_modprobe(machine, options, {"", "-c", minor});
    nvidia_modprobe(machine, options, {"", "-u"});
}

void add_container(FakeSystem& machine, unsigned vmid, const std::string& lines)
{
    machine.file(config_of(std::to_string(vmid)), lines);
    machine.file("/proc/sys/kernel/hostname", "pve1\n");
    auto list = machine.text("/etc/pve/.vmlist"); // once there is one it has every guest
    if (list.empty()) return;
    const auto entry = "\"" + std::to_string(vmid) + R"(": { "node": "pve1", "type": "lxc", "version": 1 })";
    list.insert(list.rfind("}}"), (list.find("node") == std::string::npos ? "" : ",") + entry);
    machine.file("/etc/pve/.vmlist", list);
}

void start_container(FakeSystem& machine, unsigned vmid, pid_t init)
{
    const auto pid = std::to_string(init);
    machine.file(group_of(vmid) + "/cgroup.events", "populated 1\nfrozen 0\n");
    machine.file(group_of(vmid) + "/ns/cgroup.procs", "");
    machine.file(group_of(vmid) + "/ns/init.scope/cgroup.procs", pid + "\n");
    machine.add_process(init, "systemd");
    machine.file("/proc/" + pid + "/status", "Name:\tsystemd\nNSpid:\t" + pid + "\t1\n");
    machine.file("/proc/" + pid + "/cgroup", "0::/lxc/" + std::to_string(vmid) + "/ns/init.scope\n");
    give_node(machine, init, "/dev/null", {1, 3});
}

void stop_container(FakeSystem& machine, unsigned vmid, pid_t init)
{
    machine.tree().erase(group_of(vmid));
    machine.end_process(init);
}

void give_node(FakeSystem& machine, pid_t init, const std::string& path, DeviceNumber number)
{
    machine.tree().set_device("/proc/" + std::to_string(init) + "/root" + path, number);
}

} // namespace pvegpu::testing
