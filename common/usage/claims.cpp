#include "usage/claims.hpp"

#include "base/json_number.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "usage/proc_stat.hpp"

#include <nlohmann/json.hpp>

namespace pvegpu {
namespace {

using Json = nlohmann::json;

// Members of an object, whatever it is: a null value for what is absent.
const Json& member(const Json& json, const char* key)
{
    static const Json nothing;
    const auto found = json.is_object() ? json.find(key) : json.end();
    return json.is_object() && found != json.end() ? *found : nothing;
}

std::optional<ClaimParent> parent_in(const Json& json)
{
    const auto pid = whole_number<pid_t>(member(json, "pid"));
    const auto start = whole_number<std::uint64_t>(member(json, "start_time"));
    if (!pid || *pid == 0 || !start) return std::nullopt;
    return ClaimParent{*pid, *start};
}

std::optional<std::vector<PciAddress>> functions_in(const Json& json)
{
    if (!json.is_array()) return std::nullopt;
    std::vector<PciAddress> functions;
    for (const auto& text : json) {
        const auto address = text.is_string() ? parse_pci_address(text.get<std::string>()) : std::nullopt;
        if (!address) return std::nullopt;
        functions.push_back(*address);
    }
    return functions;
}

ParsedClaim damaged(const std::string& why)
{
    return {std::nullopt, why};
}

std::optional<ProcStat> read_stat(const SysReader& reader, pid_t pid)
{
    const auto text = reader.read(paths::process(pid, "stat"));
    return text ? parse_proc_stat(*text) : std::nullopt;
}

pid_t own_parent(const SysReader& reader)
{
    const auto self = parse_decimal(reader.read_link(std::string(paths::proc_self)).value_or(""));
    const auto stat = self ? read_stat(reader, static_cast<pid_t>(*self)) : std::nullopt;
    return stat ? stat->parent : 0;
}

} // namespace

std::string print_claim(const Claim& claim)
{
    auto functions = Json::array();
    for (const auto& function : claim.functions) functions.push_back(to_string(function));
    const Json json = {{"vmid", claim.vmid},
                       {"parent", {{"pid", claim.parent.pid}, {"start_time", claim.parent.start_time}}},
                       {"functions", functions}};
    return json.dump() + '\n';
}

ParsedClaim parse_claim(std::string_view text)
{
    const auto json = Json::parse(text, nullptr, false);
    if (json.is_discarded()) return damaged("it is not JSON");
    const auto vmid = whole_number<unsigned>(member(json, "vmid"));
    if (!vmid) return damaged("'vmid' is not a guest's number");
    const auto parent = parent_in(member(json, "parent"));
    if (!parent) return damaged("'parent' does not name a process");
    auto functions = functions_in(member(json, "functions"));
    if (!functions) return damaged("'functions' is not a list of PCI addresses");
    return {Claim{*vmid, *parent, std::move(*functions)}, ""};
}

Claims read_claims(const SysReader& reader)
{
    Claims result;
    for (const auto& name : reader.list(std::string(paths::claims))) {
        if (!name.ends_with(".json")) continue;
        const auto path = paths::join(paths::claims, name);
        const auto text = reader.read(path);
        if (!text) continue; // it ended just now
        auto [claim, warning] = parse_claim(*text);
        if (claim)
            result.claims.push_back(std::move(*claim));
        else
            result.warnings.push_back("the claim " + quote(path) +
                                      " is damaged and not respected: " + warning);
    }
    return result;
}

std::uint64_t start_time(const SysReader& reader, pid_t pid)
{
    const auto stat = read_stat(reader, pid);
    return stat ? stat->start_time : 0;
}

bool claim_holds(const SysReader& reader, const Claim& claim)
{
    if (claim.parent.pid == own_parent(reader)) return false;
    const auto stat = read_stat(reader, claim.parent.pid);
    return stat && stat->start_time == claim.parent.start_time && stat->state != 'Z';
}

} // namespace pvegpu
