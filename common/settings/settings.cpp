#include "settings/settings.hpp"

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "settings/settings_check.hpp"
#include "settings/settings_names.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace pvegpu {

namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

milliseconds to_milliseconds(double seconds)
{
    return std::max(milliseconds(1), milliseconds(std::llround(seconds * 1000)));
}

// What a checked object of settings says, laid over what was there.
void lay_over(Settings& settings, const json& object)
{
    const auto choose = [&object](const char* key, const auto& names, auto& value) {
        if (object.contains(key)) value = find_name(names, object[key].get_ref<const std::string&>())->value;
    };
    choose("strategy", strategy_names, settings.strategy);
    choose("on_timeout", on_timeout_names, settings.on_timeout);
    choose("after_stop", after_stop_names, settings.after_stop);
    choose("reset_with", reset_with_names, settings.reset_with);
    if (object.contains("reset_method")) settings.reset_method = object["reset_method"].get<std::string>();
    if (object.contains("retries")) settings.retries = object["retries"].get<unsigned>();
    if (!object.contains("timeouts")) return;
    for (const auto& [key, seconds] : object["timeouts"].items())
        settings.timeouts.*find_name(timeout_names, key)->value = to_milliseconds(seconds.get<double>());
}

void lay_over_entry(Settings& settings, const json& all, const char* group, const std::string& name)
{
    if (all.contains(group) && all[group].contains(name)) lay_over(settings, all[group][name]);
}

unsigned line_of_byte(std::string_view text, std::size_t byte)
{
    return 1 + static_cast<unsigned>(std::ranges::count(text.substr(0, byte), '\n'));
}

// A number that no double holds: the library quotes it, but does not say where it stands.
unsigned line_of_number(std::string_view text, std::string_view message)
{
    const auto parts = split(message, '\'');
    return parts.size() < 2 ? 1 : line_of_byte(text, text.find(parts[1]));
}

// The library itself keeps the last of two keys with one name.
class KeysOnce {
public:
    explicit KeysOnce(std::string file) : file_(std::move(file)) {}

    bool operator()(json::parse_event_t event, const json& parsed)
    {
        using Event = json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) objects_.emplace_back();
        if (event == Event::object_end || event == Event::array_end) objects_.pop_back();
        if (event == Event::key) {
            auto& [seen, current] = objects_.back();
            current = parsed.get<std::string>();
            if (!seen.insert(current).second)
                throw Error(Reason::invalid_config, {quote(path()) + " is there twice", "remove one"}, file_);
        }
        return true;
    }

private:
    struct Object {
        std::set<std::string> seen;
        std::string current; // key
    };

    std::string path() const // "guests.101.retries"
    {
        std::vector<std::string> keys;
        for (const auto& object : objects_)
            if (!object.current.empty()) keys.push_back(object.current);
        return join(keys, ".");
    }

    std::string file_;
    std::vector<Object> objects_; // that are open
};

json parse_json(std::string_view text, const std::string& path)
{
    const auto fail = [&path](unsigned line, const Advice& advice) {
        throw Error(Reason::invalid_config, advice, path + ":" + std::to_string(line));
    };
    KeysOnce keys_once(path);
    try {
        constexpr bool exceptions = true, comments = true;
        return json::parse(
            text,
            [&](int, json::parse_event_t event, const json& parsed) { return keys_once(event, parsed); },
            exceptions, comments);
    } catch (const json::parse_error& error) {
        fail(line_of_byte(text, error.byte > 0 ? error.byte - 1 : 0),
             {"this is not JSON", "see the text here"});
    } catch (const json::exception& error) {
        fail(line_of_number(text, error.what()), {"a number here is too large"});
    }
    return {};
}

} // namespace

Settings default_settings()
{
    return {
        .timeouts =
            {
                // Other recoveries of this host go first: a slow one takes a reset and a rescan.
                .lock = 120s,
                // Another program's rescan or probe that makes progress is over in seconds.
                .busy = 30s,
                // A native driver's teardown takes seconds; one that waits for its users never ends.
                .unbind = 30s,
                // Unbinds once more where something was bound in between, and takes the device's files away.
                .remove = 30s,
                // The kernel waits up to 60 s for a device to answer after a reset (pci_dev_wait).
                .reset = 70s,
                // The kernel waits up to 60 s for a function that asks for patience (pci_scan_device), then
                // the drivers probe.
                .rescan = 75s,
                // After the rescan has returned the functions are there, or a hotplug port brings them soon.
                .reappear = 15s,
                // vfio-pci's probe wakes the device, no more.
                .bind = 15s,
                // Somebody's own script: Proxmox itself would wait for it for ever.
                .chained = 120s,
                // A container's device nodes: NVIDIA's driver takes up to ten seconds to load, and as long
                // again on a host that starts everything at once.
                .nodes = 30s,
                // One full ladder with a slow reset and a slow rescan; Proxmox itself sets a hook no limit.
                .total = 180s,
            },
        .retries = 2, // the kernel answers EAGAIN while somebody else holds a lock for a moment
        .strategy = Strategy::cycle, // whoever attaches the hook has a card that needs it
        .on_timeout =
            OnTimeout::warn, // a wait that ran out is no proof of a dead card; QEMU tells for certain
        .after_stop =
            AfterStop::keep, // as Proxmox leaves a device; the native driver must not meet a dirty card
        .reset_with = ResetWith::best, // the kernel's own reset where it has one
        .reset_method = "default",     // what the device table says, or else what is set
    };
}

SettingsFile SettingsFile::parse(std::string_view text, const std::string& path)
{
    SettingsFile file;
    if (is_blank(text)) return file; // as if it were missing
    json all = parse_json(text, path);
    check_settings_file(all, path);
    file.json_ = all.dump();
    return file;
}

Settings SettingsFile::for_device(unsigned vmid, const std::string& device_id) const
{
    const json all = json::parse(json_);
    Settings settings = for_everyone();
    lay_over_entry(settings, all, "devices", device_id);
    lay_over_entry(settings, all, "guests", std::to_string(vmid));
    return settings;
}

Settings SettingsFile::for_guest(unsigned vmid) const
{
    return for_device(vmid, "");
}

Settings SettingsFile::for_everyone() const
{
    Settings settings = default_settings();
    lay_over(settings, json::parse(json_));
    return settings;
}

SettingsFile read_settings(const SysReader& reader)
{
    const std::string path(paths::settings);
    const auto text = reader.read(path);
    if (!text && reader.exists(path)) throw Error(Reason::invalid_config, {"cannot be read"}, path);
    return SettingsFile::parse(text.value_or("{}"), path);
}

} // namespace pvegpu
