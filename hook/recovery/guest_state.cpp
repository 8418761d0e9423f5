#include "recovery/guest_state.hpp"

#include "base/json.hpp"
#include "base/lists.hpp"
#include "machine/paths.hpp"
#include "recovery/plan.hpp"
#include "usage/device_files.hpp"

namespace pvegpu {
namespace {

Json settings_json(const std::vector<Setting>& settings)
{
    Json list = Json::array();
    for (const auto& setting : settings) list.push_back({{"path", setting.path}, {"text", setting.text}});
    return list;
}

std::vector<Setting> settings_from(const Json& list)
{
    std::vector<Setting> settings;
    for (const auto& entry : list) {
        Setting setting{entry.at("path").get<std::string>(), entry.at("text").get<std::string>()};
        if (setting.path.starts_with("/sys/") && setting.path.find("..") == std::string::npos)
            settings.push_back(std::move(setting));
    }
    return settings;
}

GuestFunction function_from(const Json& entry)
{
    return {entry.at("address").get<PciAddress>(), entry.at("id").get<std::string>(),
            entry.at("native_driver").get<std::string>(), entry.at("gpu").get<bool>()};
}

// A driver's name becomes part of a path.
bool is_plain_name(const std::string& name)
{
    return name.find('/') == std::string::npos && !name.starts_with('.');
}

// Throws std::exception for text that is not ours.
GuestState state_from(const Json& json)
{
    GuestState state;
    state.vmid = whole_number<unsigned>(json.at("vmid")).value();
    for (const auto& entry : json.at("functions")) {
        auto function = function_from(entry);
        if (is_plain_name(function.native_driver)) state.functions.push_back(std::move(function));
    }
    state.power = settings_from(json.at("power"));
    state.console = settings_from(json.at("console"));
    if (json.contains("reset_methods")) state.reset_methods = settings_from(json.at("reset_methods"));
    if (const auto& holder = json.at("holder"); !holder.is_null()) {
        state.holder = whole_number<pid_t>(holder.at("pid")).value();
        state.holder_program = holder.at("program").get<std::string>();
    }
    return state;
}

std::string without_line_end(std::string text)
{
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

// Notes what is there now, or what an earlier note says that was there before.
class Notes {
public:
    Notes(const SysReader& reader, unsigned vmid) : reader_(reader), earlier_(read_guest_states(reader))
    {
        state_.vmid = vmid;
        for (const auto& known : earlier_)
            if (known.vmid == vmid) {
                state_.console = known.console;
                state_.reset_methods = known.reset_methods;
            }
    }

    void add(const PlannedFunction& function)
    {
        for (const auto& bridge : function.facts.above) add_power(bridge);
        add_power(function.address());
        if (function.goes_to_guest)
            state_.functions.push_back({function.address(), device_id(function.facts),
                                        native_driver(function.facts), function.role == Role::gpu});
    }

    GuestState take() { return std::move(state_); }

private:
    std::string native_driver(const Function& function) const
    {
        if (!is_vfio_driver(function.driver)) return function.driver;
        for (const auto& state : earlier_)
            for (const auto& known : state.functions)
                if (known.address == function.address && known.id == device_id(function))
                    return known.native_driver;
        return "";
    }

    void add_power(const PciAddress& address)
    {
        for (const auto file : power_files) add_setting(paths::function(address, file));
    }

    void add_setting(const std::string& path)
    {
        if (find(state_, path) != nullptr) return;
        for (const auto& state : earlier_)
            if (const auto* known = find(state, path)) return state_.power.push_back(*known);
        if (const auto text = reader_.read(path)) state_.power.push_back({path, without_line_end(*text)});
    }

    static const Setting* find(const GuestState& state, const std::string& path)
    {
        return find_where(state.power, [&](const Setting& setting) { return setting.path == path; });
    }

    const SysReader& reader_;
    std::vector<GuestState> earlier_;
    GuestState state_;
};

// A card that is left alone at the start is still given back where that is wished.
bool is_ours_to_give_back(const CardPlan& card, const PlannedFunction& function)
{
    if (card.is_cycled()) return function.in_scope;
    return function.goes_to_guest && card.card.port && card.settings.strategy != Strategy::off &&
           card.settings.after_stop == AfterStop::native;
}

} // namespace

std::string awake_text(const std::string& path)
{
    return path.ends_with("d3cold_allowed") ? "0" : "on";
}

std::string print_guest_state(const GuestState& state)
{
    Json functions = Json::array();
    for (const auto& function : state.functions)
        functions.push_back({{"address", function.address},
                             {"id", function.id},
                             {"native_driver", function.native_driver},
                             {"gpu", function.gpu}});
    Json holder = nullptr;
    if (state.holder) holder = {{"pid", *state.holder}, {"program", state.holder_program}};
    return print(Json{{"vmid", state.vmid},
                      {"functions", functions},
                      {"power", settings_json(state.power)},
                      {"console", settings_json(state.console)},
                      {"reset_methods", settings_json(state.reset_methods)},
                      {"holder", holder}});
}

void save_guest_state(System& system, const GuestState& state)
{
    system.replace_file(paths::guest_state(state.vmid), print_guest_state(state));
}

std::optional<GuestState> parse_guest_state(std::string_view text)
{
    return read_or_nothing(text, state_from);
}

std::optional<GuestState> read_guest_state(const SysReader& reader, unsigned vmid)
{
    const auto text = reader.read(paths::guest_state(vmid));
    return text ? parse_guest_state(*text) : std::nullopt;
}

std::vector<GuestState> read_guest_states(const SysReader& reader)
{
    std::vector<GuestState> states;
    for (const auto& name : reader.list(std::string(paths::guest_states))) {
        const auto text = reader.read(paths::join(paths::guest_states, name)).value_or("");
        if (auto state = parse_guest_state(text)) states.push_back(std::move(*state));
    }
    return states;
}

GuestState note_guest_state(const SysReader& reader, const RecoveryPlan& plan)
{
    Notes notes(reader, plan.request.vmid);
    for (const auto& card : plan.cards)
        for (const auto& function : card.functions)
            if (is_ours_to_give_back(card, function)) notes.add(function);
    return notes.take();
}

} // namespace pvegpu
