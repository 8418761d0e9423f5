#include "events/hindrance.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/paths.hpp"
#include "proxmox/config_lines.hpp"
#include "proxmox/guest_files.hpp"
#include "proxmox/ha_config.hpp"
#include "proxmox/storage_config.hpp"
#include "proxmox/vm_args.hpp"

#include <algorithm>
#include <cerrno>

namespace pvegpu {
namespace {

using Kind = Hindrance::Kind;

// pmxcfs answers from memory. A machine that has reset itself waits meanwhile, and Proxmox's own task, which
// looks for our request, is a second away.
constexpr Milliseconds proxmox_answers_within{1'000};

constexpr const char* see_cluster = "see 'systemctl status pve-cluster'";

class Files {
public:
    explicit Files(const SysReader& reader) : reader_(reader) {}

    // Empty if it is absent.
    std::string text(std::string_view path)
    {
        if (failed_) return "";
        const auto outcome = reader_.read_within(std::string(path), pve_file_bytes, proxmox_answers_within);
        failed_ = !outcome.done() && outcome.error_number != ENOENT;
        return outcome.done() ? outcome.text : "";
    }
    bool failed() const { return failed_; }

private:
    const SysReader& reader_;
    bool failed_ = false;
};

Hindrance not_answering()
{
    return {Kind::unknown, {"Proxmox's cluster file system does not answer", see_cluster}};
}

bool is_locked_now(const SysReader& reader, unsigned vmid)
{
    const auto facts = reader.file_facts(paths::vm_config_lock(vmid));
    const auto locks = reader.read(std::string(paths::file_locks));
    return !locks || (facts && is_locked(*locks, facts->inode));
}

bool a_stop_runs(const SysReader& reader, unsigned vmid, const Process& qemu)
{
    return stop_is_noted(reader, vmid, qemu) && is_locked_now(reader, vmid);
}

// By its name first: the file may lie on a storage that hangs.
bool is_our_hook(const SysReader& reader, Files& files, const std::string& volume)
{
    if (volume.ends_with("snippets/" + std::string(paths::hook_snippet))) return true;
    if (volume.empty()) return false;
    const auto storages = parse_storages(files.text(paths::pve_storages));
    const auto path = snippet_path(storages, volume);
    if (!path || storage_of(storages, volume)->shared) return false;
    const auto facts = reader.file_facts(*path);
    const auto program = reader.file_facts(std::string(paths::hook_program));
    return facts && program && facts->same_file(*program);
}

std::optional<Hindrance> of_its_config(const SysReader& reader, Files& files, unsigned vmid)
{
    const auto text = files.text(paths::vm_config(vmid));
    if (files.failed()) return not_answering();
    if (text.empty()) return Hindrance{Kind::elsewhere, {"its configuration is not on this node"}};
    const auto config = parse_guest_config(text);
    if (!config.lock.empty())
        return Hindrance{Kind::locked,
                         {config.lock == "backup" ? "it is being backed up"
                                                  : "it is locked (" + quote(config.lock) + ")"}};
    if (ends_at_a_reset(config))
        return Hindrance{Kind::setup,
                         {"'reboot: 0' ends it at its own reboot",
                          "'qm set " + std::to_string(vmid) + " --delete reboot' lets it be started anew"}};
    if (!is_our_hook(reader, files, config.hookscript))
        return Hindrance{Kind::setup,
                         {"its hookscript is not pve-gpu-hook",
                          "'pve-gpu-install --vm " + std::to_string(vmid) + "' attaches it"}};
    return std::nullopt;
}

std::optional<Hindrance> of_high_availability(const SysReader& reader, Files& files, unsigned vmid)
{
    const auto resources = files.text(paths::pve_ha_resources);
    const auto guest = "vm:" + std::to_string(vmid);
    if (files.failed()) return not_answering();
    if (resources.find(std::to_string(vmid)) == std::string::npos) return std::nullopt;
    const auto node = node_name(reader);
    const auto manager = files.text(paths::pve_ha_manager);
    const auto lrm = is_node_name(node) ? files.text(paths::pve_ha_node(node)) : "";
    if (files.failed()) return not_answering();
    const auto objection = ha_objection({resources, manager, lrm}, guest, node);
    if (!objection) return std::nullopt;
    return Hindrance{Kind::elsewhere, {"high availability decides: " + *objection}};
}

} // namespace

bool is_locked(std::string_view locks, std::uint64_t inode)
{
    for (LineReader lines(locks); lines.next();) {
        // "1: FLOCK  ADVISORY  WRITE 4711 00:1a:1234 0 EOF"; one that waits has "->" for its kind
        constexpr std::size_t where = 5;
        const auto words = words_of(lines.line());
        if (words.size() <= where || words[1] == "->") continue;
        const auto number = words[where].substr(words[where].rfind(':') + 1);
        if (parse_number<std::uint64_t>(number) == inode) return true;
    }
    return false;
}

bool ends_at_a_reset(const GuestConfig& config)
{
    if (parse_boolean(config.setting("reboot")) == false) return true;
    const auto args = args_words(config.setting("args"));
    return std::ranges::any_of(args.words, [](const auto& word) { return is_no_reboot(word.text); });
}

void forget_failed_stop(System& system, unsigned vmid, const Process& qemu)
{
    if (!stop_is_noted(system, vmid, qemu) || is_locked_now(system, vmid)) return;
    system.remove_file(paths::stop_note(vmid));
    if (is_locked_now(system, vmid)) note_stop_of(system, vmid, qemu); // of one that has just begun
}

std::optional<Hindrance> find_hindrance(const SysReader& reader, unsigned vmid, const Process& qemu)
{
    if (a_stop_runs(reader, vmid, qemu)) return Hindrance{Kind::stop, {"it is being stopped"}};
    if (!reader.exists(std::string(paths::pve_run)))
        return Hindrance{Kind::unknown, {"'" + std::string(paths::pve_run) + "' is not there"}};
    Files files(reader);
    if (auto found = of_its_config(reader, files, vmid)) return found;
    return of_high_availability(reader, files, vmid);
}

} // namespace pvegpu
