#include "proxmox/guest_config.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "proxmox/config_lines.hpp"
#include "proxmox/hostpci_format.hpp"

#include <array>

namespace pvegpu {
namespace {

// "[name]" in column 0, whatever the name: PENDING, a special section, a snapshot or one that Proxmox skips.
// After any of them a line is never the live configuration's again.
bool is_section_header(std::string_view line)
{
    const std::size_t end = line.find(']');
    return line.starts_with('[') && end != std::string_view::npos && is_blank(line.substr(end + 1));
}

// Proxmox takes these off where a setting is a string without a format of its own.
std::string_view without_quotes(std::string_view value)
{
    const bool quotes = value.size() >= 2 && value.starts_with('"') && value.ends_with('"');
    return quotes ? value.substr(1, value.size() - 2) : value;
}

// hostpci0 to hostpci15, spelled just so.
std::optional<unsigned> hostpci_index(std::string_view key)
{
    for (unsigned index = 0; index < max_hostpci; ++index)
        if (key == "hostpci" + std::to_string(index)) return index;
    return std::nullopt;
}

class GuestConfigParser {
public:
    explicit GuestConfigParser(const QemuServer& server) : server_(server) {}

    GuestConfig parse(std::string_view text)
    {
        LineReader reader(text);
        bool more = reader.next();
        for (; more && !is_section_header(reader.line()); more = reader.next()) {
            number_ = reader.number();
            read_line(reader.line());
        }
        if (more) read_snapshots(reader);
        finish_warnings();
        for (auto& device : hostpci_)
            if (device) config_.hostpci.push_back(std::move(*device));
        return std::move(config_);
    }

private:
    // The reader is at the first header. A snapshot with memory names the volume that has it.
    void read_snapshots(LineReader& reader)
    {
        std::string name;
        do {
            const auto line = reader.line();
            if (is_section_header(line)) name = line.substr(1, line.find(']') - 1);
            if (has_config_value(line, "vmstate:")) config_.ram_snapshots.push_back(name);
        } while (reader.next());
    }

    // The order of the questions is that of parse_vm_config.
    void read_line(std::string_view line)
    {
        if (is_blank(line) || line.starts_with('#')) return;
        if (has_config_value(line, "description:") || ends_in_snapstate(line)) return;
        constexpr std::string_view args = "args:"; // kept as it is, whatever it says
        if (has_config_value(line, args)) {
            config_.settings.insert_or_assign("args", std::string(trim(line.substr(args.size()))));
            return;
        }
        if (has_config_value(line, "delete:")) return warn({"Proxmox ignores 'delete' outside of [PENDING]"});
        if (const auto setting = parse_config_setting(line, true)) return read_setting(*setting);
        warn({"Proxmox cannot read and ignores the line " + quote(line)});
    }

    void read_setting(const ConfigSetting& setting)
    {
        if (setting.key.starts_with("hostpci")) return read_hostpci(setting);
        if (setting.key != "template" && setting.key != "lock" && setting.key != "hookscript") {
            config_.settings.insert_or_assign(std::string(setting.key), std::string(setting.value));
            return;
        }
        if (!take(setting))
            warn({"Proxmox ignores " + std::string(setting.key) +
                  ": its value is not valid: " + quote(setting.value)});
    }

    bool take(const ConfigSetting& setting)
    {
        if (contains(setting.value, '\r')) return false;
        if (setting.key == "lock") {
            config_.lock = without_quotes(setting.value);
            return true;
        }
        if (setting.key == "hookscript") {
            if (!is_volume_id(setting.value)) return false;
            config_.hookscript = setting.value;
            return true;
        }
        const auto boolean = parse_boolean(setting.value);
        config_.is_template = boolean.value_or(config_.is_template);
        return boolean.has_value();
    }

    void read_hostpci(const ConfigSetting& setting)
    {
        const auto index = hostpci_index(setting.key);
        if (!index) return warn({"Proxmox ignores the unknown setting " + quote(setting.key)});
        auto parsed = contains(setting.value, '\r') ? "a line feed in " + quote(setting.value)
                                                    : parse_hostpci(setting.value, server_);
        if (const auto* const problem = std::get_if<std::string>(&parsed)) return drop(*index, *problem);
        auto& device = hostpci_.at(*index) = std::get<HostPci>(std::move(parsed));
        device->index = *index;
        device->line = number_;
        device->text = setting.value;
    }

    void drop(unsigned index, const std::string& problem)
    {
        dropped_.emplace_back(config_.warnings.size(), index);
        warn({"hostpci" + std::to_string(index) + ": " + problem});
    }

    // What a dropped line leaves the VM with is known at the end: an earlier or later line may be valid.
    void finish_warnings()
    {
        for (const auto& [warning, index] : dropped_) {
            const auto& valid = hostpci_.at(index);
            auto& [line, advice, loses_device] = config_.warnings.at(warning);
            loses_device = !valid;
            advice.remedy =
                "Proxmox drops this line and " + (valid ? "uses that of line " + std::to_string(valid->line)
                                                        : std::string("starts the VM without the device"));
        }
    }

    void warn(Advice advice) { config_.warnings.push_back({number_, std::move(advice)}); }

    const QemuServer& server_;
    GuestConfig config_;
    std::array<std::optional<HostPci>, max_hostpci> hostpci_;
    std::vector<std::pair<std::size_t, unsigned>> dropped_; // a warning, and the index of its line
    unsigned number_ = 0;
};

} // namespace

bool HostSelector::matches(std::string_view sysfs_name) const
{
    constexpr std::string_view first_domain =
        "0000:"; // the one that may be left out (lspci in SysFSTools.pm)
    if (sysfs_name.starts_with(text)) return true;
    return sysfs_name.starts_with(first_domain) && sysfs_name.substr(first_domain.size()).starts_with(text);
}

std::string GuestConfig::setting(const std::string& key) const
{
    const auto found = settings.find(key);
    return found == settings.end() ? "" : found->second;
}

bool QemuServer::knows_driver() const
{
    return version_before(version, {9, 0, 25}) != true;
}

bool QemuServer::compares_mdev() const
{
    return version_before(version, {8, 3, 9}) != true;
}

GuestConfig parse_guest_config(std::string_view text, const QemuServer& server)
{
    return GuestConfigParser(server).parse(text);
}

} // namespace pvegpu
