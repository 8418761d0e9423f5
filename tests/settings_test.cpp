#include "settings/settings.hpp"

#include "base/error.hpp"

#include "catch.hpp"
#include "has.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;
using namespace std::chrono_literals;

namespace {

Settings for_101(const std::string& text, const std::string& device = "8086:56a6")
{
    return SettingsFile::parse(text, "s.json").for_device(101, device);
}

// What a file is refused with.
std::string refusal(const std::string& text)
{
    try {
        SettingsFile::parse(text, "s.json");
    } catch (const Error& error) {
        CHECK(error.reason() == ErrorKind::invalid_config);
        return error.what();
    }
    return "accepted";
}

bool refused_with(const std::string& text, const std::string& part)
{
    const std::string what = refusal(text);
    INFO(what);
    CHECK(has(what, part));
    return has(what, part);
}

} // namespace

TEST_CASE("the defaults are those of the contract")
{
    const Settings settings = default_settings();
    CHECK(settings.timeouts.lock == 120s);
    CHECK(settings.timeouts.busy == 30s);
    CHECK(settings.timeouts.unbind == 30s);
    CHECK(settings.timeouts.remove == 30s);
    CHECK(settings.timeouts.reset == 70s);
    CHECK(settings.timeouts.rescan == 75s);
    CHECK(settings.timeouts.reappear == 15s);
    CHECK(settings.timeouts.bind == 15s);
    CHECK(settings.timeouts.total == 180s);
    CHECK(settings.parallel == 8);
    CHECK(settings.retries == 2);
    CHECK(settings.strategy == Strategy::cycle);
    CHECK(settings.on_timeout == OnTimeout::warn);
    CHECK(settings.after_stop == AfterStop::keep);
    CHECK(settings.reset_with == ResetWith::best);
}

TEST_CASE("a file of blanks, and an empty object, change nothing")
{
    for (const auto* text : {"", " \n", "{}", "// all defaults\n{}"})
        CHECK(for_101(text).timeouts.reset == 70s);
    CHECK(SettingsFile().for_guest(101).retries == 2);
}

TEST_CASE("every setting can be set, with comments around it")
{
    const Settings settings = for_101(R"(// of this host
        { "timeouts": { "reset": 1.5, "total": 600, "bind": 0.0001 }, /* seconds */
          "parallel": 64, "retries": 0, "strategy": "auto", "on_timeout": "fail", "after_stop": "native",
          "reset_with": "bridge_control" })");
    CHECK(settings.timeouts.reset == 1500ms);
    CHECK(settings.timeouts.total == 600s);
    CHECK(settings.timeouts.bind == 1ms);
    CHECK(settings.timeouts.rescan == 75s);
    CHECK(settings.parallel == 64);
    CHECK(settings.retries == 0);
    CHECK(settings.strategy == Strategy::automatic);
    CHECK(settings.on_timeout == OnTimeout::fail);
    CHECK(settings.after_stop == AfterStop::native);
    CHECK(settings.reset_with == ResetWith::bridge_control);
    CHECK(for_101(R"({"strategy":"remove-rescan"})").strategy == Strategy::remove_rescan);
    CHECK(for_101(R"({"strategy":"off"})").strategy == Strategy::off);
    CHECK(for_101(R"({"reset_with":"reset_subordinate"})").reset_with == ResetWith::reset_subordinate);
}

TEST_CASE("a device's entry overrides the general one, and the guest's overrides both")
{
    const std::string text = R"({ "retries": 3, "strategy": "auto", "timeouts": { "reset": 10, "bind": 10 },
        "devices": { "8086:56A6": { "retries": 4, "strategy": "cycle", "timeouts": { "bind": 20 } } },
        "guests": { "101": { "retries": 5 }, "102": { "strategy": "off" } } })";
    const auto file = SettingsFile::parse(text, "s.json");
    CHECK(file.for_device(101, "8086:56a6").retries == 5);
    CHECK(file.for_device(101, "8086:56a6").strategy == Strategy::cycle);
    CHECK(file.for_device(101, "8086:56a6").timeouts.reset == 10s);
    CHECK(file.for_device(101, "8086:56a6").timeouts.bind == 20s);
    CHECK(file.for_device(103, "8086:56a6").retries == 4);
    CHECK(file.for_device(102, "8086:56a6").strategy == Strategy::off);
    CHECK(file.for_device(103, "10de:2204").retries == 3);
    CHECK(file.for_guest(101).strategy == Strategy::automatic);
}

TEST_CASE("text that is not JSON is refused with its line")
{
    CHECK(refused_with("{\n  \"retries\": 1,\n  nonsense\n}", "s.json:3: "));
    CHECK(refused_with("{", "s.json:1: "));
    CHECK(refused_with("{\n\"retries\": 1\n} x", "s.json:3: "));
    CHECK(refused_with("{\"strategy\": \"\xff\"}", "s.json:1: "));
    CHECK(refused_with("{\n\n\"retries\": 1e999}", "s.json:3: "));
    CHECK(refused_with("// comment only", "s.json:1: "));
    CHECK(refused_with("/* open", "s.json:1: "));
}

TEST_CASE("a file that is no object is refused")
{
    for (const auto* text : {"[]", "1", "null", R"("x")", R"([{"a":1},{"a":1}])"})
        CHECK(refused_with(text, "no object"));
}

TEST_CASE("an unknown key is refused by its path, with the keys that there are")
{
    const std::string what = refusal("{\n  // none\n  \"timeout\": 5\n}");
    CHECK(has(what, "s.json: 'timeout' is no setting; known are 'timeouts', 'parallel'"));
    CHECK(has(what, "'devices'"));
    CHECK(refused_with("{\n\"timeouts\": {\n\"boot\": 5 } }",
                       "s.json: 'timeouts.boot' is no timeout; known are 'lock', 'busy'"));
    CHECK(refused_with("{ \"guests\": {\n \"101\": {\n \"devices\": {} } } }",
                       "s.json: 'guests.101.devices' is no setting"));
    CHECK(refused_with(R"({ "re\u0074ries": 1, "x\ty": 1 })", "'x\\x09y'"));
}

TEST_CASE("the path is that of the key meant, not of another with its name")
{
    CHECK(refused_with(
        R"({ "retries": 1, "guests": { "101": { "retries": 2 }, "102": { "a": "retries", "retries": -1 } } })",
        "s.json: 'guests.102.a'"));
    CHECK(refused_with(R"({ "retries": 1, "guests": { "101": { "retries": 2 }, "102": { "retries": -1 } } })",
                       "s.json: 'guests.102.retries'"));
}

TEST_CASE("a value out of range is refused")
{
    for (const auto* value : {"0", "-1", "3600.1", "\"5\"", "null", "true", "[]"})
        CHECK(refused_with(std::string("{\"timeouts\":{\"reset\":") + value + "}}",
                           "'timeouts.reset' must be a number of seconds"));
    for (const auto* value : {"-1", "1.0", "101", "99999999999999999999", "\"1\""})
        CHECK(refused_with(std::string("{\"retries\":") + value + "}", "'retries' must be a whole number"));
    for (const auto* value : {"\"Cycle\"", "\"\"", "1", "null", "[\"cycle\"]"})
        CHECK(refused_with(std::string("{\"strategy\":") + value + "}",
                           "must be one of 'cycle', 'auto', 'remove-rescan', 'off'"));
    CHECK(refused_with(R"({"on_timeout":"ignore"})", "'warn', 'fail'"));
    CHECK(refused_with(R"({"after_stop":"reset"})", "'keep', 'native'"));
    CHECK(refused_with(R"({"reset_with":"flr"})", "'best', 'reset_subordinate', 'bridge_control'"));
    for (const auto* key : {"timeouts", "guests", "devices"})
        CHECK(refused_with(std::string("{\"") + key + "\": 1}", "is no object"));
    CHECK(refused_with(R"({"guests":{"101":1}})", "'guests.101' is no object"));
}

TEST_CASE("guests are VMIDs, devices are ids")
{
    for (const auto* vmid : {"99", "1000000000", "0101", "media", "", "-101", "101 "})
        CHECK(refused_with("{\"guests\":{\"" + std::string(vmid) + "\":{}}}", "is no VM or container id"));
    for (const auto* id : {"8086", "8086:56a", "0000:03:00.0", "8086-56a6", "808g:56a6"})
        CHECK(refused_with("{\"devices\":{\"" + std::string(id) + "\":{}}}", "is no device id"));
    for (const auto* name : {"incus:", "incus:a_b", "incus:101", "incus:lab/", "lab/db"})
        CHECK(refused_with("{\"guests\":{\"" + std::string(name) + "\":{}}}", "is no VM or container id"));
    CHECK(refusal(R"({"guests":{"100":{},"999999999":{},"incus:web":{},"incus:lab/db":{}}})") == "accepted");
}

TEST_CASE("a key that comes twice is refused")
{
    CHECK(refused_with("{\n\"retries\": 1,\n\"retries\": 2 }", "s.json: 'retries' is there twice"));
    CHECK(refused_with(R"({"guests":{"101":{"retries":1,"retries":1}}})",
                       "s.json: 'guests.101.retries' is there twice"));
    CHECK(refused_with(R"({"guests":{"101":{"timeouts":[{"a":1,"a":1}]}}})",
                       "'guests.101.timeouts.a' is there twice"));
    CHECK(refused_with(R"({"devices":{"8086:56a6":{},"8086:56A6":{}}})", "upper and lower case"));
    CHECK(refusal(R"({"retries":1,"guests":{"101":{"retries":1},"102":{"retries":1}}})") == "accepted");
}

TEST_CASE("comments and strings with braces are what they are")
{
    CHECK(refused_with("{ // { \"a\": [\n \"strategy\": \"}\", /* \"b\": \n */ \"retries\": 1 }",
                       "s.json: 'strategy'"));
    CHECK(refusal(R"({ "retries": 1, // "retries": 2
 /* "retries": 3 */ "reset_method": "none" })") == "accepted");
    CHECK(refusal(R"({ "guest_reboot": { "most": 1, "within": 86400 } })") == "accepted");
}

TEST_CASE("depth alone does not break the reader")
{
    const std::string deep = std::string(100000, '[') + std::string(100000, ']');
    CHECK(refused_with("{\"retries\":" + deep + "}", "'retries'"));
    CHECK(refused_with(std::string(100000, '{'), "s.json:1"));
}

TEST_CASE("how often a guest that reboots itself is started anew has bounds")
{
    CHECK(default_settings().guest_reboot.most == 5);
    CHECK(default_settings().guest_reboot.within == 600s);
    const auto file = SettingsFile::parse(R"({"guest_reboot": {"most": 2}, "guests": {"101": {"guest_reboot":
        {"within": 60}}}})",
                                          "s.json");
    CHECK(file.for_guest(101).guest_reboot.most == 2);
    CHECK(file.for_guest(101).guest_reboot.within == 60s);
    CHECK(file.for_guest(102).guest_reboot.within == 600s);
    for (const auto* wrong :
         {R"({"most": 0})", R"({"within": 0})", R"({"most": 1001})", R"({"within": 86401})",
          R"({"most": -1})", R"({"most": 1.5})", R"({"most": "5"})", R"({"often": 5})", "5"})
        CHECK(refusal(R"({"guest_reboot": )" + std::string(wrong) + "}").find("guest_reboot") !=
              std::string::npos);
}
