#include "usage/claims.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"
#include "usage/open_files.hpp"

namespace pvegpu {
namespace {

// Throws std::exception for what is not ours.
Claim claim_from(const Json& json)
{
    const auto& parent = json.at("parent");
    Claim claim{whole_number<unsigned>(json.at("vmid")).value(),
                {whole_number<pid_t>(parent.at("pid")).value(),
                 whole_number<std::uint64_t>(parent.at("start_time")).value()},
                json.at("functions").get<std::vector<PciAddress>>()};
    if (claim.parent.pid == 0) throw Error(ErrorKind::failed, {"no process has the number 0"});
    return claim;
}

pid_t own_parent(const SysReader& reader)
{
    const auto self = parse_decimal(reader.read_link(std::string(paths::proc_self)).value_or(""));
    const auto stat =
        self ? parse_proc_stat(reader.read(paths::process(static_cast<pid_t>(*self), "stat")).value_or(""))
             : std::nullopt;
    return stat ? stat->parent : 0;
}

} // namespace

std::string print_claim(const Claim& claim)
{
    return Json{{"vmid", claim.vmid},
                {"parent", {{"pid", claim.parent.pid}, {"start_time", claim.parent.start}}},
                {"functions", claim.functions}}
               .dump() +
           '\n';
}

std::optional<Claim> parse_claim(std::string_view text)
{
    return read_or_nothing(text, claim_from);
}

std::vector<Claim> read_claims(const SysReader& reader)
{
    std::vector<Claim> claims;
    for (const auto& name : reader.list(std::string(paths::claims)))
        if (name.ends_with(".json"))
            if (auto claim = parse_claim(reader.read(paths::join(paths::claims, name)).value_or("")))
                claims.push_back(std::move(*claim));
    return claims;
}

bool claim_holds(const SysReader& reader, const Claim& claim)
{
    if (claim.parent.pid == own_parent(reader)) return false;
    return lives(reader, claim.parent);
}

} // namespace pvegpu
