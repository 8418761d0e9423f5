#include "proxmox/user_config.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace pvegpu {
namespace {

constexpr std::string_view superuser = "root@pam"; // may everything, whatever the lists say

using Names = std::set<std::string, std::less<>>;

// PVE::Tools::split_list.
std::vector<std::string_view> names_in(std::string_view list)
{
    constexpr std::string_view between = ",; \t";
    std::vector<std::string_view> names;
    for (std::size_t at = 0; (at = list.find_first_not_of(between, at)) != std::string_view::npos;) {
        const auto end = std::min(list.find_first_of(between, at), list.size());
        names.push_back(list.substr(at, end - at));
        at = end;
    }
    return names;
}

// What the entries of one kind say, each a line "KIND:FIELD:FIELD:..."
class Entries {
public:
    explicit Entries(std::string_view text)
    {
        for (LineReader lines(text); lines.next();) {
            std::vector<std::string_view> fields;
            for (const auto field : split(lines.line(), ':')) fields.push_back(trim(field));
            if (const auto kind = fields.front(); !kind.empty())
                by_kind_[kind].emplace_back(fields.begin() + 1, fields.end());
        }
    }

    using Fields = std::vector<std::string_view>;
    const std::vector<Fields>& of(std::string_view kind) const
    {
        static const std::vector<Fields> none;
        const auto found = by_kind_.find(kind);
        return found == by_kind_.end() ? none : found->second;
    }

private:
    std::map<std::string_view, std::vector<Fields>> by_kind_;
};

std::string_view field(const Entries::Fields& fields, std::size_t index)
{
    return index < fields.size() ? fields[index] : "";
}

bool is_set_in_perl(std::string_view text)
{
    return !text.empty() && text != "0";
}

// Seconds since 1970; empty and 0: never.
bool has_expired(std::string_view expire, std::int64_t now)
{
    if (!is_set_in_perl(expire)) return false;
    const auto seconds = parse_decimal(expire);
    return !seconds || static_cast<std::int64_t>(*seconds) <= now; // Proxmox leaves out a line without digits
}

Names enabled_users(const Entries& entries, std::int64_t now)
{
    Names users{std::string(superuser)};
    for (const auto& user : entries.of("user")) {
        const auto name = field(user, 0);
        const bool may = is_set_in_perl(field(user, 1)) && !has_expired(field(user, 2), now);
        if (may)
            users.emplace(name);
        else if (const auto known = users.find(name); known != users.end())
            users.erase(known);
    }
    return users;
}

Names cloning_roles(const Entries& entries)
{
    Names roles{"Administrator", "PVEAdmin", "PVEVMAdmin", "PVETemplateUser"};
    for (const auto& role : entries.of("role"))
        if (contains(names_in(field(role, 1)), std::string_view("VM.Clone"))) roles.emplace(field(role, 0));
    return roles;
}

bool leads_to_vms(std::string_view path)
{
    return path == "/" || path.starts_with("/vms") || path.starts_with("/pool");
}

// Users, tokens and "@group" that have such a role on such a path.
Names cloners(const Entries& entries)
{
    const auto roles = cloning_roles(entries);
    Names all;
    for (const auto& acl : entries.of("acl")) {
        const auto given = names_in(field(acl, 3));
        if (leads_to_vms(field(acl, 1)) &&
            std::ranges::any_of(given, [&](std::string_view role) { return roles.contains(role); }))
            for (const auto name : names_in(field(acl, 2))) all.emplace(name);
    }
    for (const auto& group : entries.of("group"))
        if (all.contains("@" + std::string(field(group, 0))))
            for (const auto user : names_in(field(group, 1))) all.emplace(user);
    all.emplace(superuser);
    return all;
}

} // namespace

std::vector<std::string> cloning_tokens(std::string_view users, std::int64_t now)
{
    const Entries entries(users);
    const auto enabled = enabled_users(entries, now);
    const auto may_clone = cloners(entries);
    Names tokens;
    for (const auto& token : entries.of("token")) {
        const auto name = field(token, 0);
        const auto parts = split_once(name, '!');
        if (!parts || parts->second.empty() || !enabled.contains(parts->first)) continue;
        if (has_expired(field(token, 1), now) || !may_clone.contains(parts->first)) continue;
        const bool own_privileges = is_set_in_perl(field(token, 2));
        if (!own_privileges || may_clone.contains(name)) tokens.emplace(name);
    }
    return {tokens.begin(), tokens.end()};
}

} // namespace pvegpu
