#include "settings/settings.hpp"

#include "base/error.hpp"
#include "base/instance_name.hpp"
#include "base/lists.hpp"
#include "base/pci_address.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "machine/paths.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace pvegpu {
namespace {

std::optional<InstanceName> instance_in(std::string_view key)
{
    constexpr std::string_view start = "incus:";
    return key.starts_with(start) ? parse_instance_name(key.substr(start.size())) : std::nullopt;
}

using nlohmann::json;
using std::chrono::milliseconds;
using namespace std::chrono_literals;

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

// "guests.101.retries"
std::string below(const std::string& path, const std::string& key)
{
    return path.empty() ? key : path + "." + key;
}

json parse_json(std::string_view text, const std::string& path)
{
    const auto fail = [&path](unsigned line, const Advice& advice) {
        throw Error(ErrorKind::invalid_config, advice, path + ":" + std::to_string(line));
    };
    // The library itself keeps the last of two keys with one name. Of each object that is open: its key now,
    // and all so far.
    std::vector<std::pair<std::string, std::set<std::string>>> open;
    const auto keys_once = [&](int, json::parse_event_t event, const json& parsed) {
        using Event = json::parse_event_t;
        if (event == Event::object_start || event == Event::array_start) open.emplace_back();
        if (event == Event::object_end || event == Event::array_end) open.pop_back();
        if (event != Event::key) return true;
        auto& [key, seen] = open.back();
        key = parsed.get<std::string>();
        if (seen.insert(key).second) return true;
        std::string place;
        for (const auto& object : open)
            if (!object.first.empty()) place = below(place, object.first);
        throw Error(ErrorKind::invalid_config, {quote(place) + " is there twice", "remove one"}, path);
    };
    try {
        constexpr bool exceptions = true, comments = true;
        return json::parse(text, keys_once, exceptions, comments);
    } catch (const json::parse_error& error) {
        fail(line_of_byte(text, error.byte > 0 ? error.byte - 1 : 0),
             {"this is not JSON", "see the text here"});
    } catch (const json::exception& error) {
        fail(line_of_number(text, error.what()), {"a number here is too large"});
    }
    return {};
}

constexpr double longest_timeout = 3600; // seconds: whoever wants more than an hour has mistyped
constexpr unsigned most_retries = 100;
constexpr unsigned most_parallel = 64;            // each is a process of ours, and no host has more GPUs
constexpr unsigned most_guest_reboots = 1000;     // each is written down
constexpr unsigned longest_guest_reboots = 86400; // seconds: a day

template <typename Names> std::string list_of(const Names& names)
{
    std::vector<std::string> list;
    list.reserve(names.size());
    for (const auto& known : names) list.push_back(quote(known.name));
    return join(list, ", ");
}

// Lays what the file says over settings, and refuses what cannot be said in one.
class SettingsReader {
public:
    explicit SettingsReader(std::string file) : file_(std::move(file)) {}

    // Every entry is laid over once, so that nothing is refused later. Ids of devices become lower case:
    // sysfs and lspci write them so, people copy them from elsewhere too.
    void check_file(json& all) const
    {
        if (!all.is_object()) fail("", {"the file is no object", "write '{ ... }'"});
        Settings settings = default_settings();
        lay_over(settings, "", all);
        const json guests = group(all, "guests"), devices = group(all, "devices");
        for (const auto& [vmid, entry] : guests.items()) {
            const auto path = below("guests", vmid);
            if (!parse_vmid(vmid) && !instance_in(vmid))
                fail(path,
                     {"is no VM or container id", "write '101', or 'incus:NAME' for a VM of Incus or LXD"});
            lay_over(settings, path, entry);
        }
        json lowered = json::object();
        for (const auto& [id, entry] : devices.items()) {
            const auto path = below("devices", id);
            if (!is_id_pair(id)) fail(path, {"is no device id", "write '8086:56a6'"});
            if (lowered.contains(lower(id)))
                fail(path, {"is there twice, in upper and lower case", "remove one"});
            lay_over(settings, path, entry);
            lowered[lower(id)] = entry;
        }
        if (!lowered.empty()) all["devices"] = std::move(lowered);
    }

    // `path` is that of the object, empty for the whole file.
    void lay_over(Settings& settings, const std::string& path, const json& object) const
    {
        require_object(path, object, "write '{ ... }'");
        for (const auto& [key, value] : object.items())
            if (!path.empty() || (key != "guests" && key != "devices"))
                read_setting(settings, below(path, key), key, value);
    }

private:
    [[noreturn]] void fail(const std::string& key, const Advice& advice) const
    {
        throw Error(ErrorKind::invalid_config,
                    {key.empty() ? advice.fact : quote(key) + " " + advice.fact, advice.remedy}, file_);
    }

    void require_object(const std::string& path, const json& value, const char* remedy) const
    {
        if (!value.is_object()) fail(path, {"is no object", remedy});
    }

    json group(const json& all, const char* key) const
    {
        auto entries = all.value(key, json::object());
        require_object(key, entries, "write '{ ... }'");
        return entries;
    }

    void read_setting(Settings& settings, const std::string& path, const std::string& key,
                      const json& value) const
    {
        if (key == "timeouts") return read_timeouts(settings.timeouts, path, value);
        if (key == "parallel") return read_whole(settings.parallel, path, value, 1, most_parallel);
        if (key == "retries") return read_whole(settings.retries, path, value, 0, most_retries);
        if (key == "guest_reboot") return read_guest_reboot(settings.guest_reboot, path, value);
        if (key == "reset_method") return read_reset_method(settings.reset_method, path, value);
        if (key == "strategy") return choose(settings.strategy, path, value, strategy_names);
        if (key == "on_timeout") return choose(settings.on_timeout, path, value, on_timeout_names);
        if (key == "after_stop") return choose(settings.after_stop, path, value, after_stop_names);
        if (key == "in_use") return choose(settings.in_use, path, value, in_use_names);
        if (key == "reset_with") return choose(settings.reset_with, path, value, reset_with_names);
        fail(path, {"is no setting",
                    std::string("known are 'timeouts', 'parallel', 'retries', 'strategy', 'on_timeout', "
                                "'after_stop', 'in_use', 'reset_with', 'reset_method', 'guest_reboot'") +
                        (path == key ? ", 'guests', 'devices'" : "")});
    }

    void read_timeouts(Timeouts& timeouts, const std::string& path, const json& value) const
    {
        require_object(path, value, "write '{ \"reset\": 70 }'");
        for (const auto& [key, number] : value.items()) {
            const auto* const known = find_name(timeout_names, key);
            if (known == timeout_names.end())
                fail(below(path, key), {"is no timeout", "known are " + list_of(timeout_names)});
            const double seconds = number.is_number() ? number.get<double>() : 0;
            if (!(seconds > 0 && seconds <= longest_timeout))
                fail(below(path, key), {"must be a number of seconds above 0 and up to 3600"});
            timeouts.*known->value = std::max(milliseconds(1), milliseconds(std::llround(seconds * 1000)));
        }
    }

    void read_whole(unsigned& number, const std::string& path, const json& value, unsigned least,
                    unsigned most) const
    {
        const bool whole = value.is_number_unsigned();
        if (!whole || value.get<std::uint64_t>() < least || value.get<std::uint64_t>() > most)
            fail(path,
                 {"must be a whole number from " + std::to_string(least) + " to " + std::to_string(most)});
        number = value.get<unsigned>();
    }

    void read_guest_reboot(GuestReboots& reboots, const std::string& path, const json& value) const
    {
        require_object(path, value, R"(write '{ "most": 5, "within": 600 }')");
        for (const auto& [key, number] : value.items()) {
            if (key != "most" && key != "within")
                fail(below(path, key), {"is no setting", "known are 'most', 'within'"});
            unsigned value = 0;
            read_whole(value, below(path, key), number, 1,
                       key == "most" ? most_guest_reboots : longest_guest_reboots);
            if (key == "most")
                reboots.most = value;
            else
                reboots.within = std::chrono::seconds(value);
        }
    }

    // The names are the kernel's (pci_reset_fn_methods in drivers/pci/pci.c); it takes several, the first one
    // first.
    void read_reset_method(std::string& methods, const std::string& path, const json& value) const
    {
        constexpr std::array<std::string_view, 7> known{
            "device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus"};
        const std::string text = value.is_string() ? value.get<std::string>() : "";
        const auto names = split(text, ' ');
        const auto is_known = [&](std::string_view name) { return contains(known, name); };
        if (text != "default" && text != "none" && !std::ranges::all_of(names, is_known))
            fail(path, {"must be 'default', 'none', or names of the kernel's reset methods: 'bus', 'flr', "
                        "'pm', 'device_specific'"});
        methods = text;
    }

    template <typename Names, typename Value>
    void choose(Value& chosen, const std::string& path, const json& value, const Names& names) const
    {
        const auto known = find_name(names, value.is_string() ? value.get<std::string>() : "");
        if (known == names.end()) fail(path, {"must be one of " + list_of(names)});
        chosen = known->value;
    }

    std::string file_;
};

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
        .parallel = 8, // a stage of eight takes as long as one of them, and a host has processors to spare
        .retries = 2,  // the kernel answers EAGAIN while somebody else holds a lock for a moment
        .strategy = Strategy::cycle, // whoever attaches the hook has a card that needs it
        .on_timeout =
            OnTimeout::warn, // a wait that ran out is no proof of a dead card; QEMU tells for certain
        .after_stop =
            AfterStop::keep, // as Proxmox leaves a device; the native driver must not meet a dirty card
        .reset_with = ResetWith::best, // the kernel's own reset where it has one
        .in_use = InUse::refuse, // Proxmox takes a mounted disk or the node's network without a question
        // A large update restarts Windows four times within minutes; a guest that never comes up resets every
        // half minute, and each start pins its memory and resets its card.
        .guest_reboot = {.most = 5, .within = 600s},
        .reset_method = "default", // what the device table says, or else what is set
    };
}

SettingsFile SettingsFile::parse(std::string_view text, const std::string& path)
{
    SettingsFile file;
    if (is_blank(text)) return file; // as if it were missing
    json all = parse_json(text, path);
    SettingsReader(path).check_file(all);
    file.json_ = all.dump(2);
    return file;
}

Settings SettingsFile::for_device(unsigned vmid, const std::string& device_id) const
{
    const json all = json::parse(json_);
    Settings settings = for_everyone();
    const auto lay_over = [&](const char* group, const std::string& name) {
        const auto entries = all.value(group, json::object());
        if (entries.contains(name)) SettingsReader("").lay_over(settings, name, entries[name]);
    };
    lay_over("devices", device_id);
    if (!is_instance(vmid)) lay_over("guests", std::to_string(vmid));
    const auto guests = all.value("guests", json::object());
    for (const auto& [name, entry] : guests.items())
        if (const auto instance = instance_in(name); instance && number_of(*instance) == vmid)
            lay_over("guests", name);
    return settings;
}

Settings SettingsFile::for_everyone() const
{
    Settings settings = default_settings();
    SettingsReader("").lay_over(settings, "", json::parse(json_));
    return settings;
}

SettingsFile read_settings(const SysReader& reader)
{
    const std::string path(paths::settings);
    const auto text = reader.read(path);
    if (!text && reader.exists(path)) throw Error(ErrorKind::invalid_config, {"cannot be read"}, path);
    return SettingsFile::parse(text.value_or("{}"), path);
}

} // namespace pvegpu
