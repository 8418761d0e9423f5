#include "printers.hpp"

#include "base/text.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pvegpu::fuzz {
namespace {

std::string joined(const std::vector<HostSelector>& selectors)
{
    std::string text;
    for (const auto& selector : selectors) text += (text.empty() ? "" : ";") + selector.text;
    return text;
}

// As mangle_path in the kernel's fs/seq_file.c.
std::string mangled(std::string_view text)
{
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c != ' ' && c != '\t' && c != '\n' && c != '\\') {
            result += c;
            continue;
        }
        result += '\\';
        for (const unsigned shift : {6U, 3U, 0U}) result += static_cast<char>('0' + (byte >> shift & 7U));
    }
    return result;
}

} // namespace

std::string print(const Properties& properties)
{
    std::string text;
    for (const auto& [key, value] : properties)
        text.append(text.empty() ? "" : ",").append(key + '=' + value);
    return text;
}

// The last property is one that ends in no blank: those are taken off a line.
std::string print(const HostPci& device)
{
    Properties properties;
    if (!device.hosts.empty()) properties.emplace_back("host", joined(device.hosts));
    if (device.mapping) properties.emplace_back("mapping", *device.mapping);
    if (device.mdev) properties.emplace_back("mdev", *device.mdev);
    if (device.keep_driver) properties.emplace_back("driver", "keep");
    properties.emplace_back("pcie", "0");
    return print(properties);
}

std::string print(const GuestConfig& config)
{
    std::string text;
    for (const auto& device : config.hostpci) text += device.key() + ": " + print(device) + '\n';
    if (config.is_template) text += "template: 1\n";
    if (!config.lock.empty()) text += "lock: \"" + config.lock + "\"\n";
    if (!config.hookscript.empty()) text += "hookscript: " + config.hookscript + '\n';
    return text;
}

std::string print(const PciMapping& mapping)
{
    std::string text = mapping.name + "\n\tmdev " + (mapping.mdev ? "1" : "0") + '\n';
    for (const auto& device : mapping.devices) {
        Properties properties{{"node", device.node}, {"id", device.id}, {"path", joined(device.paths)}};
        if (device.subsystem_id) properties.emplace_back("subsystem-id", *device.subsystem_id);
        if (device.iommu_group) properties.emplace_back("iommugroup", std::to_string(*device.iommu_group));
        text += "\tmap " + print(properties) + '\n';
    }
    return text + '\n';
}

std::string print(const std::vector<Reservation>& reservations)
{
    std::string text;
    for (const auto& one : reservations)
        text += one.id + ' ' + std::to_string(one.vmid) +
                (one.until ? " time:" + std::to_string(*one.until)
                           : " pid:" + std::to_string(static_cast<unsigned>(*one.pid))) +
                '\n';
    return text;
}

std::string print(const Settings& settings)
{
    nlohmann::json json{{"strategy", name_of(strategy_names, settings.strategy)},
                        {"on_timeout", name_of(on_timeout_names, settings.on_timeout)},
                        {"after_stop", name_of(after_stop_names, settings.after_stop)},
                        {"reset_with", name_of(reset_with_names, settings.reset_with)},
                        {"parallel", settings.parallel},
                        {"retries", settings.retries}};
    for (const auto& [name, member] : timeout_names)
        json["timeouts"][std::string(name)] = static_cast<double>((settings.timeouts.*member).count()) / 1000;
    return json.dump();
}

std::string print(const std::vector<Storage>& storages)
{
    std::string text;
    for (const auto& storage : storages) {
        text += storage.type + ": " + storage.id + '\n';
        const auto slash = storage.snippets.rfind('/');
        if (!storage.snippets.empty())
            text += "\tpath " + storage.snippets.substr(0, slash) +
                    "\n\tcontent-dirs snippets=" + storage.snippets.substr(slash + 1) + '\n';
        else
            text += "\tpath -\n"; // a storage of the network would have one of its own
        if (!storage.enabled) text += "\tdisable\n";
        if (storage.shared) text += "\tshared 1\n";
        if (!storage.nodes.empty()) text += "\tnodes " + join(storage.nodes, ",") + '\n';
        text += '\n';
    }
    return text;
}

std::string print_mounts(const std::vector<Mount>& mounts)
{
    std::string text;
    for (const auto& mount : mounts)
        text += "22 1 " + std::to_string(mount.number.major) + ':' + std::to_string(mount.number.minor) +
                " / " + mangled(mount.place) + " rw - ext4 none rw\n";
    return text;
}

std::string print_swaps(const std::vector<std::string>& swaps)
{
    std::string text = "Filename Type Size Used Priority\n";
    for (const auto& swap : swaps) text += mangled(swap) + "\tpartition\t1\t0\t-2\n";
    return text;
}

bool same(const HostPci& one, const HostPci& other)
{
    return one.index == other.index && one.hosts == other.hosts && one.mapping == other.mapping &&
           one.mdev == other.mdev && one.keep_driver == other.keep_driver &&
           one.start_error == other.start_error;
}

bool same(const GuestConfig& one, const GuestConfig& other)
{
    return std::equal(one.hostpci.begin(), one.hostpci.end(), other.hostpci.begin(), other.hostpci.end(),
                      [](const HostPci& a, const HostPci& b) { return same(a, b); }) &&
           one.is_template == other.is_template && one.lock == other.lock &&
           one.hookscript == other.hookscript;
}

bool same(const PciMapping& one, const PciMapping& other)
{
    const auto same_device = [](const MappedDevice& a, const MappedDevice& b) {
        return a.node == b.node && a.paths == b.paths && a.id == b.id && a.subsystem_id == b.subsystem_id &&
               a.iommu_group == b.iommu_group && a.mdev == b.mdev && a.start_error == b.start_error;
    };
    return one.name == other.name && one.mdev == other.mdev &&
           std::equal(one.devices.begin(), one.devices.end(), other.devices.begin(), other.devices.end(),
                      same_device);
}

bool same(const Settings& one, const Settings& other)
{
    return print(one) == print(other);
}

bool same(const Storage& one, const Storage& other)
{
    return one.id == other.id && one.type == other.type && one.snippets == other.snippets &&
           one.enabled == other.enabled && one.shared == other.shared && one.nodes == other.nodes;
}

} // namespace pvegpu::fuzz
