#include "commands/captured_host.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "check/facts.hpp"
#include "check/report_html.hpp"
#include "commands/recorder.hpp"
#include "commands/shareable.hpp"
#include "hook/phases.hpp"
#include "hook/report.hpp"
#include "host/module_aliases.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/guest_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// '*' stands for any text. What the programs read there names devices, drivers and numbers, nobody and
// nothing of somebody's.
constexpr std::string_view as_they_are =
    "/sys/kernel/security/lockdown /sys/class/graphics/* /sys/class/vtconsole/* /sys/class/vfio/* "
    "/sys/class/drm/* /sys/class/nvme-subsystem/* /sys/class/iommu/* /sys/dev/block/* "
    "/sys/bus/pci_express/* /sys/bus/pci/slots/* /sys/bus/platform/devices/* /sys/bus/pci/drivers/*/module "
    "/sys/module/* /sys/fs/cgroup/lxc/* /sys/firmware/efi* /proc/devices /proc/uptime "
    "/proc/driver/nvidia/capabilities/* /etc/systemd/system/*/pve-gpu-hook-nodes.service "
    "/run/qemu-server/*.pid /run/pve-gpu-hook/claims/*.json /run/pve-gpu-hook/state/*.json "
    "/run/pve-gpu-hook/cards/*.json /run/pve-gpu-hook/journal/*.json "
    "/run/pve-gpu-hook/events/* /run/pve-gpu-hook/boot-files-changed";

// Whether they are there, and what number or mode they have.
constexpr std::string_view only_there =
    "/dev/dri/* /dev/nvidia* /dev/kfd /dev/vfio/* /dev/snd/* /dev/nvme* /dev/sd* /usr/sbin/* /usr/bin/* "
    "/sbin/* /var/lib/dkms/nvidia* /lib/modules/* */snippets/* /etc/default/grub "
    "/etc/kernel/proxmox-boot-uuids";

bool any_matches(std::string_view patterns, std::string_view path)
{
    return std::ranges::any_of(words_of(patterns),
                               [&](auto pattern) { return matches_pattern(pattern, path); });
}

class GuestCapture {
public:
    GuestCapture(const SysReader& machine, unsigned vmid)
        : recorder_(machine), guest_(read_guest_file(recorder_, {.vmid = vmid})),
          facts_(read_check_facts(recorder_))
    {
        if (!facts_.pve_problem.empty()) throw Error(ErrorKind::failed, {facts_.pve_problem});
        for (const auto phase : {Phase::pre_start, Phase::post_stop})
            plan_phase(recorder_, {vmid, phase, ""});
        find_names();
        find_processes();
    }

    std::map<std::string, std::string> files()
    {
        lines_ = device_facts(recorder_);
        find_disks();
        for (const auto& [path, answers] : recorder_.answers())
            if (const auto fact = shareable(path, answers)) lines_.try_emplace(path, *fact);
        add_guests();
        const bool vm = guest_.kind == GuestKind::vm;
        std::map<std::string, std::string> files{
            {"machine", print_machine(lines_)},
            {(vm ? "vm-" : "ct-") + std::string(last_name(guest_.path)), config_of(guest_.text, guest_.kind)},
            {"pci.cfg", shareable_mappings(text_of(paths::pve_pci_mappings), mappings_, nodes_)},
            {"settings.json", shareable_settings(text_of(paths::settings))}};
        for (const auto* name : {"pci.cfg", "settings.json"})
            if (files[name].empty()) files.erase(name);
        return files;
    }

private:
    static std::string config_of(const std::string& text, GuestKind kind)
    {
        return kind == GuestKind::container ? shareable_ct_config(text) : shareable_vm_config(text);
    }

    std::string text_of(std::string_view path) const
    {
        const auto found = recorder_.answers().find(std::string(path));
        return found == recorder_.answers().end() ? "" : found->second.text.value_or("");
    }

    void find_names()
    {
        std::set<std::string> nodes;
        for (const auto& mapping : facts_.mappings.mappings)
            for (const auto& device : mapping.devices) nodes.insert(device.node);
        for (const auto& storage : facts_.survey.storages)
            nodes.insert(storage.nodes.begin(), storage.nodes.end());
        for (const auto& guest : facts_.survey.guests) {
            for (const auto& line : guest.config.hostpci)
                if (line.mapping) mappings_.insert(*line.mapping);
            const auto& hook = guest.id.is_container() ? guest.lxc.hookscript : guest.config.hookscript;
            if (!hook.empty()) storages_.insert(hook.substr(0, hook.find(':')));
            if (guest.ha) nodes.insert(guest.ha->nodes.begin(), guest.ha->nodes.end());
        }
        nodes.erase(facts_.host.cluster.node);
        nodes_ = NodeNames(facts_.host.cluster.node, nodes);
    }

    // Those that the plan or a check speaks of: their names were asked for.
    void find_processes()
    {
        for (const auto& writer : facts_.writers) processes_.insert(std::to_string(writer.pid));
        for (const auto& [path, answers] : recorder_.answers()) {
            if (matches_pattern("/proc/*/comm", path)) processes_.emplace(split(path, '/')[2]);
            if (matches_pattern("/run/qemu-server/*.pid", path))
                running_.emplace(trim(answers.text.value_or("")));
            if (matches_pattern("/run/pve-gpu-hook/events/*", path))
                if (const auto note = parse_reader_note(answers.text.value_or("")))
                    for (const auto& one : {note->qemu, note->reader})
                        processes_.insert(std::to_string(one.pid));
        }
    }

    void find_disks()
    {
        for (const auto& [path, fact] : lines_)
            if (path.ends_with("/dev") &&
                (path.find("/nvme") != std::string::npos || path.find("/block/") != std::string::npos))
                disks_.insert(fact.substr(2, fact.find('\\') - 2));
    }

    std::optional<std::string> shareable(const std::string& path, const Answers& answers) const
    {
        if (answers.text)
            if (const auto text = shareable_text(path, *answers.text)) return fact_of_text(*text);
        if (path.starts_with("/proc/") && is_digit(path[6])) return of_process(path, answers);
        const bool whole = any_matches(as_they_are, path);
        if (!whole && !any_matches(only_there, path)) return std::nullopt;
        if (answers.link && (whole || *answers.link == paths::hook_program)) return "-> " + *answers.link;
        if (answers.text && whole) return fact_of_text(*answers.text);
        return presence(answers);
    }

    static std::string presence(const Answers& answers)
    {
        if (answers.device)
            return std::string(answers.device->block ? "node b" : "node c") + to_string(*answers.device);
        if (!answers.mode) return "has file";
        std::string octal;
        for (auto mode = *answers.mode; mode != 0; mode >>= 3U)
            octal.insert(octal.begin(), static_cast<char>('0' + (mode & 7U)));
        return "has mode " + octal;
    }

    // The order of those that matter: the passed devices' own drivers, and vfio-pci.
    std::string loaded_modules(const std::string& text) const
    {
        std::string lines;
        for (LineReader reader(text); reader.next();) {
            const std::string name(split(reader.line(), ' ').front());
            const auto is_its = [&](const SurveyedFunction& function) {
                return contains(function.modules, name) || function.loaded_first == name;
            };
            if (name == "vfio_pci" || std::ranges::any_of(facts_.survey.functions, is_its))
                lines += name + " 1 0 - Live 0x0\n";
        }
        return lines;
    }

    static std::string lines_about_nvidia(std::string_view text)
    {
        std::string kept;
        for (LineReader lines(text); lines.next();)
            if (lines.line().find("/nvidia") != std::string_view::npos)
                kept += std::string(lines.line()) + "\n";
        return kept;
    }

    // Nothing for a file that is not one of these.
    std::optional<std::string> shareable_text(const std::string& path, const std::string& text) const
    {
        const auto is = [&](const char* pattern) { return matches_pattern(pattern, path); };
        if (path == paths::kernel_command_line || path == paths::kernel_cmdline_file)
            return shareable_command_line(text);
        if (path == paths::grub_defaults || is("/etc/default/grub.d/*.cfg"))
            return shareable_grub_defaults(text);
        if (is("*/modprobe.d/*.conf")) {
            const auto lines = shareable_modprobe(text);
            return lines.empty() ? std::nullopt : std::optional(lines);
        }
        if (path == paths::modules_file || path == paths::initramfs_modules || is("/etc/modules-load.d/*"))
            return shareable_module_list(text);
        if (is("/lib/modules/*/modules.alias")) return shareable_aliases(text, facts_.topology);
        if (path == paths::loaded_modules) return loaded_modules(text);
        if (is("/lib/modules/*/modules.dep")) return lines_about_nvidia(text);
        if (path == paths::subuid || path == paths::subgid) return lines_with(text, {"root", "0"});
        if (path == paths::dpkg_status) return shareable_packages(text);
        if (path == paths::cpu_info) return cpu_vendor();
        if (path == paths::mount_table) return shareable_mounts(text, disks_);
        if (path == paths::proc_swaps) return shareable_swaps(text);
        if (path == paths::kernel_log) return shareable_log();
        if (is("/proc/driver/nvidia/gpus/*/information")) return lines_with(text, {"Model", "Device Minor"});
        if (path == paths::pve_reservations) return shareable_reservations(text, recorder_.wall_clock());
        if (is("/run/pve-gpu-hook/*.json") && path.find('/', paths::run.size() + 1) == std::string::npos)
            return shareable_report(text);
        if (path == paths::pve_storages) return shareable_storages(text, storages_, nodes_);
        if (is("/etc/pve/ha/*.cfg")) return shareable_ha(text, nodes_);
        if (path == paths::pve_cpu_models) return shareable_cpu_models(text);
        if (path == paths::pve_users && facts_.cloning_tokens > 0) return nobodys_tokens();
        return std::nullopt;
    }

    // As many that may clone, and nobody's name.
    std::string nobodys_tokens() const
    {
        std::string users = "user:somebody@pve:1:0:\nacl:1:/:somebody@pve:PVEVMAdmin:\n";
        for (std::size_t i = 0; i < facts_.cloning_tokens; ++i)
            users += "token:somebody@pve!token" + std::to_string(i) + ":0:0:\n";
        return users;
    }

    std::string cpu_vendor() const
    {
        const auto cpu = facts_.host.cpu;
        return std::string("vendor_id\t: ") +
               (cpu == CpuVendor::intel ? "GenuineIntel"
                : cpu == CpuVendor::amd ? "AuthenticAMD"
                                        : "other") +
               "\n";
    }

    // The kernel's own messages that a check knows, as a report for strangers has them.
    std::string shareable_log() const
    {
        const Redactor redacted(facts_);
        std::string records = "6,1,1,-;\n";
        for (const auto& line : facts_.log->known)
            records += "6,1," + std::to_string(line.time.value_or(0)) + ",-;" + redacted(line.text) + "\n";
        return records;
    }

    std::optional<std::string> of_process(const std::string& path, const Answers& answers) const
    {
        const auto parts = split(path, '/');
        const std::string pid(parts[2]);
        const auto file = path.substr(std::min(path.size(), 7 + pid.size()));
        const auto text = answers.text.value_or("");
        if (file.empty())
            return running_.contains(pid) ? std::optional<std::string>("has file") : std::nullopt;
        if (file == "status") return fact_of_text(lines_with(text, {"NSpid"}));
        if (file == "cgroup" && text.starts_with("0::/lxc/")) return fact_of_text(text);
        if (file.starts_with("root/")) return inside(file, answers);
        if (!processes_.contains(pid)) return std::nullopt;
        for (const auto* one : {"comm", "stat", "wchan", "stack"})
            if (file == one && answers.text) return fact_of_text(text);
        if (file.starts_with("fdinfo/")) return fact_of_text(lines_with(text, {"vfio-device-syspath"}));
        const auto link = answers.link.value_or("");
        const bool device = link == "anon_inode:[vfio-device]" || link.starts_with("/dev/");
        if (file.starts_with("fd/") && device && (link[0] != '/' || any_matches(only_there, link)))
            return "-> " + link;
        return std::nullopt;
    }

    // A container's GPU nodes and NVIDIA's libraries.
    static std::optional<std::string> inside(const std::string& file, const Answers& answers)
    {
        const bool node = parse_gpu_node(file.substr(4)).has_value();
        if (node || file.find("/libnvidia-ml.so.") != std::string::npos) return presence(answers);
        return std::nullopt;
    }

    // The others that have a GPU stand in the machine; of the cluster no more than that there is one.
    void add_guests()
    {
        Json list{{"version", 1}, {"ids", Json::object()}};
        for (const auto& guest : facts_.survey.guests) {
            const auto path = guest.id.config_path();
            const auto text = config_of(text_of(path), guest.id.kind);
            if (path != guest_.path && !concerns_gpus(text)) continue;
            if (path != guest_.path) lines_[path] = fact_of_text(text);
            const auto* const type = guest.id.is_container() ? "lxc" : "qemu";
            list["ids"][guest.id.number()] = {{"node", "pve1"}, {"type", type}, {"version", 1}};
        }
        lines_[std::string(paths::pve_vm_list)] = fact_of_text(list.dump() + "\n");
        lines_[std::string(paths::host_name)] = fact_of_text("pve1\n");
        const auto& cluster = facts_.host.cluster;
        if (cluster.clustered)
            lines_[std::string(paths::pve_members)] = fact_of_text(
                Json{{"nodename", "pve1"}, {"cluster", {{"nodes", 2}, {"quorate", cluster.quorate ? 1 : 0}}}}
                    .dump() +
                "\n");
    }

    const Recorder recorder_;
    const GuestFile guest_;
    const CheckFacts facts_;
    NodeNames nodes_{"", {}};
    std::set<std::string> mappings_, storages_{"local", "local-lvm", "local-zfs"};
    std::set<std::string> processes_, running_, disks_;
    MachineFacts lines_;
};

} // namespace

std::map<std::string, std::string> capture_guest(const SysReader& machine, unsigned vmid)
{
    return GuestCapture(machine, vmid).files();
}

} // namespace pvegpu
