#include "recovery/device_settings.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "pci/device_table.hpp"
#include "pci/read_function.hpp"
#include "recovery/link_switches.hpp"
#include "recovery/writes.hpp"

#include <array>

namespace pvegpu {
namespace {

constexpr std::string_view reset_method = "reset_method";

// Documentation/ABI/testing/sysfs-bus-pci; those of the link in the order in which one allows the next.
constexpr std::array<std::string_view, 12> files{reset_method,      "msi_bus",        "numa_node",
                                                 "link/clkpm",      "link/l0s_aspm",  "link/l1_aspm",
                                                 "link/l1_1_aspm",  "link/l1_2_aspm", "link/l1_1_pcipm",
                                                 "link/l1_2_pcipm", power_files[0],   power_files[1]};

// It may have been put to sleep since it was found, and then the write wakes it: see keep_awake.
constexpr Milliseconds wakes_within{65'000};

std::optional<std::string> text_of(const SysReader& reader, const std::string& path)
{
    const auto text = reader.read(path);
    return text ? std::optional(std::string(trim(*text))) : std::nullopt;
}

// True if the file says so afterwards. A line end alone is how nothing is written.
bool set(const RunContext& run, const std::string& path, const std::string& text)
{
    const auto within = text == "on" ? wakes_within : setting_within;
    const auto outcome = write_checked(run, path, text + '\n', within, 0);
    return !outcome.refused() && text_of(run.system, path) == text;
}

std::string wish_for(const CardPlan& card, const PlannedFunction& function)
{
    const auto& wish = card.settings.reset_method;
    if (wish != "default") return function.role == Role::gpu ? wish : "default";
    const bool harmful = device_traits(function.facts).flr == DeviceTraits::Flr::harmful;
    return harmful ? "bus" : "default";
}

void note_in_state(const RunContext& run, const std::string& path, const std::string& before,
                   GuestState& state)
{
    if (contains(state.reset_methods, path, &Setting::path)) return; // by a start whose stop never came
    state.reset_methods.push_back({path, before});
    save_guest_state(run.system, state);
}

// QEMU's hot reset is for all functions of the slot; vfio refuses it to a guest that lacks one.
void warn_of_functions_left_out(const RunContext& run, const CardPlan& card, const PlannedFunction& function)
{
    for (const auto& other : card.functions)
        if (!other.goes_to_guest && bus_of(other.address()) == bus_of(function.address()))
            run.warn({quote(function.address()) +
                          " has no reset that is good for it, and QEMU can reset it only together with '" +
                          to_string(other.address()) + "', which the guest does not have",
                      "pass it to the guest too (hostpci)"});
}

void choose_reset_method(const RunContext& run, const CardPlan& card, const PlannedFunction& function,
                         const std::string& wish, GuestState& state)
{
    const auto path = paths::function(function.address(), reset_method);
    const auto before = text_of(run.system, path);
    if (!before) return; // before 5.15, or a device that the kernel cannot reset at all
    const std::string wanted = wish == "none" ? "" : wish;
    if (*before != wanted) {
        note_in_state(run, path, *before, state);
        // Beside another function of the slot the kernel does not offer a reset of the bus
        // (pci_parent_bus_reset).
        const bool chosen = set(run, path, wanted) || (wanted == "bus" && set(run, path, ""));
        if (!chosen)
            run.warn({"'" + path + "' says '" + text_of(run.system, path).value_or("") + "' and not '" +
                      wanted + "': QEMU may use a reset that the card does not come back from"});
    }
    if (text_of(run.system, path) == "") warn_of_functions_left_out(run, card, function);
}

// When the kernel finds the first function of a slot it lists "bus" for it, and with the others beside it, it
// does not take that back (pci_init_reset_methods and pci_parent_bus_reset in drivers/pci/pci.c).
std::string without_bus(const std::string& methods)
{
    std::vector<std::string> others;
    for (const auto method : split(methods, ' '))
        if (method != "bus") others.emplace_back(method);
    return join(others, " ");
}

// Meanwhile the switches of a device's link say what was chosen, also where no driver has enabled the device.
class ShownLink {
public:
    ShownLink(const RunContext& run, const PciAddress& address)
        : run_(run), undo_{Undo::Kind::setting, paths::function(address, "enable"), "0"}
    {
        if (!links_wait_for_a_driver(run.system) ||
            run.system.list(paths::function(address, "link")).empty() ||
            !bound_driver(run.system, address).empty() || text_of(run.system, undo_.path) != "0")
            return;
        run.journal.note(undo_);
        enabled_ = write_checked(run, undo_.path, "1", setting_within, 0).done();
    }

    void hide()
    {
        if (enabled_) write_checked(run_, undo_.path, "0", setting_within, 0);
        run_.journal.settled(undo_);
    }

private:
    const RunContext& run_;
    Undo undo_;
    bool enabled_ = false;
};

// Letting it sleep again takes no longer than its driver needs to suspend it.
constexpr Milliseconds sleeps_within{5'000};

StepOutcome write_power(System& system, const std::string& path, const std::string& text, Milliseconds within)
{
    const auto now = system.read(path);
    if (!now) return {StepResult::skipped, "is not there"};
    if (std::string_view(*now).starts_with(text)) return {StepResult::skipped, "says so already"};
    const auto outcome = system.write(path, text, within);
    if (outcome.still_running()) throw_stuck(outcome, path);
    return {outcome.done() ? StepResult::done : StepResult::refused};
}

} // namespace

std::vector<Undo> device_settings_below(const RunContext& run, const PciAddress& address)
{
    auto devices = list_below(run.system, address);
    devices.push_back(address);
    std::vector<Undo> undos;
    for (const auto& each : devices) {
        ShownLink shown(run, each);
        for (const auto file : files) {
            const auto path = paths::function(each, file);
            if (auto text = text_of(run.system, path))
                undos.push_back({Undo::Kind::device, path, std::move(*text)});
        }
        shown.hide();
    }
    return undos;
}

void put_back_device_settings(const RunContext& run)
{
    const auto noted = run.journal.entries(); // a copy: settling takes entries out
    for (const auto& undo : noted) {
        if (undo.kind != Undo::Kind::device) continue;
        const auto now = text_of(run.system, undo.path);
        if (!now) continue;
        run.journal.settled(undo);
        if (says(run.system, undo.path, undo.text) || set(run, undo.path, undo.text)) continue;
        run.warn({"'" + undo.path + "' said '" + undo.text + "' before and says '" +
                  text_of(run.system, undo.path).value_or("") + "' now, and could not be put back"});
    }
}

void choose_reset_methods(const RunContext& run, const CardPlan& card, GuestState& state)
{
    for (const auto& function : card.functions) {
        if (!function.goes_to_guest) continue;
        const auto wish = wish_for(card, function);
        if (wish != "default") choose_reset_method(run, card, function, wish, state);
    }
}

StepOutcome put_back_reset_method(System& system, const Setting& setting)
{
    const auto now = text_of(system, setting.path);
    if (!now) return {StepResult::skipped, "is not there"};
    if (*now == setting.text) return {StepResult::skipped, "says so already"};
    const auto write = [&](const std::string& text) {
        return system.write(setting.path, text + '\n', setting_within).done();
    };
    if (write(setting.text)) return {};
    const auto others = without_bus(setting.text);
    if (*now == others || write(others)) return {};
    system.say(Severity::warning, "'" + setting.path + "' said '" + setting.text +
                                      "' before the guest's start, and could not be put back");
    return {StepResult::refused};
}

void keep_awake(System& system, const std::string& path, Milliseconds within)
{
    write_power(system, path, awake_text(path), within);
}

StepOutcome put_back_power(System& system, const Setting& setting)
{
    return write_power(system, setting.path, setting.text, sleeps_within);
}

} // namespace pvegpu
