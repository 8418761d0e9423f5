#include "incus/attached_instance.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

Json devices_json(const Devices& devices)
{
    auto json = Json::object();
    for (const auto& [name, options] : devices) json[name] = options;
    return json;
}

Devices devices_from(const Json& json)
{
    Devices devices;
    for (const auto& [name, options] : json.items()) devices[name] = options.get<Texts>();
    return devices;
}

std::optional<std::string> text_or_nothing(const Json& json)
{
    return json.is_string() ? std::optional(json.get<std::string>()) : std::nullopt;
}

} // namespace

Json attached_json(const AttachedInstance& attached)
{
    Json json{{"instance", attached.name.text()},
              {"socket", attached.socket},
              {"given", devices_json(attached.given)},
              {"before", devices_json(attached.before)}};
    if (attached.set_autostart) json["autostart"] = or_null(attached.autostart);
    return json;
}

AttachedInstance parse_attached(const Json& json)
{
    AttachedInstance attached{parse_instance_name(json.at("instance").get<std::string>()).value(),
                              json.at("socket").get<std::string>(),
                              devices_from(json.at("given")),
                              devices_from(json.at("before")),
                              json.contains("autostart"),
                              std::nullopt};
    if (attached.set_autostart) attached.autostart = text_or_nothing(json.at("autostart"));
    return attached;
}

std::vector<AttachedInstance> read_attached(const SysReader& reader)
{
    const auto record =
        Json::parse(reader.read(std::string(paths::install_manifest)).value_or(""), nullptr, false);
    std::vector<AttachedInstance> all;
    try {
        for (const auto& one : member(record, "instances")) all.push_back(parse_attached(one));
    } catch (const std::exception&) { // of nlohmann::json or std::optional
        return {};
    }
    return all;
}

std::optional<std::string> own_autostart(const Instance& instance)
{
    const auto found = instance.own_config.find(autostart_key);
    return found == instance.own_config.end() ? std::nullopt : std::optional(found->second);
}

std::string instance_text(const Devices& own, const std::optional<std::string>& autostart)
{
    Json json;
    if (autostart) json[autostart_key] = *autostart;
    json["devices"] = devices_json(own);
    return print(json);
}

std::string instance_text(const Instance& instance)
{
    return instance_text(instance.own, own_autostart(instance));
}

void put_instance_text(System& system, const InstanceName& name, const std::string& socket,
                       const std::string& before, const std::string& after)
{
    Daemon daemon(system, socket);
    const auto instance = read_instance(daemon, name);
    if (instance_text(instance) != before)
        throw Error(ErrorKind::failed,
                    {name.vm() + " was changed by somebody else just now", "run this again"});
    const auto json = Json::parse(after);
    const auto own = devices_from(json.at("devices"));
    auto config = instance.own_config;
    config.erase(autostart_key);
    if (const auto autostart = text_or_nothing(member(json, autostart_key)))
        config[autostart_key] = *autostart;
    if (own != instance.own && !instance.stopped())
        throw Error(ErrorKind::in_use,
                    {name.vm() + " is not stopped, and would be given or lose devices while it runs",
                     "stop it first, '" + instance.command("stop") + "'"});
    daemon.change({"PUT", instance.path(), body_with(instance, own, config), instance.etag});
    if (const auto now = instance_text(read_instance(daemon, name)); now != after)
        throw Error(ErrorKind::failed, {daemon.product() + " has taken the change of VM " +
                                            quote(name.text()) + ", but it is not as it was asked for",
                                        "see '" + instance.command("config show") + "'"});
}

} // namespace pvegpu
