#include "host/survey.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "host/instance_survey.hpp"
#include "host/modprobe_config.hpp"
#include "host/module_aliases.hpp"
#include "host/programs.hpp"
#include "host/stub.hpp"
#include "incus/attached_instance.hpp"
#include "incus/boot_unit.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/device_table.hpp"
#include "pci/read_function.hpp"
#include "pci/read_topology.hpp"
#include "proxmox/passthrough.hpp"
#include "recovery/recover_gpu.hpp"
#include "usage/instances.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using Addresses = std::vector<PciAddress>;

class Surveyor {
public:
    Surveyor(const SysReader& reader, const Prepared& also)
        : reader_(reader), prepared_(both(read_prepared(reader), also)), all_(list_functions(reader))
    {
        for (const auto& one : read_attached(reader)) attached_.push_back(one.name.text());
    }

    Survey survey(const GuestEntry* visiting)
    {
        survey_.host = read_host(reader_);
        if (survey_.host.is_proxmox()) read_proxmox(visiting);
        add_instances();
        for (const auto& guest : survey_.guests)
            if (is_prepared(guest)) add_functions(guest);
        for (const auto& guest : survey_.may_come) add_functions(guest);
        find_names();
        find_twins();
        find_modules();
        read_files();
        find_ids_elsewhere();
        for (auto& function : survey_.functions)
            function.by_address = function.twin || !survey_.ids_elsewhere.empty() ||
                                  std::ranges::any_of(function.vmids, is_instance);
        return std::move(survey_);
    }

private:
    void read_proxmox(const GuestEntry* visiting)
    {
        survey_.storages = parse_storages(read_pve_file(reader_, paths::pve_storages).value_or(""));
        mappings_ = parse_pci_mappings(read_pve_file(reader_, paths::pve_pci_mappings).value_or(""));
        read_ha();
        for (const auto& entry : list_guests(reader_, survey_.host.cluster.node)) add_guest(entry);
        if (visiting != nullptr) add_guest(*visiting);
        find_other_guests();
    }

    bool is_prepared(const SurveyedGuest& guest) const
    {
        return guest.attached || contains(prepared_.vms, guest.id.vmid) ||
               (guest.id.is_instance() && prepared_.every_instance) ||
               contains(prepared_.instances, guest.id.instance) ||
               (prepared_.every_vm && guest.is_given_devices() && !guest.passed.empty());
    }

    // A daemon that does not answer keeps nobody from looking at the rest of the host.
    void add_instances()
    {
        for (const auto& socket : daemon_sockets(reader_)) {
            try {
                const auto [server, instances, silent] = list_instances(DaemonReader(reader_, socket));
                survey_.daemons.push_back(server);
                for (const auto& instance : instances) {
                    survey_.instance_names.push_back(instance.name.text());
                    if (instance.is_vm) add_instance(instance);
                }
                for (const auto& name : silent) survey_.silent.push_back(name.text());
                append(survey_.instance_names, survey_.silent);
            } catch (const Error& error) {
                if (error.reason() == ErrorKind::interrupted) throw;
                survey_.daemon_problem = error.advice();
            }
        }
        for (const auto& name : attached_)
            if (contains(survey_.silent, name) ||
                (survey_.daemon_problem && !contains(survey_.instance_names, name)))
                survey_.unseen.push_back(name);
    }

    void add_instance(const Instance& instance)
    {
        auto guest = survey_instance(reader_, instance, survey_.host.cluster.node, all_);
        guest.attached = contains(attached_, guest.id.instance);
        if (is_prepared(guest)) find_missing_devices(reader_, guest);
        read_file(boot_unit_link(instance.name));
        survey_.guests.push_back(std::move(guest));
    }

    // Nothing if it went away, or to another node, since the list was made.
    std::optional<SurveyedGuest> read_guest(const GuestEntry& entry) const
    {
        SurveyedGuest guest;
        guest.id = entry.id;
        if (!entry.node.empty() && entry.node != survey_.host.cluster.node) guest.other_node = entry.node;
        if (!guest.other_node.empty() && !is_node_name(guest.other_node))
            return std::nullopt; // part of a path
        const auto text = read_pve_file(reader_, guest.config_path());
        if (!text) return std::nullopt;
        guest.config = read_guest_config(reader_, *text);
        if (guest.id.is_container()) guest.lxc = read_lxc_config(reader_, *text);
        if (guest.id.is_container()) guest.text = *text;
        if (guest.id.is_vm()) {
            guest.args = read_vm_args(*text);
            guest.running = vm_runs(reader_, guest.id.vmid);
        }
        guest.attached = is_our_volume(survey_.storages, guest.config.hookscript, reader_);
        const auto* storage = storage_of(survey_.storages, guest.config.hookscript);
        guest.snippet_unseen = storage != nullptr && storage->shared;
        try {
            add_passed(guest, mappings_, survey_.host.cluster.node, all_);
        } catch (const Error& error) {
            guest.problem = error.advice();
        }
        if (survey_.host.cluster.clustered)
            guest.ha = ha_placement({ha_resources_, ha_groups_, ha_rules_},
                                    guest.id.type() + ":" + guest.id.number());
        return guest;
    }

    void add_guest(const GuestEntry& entry)
    {
        if (auto guest = read_guest(entry)) survey_.guests.push_back(std::move(*guest));
    }

    void find_other_guests()
    {
        for (auto& entry : list_cluster_guests(reader_).value_or(std::vector<GuestEntry>{})) {
            if (survey_.find(entry.id.vmid) != nullptr) continue;
            if (prepared_.every_vm && entry.id.is_vm())
                if (auto guest = read_guest(entry); guest && may_come(*guest))
                    survey_.may_come.push_back(std::move(*guest));
            survey_.other_guests.push_back(std::move(entry));
        }
    }

    // Proxmox moves a VM to a node for which each of its mappings has an entry, and one with an address not
    // at all (prepare in qemu-server's QemuMigrate.pm); high availability starts any where it may. Of another
    // node's address this host knows nothing, so there its name among those of the guest's nodes must say it.
    bool may_come(const SurveyedGuest& guest) const
    {
        if (guest.config.is_template || guest.passed.empty()) return false;
        if (guest.ha && !guest.ha->nodes.empty()) return contains(guest.ha->nodes, survey_.host.cluster.node);
        return std::ranges::all_of(guest.config.hostpci,
                                   [](const HostPci& line) { return line.mapping.has_value(); });
    }

    void read_ha()
    {
        if (!survey_.host.cluster.clustered) return;
        const auto text = [&](std::string_view path) { return read_pve_file(reader_, path).value_or(""); };
        ha_resources_ = text(paths::pve_ha_resources);
        ha_groups_ = text(paths::pve_ha_groups);
        ha_rules_ = text(paths::pve_ha_rules);
    }

    // Its GPUs and what is on their cards besides; its other devices are Proxmox's business.
    void add_functions(const SurveyedGuest& guest)
    {
        const auto topology = read_topology(reader_, guest.passed, driver_answers_within);
        const auto settings = read_settings(reader_);
        for (const auto& card : find_cards(topology, guest.passed)) {
            if (card.port && !topology.at(*card.port).has_reset_subordinate)
                survey_.port_without_reset = true;
            for (const auto& address : card.functions)
                if (const auto& facts = topology.at(address); role_of(facts) != Role::neighbour)
                    add_function(guest, facts, settings, card);
        }
    }

    SurveyedFunction& function_for(const Function& facts)
    {
        for (auto& function : survey_.functions)
            if (function.facts.address == facts.address) return function;
        survey_.functions.emplace_back().facts = facts;
        return survey_.functions.back();
    }

    void add_function(const SurveyedGuest& guest, const Function& facts, const SettingsFile& settings,
                      const Card& card)
    {
        auto& function = function_for(facts);
        function.reset_with_card = card.port.has_value();
        function.left_alone_because = card.left_alone_because;
        function.instead = card.instead;
        function.vmids.push_back(guest.id.vmid);
        const bool will_be = contains(guest.missing, facts.address,
                                      [](const MissingDevice& one) { return one.facts.address; });
        if (contains(guest.passed, facts.address) || will_be) function.passed = true;
        if (settings.for_device(guest.id.vmid, device_id(facts)).after_stop == AfterStop::native)
            function.native_after_stop = true;
    }

    bool leaves_the_host(const PciAddress& address) const
    {
        return std::ranges::any_of(survey_.functions, [&](const auto& one) {
            return one.facts.address == address && one.leaves_the_host();
        });
    }

    std::vector<unsigned> guests_of(const PciAddress& address) const
    {
        std::vector<unsigned> vmids;
        for (const auto& guest : survey_.guests)
            if (guest.keys.contains(address)) vmids.push_back(guest.id.vmid);
        return vmids;
    }

    void find_names()
    {
        std::vector<const Function*> functions;
        for (const auto& function : survey_.functions) functions.push_back(&function.facts);
        survey_.names = device_names(reader_, functions);
    }

    void find_twins()
    {
        for (const auto& address : all_) {
            if (survey_.functions.empty() || leaves_the_host(address)) continue;
            const auto other = read_function(reader_, address);
            const auto vmids = guests_of(address);
            for (auto& function : survey_.functions)
                if (other && other->address != function.facts.address &&
                    device_id(*other) == device_id(function.facts) &&
                    (!function.twin || (vmids.empty() && !function.twin_vmids.empty()))) {
                    function.twin = address;
                    function.twin_vmids = vmids;
                }
        }
    }

    void find_modules()
    {
        std::vector<Function> functions;
        for (const auto& function : survey_.functions) functions.push_back(function.facts);
        const auto aliases = reader_.read(paths::module_aliases(survey_.host.kernel)).value_or("");
        const auto modules = modules_of(aliases, functions);
        for (std::size_t i = 0; i < functions.size(); ++i) {
            survey_.functions[i].modules = modules[i];
            add_bound_module(survey_.functions[i]);
            survey_.functions[i].loaded_first = loaded_before_vfio(survey_.functions[i].modules);
        }
    }

    // /proc/modules begins with the module that was loaded last (m_start in the kernel's module/procfs.c),
    // with
    // '_' for each '-' of a name. A driver that is built in is not in it.
    std::string loaded_before_vfio(const std::vector<std::string>& modules) const
    {
        constexpr std::string_view vfio = "vfio_pci";
        std::vector<std::string_view> loaded; // the first one first
        const auto text = reader_.read(std::string(paths::loaded_modules)).value_or("");
        for (LineReader lines(text); lines.next();)
            loaded.insert(loaded.begin(), split(lines.line(), ' ').front());
        if (!contains(loaded, vfio) && reader_.exists(paths::join(paths::modules, vfio)))
            return ""; // built in
        for (const auto module : loaded) {
            if (module == vfio) return "";
            const auto is_it = [&](std::string name) {
                std::ranges::replace(name, '-', '_');
                return name == module;
            };
            if (std::ranges::any_of(modules, is_it)) return std::string(module);
        }
        return "";
    }

    // The driver that has it now, if it is a module, whatever modules.alias says.
    void add_bound_module(SurveyedFunction& function)
    {
        const auto& driver = function.facts.driver;
        if (!is_module_name(driver) || lends_devices(driver)) return;
        const auto link = reader_.read_link(paths::driver(driver, "module"));
        if (!link) return;
        const auto module = link->substr(link->rfind('/') + 1);
        auto& modules = function.modules;
        function.driver_can_be_kept_away = is_module_name(module);
        if (function.driver_can_be_kept_away && !contains(modules, module)) modules.push_back(module);
    }

    void read_file(const std::string& path)
    {
        if (const auto link = reader_.read_link(path)) survey_.links[path] = *link;
        if (const auto text = reader_.read(path)) survey_.files[path] = *text;
    }

    void read_snippet(const Storage& storage, const std::string& path)
    {
        if (!storage.shared || storage_answers(reader_, path)) read_file(path);
    }

    void read_files()
    {
        for (const auto path : {paths::grub_drop_in, paths::kernel_cmdline_file, paths::modules_load,
                                paths::modprobe, paths::initramfs_modules, paths::udev_rules,
                                paths::nodes_unit_enabled, paths::boot_files_changed})
            read_file(std::string(path));
        for (const auto& name : reader_.list(std::string(paths::chained_hooks)))
            read_file(paths::join(paths::chained_hooks, name)); // those of guests that are gone too
        const auto& node = survey_.host.cluster.node;
        const auto* chosen = choose_storage(survey_.storages, node);
        for (const auto& storage : survey_.storages) // a shared one can hang, so only if it is the one
            if (!storage.snippets.empty() && storage.on_node(node) && (!storage.shared || &storage == chosen))
                read_snippet(storage, paths::join(storage.snippets, paths::hook_snippet));
        for (const auto program : programs::all)
            if (reader_.exists(std::string(program))) survey_.programs.emplace(program);
        read_configured_command_line();
    }

    // Our own drop-in is left out: it is what we add to the administrator's words.
    void read_configured_command_line()
    {
        auto& tokens = survey_.configured;
        const auto add = [&](const Tokens& more) { append(tokens, more); };
        const auto loader = survey_.host.loader;
        if (loader == BootLoader::proxmox_systemd)
            return add(parse_cmdline_file(survey_.file(paths::kernel_cmdline_file).value_or("")));
        add(parse_grub_defaults(reader_.read(std::string(paths::grub_defaults)).value_or("")));
        for (const auto& name : reader_.list(std::string(paths::grub_drop_ins)))
            if (const auto path = paths::join(paths::grub_drop_ins, name);
                name.ends_with(".cfg") && path != paths::grub_drop_in)
                add(parse_grub_defaults(reader_.read(path).value_or("")));
    }

    // The kernel takes the last `ids=` that it is given, and kmod puts those of the command line behind those
    // of the files (kmod_config_new, libkmod-config.c). One of ours would take away the administrator's, or
    // the other way round.
    void find_ids_elsewhere()
    {
        auto& found = survey_.ids_elsewhere;
        for (const auto& [id, file] : vfio_ids(read_modprobe(reader_)))
            if (file != paths::modprobe && file != paths::kernel_command_line &&
                !contains(found, quote(file)))
                found.push_back(quote(file));
        const auto has_ids = [](const Tokens& tokens) {
            return has_key(tokens, "vfio-pci.ids") || has_key(tokens, "vfio_pci.ids");
        };
        if (has_ids(survey_.configured) || has_ids(survey_.host.running))
            found.emplace_back("the kernel's command line");
    }

    const SysReader& reader_;
    const Prepared prepared_;
    std::vector<std::string> attached_; // VMs of Incus or LXD
    const Addresses all_;
    PciMappings mappings_;
    std::string ha_resources_, ha_groups_, ha_rules_;
    Survey survey_;
};

} // namespace

bool resets_itself(const Function& function)
{
    return function.flr() && device_traits(function).flr != DeviceTraits::Flr::harmful;
}

bool SurveyedFunction::on_card_of(unsigned vmid) const
{
    return contains(vmids, vmid);
}

const SurveyedGuest* Survey::find(unsigned vmid) const
{
    return find_where(guests, [&](const auto& one) { return one.id.vmid == vmid; });
}

bool Survey::reboot_leaves_dirty(unsigned vmid) const
{
    return std::ranges::any_of(functions, [&](const SurveyedFunction& function) {
        return function.passed && function.reset_with_card && function.on_card_of(vmid) &&
               is_gpu(function.facts) && !resets_itself(function.facts);
    });
}

std::string Survey::name_of(unsigned vmid) const
{
    const auto* const guest = find(vmid);
    return guest == nullptr ? "VM " + std::to_string(vmid) : guest->id.name();
}

const GuestEntry* Survey::find_elsewhere(unsigned vmid) const
{
    return find_where(other_guests, [&](const auto& one) { return one.id.vmid == vmid; });
}

std::optional<std::string> Survey::file(std::string_view path) const
{
    const auto found = files.find(std::string(path));
    return found == files.end() ? std::nullopt : std::optional(found->second);
}

Survey survey_host(const SysReader& reader, const Prepared& also, const GuestEntry* visiting)
{
    return Surveyor(reader, also).survey(visiting);
}

// Even the way to a file asks the server of a network file system, and statx does not get around that. What a
// child has just been told the kernel remembers for a while.
bool storage_answers(const SysReader& reader, const std::string& path)
{
    // A server that is there answers in milliseconds. One that is not costs this for each hookscript on it.
    constexpr Milliseconds within{1'000};
    constexpr std::size_t any = 1; // of its bytes
    return !reader.read_within(path, any, within).still_running();
}

// By the program that it leads to; by its name only where the file is gone or nobody can look: a file of
// somebody else's that happens to have that name is not ours, the stub that a removal left is.
bool is_our_volume(const std::vector<Storage>& storages, const std::string& volume, const SysReader& reader)
{
    const auto path = snippet_path(storages, volume);
    if (!path) return false;
    const bool our_name = path->ends_with('/' + std::string(paths::hook_snippet));
    if (storage_of(storages, volume)->shared && !storage_answers(reader, *path)) return our_name;
    const auto program = reader.file_facts(std::string(paths::hook_program));
    const auto facts = reader.file_facts(*path);
    if (facts && program && facts->same_file(*program)) return true;
    if (facts && is_stub(reader, *path)) return true;
    if (storage_of(storages, volume)->shared) return our_name && !facts;
    if (const auto link = reader.read_link(*path)) return *link == paths::hook_program;
    return our_name && !reader.exists(*path);
}

} // namespace pvegpu
