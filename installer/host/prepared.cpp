#include "host/prepared.hpp"

#include "base/lists.hpp"
#include "machine/paths.hpp"

namespace pvegpu {

Prepared both(Prepared one, const Prepared& other)
{
    for (const auto vmid : other.vms)
        if (!contains(one.vms, vmid)) one.vms.push_back(vmid);
    for (const auto& name : other.instances)
        if (!contains(one.instances, name)) one.instances.push_back(name);
    one.every_instance = one.every_instance || other.every_instance;
    one.every_vm = one.every_vm || other.every_vm;
    return one;
}

Json prepared_json(const Prepared& prepared)
{
    Json json{{"vms", prepared.vms}, {"every_vm", prepared.every_vm}};
    if (!prepared.instances.empty()) json["instances"] = prepared.instances;
    return json;
}

Prepared parse_prepared(const Json& record)
{
    const auto json = record.find("prepared");
    if (json == record.end()) return {};
    Prepared prepared{{}, json->at("every_vm").get<bool>(), {}, false};
    if (json->contains("instances"))
        prepared.instances = json->at("instances").get<std::vector<std::string>>();
    for (const auto& vmid : json->at("vms")) prepared.vms.push_back(whole_number<unsigned>(vmid).value());
    return prepared;
}

Prepared read_prepared(const SysReader& reader)
{
    const auto record =
        Json::parse(reader.read(std::string(paths::install_manifest)).value_or(""), nullptr, false);
    try {
        return record.is_object() ? parse_prepared(record) : Prepared{};
    } catch (const std::exception&) { // of nlohmann::json or std::optional
        return {};
    }
}

} // namespace pvegpu
