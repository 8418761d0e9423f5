#include "recovery/absent.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/deadlines.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "proxmox/named_devices.hpp"
#include "recovery/guest_state.hpp"
#include "usage/device_files.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

using Cause = std::optional<Advice>;

class Search {
public:
    Search(const SysReader& reader, const std::vector<PassedDevice>& devices,
           const std::vector<PciAddress>& all)
        : reader_(reader), devices_(devices), all_(all), states_(read_guest_states(reader))
    {
    }

    Cause cause_of(const PassedDevice& device, const HostSelector& selector)
    {
        const auto address = first_function(selector.text);
        if (!address) return std::nullopt;
        auto cause = no_virtual_function(*address);
        if (!cause) cause = slot_without_it(*address);
        if (!cause) cause = moved(device, selector, *address);
        if (!cause) cause = not_authorised();
        if (const auto id = known_id(*address); !cause && !id.empty())
            cause = Advice{"it was there (" + id + ") when a guest was last started with it",
                           "see the kernel's log ('dmesg') for what became of it; if it does not come back, "
                           "switch the host off and on"};
        return cause;
    }

private:
    // Of a file with one line; empty if there is none.
    std::string line_in(const std::string& directory, std::string_view file) const
    {
        return trim(reader_.read(paths::join(directory, file)).value_or(""));
    }

    std::optional<unsigned> number(const PciAddress& address, std::string_view file) const
    {
        return parse_decimal(line_in(paths::function(address), file));
    }

    std::size_t virtual_functions(const PciAddress& parent) const
    {
        const auto function = read_function(reader_, parent);
        return function ? function->virtual_functions : 0;
    }

    // The n-th has the parent's number plus `sriov_offset` plus n times `sriov_stride` (pci_iov_virtfn_devfn
    // and pci_iov_virtfn_bus in the kernel's drivers/pci/iov.c).
    std::optional<unsigned> index_below(const PciAddress& parent, const PciAddress& wanted) const
    {
        const auto total = number(parent, "sriov_totalvfs");
        const auto offset = number(parent, "sriov_offset"), stride = number(parent, "sriov_stride");
        if (!total || !offset || !stride || parent.domain != wanted.domain) return std::nullopt;
        const auto id = [](const PciAddress& one) { return one.bus * 256U + one.slot * 8U + one.function; };
        for (unsigned index = 0; index < *total; ++index)
            if (id(parent) + *offset + index * *stride == id(wanted)) return index;
        return std::nullopt;
    }

    Cause no_virtual_function(const PciAddress& wanted) const
    {
        for (const auto& parent : all_) {
            if (!reader_.exists(paths::function(parent, "sriov_totalvfs"))) continue;
            const auto index = index_below(parent, wanted);
            if (!index) continue;
            const auto driver = bound_driver(reader_, parent);
            const auto name =
                "it is virtual function " + std::to_string(*index) + " of " + quote(to_string(parent));
            const auto make = "write " + std::to_string(*index + 1) + " or more to " +
                              quote(paths::function(parent, "sriov_numvfs"));
            if (is_vfio_driver(driver) || driver.empty())
                return Advice{name + ", which has none while " +
                                  (driver.empty() ? "no driver" : quote(driver)) + " has it",
                              "give it back to its own driver, then " + make};
            return Advice{name + ", which has " + std::to_string(virtual_functions(parent)) + " of them",
                          make};
        }
        return std::nullopt;
    }

    // The same of what the slot's own driver answers: ACPI's asks the firmware (acpiphp_core.c), and may
    // wait.
    std::string answer_of(const std::string& slot, std::string_view file) const
    {
        constexpr std::size_t most = 64;
        return trim(reader_.read_within(paths::join(slot, file), most, driver_answers_within).text);
    }

    // Documentation/ABI/testing/sysfs-bus-pci and pci_hotplug_core.c: what is in the slot, and whether it has
    // power.
    Cause slot_without_it(const PciAddress& wanted) const
    {
        const std::string slots(paths::pci_slots);
        const auto place = to_string(wanted).substr(0, to_string(wanted).rfind('.'));
        for (const auto& name : reader_.list(slots)) {
            const auto directory = paths::join(slots, name);
            if (line_in(directory, "address") != place) continue;
            const auto slot = "its slot (" + quote(directory) + ") ";
            if (answer_of(directory, "adapter") == "0")
                return Advice{slot + "is empty",
                              "see whether the card sits in it and has its power cables; one that has "
                              "dropped off comes back when you switch the host off and on"};
            if (answer_of(directory, "power") == "0")
                return Advice{slot + "is switched off", "echo 1 > " + paths::join(directory, "power")};
        }
        return std::nullopt;
    }

    // From the mapping, or from what our notes of this boot say of the address.
    std::string id_of(const PassedDevice& device, const HostSelector& selector,
                      const PciAddress& wanted) const
    {
        for (const auto& one : device.alternatives)
            if (one.mapped && contains(one.mapped->paths, selector)) return one.mapped->id;
        return known_id(wanted);
    }

    std::string known_id(const PciAddress& wanted) const
    {
        for (const auto& state : states_)
            for (const auto& function : state.functions)
                if (function.address == wanted) return function.id;
        return "";
    }

    bool is_named(const PciAddress& address) const
    {
        return std::ranges::any_of(devices_, [&](const PassedDevice& device) {
            return std::ranges::any_of(device.alternatives, [&](const MappingChoice& one) {
                return contains(one.functions, address);
            });
        });
    }

    Cause moved(const PassedDevice& device, const HostSelector& selector, const PciAddress& wanted) const
    {
        const auto id = id_of(device, selector, wanted);
        if (id.empty()) return std::nullopt;
        for (const auto& address : all_) {
            if (is_named(address)) continue;
            const auto function = read_function(reader_, address);
            if (!function || device_id(*function) != id) continue;
            return Advice{"a device with its ids (" + id + ") is at " + quote(to_string(address)),
                          device.mapping ? "if it is this one, choose it anew under Datacenter > Resource "
                                           "Mappings"
                                         : "if it is this one, write that address into " + quote(device.key)};
        }
        return std::nullopt;
    }

    // Documentation/admin-guide/thunderbolt.rst: what it carries appears on the PCI bus once it is
    // authorised.
    Cause not_authorised() const
    {
        for (const auto& name : reader_.list(std::string(paths::thunderbolt_devices))) {
            const auto directory = paths::join(paths::thunderbolt_devices, name);
            if (line_in(directory, "authorized") != "0") continue;
            const auto device = line_in(directory, "device_name"), id = line_in(directory, "unique_id");
            return Advice{"the Thunderbolt or USB4 device " + quote(device.empty() ? name : device) +
                              " is not authorised, and nothing behind it is on the bus",
                          "boltctl enroll " + (id.empty() ? name : id)};
        }
        return std::nullopt;
    }

    const SysReader& reader_;
    const std::vector<PassedDevice>& devices_;
    const std::vector<PciAddress>& all_;
    std::vector<GuestState> states_;
};

} // namespace

AbsentCauses why_absent(const SysReader& reader, const std::vector<PassedDevice>& devices,
                        const std::vector<PciAddress>& all)
{
    AbsentCauses causes;
    std::optional<Search> search;
    for (const auto& device : devices)
        for (const auto& selector : device.taken().missing) {
            if (!search) search.emplace(reader, devices, all);
            if (auto cause = search->cause_of(device, selector))
                causes.emplace(selector.text, std::move(*cause));
        }
    return causes;
}

std::optional<Advice> with_cause(const std::string& fact, const AbsentCauses& causes,
                                 const HostSelector& missing)
{
    const auto cause = causes.find(missing.text);
    if (cause == causes.end()) return std::nullopt;
    return Advice{fact + ": " + cause->second.fact, cause->second.remedy};
}

} // namespace pvegpu
