#include "incus/instance.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// One of a hundred answers within this; one whose QEMU stands still never does.
constexpr Milliseconds instance_answers_within{5'000};

Texts texts_in(const Json& json)
{
    Texts texts;
    if (!json.is_object()) return texts;
    for (const auto& [key, value] : json.items())
        if (value.is_string()) texts[key] = value.get<std::string>();
    return texts;
}

Devices devices_in(const Json& json)
{
    Devices devices;
    if (!json.is_object()) return devices;
    for (const auto& [name, options] : json.items()) devices[name] = texts_in(options);
    return devices;
}

std::string value_of(const Texts& texts, const std::string& key)
{
    const auto found = texts.find(key);
    return found == texts.end() ? "" : found->second;
}

// "/1.0/instances/db?project=lab" or "/1.0/instances/web"
std::optional<InstanceName> name_in_path(const std::string& path)
{
    constexpr std::string_view query = "?project=";
    const auto at = path.find(query);
    InstanceName name;
    if (at != std::string::npos) name.project = path.substr(at + query.size());
    const auto whole = path.substr(0, at);
    name.name = last_name(whole);
    return parse_instance_name(name.project + "/" + name.name);
}

bool is_display(const SysReader& reader, const PciAddress& address)
{
    return reader.read(paths::function(address, "class")).value_or("").starts_with("0x03");
}

std::string id_in(const SysReader& reader, const PciAddress& address, const std::string& file)
{
    const auto text = reader.read(paths::function(address, file)).value_or("");
    return std::string(trim(text.substr(std::min<std::size_t>(text.size(), 2)))); // behind "0x"
}

// The GPUs that a device without an address may mean.
std::vector<PciAddress> gpus_meant(const SysReader& reader, const Texts& options)
{
    std::vector<PciAddress> meant;
    const auto vendor = lower(value_of(options, "vendorid")), product = lower(value_of(options, "productid"));
    const auto card = value_of(options, "id"); // of the direct rendering manager: nothing of one on vfio-pci
    for (const auto& address : list_functions(reader)) {
        if (!is_display(reader, address)) continue;
        const bool right = (vendor.empty() || id_in(reader, address, "vendor") == vendor) &&
                           (product.empty() || id_in(reader, address, "device") == product) &&
                           (card.empty() || reader.exists(paths::function(address, "drm/card" + card)));
        if (right) meant.push_back(address);
    }
    return meant;
}

std::string slot_of(const PciAddress& address)
{
    const auto text = to_string(address);
    return text.substr(0, text.find('.'));
}

// The whole slot, but for its functions in other groups: virtual ones have each their own.
std::vector<HostSelector> functions_with(const SysReader& reader, const PciAddress& gpu)
{
    const auto group = reader.read_link(paths::function(gpu, "iommu_group"));
    std::vector<HostSelector> chosen;
    bool all = true;
    for (const auto& address : list_functions(reader)) {
        if (!same_slot(address, gpu)) continue;
        if (reader.read_link(paths::function(address, "iommu_group")) == group)
            chosen.push_back({to_string(address)});
        else
            all = false;
    }
    if (all || chosen.empty()) return {{slot_of(gpu)}};
    return chosen;
}

class Lines {
public:
    Lines(const SysReader& reader, const Instance& instance) : reader_(reader), instance_(instance) {}

    GuestConfig read()
    {
        for (const auto& [name, options] : instance_.all) {
            const auto type = value_of(options, "type");
            if (type != "pci" && type != "gpu") continue;
            if (!is_plain(name)) // it goes into commands that people paste
                add(printable(name), "").start_error = Advice{
                    "the device " + quote(name) + " has an odd name", "give it one of letters and digits"};
            else if (type == "pci")
                add_function(name, options);
            else
                add_gpu(name, options);
        }
        return std::move(config_);
    }

private:
    static bool is_plain(const std::string& name)
    {
        return consists_of(name, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
    }

    HostPci& add(const std::string& name, const std::string& text)
    {
        HostPci line;
        line.index = static_cast<unsigned>(config_.hostpci.size());
        line.device = name;
        line.text = text;
        return config_.hostpci.emplace_back(std::move(line));
    }

    void add_function(const std::string& name, const Texts& options)
    {
        const auto text = value_of(options, "address");
        auto& line = add(name, "address=" + text);
        if (const auto address = device_address(options))
            line.hosts.push_back({to_string(*address)});
        else
            line.start_error =
                Advice{"the device " + quote(name) + " has no address of a PCI function: " + quote(text)};
    }

    void add_gpu(const std::string& name, const Texts& options)
    {
        const auto kind = value_of(options, "gputype");
        if (!kind.empty() && kind != "physical") return; // a part of a GPU, which stays the host's
        const auto text = value_of(options, "pci");
        auto& line = add(name, "pci=" + text);
        if (const auto address = device_address(options)) {
            line.hosts = functions_with(reader_, *address);
            return;
        }
        if (!text.empty()) {
            line.start_error =
                Advice{"the device " + quote(name) + " has no address of a PCI function: " + quote(text)};
            return;
        }
        const auto meant = gpus_meant(reader_, options);
        if (meant.size() == 1)
            line.hosts = functions_with(reader_, meant.front());
        else
            line.start_error =
                Advice{"the device " + quote(name) + " names no address, and " +
                           counted(meant.size(), "GPU") + " of this host would do",
                       "name one: '" + instance_.command("config device set", name + " pci=ADDRESS") + "'"};
    }

    const SysReader& reader_;
    const Instance& instance_;
    GuestConfig config_;
};

[[noreturn]] void no_such_instance(const InstanceName& name, const DaemonReader& daemon)
{
    throw Error(ErrorKind::not_found, {daemon.product() + " has no instance " + quote(name.text()),
                                       "see '" + daemon.tool() + " list --all-projects'"});
}

// While the rest of the daemon answers.
DaemonAnswer ask_about(const DaemonReader& daemon, const InstanceName& name)
{
    Instance wanted;
    wanted.name = name;
    try {
        return daemon.ask(wanted.path());
    } catch (const Error& error) {
        if (error.reason() != ErrorKind::timed_out) throw;
        daemon.get("/1.0");
        throw Error(ErrorKind::timed_out,
                    {name.vm() + " cannot be looked at: its QEMU does not answer " + daemon.product(),
                     "see whether it is stopped or stuck in the kernel ('ps', state T or D)"});
    }
}

} // namespace

std::string Instance::path(const std::string& below) const
{
    return "/1.0/instances/" + url_part(name.name) + below + "?project=" + url_part(name.project);
}

std::string Instance::command(const std::string& words, const std::string& rest) const
{
    const std::string tool = socket == paths::incus_socket ? "incus" : "lxc";
    return tool + " " + words + " " + name.name + (rest.empty() ? "" : " " + rest) +
           (name.project == "default" ? "" : " --project " + name.project);
}

std::string Instance::setting(const std::string& key) const
{
    return value_of(config, key);
}

Instance parse_instance(const Json& metadata, const std::string& socket)
{
    Instance instance;
    const auto project = text_in(metadata, "project");
    instance.name =
        parse_instance_name((project.empty() ? "default" : project) + "/" + text_in(metadata, "name"))
            .value();
    instance.socket = socket;
    instance.is_vm = text_in(metadata, "type") == "virtual-machine";
    instance.status = text_in(metadata, "status");
    instance.location = text_in(metadata, "location");
    instance.own_config = texts_in(member(metadata, "config"));
    instance.config = texts_in(member(metadata, "expanded_config"));
    instance.own = devices_in(member(metadata, "devices"));
    instance.all = devices_in(member(metadata, "expanded_devices"));
    instance.whole = metadata;
    return instance;
}

Instance read_instance(const DaemonReader& daemon, const InstanceName& name)
{
    constexpr unsigned not_found = 404;
    const auto answer = ask_about(daemon, name);
    if (answer.error_code == not_found) no_such_instance(name, daemon);
    if (answer.failed()) throw Error(ErrorKind::failed, {daemon.product() + ": " + answer.error});
    try {
        auto instance = parse_instance(answer.metadata, daemon.socket());
        instance.etag = answer.etag;
        return instance;
    } catch (const std::exception&) {
        throw Error(ErrorKind::failed, {daemon.product() + " describes " + quote(name.text()) +
                                        " in a way that we do not know"});
    }
}

Instance find_instance(const SysReader& reader, const InstanceName& name)
{
    const auto sockets = daemon_sockets(reader);
    if (sockets.empty())
        throw Error(ErrorKind::not_found,
                    {"neither Incus nor LXD is on this host", "'--vm' names a VM of Proxmox"});
    std::optional<Error> no_daemon, not_there; // the first of each
    for (const auto& socket : sockets) {
        const DaemonReader daemon(reader, socket);
        try {
            daemon.get("/1.0", daemon_starts_within);
        } catch (const Error& error) {
            if (error.reason() == ErrorKind::interrupted) throw;
            if (!no_daemon) no_daemon.emplace(error);
            continue;
        }
        try {
            return read_instance(daemon, name);
        } catch (const Error& error) {
            if (error.reason() != ErrorKind::not_found) throw;
            if (!not_there) not_there.emplace(error);
        }
    }
    throw Error(no_daemon ? *no_daemon : *not_there); // one that does not answer may have it
}

InstanceList list_instances(const DaemonReader& daemon)
{
    InstanceList list;
    const auto add = [&](const Json& one) {
        try {
            list.instances.push_back(parse_instance(one, daemon.socket()));
        } catch (const std::exception&) { // one that we cannot name is none of ours
        }
    };
    const auto server = daemon.get("/1.0", daemon_starts_within).metadata;
    list.server =
        daemon.product() + " " + printable(text_in(member(server, "environment"), "server_version"));
    try {
        for (const auto& one : daemon.get("/1.0/instances?recursion=1&all-projects=true").metadata) add(one);
        return list;
    } catch (const Error& error) {
        if (error.reason() != ErrorKind::timed_out) throw;
    }
    for (const auto& path : daemon.get("/1.0/instances?all-projects=true").metadata) {
        const auto name = path.is_string() ? name_in_path(path.get<std::string>()) : std::nullopt;
        if (!name) continue;
        Instance wanted;
        wanted.name = *name;
        try {
            add(daemon.get(wanted.path(), instance_answers_within).metadata);
        } catch (const Error& error) {
            if (error.reason() == ErrorKind::timed_out) list.silent.push_back(*name);
        }
    }
    return list;
}

std::string body_with(const Instance& instance, const Devices& own, const Texts& own_config)
{
    Json body;
    for (const auto* key : {"architecture", "ephemeral", "profiles", "stateful", "description"})
        if (const auto found = instance.whole.find(key); found != instance.whole.end()) body[key] = *found;
    body["config"] = own_config;
    auto& devices = body["devices"] = Json::object();
    for (const auto& [name, options] : own) devices[name] = options;
    return body.dump();
}

std::vector<InstanceName> in_operations(const DaemonReader& daemon)
{
    const auto answer = daemon.get("/1.0/operations?recursion=1&all-projects=true");
    std::vector<InstanceName> names;
    for (const auto& operation : member(answer.metadata, "running"))
        for (const auto& path : member(member(operation, "resources"), "instances"))
            if (const auto name = path.is_string() ? name_in_path(path.get<std::string>()) : std::nullopt)
                names.push_back(*name);
    return names;
}

GuestConfig as_guest_config(const SysReader& reader, const Instance& instance)
{
    return Lines(reader, instance).read();
}

VmFile as_vm_file(const SysReader& reader, const Instance& instance)
{
    return {instance.command("config show"), as_guest_config(reader, instance)};
}

std::optional<PciAddress> device_address(const Texts& device)
{
    auto text = lower(value_of(device, value_of(device, "type") == "gpu" ? "pci" : "address"));
    if (std::ranges::count(text, ':') == 1) text = "0000:" + text;
    return parse_pci_address(text);
}

} // namespace pvegpu
