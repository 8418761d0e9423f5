#include "proxmox/lxc_config.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "proxmox/config_lines.hpp"

#include <algorithm>
#include <tuple>

namespace pvegpu {
namespace {

enum class LxcSection { live, pending, snapshot };

// "[pve:pending]", or "[name]" of a snapshot with at least two characters. Any other bracket is an ordinary
// line to Proxmox, and what follows still belongs to the section before.
std::optional<LxcSection> parse_header(std::string_view line)
{
    line = trim_right(line);
    if (!line.starts_with('[') || !line.ends_with(']') || line.size() < 4) return std::nullopt;
    const auto name = line.substr(1, line.size() - 2);
    if (lower(name) == "pve:pending") return LxcSection::pending;
    const auto in_name = [](char c) { return is_alnum(c) || c == '_' || c == '-'; };
    if (!is_alpha(name.front()) || !consists_of(name, in_name)) return std::nullopt;
    return LxcSection::snapshot;
}

// "lxc.mount.entry: VALUE" or "lxc.mount.entry = VALUE"; a blank may stand before '=' only.
std::optional<ConfigSetting> parse_lxc_line(std::string_view line)
{
    if (!line.starts_with("lxc.")) return std::nullopt;
    const auto in_key = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.'; };
    const auto key = line.substr(0, count_front(line, in_key));
    const auto rest = line.substr(key.size());
    if (key.size() == 4) return std::nullopt;
    if (rest.starts_with(':')) return ConfigSetting{key, trim(rest.substr(1))};
    const auto sign = trim_left(rest);
    if (!sign.starts_with('=')) return std::nullopt;
    return ConfigSetting{key, trim(sign.substr(1))};
}

// verify_lxc_dev_string: below /dev, without '.' and '..' in between.
bool is_device_path(std::string_view path)
{
    const auto parts = split(path, '/');
    return path.starts_with("/dev/") &&
           std::ranges::none_of(parts, [](std::string_view part) { return part == "." || part == ".."; });
}

bool is_mode(std::string_view text)
{
    return text.size() == 4 && text.front() == '0' &&
           consists_of(text, [](char c) { return c >= '0' && c <= '7'; });
}

std::optional<std::string> problem_of(const std::string& key, const std::string& value,
                                      const PveContainer& package)
{
    if (key == "deny-write" && !package.knows_deny_write())
        return "pve-container " + package.version + " does not know 'deny-write', which came with 5.2.0";
    if (key == "path" && !is_device_path(value)) return "the path " + quote(value) + " is not below '/dev'";
    if (key == "mode" && !is_mode(value)) return "the mode " + quote(value) + " is not like '0660'";
    if ((key == "uid" || key == "gid") && !consists_of(value, is_digit))
        return "the " + key + " " + quote(value) + " is no number";
    if (key == "deny-write" && !parse_boolean(value)) return "deny-write is neither 1 nor 0";
    for (const auto* known : {"path", "mode", "uid", "gid", "deny-write"})
        if (key == known) return std::nullopt;
    return "unknown key " + quote(key);
}

// parse_device: the first thing that is wrong with it, or the path.
void read_properties(LxcDevice& device, const PveContainer& package)
{
    const auto parsed = parse_property_string(device.value, "path");
    if (const auto* const problem = std::get_if<std::string>(&parsed)) {
        device.start_error = *problem;
        return;
    }
    for (const auto& [key, value] : std::get<Properties>(parsed)) {
        if (!device.start_error) device.start_error = problem_of(key, value, package);
        if (key == "deny-write" && !package.knows_deny_write()) device.too_new = key;
        if (key == "path") device.path = value;
    }
    if (!device.start_error && device.path.empty()) device.start_error = "it names no path";
    if (device.start_error) device.path.clear();
}

// "195:*" -> 195, nothing
std::optional<std::pair<std::optional<unsigned>, std::optional<unsigned>>>
parse_numbers(std::string_view text)
{
    const auto parts = split_once(text, ':');
    if (!parts) return std::nullopt;
    const auto major = parse_decimal(parts->first);
    const auto minor = parse_decimal(parts->second);
    if ((!major && parts->first != "*") || (!minor && parts->second != "*")) return std::nullopt;
    return std::pair{major, minor};
}

unsigned number_of(const LxcDevice& device)
{
    return parse_decimal(std::string_view(device.key).substr(3)).value_or(~0U);
}

// A devN, whatever the N: Proxmox warns of "dev256" and uses it all the same.
bool is_device_key(std::string_view key)
{
    return key.size() > 3 && key.starts_with("dev") && consists_of(key.substr(3), is_digit);
}

bool is_mount_point(std::string_view key)
{
    return key.size() > 2 && key.starts_with("mp") && consists_of(key.substr(2), is_digit);
}

// What Perl takes for true of a value that Proxmox could not read as a boolean and kept as it was.
bool is_true(std::string_view value)
{
    return parse_boolean(value).value_or(value != "0");
}

class LxcConfigParser {
public:
    explicit LxcConfigParser(const PveContainer& package) : package_(package) {}

    LxcConfig parse(std::string_view text)
    {
        for (LineReader reader(text); reader.next();) {
            number_ = reader.number();
            if (const auto header = parse_header(reader.line()))
                enter(*header);
            else if (section_ != LxcSection::snapshot)
                read_line(reader.line());
        }
        for (auto* list : {&config_.devices, &config_.pending})
            std::ranges::stable_sort(*list, {}, number_of);
        constexpr unsigned first = 100'000, count = 65'536; // parse_id_maps in LXC.pm
        if (unprivileged_ && config_.id_maps.empty())
            config_.id_maps = {{false, 0, first, count}, {true, 0, first, count}};
        return std::move(config_);
    }

private:
    // A second section of pending changes replaces the first.
    void enter(LxcSection section)
    {
        section_ = section;
        if (section != LxcSection::pending) return;
        config_.pending.clear();
        config_.deleted.clear();
    }

    // The order of the questions is that of parse_pct_config.
    void read_line(std::string_view line)
    {
        if (is_blank(line) || line.starts_with('#')) return;
        if (const auto lxc = parse_lxc_line(line)) return read_lxc(*lxc);
        if (has_config_value(line, "description:") || ends_in_snapstate(line)) return;
        if (has_config_value(line, "delete:")) return read_delete(line);
        if (const auto setting = parse_config_setting(line, false)) return read_setting(*setting);
        warn({"Proxmox cannot read and ignores the line " + quote(line)});
    }

    void read_delete(std::string_view line)
    {
        if (section_ != LxcSection::pending)
            return warn({"Proxmox ignores 'delete' outside of [pve:pending]"});
        std::string list(line.substr(line.find(':') + 1)); // commas, semicolons or blanks between the keys
        std::ranges::replace_if(
            list, [](char c) { return c == ',' || c == ';'; }, ' ');
        for (auto key : words_of(list)) {
            if (key.starts_with('!')) key.remove_prefix(1); // forced
            config_.deleted.emplace_back(key);
        }
    }

    void read_setting(const ConfigSetting& setting)
    {
        if (is_device_key(setting.key)) return read_device(setting);
        if (section_ != LxcSection::live) return;
        if (is_mount_point(setting.key)) return read_bind_point(setting.value);
        if (setting.key == "unprivileged") unprivileged_ = is_true(setting.value);
        if (setting.key == "template") config_.is_template = is_true(setting.value);
        if (setting.key == "hookscript") config_.hookscript = setting.value;
        if (setting.key == "rootfs") config_.rootfs = split(setting.value, ',').front();
    }

    // Of two lines with one key the last one counts, even one that is not valid.
    void read_device(const ConfigSetting& setting)
    {
        if (!package_.knows_devices()) {
            warn({std::string(setting.key) + ": pve-container " + package_.version +
                      " does not know 'devN', which came with 5.0.7: the container starts without the device",
                  "upgrade Proxmox ('apt update; apt full-upgrade')"});
            config_.warnings.back().loses_device = true;
            return;
        }
        LxcDevice device{std::string(setting.key), std::string(setting.value), "", number_, std::nullopt};
        read_properties(device, package_);
        auto& list = section_ == LxcSection::pending ? config_.pending : config_.devices;
        std::erase_if(list, [&](const LxcDevice& other) { return other.key == device.key; });
        list.push_back(std::move(device));
    }

    void read_lxc(const ConfigSetting& line)
    {
        if (section_ != LxcSection::live) return;
        if (line.key == "lxc.mount.entry") return read_mount(line.value);
        if (line.key == "lxc.cgroup2.devices.allow") return read_allow(line.value);
        if (line.key == "lxc.idmap") return read_id_map(line.value);
        if (line.key == "lxc.cgroup.devices.allow")
            warn({"'lxc.cgroup.devices.allow' allows nothing on a host with cgroup2",
                  "write 'lxc.cgroup2.devices.allow', or 'devN' instead"});
    }

    void read_mount(std::string_view value)
    {
        const auto words = words_of(value);
        if (words.size() < 2) return warn({"'lxc.mount.entry' has no target: " + quote(value)});
        auto target = words[1];
        target.remove_prefix(count_front(target, [](char c) { return c == '/'; }));
        config_.mounts.push_back(
            {std::string(words[0]), std::string(target),
             words.size() > 3 && contains(split(words[3], ','), std::string_view("optional")), number_});
    }

    // "/dev/dri,mp=/dev/dri"; a volume of a storage has no '/' in front.
    void read_bind_point(std::string_view value)
    {
        const auto parsed = parse_property_string(value, "volume");
        const auto* const properties = std::get_if<Properties>(&parsed);
        if (properties == nullptr) return;
        LxcMount point{"", "", false, number_};
        for (const auto& [key, text] : *properties) {
            if (key == "volume") point.source = text;
            if (key == "mp") point.target = text.substr(std::min(text.find_first_not_of('/'), text.size()));
        }
        if (point.source.starts_with('/')) config_.bind_points.push_back(std::move(point));
    }

    // "u 0 100000 65536"
    void read_id_map(std::string_view value)
    {
        const auto words = words_of(value);
        if (words.size() != 4 || (words[0] != "u" && words[0] != "g")) return;
        const auto inside = parse_decimal(words[1]), host = parse_decimal(words[2]),
                   count = parse_decimal(words[3]);
        if (inside && host && count) config_.id_maps.push_back({words[0] == "g", *inside, *host, *count});
    }

    void read_allow(std::string_view value)
    {
        const auto words = words_of(value);
        LxcAllow allow;
        allow.text = value;
        allow.line = number_;
        const auto kind = words.empty() ? std::string_view() : words.front();
        allow.everything = kind == "a";
        allow.block = kind == "b";
        if (!allow.everything) {
            const auto numbers = words.size() < 2 ? std::nullopt : parse_numbers(words[1]);
            if (!numbers || (kind != "c" && kind != "b"))
                return warn({"LXC cannot read the device numbers " + quote(value)});
            std::tie(allow.major, allow.minor) = *numbers;
        }
        config_.allowed.push_back(std::move(allow));
    }

    void warn(Advice advice) { config_.warnings.push_back({number_, std::move(advice)}); }

    const PveContainer& package_;
    LxcConfig config_;
    bool unprivileged_ = false;
    LxcSection section_ = LxcSection::live;
    unsigned number_ = 0;
};

} // namespace

std::string LxcDevice::value_with_path(const std::string& other) const
{
    const auto at = value.find(path);
    if (path.empty() || at == std::string::npos) return other;
    return value.substr(0, at) + other + value.substr(at + path.size());
}

std::optional<unsigned> LxcDevice::number(std::string_view property) const
{
    for (const auto part : split(value, ','))
        if (part.starts_with(property) && part.substr(property.size()).starts_with('='))
            return parse_decimal(part.substr(property.size() + 1));
    return std::nullopt;
}

bool LxcDevice::is_everybodys() const
{
    constexpr unsigned read_and_write = 06; // of the last of the four octal digits
    const auto mode = number("mode");
    return mode && *mode % 10 == read_and_write;
}

std::string LxcDevice::value_without(const std::string& property) const
{
    auto parts = split(value, ',');
    std::erase_if(parts, [&](std::string_view part) { return part.starts_with(property + "="); });
    std::string result;
    for (const auto part : parts) result.append(result.empty() ? "" : ",").append(part);
    return result;
}

std::string LxcDevice::value_with(const std::string& property, const std::string& other) const
{
    std::string result;
    bool found = false;
    for (const auto part : split(value, ',')) {
        const bool is_it = part.starts_with(property + "=");
        if (!result.empty()) result += ",";
        if (is_it)
            result.append(property).append("=").append(other);
        else
            result += part;
        found = found || is_it;
    }
    return found ? result : result + "," + property + "=" + other;
}

bool LxcAllow::covers_character(unsigned wanted_major, unsigned wanted_minor) const
{
    if (everything) return true;
    return !block && major.value_or(wanted_major) == wanted_major &&
           minor.value_or(wanted_minor) == wanted_minor;
}

bool LxcConfig::has_id(bool group, unsigned host_id) const
{
    return id_maps.empty() || std::ranges::any_of(id_maps, [&](const LxcIdMap& map) {
               return map.groups == group && host_id >= map.host && host_id - map.host < map.count;
           });
}

std::vector<LxcDevice> LxcConfig::devices_at_next_start() const
{
    auto result = devices;
    std::erase_if(result, [this](const LxcDevice& device) {
        return contains(deleted, device.key) || contains(pending, device.key, &LxcDevice::key);
    });
    append(result, pending);
    return result;
}

bool PveContainer::knows_devices() const
{
    return version_before(version, {5, 0, 7}) != true;
}

bool PveContainer::knows_deny_write() const
{
    return version_before(version, {5, 2, 0}) != true;
}

LxcConfig parse_lxc_config(std::string_view text, const PveContainer& package)
{
    return LxcConfigParser(package).parse(text);
}

} // namespace pvegpu
