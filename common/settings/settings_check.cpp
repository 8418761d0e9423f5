#include "settings/settings_check.hpp"

#include "base/enum_names.hpp"
#include "base/error.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "base/vmid.hpp"
#include "settings/settings_names.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace pvegpu {

namespace {

using nlohmann::json;

constexpr double longest_timeout = 3600; // seconds: whoever wants more than an hour has mistyped
constexpr unsigned most_retries = 100;

template <typename Names> std::string list_of(const Names& names)
{
    std::vector<std::string> list;
    list.reserve(names.size());
    for (const auto& known : names) list.push_back(quote(known.name));
    return join(list, ", ");
}

// "guests.101.retries"
std::string below(const std::string& path, const std::string& key)
{
    return path.empty() ? key : path + "." + key;
}

bool is_device_id(const std::string& text)
{
    return text.size() == 9 && text[4] == ':' && consists_of(std::string_view(text).substr(0, 4), is_hex) &&
           consists_of(std::string_view(text).substr(5), is_hex);
}

// Checks the whole file, so that laying it over the defaults cannot fail later.
class SettingsChecker {
public:
    explicit SettingsChecker(std::string file) : file_(std::move(file)) {}

    void check_file(json& all) const
    {
        if (!all.is_object()) fail("", {"the file is no object", "write '{ ... }'"});
        lower_device_ids(all);
        check_settings("", all, true);
    }

private:
    [[noreturn]] void fail(const std::string& key, const Advice& advice) const
    {
        throw Error(Reason::invalid_config,
                    {key.empty() ? advice.fact : quote(key) + " " + advice.fact, advice.remedy}, file_);
    }

    void check_settings(const std::string& path, const json& object, bool whole_file) const
    {
        if (!object.is_object()) fail(path, {"is no object", "write '{ ... }'"});
        for (const auto& [key, value] : object.items())
            if (!(whole_file && check_group(below(path, key), key, value)))
                check_setting(below(path, key), key, value, whole_file);
    }

    // True if the key is that of a group of overrides.
    bool check_group(const std::string& path, const std::string& key, const json& value) const
    {
        if (key != "guests" && key != "devices") return false;
        if (!value.is_object()) fail(path, {"is no object", "write '{ ... }'"});
        for (const auto& [name, settings] : value.items()) {
            if (key == "guests" && !parse_vmid(name))
                fail(below(path, name), {"is no VM or container id", "write '101'"});
            check_settings(below(path, name), settings, false);
        }
        return true;
    }

    void check_setting(const std::string& path, const std::string& key, const json& value,
                       bool whole_file) const
    {
        if (key == "timeouts") return check_timeouts(path, value);
        if (key == "retries") return check_retries(path, value);
        if (key == "reset_method") return check_reset_method(path, value);
        if (key == "strategy") return check_choice(path, value, strategy_names);
        if (key == "on_timeout") return check_choice(path, value, on_timeout_names);
        if (key == "after_stop") return check_choice(path, value, after_stop_names);
        if (key == "reset_with") return check_choice(path, value, reset_with_names);
        fail(path, {"is no setting", std::string("known are 'timeouts', 'retries', 'strategy', 'on_timeout', "
                                                 "'after_stop', 'reset_with', 'reset_method'") +
                                         (whole_file ? ", 'guests', 'devices'" : "")});
    }

    void check_timeouts(const std::string& path, const json& value) const
    {
        if (!value.is_object()) fail(path, {"is no object", "write '{ \"reset\": 70 }'"});
        for (const auto& [key, seconds] : value.items()) {
            if (find_name(timeout_names, key) == timeout_names.end())
                fail(below(path, key), {"is no timeout", "known are " + list_of(timeout_names)});
            const bool good =
                seconds.is_number() && seconds.get<double>() > 0 && seconds.get<double>() <= longest_timeout;
            if (!good) fail(below(path, key), {"must be a number of seconds above 0 and up to 3600"});
        }
    }

    // The names are the kernel's (pci_reset_fn_methods in drivers/pci/pci.c); it takes several, the first one
    // first.
    void check_reset_method(const std::string& path, const json& value) const
    {
        constexpr std::array<std::string_view, 7> known{
            "device_specific", "acpi", "flr", "af_flr", "pm", "bus", "cxl_bus"};
        bool good = value.is_string();
        if (good) {
            const std::string_view text = value.get_ref<const std::string&>();
            for (const auto word : split(text, ' '))
                good = good && (text == "default" || text == "none" || contains(known, word));
        }
        if (!good)
            fail(path, {"must be 'default', 'none', or names of the kernel's reset methods: 'bus', 'flr', "
                        "'pm', 'device_specific'"});
    }

    void check_retries(const std::string& path, const json& value) const
    {
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most_retries)
            fail(path, {"must be a whole number from 0 to " + std::to_string(most_retries)});
    }

    template <typename Names>
    void check_choice(const std::string& path, const json& value, const Names& names) const
    {
        if (!value.is_string() || find_name(names, value.get_ref<const std::string&>()) == names.end())
            fail(path, {"must be one of " + list_of(names)});
    }

    // Sysfs and lspci write ids in lower case; people copy them from elsewhere too.
    void lower_device_ids(json& all) const
    {
        if (!all.contains("devices") || !all["devices"].is_object()) return;
        json lowered = json::object();
        for (const auto& [id, settings] : all["devices"].items()) {
            const auto path = below("devices", id);
            if (!is_device_id(id)) fail(path, {"is no device id", "write '8086:56a6'"});
            if (lowered.contains(lower(id)))
                fail(path, {"is there twice, in upper and lower case", "remove one"});
            check_settings(path, settings, false);
            lowered[lower(id)] = settings;
        }
        all["devices"] = std::move(lowered);
    }

    std::string file_;
};

} // namespace

void check_settings_file(json& all, const std::string& path)
{
    SettingsChecker(path).check_file(all);
}

} // namespace pvegpu
