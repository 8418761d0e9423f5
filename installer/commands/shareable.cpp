#include "commands/shareable.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "check/facts.hpp"
#include "check/guest_args.hpp"
#include "host/kernel_cmdline.hpp"
#include "host/modprobe_config.hpp"
#include "host/module_aliases.hpp"
#include "host/pve_files.hpp"
#include "host/status.hpp"
#include "machine/paths.hpp"
#include "proxmox/config_lines.hpp"
#include "proxmox/gpu_nodes.hpp"
#include "proxmox/guest_files.hpp"
#include "settings/settings.hpp"
#include "usage/reservations.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

std::string_view without_number(std::string_view key)
{
    while (!key.empty() && is_digit(key.back())) key.remove_suffix(1);
    return key;
}

std::string_view first_word(std::string_view text)
{
    return text.substr(0, count_front(text, [](char c) { return !is_space(c); }));
}

// Each line as `keep` has it. What it has no answer for is `instead`.
template <typename Keep> std::string each_line(std::string_view text, std::string_view instead, Keep keep)
{
    std::string result;
    std::size_t end = 0; // of the last line that says something
    for (LineReader lines(text); lines.next();) {
        const std::optional<std::string> kept = keep(lines.line());
        result.append(kept ? std::string_view(*kept) : instead).append("\n");
        if (kept && !kept->empty()) end = result.size();
    }
    result.resize(end);
    return result;
}

// The same without a trace of the others.
template <typename Keep> std::string some_lines(std::string_view text, Keep keep)
{
    std::string result;
    for (LineReader lines(text); lines.next();)
        if (keep(lines.line())) result += std::string(lines.line()) + "\n";
    return result;
}

// Of Proxmox's section files: the sections whose head is `wanted`, and of each setting the value that `keep`
// has for it, if any.
template <typename Wanted, typename Keep>
std::string sections(std::string_view text, std::string_view instead, Wanted wanted, Keep keep)
{
    bool in_it = false;
    return each_line(text, instead, [&](std::string_view line) -> std::optional<std::string> {
        const auto setting = trim(line);
        if (setting.empty()) return "";
        if (!is_space(line.front())) in_it = wanted(setting);
        if (!in_it) return std::nullopt;
        if (!is_space(line.front())) return std::string(setting);
        const auto key = first_word(setting);
        const std::string value = keep(key, trim(setting.substr(key.size())));
        return value.empty() ? std::nullopt : std::optional("\t" + std::string(key) + " " + value);
    });
}

// "local-lvm:vm-101-disk-0,size=32G" -> "local-lvm:disk". Proxmox's own names of storages tell nothing.
std::string shareable_volume(std::string_view value)
{
    constexpr std::array<std::string_view, 3> of_proxmox{"local", "local-lvm", "local-zfs"};
    const bool cdrom = value.find("media=cdrom") != std::string_view::npos;
    if (value.starts_with("file=")) value.remove_prefix(std::string_view("file=").size());
    const auto storage = value.substr(0, value.find(':'));
    return std::string(contains(of_proxmox, storage) ? storage : "storage") + ":disk" +
           (cdrom ? ",media=cdrom" : "");
}

// The name of a ROM is somebody's own.
std::string shareable_hostpci(std::string_view line)
{
    std::vector<std::string> parts;
    for (const auto part : split(line, ','))
        parts.emplace_back(part.starts_with("romfile=") ? "romfile=a.bin" : part);
    return join(parts, ",");
}

// Of 'args' what the checks ask of it; the rest may be serial numbers and paths.
std::string shareable_args(std::string_view value)
{
    constexpr std::array<std::string_view, 6> pairs{"-device", "-set",     "-cpu",
                                                    "-accel",  "-machine", "-global"};
    constexpr std::array<std::string_view, 6> told{"vfio-pci",       "device.hostpci", "kernel_irqchip",
                                                   "kernel-irqchip", "accel=",         "X-PciMmio64Mb"};
    const auto words = shell_words(value);
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "-no-reboot" || words[i] == "-no-kvm") kept.push_back(words[i]);
        if (words[i].find("X-PciMmio64Mb") != std::string::npos) kept.emplace_back("X-PciMmio64Mb");
        if (!contains(pairs, words[i]) || i + 1 == words.size()) continue;
        const auto& next = words[i + 1];
        if (words[i] == "-cpu" || words[i] == "-accel" ||
            std::ranges::any_of(told,
                                [&](std::string_view text) { return next.find(text) != std::string::npos; }))
            kept.insert(kept.end(), {words[i], next});
    }
    const auto line = shell_line(kept);
    return has_monitor(value) ? with_monitor(line).value_or(line) : line;
}

std::optional<std::string> shareable_vm_line(std::string_view line)
{
    constexpr std::array<std::string_view, 14> whole{"machine",    "bios",     "cpu",    "memory", "balloon",
                                                     "numa",       "affinity", "onboot", "vga",    "lock",
                                                     "hookscript", "template", "kvm",    "reboot"};
    constexpr std::array<std::string_view, 6> volumes{"efidisk", "scsi", "virtio", "sata", "ide", "vmstate"};
    const auto pair = split_once(line, ':');
    if (!pair) return std::nullopt;
    const auto key = std::string(pair->first);
    const auto value = trim(pair->second);
    if (key.starts_with("hostpci")) return shareable_hostpci(line);
    if (contains(whole, without_number(key))) return std::string(line);
    if (contains(volumes, without_number(key))) return key + ": " + shareable_volume(value);
    if (const auto args = key == "args" ? shareable_args(value) : ""; !args.empty()) return "args: " + args;
    return std::nullopt;
}

// Another device's path can have its serial number ("/dev/serial/by-id/...").
std::string shareable_device(std::string_view key, std::string_view value)
{
    constexpr std::string_view name = "path=";
    if (value.starts_with(name)) value.remove_prefix(name.size());
    const auto path = value.substr(0, value.find(','));
    const bool of_gpu = parse_gpu_node(path) || parse_gpu_node("/dev/" + std::string(path));
    const std::string shown(of_gpu ? path : path.starts_with("/dev/") ? "/dev/other" : "other");
    return std::string(key) + ": " + shown + std::string(value.substr(path.size()));
}

std::optional<std::string> shareable_ct_line(std::string_view line)
{
    constexpr std::string_view whole = "unprivileged template hookscript lxc.idmap lxc.cgroup2.devices.allow "
                                       "lxc.cgroup.devices.allow";
    const auto end = line.find_first_of(":=");
    if (end == std::string_view::npos) return std::nullopt;
    const auto key = trim_right(line.substr(0, end));
    const auto value = trim(line.substr(end + 1));
    // A mount of a device, not of somebody's directory.
    const bool device = key == "lxc.mount.entry" && parse_gpu_node(first_word(value));
    if (without_number(key) == "dev") return shareable_device(key, value);
    if (device || contains(words_of(whole), key)) return std::string(line);
    if (key != "delete") return std::nullopt;
    std::vector<std::string> keys;
    for (const auto one : split(value, ','))
        if (without_number(trim(one)) == "dev") keys.emplace_back(trim(one));
    return keys.empty() ? std::nullopt : std::optional("delete: " + join(keys, ","));
}

// "id=10de:2204,node=alice" -> "id=10de:2204,node=pve1"
std::string shareable_map(std::string_view value, const NodeNames& nodes)
{
    constexpr std::array<std::string_view, 4> whole{"id", "subsystem-id", "path", "iommugroup"};
    std::vector<std::string> parts;
    for (const auto part : split(value, ',')) {
        const auto pair = split_once(part, '=');
        if (pair && contains(whole, pair->first)) parts.emplace_back(part);
        if (pair && pair->first == "node") parts.push_back("node=" + nodes.of(pair->second));
    }
    return join(parts, ",");
}

bool is_about_passthrough(const std::string& token)
{
    constexpr std::array<std::string_view, 9> keys{"iommu",     "intel_iommu", "amd_iommu",
                                                   "quiet",     "video",       "initcall_blacklist",
                                                   "pcie_aspm", "ro",          "modprobe.blacklist"};
    const auto key = token.substr(0, token.find('='));
    return contains(keys, key) || key.starts_with("vfio") || !command_line_remarks({token}).empty();
}

std::string shareable_tokens(const Tokens& tokens)
{
    Tokens kept;
    std::ranges::copy_if(tokens, std::back_inserter(kept), is_about_passthrough);
    return join(kept, " ");
}

bool is_about_modules(const ModprobeLine& line)
{
    if (line.kind == ModprobeLine::Kind::options) return line.module.starts_with("vfio");
    return line.kind != ModprobeLine::Kind::install ||
           (line.words.size() == 1 &&
            (line.words.front().ends_with("/false") || line.words.front().ends_with("/true")));
}

} // namespace

std::string shareable_vm_config(std::string_view text)
{
    unsigned section = 0;
    return each_line(text, "", [&](std::string_view line) -> std::optional<std::string> {
        if (line.starts_with('[')) return "[snapshot" + std::to_string(++section) + "]";
        if (section == 0) return shareable_vm_line(line);
        return has_config_value(line, "vmstate:") ? std::optional<std::string>("vmstate: local:disk")
                                                  : std::nullopt;
    });
}

std::string shareable_ct_config(std::string_view text)
{
    bool in_snapshot = false;
    return each_line(text, "", [&](std::string_view line) -> std::optional<std::string> {
        if (!line.starts_with('[')) return in_snapshot ? std::nullopt : shareable_ct_line(line);
        in_snapshot = lower(trim_right(line)) != "[pve:pending]";
        return in_snapshot ? "[snapshot]" : std::string(line);
    });
}

bool concerns_gpus(std::string_view shareable_config)
{
    for (LineReader lines(shareable_config); lines.next();)
        for (const std::string_view start :
             {"hostpci", "hookscript:", "dev", "lxc.mount.entry", "lxc.cgroup2.devices.allow"})
            if (lines.line().starts_with(start)) return true;
    return false;
}

NodeNames::NodeNames(const std::string& own, const std::set<std::string>& others)
{
    names_[own] = "pve1";
    for (const auto& name : others) names_.try_emplace(name, "pve" + std::to_string(names_.size() + 1));
}

const std::string& NodeNames::of(std::string_view name) const
{
    const auto found = names_.find(name);
    return found == names_.end() ? unknown_ : found->second;
}

std::string NodeNames::list(std::string_view names) const
{
    std::vector<std::string> shown;
    for (const auto part : split(names, ',')) {
        const auto pair = split_once(trim(part), ':');
        shown.push_back(pair ? of(pair->first) + ":" + std::string(pair->second) : of(trim(part)));
    }
    return join(shown, ",");
}

std::string shareable_mappings(std::string_view text, const std::set<std::string>& used,
                               const NodeNames& nodes)
{
    const auto wanted = [&](std::string_view head) { return used.contains(std::string(head)); };
    return sections(text, "#", wanted, [&](std::string_view key, std::string_view value) {
        if (key == "map") return shareable_map(value, nodes);
        return std::string(key == "mdev" ? value : "");
    });
}

std::string shareable_storages(std::string_view text, const std::set<std::string>& used,
                               const NodeNames& nodes)
{
    const auto wanted = [&](std::string_view head) {
        const auto parts = split_once(head, ':');
        return parts && used.contains(std::string(trim(parts->second)));
    };
    return sections(text, "", wanted, [&](std::string_view key, std::string_view value) {
        constexpr std::array<std::string_view, 5> whole{"path", "content", "content-dirs", "disable",
                                                        "shared"};
        if (key == "nodes") return nodes.list(value);
        return std::string(contains(whole, key) ? value : "");
    });
}

std::string shareable_ha(std::string_view text, const NodeNames& nodes)
{
    const auto wanted = [](std::string_view head) {
        constexpr std::array<std::string_view, 4> kinds{"vm", "ct", "group", "node-affinity"};
        return contains(kinds, head.substr(0, head.find(':')));
    };
    return sections(text, "", wanted, [&](std::string_view key, std::string_view value) {
        constexpr std::array<std::string_view, 6> whole{"state",  "restricted", "resources",
                                                        "strict", "disable",    "group"};
        if (key == "nodes") return nodes.list(value);
        return std::string(contains(whole, key) ? value : "");
    });
}

std::string shareable_cpu_models(std::string_view text)
{
    const auto wanted = [](std::string_view head) { return head.starts_with("cpu-model:"); };
    return sections(text, "", wanted, [](std::string_view key, std::string_view value) {
        return std::string(key == "reported-model" || key == "phys-bits" ? value : "");
    });
}

std::string shareable_command_line(std::string_view text)
{
    return shareable_tokens(parse_command_line(trim(text))) + "\n";
}

std::string shareable_grub_defaults(std::string_view text)
{
    return "GRUB_CMDLINE_LINUX=\"" + shareable_tokens(parse_grub_defaults(text)) + "\"\n";
}

std::string shareable_modprobe(std::string_view text)
{
    std::string result;
    for (const auto& line : parse_modprobe(text, "")) {
        if (!is_about_modules(line)) continue;
        result += to_string(line.kind) + " " + line.module;
        for (const auto& word : line.words) {
            if (word.starts_with('#') || line.kind == ModprobeLine::Kind::blacklist) break;
            result += " " + word;
        }
        result += "\n";
    }
    return result;
}

std::string shareable_module_list(std::string_view text)
{
    std::string names;
    for (const auto& name : parse_module_list(text)) names += name + "\n";
    return names;
}

std::string shareable_aliases(std::string_view text, const Topology& topology)
{
    return some_lines(text, [&](std::string_view line) {
        const auto words = split(line, ' ');
        return words.size() > 2 && words[0] == "alias" && words[1].starts_with("pci:") &&
               std::ranges::any_of(topology.functions, [&](const auto& one) {
                   return !one.second.bridge && matches_pattern(words[1], modalias(one.second));
               });
    });
}

std::string shareable_packages(std::string_view dpkg_status)
{
    std::string text;
    for (const std::string package : {"pve-manager", "qemu-server", "pve-container"})
        if (const auto version = package_version(dpkg_status, package); !version.empty())
            text.append("Package: ")
                .append(package)
                .append("\nStatus: install ok installed\nVersion: ")
                .append(version) += "\n\n";
    return text;
}

std::string shareable_settings(std::string_view text)
{
    if (is_blank(text)) return "";
    try {
        return SettingsFile::parse(text, "").text() + "\n"; // comments stay here
    } catch (const std::exception&) {
        return "";
    }
}

std::string shareable_report(const std::string& json)
{
    const auto run = parse_last_run(json);
    if (!run) return "";
    return nlohmann::ordered_json{{"phase", run->phase},
                                  {"outcome", run->outcome},
                                  {"started", run->started},
                                  {"error", run->error},
                                  {"elapsed_ms", run->elapsed_ms}}
               .dump() +
           "\n";
}

std::string shareable_mounts(std::string_view text, const std::set<std::string>& numbers)
{
    constexpr std::array<std::string_view, 9> of_the_system{"/",    "/boot", "/boot/efi", "/home", "/var",
                                                            "/srv", "/opt",  "/usr",      "/tmp"};
    std::string result;
    for (LineReader lines(text); lines.next();) {
        const auto words = split(lines.line(), ' ');
        if (words.size() < 5 || !numbers.contains(std::string(words[2]))) continue;
        result += "1 1 " + std::string(words[2]) + " / " +
                  (contains(of_the_system, words[4]) ? std::string(words[4]) : "/mnt") +
                  " rw - none none rw\n";
    }
    return result;
}

std::string shareable_swaps(std::string_view text)
{
    std::string result = "Filename Type Size Used Priority\n";
    for (LineReader lines(text); lines.next();)
        if (const auto name = first_word(lines.line());
            name.starts_with("/dev/nvme") || name.starts_with("/dev/sd"))
            result += std::string(name) + " partition 0 0 -2\n";
    return result;
}

std::string shareable_reservations(std::string_view text, std::int64_t now)
{
    constexpr std::int64_t stands_still = 1'700'000'000;
    std::string result;
    for (const auto& one : parse_reservations(text))
        result += one.id + " " + std::to_string(one.vmid) +
                  (one.pid ? " pid:" + std::to_string(*one.pid)
                           : " time:" + std::to_string(*one.until - now + stands_still)) +
                  "\n";
    return result;
}

std::string lines_with(std::string_view text, const std::vector<std::string_view>& keys)
{
    return some_lines(text, [&](std::string_view line) {
        const auto pair = split_once(line, ':');
        return pair && contains(keys, trim(pair->first));
    });
}

} // namespace pvegpu
