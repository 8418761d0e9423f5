#include "incus/taken_devices.hpp"

#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// Whoever changes the VM in between makes our change one of an older state; he is done in a moment.
constexpr unsigned most_tries = 5;
constexpr Milliseconds between_tries{1'000};

constexpr unsigned precondition_failed = 412; // of If-Match: it is not as it was read any more

const Texts hidden{{"type", "none"}}; // of a profile's device of the same name

std::string note_of(const InstanceName& name)
{
    return paths::taken_devices_of(number_of(name));
}

void forget(System& system, const InstanceName& name)
{
    system.remove_file(note_of(name));
    system.remove_empty_directory(std::string(paths::taken_devices));
}

TakenDevices taken_from(const Json& json)
{
    TakenDevices taken{parse_instance_name(text_in(json, "instance")).value(), text_in(json, "socket"), {}};
    for (const auto& [name, options] : json.at("devices").items())
        taken.devices[name] = options.is_null() ? std::nullopt : std::optional(options.get<Texts>());
    return taken;
}

// False: it has changed since it was read, or somebody is at it.
bool put(Daemon& daemon, const Instance& instance, const Devices& own)
{
    const HttpRequest request{"PUT", instance.path(), body_with(instance, own, instance.own_config),
                              instance.etag};
    const auto answer = daemon.tell(request);
    const auto is_busy = [](const std::string& text) {
        return text.find("Instance is busy") != std::string::npos;
    };
    if (answer.error_code == precondition_failed || is_busy(answer.error)) return false;
    if (answer.failed())
        throw Error(ErrorKind::failed, {daemon.product() + " refuses the change: " + answer.error});
    const auto end = daemon.wait(answer.operation, daemon_answers_within);
    if (is_busy(end.error)) return false;
    if (end.how == OperationEnd::How::badly)
        throw Error(ErrorKind::failed, {daemon.product() + " refuses the change: " + end.error});
    return end.how == OperationEnd::How::well; // else it is read again, and then it is seen
}

// Reads the VM and changes its devices until they are as `wish` has them. False if they were so already.
template <typename Wish>
bool set_devices(System& system, const std::string& socket, const InstanceName& name, const std::string& what,
                 Wish wish)
{
    Daemon daemon(system, socket);
    for (unsigned i = 0; i < most_tries; ++i) {
        const auto instance = read_instance(daemon, name);
        const auto wanted = wish(instance);
        if (wanted == instance.own) return i > 0;
        if (!instance.stopped())
            throw Error(ErrorKind::in_use,
                        {name.vm() + " runs, so that " + what,
                         "stop it ('" + instance.command("stop") +
                             "') and start it with 'pve-gpu-install start --incus " + name.text() + "'"});
        if (put(daemon, instance, wanted)) continue; // looked at once more
        system.wait_until([] { return false; }, between_tries);
    }
    throw Error(ErrorKind::timed_out,
                {"somebody else changes " + name.vm() + " again and again, so that " + what,
                 "run this again when that has ended"});
}

Devices without(const Instance& instance, const TakenDevices& taken)
{
    auto own = instance.own;
    for (const auto& [name, options] : taken.devices) {
        own.erase(name);
        if (!options) own[name] = hidden;
    }
    return own;
}

Devices with(const Instance& instance, const TakenDevices& taken)
{
    auto own = instance.own;
    for (const auto& [name, options] : taken.devices) {
        const auto found = own.find(name);
        if (options && found == own.end()) own[name] = *options;
        if (!options && found != own.end() && found->second == hidden) own.erase(found);
    }
    return own;
}

std::string names_of(const TakenDevices& taken)
{
    std::string names;
    for (const auto& [name, options] : taken.devices) names += (names.empty() ? "'" : ", '") + name + "'";
    return names;
}

} // namespace

std::string print_taken(const TakenDevices& taken)
{
    Json json{{"schema", "pve-gpu-hook/taken/1"}, {"instance", taken.name.text()}, {"socket", taken.socket}};
    auto& devices = json["devices"] = Json::object();
    for (const auto& [name, options] : taken.devices)
        devices[name] = options ? Json(*options) : Json(nullptr);
    return print(json);
}

std::optional<TakenDevices> parse_taken(std::string_view text)
{
    return read_or_nothing(text, taken_from);
}

std::vector<TakenDevices> read_taken(const SysReader& reader)
{
    std::vector<TakenDevices> all;
    for (const auto& file : reader.list(std::string(paths::taken_devices)))
        if (auto taken = parse_taken(reader.read(paths::join(paths::taken_devices, file)).value_or("")))
            all.push_back(std::move(*taken));
    return all;
}

void take_devices(System& system, const Instance& instance, const std::vector<std::string>& names)
{
    TakenDevices taken{instance.name, instance.socket, {}};
    for (const auto& name : names) {
        const auto own = instance.own.find(name);
        taken.devices[name] = own == instance.own.end() ? std::nullopt : std::optional(own->second);
    }
    system.replace_file(note_of(instance.name), print_taken(taken));
    try {
        set_devices(system, instance.socket, instance.name, "its devices stay in it",
                    [&](const Instance& now) { return without(now, taken); });
    } catch (const Error&) {
        give_devices_back(system, taken);
        throw;
    }
}

bool give_devices_back(System& system, const TakenDevices& taken)
{
    const bool changed = set_devices(system, taken.socket, taken.name,
                                     "its devices " + names_of(taken) + " cannot be put back into it",
                                     [&](const Instance& now) { return with(now, taken); });
    forget(system, taken.name);
    return changed;
}

bool give_back_what_was_left(System& system, const InstanceName& name)
{
    const auto text = system.read(note_of(name));
    if (!text) return false;
    const auto taken = parse_taken(*text);
    if (taken && taken->name == name) return give_devices_back(system, *taken);
    system.say(Severity::warning, "the note of what was taken out of " + name.vm() +
                                      " is damaged; see whether its devices are all there");
    forget(system, name);
    return false;
}

} // namespace pvegpu
