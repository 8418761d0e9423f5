#include "search.hpp"

#include "native_drivers.hpp"
#include "paths.hpp"
#include "power.hpp"
#include "read_function.hpp"
#include "text.hpp"

#include <algorithm>
#include <iterator>

namespace pvegpu {
namespace {

std::string bridge_of(const PciBus& bus, std::string_view attribute)
{
    return paths::join(paths::bus(bus) + "/device", attribute);
}

// A port that sleeps finds nothing. What is found is noted with the port as it was, so it is put back.
class AwakeBridge {
public:
    AwakeBridge(const Run& run, const PciBus& bus, const Settings& settings) : run_(run)
    {
        for (const auto* const file : {"power/control", "d3cold_allowed"})
            keep(bridge_of(bus, file), settings);
    }

    void let_sleep_again()
    {
        for (const auto& undo : changed_) {
            write_checked(run_, undo.path, undo.text, setting_within, 0);
            run_.journal.settled(undo);
        }
    }

private:
    void keep(const std::string& path, const Settings& settings)
    {
        const auto text = run_.system.read(path);
        if (!text) return;
        changed_.push_back({Undo::Kind::setting, path, std::string(trim(*text))});
        run_.journal.note(changed_.back());
        keep_awake(run_.system, path, run_.deadline.at_most(run_.system, settings.timeouts.reset));
    }

    const Run& run_;
    std::vector<Undo> changed_;
};

void rescan(const Run& run, const PciBus& bus, const Settings& settings)
{
    write_checked(run, paths::bus_rescan(bus), "1", settings.timeouts.rescan, settings.retries);
}

bool something_is_on(const SysReader& reader, const PciBus& bus)
{
    const auto all = list_functions(reader);
    return std::any_of(all.begin(), all.end(),
                       [&](const PciAddress& address) { return bus_of(address) == bus; });
}

bool appears_on(const Run& run, const PciBus& bus, Milliseconds within)
{
    return run.system.wait_until([&] { return something_is_on(run.system, bus); },
                                 run.deadline.at_most(run.system, within));
}

void rescan_until_found(const Run& run, const PciBus& bus, const Settings& settings)
{
    rescan(run, bus, settings);
    if (appears_on(run, bus, settings.timeouts.reappear)) return;
    const auto reset = bridge_of(bus, "reset_subordinate");
    if (!run.system.exists(reset)) return;
    write_checked(run, reset, "1", settings.timeouts.reset, settings.retries);
    rescan(run, bus, settings);
    appears_on(run, bus, settings.timeouts.reappear);
}

void search_bus(const Run& run, const PciBus& bus, const Settings& settings)
{
    run.warn("looking for a missing device on bus '" + to_string(bus) + "'");
    AwakeBridge bridge(run, bus, settings);
    rescan_until_found(run, bus, settings);
    bridge.let_sleep_again();
}

bool is_the_guests(const Plan& plan, const PciAddress& address)
{
    return std::any_of(plan.devices.begin(), plan.devices.end(), [&](const PassedDevice& device) {
        const auto& missing = device.taken().missing;
        return std::any_of(missing.begin(), missing.end(),
                           [&](const HostSelector& one) { return one.matches(to_string(address)); });
    });
}

// In the order of addresses, which has bridges before what is below them.
void probe_what_is_the_hosts(const Run& run, const Plan& plan, const std::vector<PciAddress>& before)
{
    const auto now = list_functions(run.system);
    std::vector<PciAddress> found;
    std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(found));
    for (const auto& address : found)
        if (!is_the_guests(plan, address))
            write_checked(run, std::string(paths::drivers_probe), to_string(address),
                          plan.settings.timeouts.bind, 0);
}

} // namespace

void search_missing(const Run& run, const Plan& plan)
{
    const auto before = list_functions(run.system);
    const bool held = hold_autoprobe(run);
    for (const auto& bus : plan.search) search_bus(run, bus, plan.settings);
    if (!held) return;
    probe_what_is_the_hosts(run, plan, before);
    release_autoprobe(run);
}

} // namespace pvegpu
