#include "recovery/last_look.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "usage/device_files.hpp"

namespace pvegpu {
namespace {

std::optional<unsigned> read_vfio_users(const SysReader& reader)
{
    return parse_decimal(trim(reader.read(std::string(paths::vfio_references)).value_or("")));
}

} // namespace

void LastLook::look(std::vector<CardFunction> functions)
{
    functions_ = std::move(functions);
    natives_.clear();
    vfio_users_ = read_vfio_users(run_.system); // first: who comes meanwhile is looked for twice
    for (const auto& one : functions_) {
        const auto function = read_function(run_.system, one.address);
        if (function && !function->driver.empty() && !is_vfio_driver(function->driver))
            natives_.push_back({one.address, find_device_files(run_.system, *function).nodes});
    }
    check_not_held(run_, functions_);
}

bool LastLook::is_native(const PciAddress& function) const
{
    return contains(natives_, function, &Native::function);
}

void LastLook::check(const PciAddress& function)
{
    if (is_native(function)) return;
    const auto now = read_vfio_users(run_.system);
    if (!is_vfio_open(run_.system, function) && now && vfio_users_ && *now <= *vfio_users_) return;
    look(functions_);
}

void LastLook::tell_who_came_too_late() const
{
    std::vector<DeviceNumber> nodes;
    for (const auto& native : natives_) append(nodes, native.nodes);
    for (const auto& open : find_open_nodes(run_.system, nodes))
        for (const auto& native : natives_)
            if (contains(native.nodes, open.number))
                run_.warn({quote(native.function) + " was opened by pid " + std::to_string(open.pid) + " (" +
                               printable(program_of(run_.system, open.pid)) + ", '" + open.path +
                               "') while it was taken from its driver",
                           "that process has a device that is gone: start it anew"});
}

} // namespace pvegpu
