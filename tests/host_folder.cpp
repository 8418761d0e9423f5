#include "host_folder.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"
#include "machine_file.hpp"

#include <algorithm>
#include <boost/filesystem.hpp>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace pvegpu::testing {
namespace {

// Where its text lies on the host; empty for one that is no file of the host.
std::string place_of(const std::string& name)
{
    if (name == "pci.cfg") return std::string(paths::pve_pci_mappings);
    if (name == "settings.json") return std::string(paths::settings);
    if (name.starts_with("vm-")) return std::string(paths::pve_vm_configs) + "/" + name.substr(3);
    if (name.starts_with("ct-")) return std::string(paths::pve_ct_configs) + "/" + name.substr(3);
    return "";
}

std::string with_others(const std::string& machine)
{
    std::string text;
    for (LineReader lines(machine); lines.next();) {
        const auto words = split_once(lines.line(), ' ');
        text += words && words->first == "like"
                    ? read_host_folder(hosts_directory + std::string(words->second)).at("machine")
                    : std::string(lines.line()) + "\n";
    }
    return text;
}

} // namespace

std::vector<std::string> host_names()
{
    std::vector<std::string> names;
    for (const auto& entry : boost::filesystem::directory_iterator(hosts_directory))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

HostFiles read_host_folder(const std::string& folder)
{
    HostFiles files;
    for (const auto& entry : boost::filesystem::directory_iterator(folder)) {
        std::ifstream in(entry.path().string());
        files[entry.path().filename().string()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    files["machine"] = with_others(files["machine"]);
    return files;
}

void load_host(FakeSystem& system, const HostFiles& files)
{
    load_machine(system, files.at("machine"));
    for (const auto& [name, text] : files)
        if (const auto place = place_of(name); !place.empty()) system.file(place, text);
}

unsigned guest_of(const HostFiles& files)
{
    std::vector<unsigned> guests;
    for (const auto& [name, text] : files)
        if (name.ends_with(".conf")) guests.push_back(parse_decimal(name.substr(3, name.size() - 8)).value());
    if (guests.size() != 1)
        throw std::runtime_error("a folder of tests/hosts has one vm-N.conf or ct-N.conf");
    return guests.front();
}

} // namespace pvegpu::testing
