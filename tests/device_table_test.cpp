#include "pci/device_table.hpp"

#include "base/error.hpp"

#include "catch.hpp"

using namespace pvegpu;

namespace {

// What a table is refused with when any device is looked up in it.
std::string refusal(std::string_view table)
{
    try {
        traits_from_table(table, 0x8086, 0x56a6);
    } catch (const Error& error) {
        return error.what();
    }
    return "accepted";
}

bool refused(std::string_view table)
{
    return refusal(table) != "accepted";
}

} // namespace

TEST_CASE("the Arc A310 takes a bus reset and brings its switch along")
{
    const DeviceTraits traits = device_traits(0x8086, 0x56a6);
    CHECK(traits.name == "Intel Arc A310");
    CHECK(traits.bus_reset == DeviceTraits::BusReset::safe);
    CHECK(traits.flr == DeviceTraits::Flr::untested);
    CHECK(traits.shape == DeviceTraits::CardShape::whole_switch);
    CHECK_FALSE(traits.source.empty());
}

TEST_CASE("a device without a row has the defaults")
{
    const DeviceTraits traits = device_traits(0x1234, 0x1111);
    CHECK(traits.name.empty());
    CHECK(traits.source.empty());
    CHECK(traits.bus_reset == DeviceTraits::BusReset::untested);
    CHECK(traits.flr == DeviceTraits::Flr::untested);
    CHECK(traits.shape == DeviceTraits::CardShape::ask_topology);
}

TEST_CASE("what the sources say of some devices is in the table")
{
    CHECK(device_traits(0x10de, 0x1eb8).bus_reset == DeviceTraits::BusReset::unsafe);
    CHECK(device_traits(0x10de, 0x2b85).flr == DeviceTraits::Flr::harmful);
    CHECK(device_traits(0x10de, 0x2b85).bus_reset == DeviceTraits::BusReset::safe);
    CHECK(device_traits(0x10de, 0x2c05).flr == DeviceTraits::Flr::works);
    CHECK(device_traits(0x1002, 0x75a3).bus_reset == DeviceTraits::BusReset::unsafe);
    CHECK(device_traits(0x1002, 0x67df).bus_reset == DeviceTraits::BusReset::unsafe);
    CHECK(device_traits(0x1002, 0x164e).shape == DeviceTraits::CardShape::integrated);
    for (const auto device : std::initializer_list<std::uint16_t>{0xe20b, 0xe211, 0xe212, 0x56ba})
        CHECK(device_traits(0x8086, device).shape == DeviceTraits::CardShape::whole_switch);
    for (const auto device :
         std::initializer_list<std::uint16_t>{0x1638, 0x164e, 0x15bf, 0x1900, 0x1586, 0x1902})
        CHECK(device_traits(0x1002, device).shape == DeviceTraits::CardShape::integrated);
}

TEST_CASE("of cards whose reports contradict each other the table has names and sources, and no verdict")
{
    for (const auto device : std::initializer_list<std::uint16_t>{0x73bf, 0x73df, 0x73ff, 0x743f, 0x744c,
                                                                  0x747e, 0x7480, 0x7550, 0x7590}) {
        const DeviceTraits traits = device_traits(0x1002, device);
        CHECK(traits.name.starts_with("AMD Navi"));
        CHECK(traits.bus_reset == DeviceTraits::BusReset::untested);
        CHECK(traits.flr == DeviceTraits::Flr::untested);
        CHECK(traits.reset_module.empty());
    }
}

TEST_CASE("a range holds its ends and nothing outside, and only for its vendor")
{
    CHECK_FALSE(device_traits(0x10de, 0x2340).name.empty());
    CHECK_FALSE(device_traits(0x10de, 0x237f).name.empty());
    CHECK(device_traits(0x10de, 0x233f).name.empty());
    CHECK(device_traits(0x10de, 0x2380).name.empty());
    CHECK(device_traits(0x1002, 0x2340).name.empty());
}

TEST_CASE("a table that breaks its rules is refused")
{
    CHECK_FALSE(refused(R"([{"id":"8086:56a6","name":"a","source":"b"}])"));
    for (const auto* table :
         {"", "{}", "[1]", "[{}]", R"([{"id":"8086:56a6","name":"a"}])",
          R"([{"id":"8086:56a6","source":"b"}])", R"([{"id":"8086","name":"a","source":"b"}])",
          R"([{"id":"8086:56A6","name":"a","source":"b"}])",
          R"([{"id":"8086:56a6-","name":"a","source":"b"}])",
          R"([{"id":"8086:56a6  56a5","name":"a","source":"b"}])", R"([{"id":1,"name":"a","source":"b"}])",
          R"([{"id":"8086:56a6","name":"a","source":"b","bus_reset":"no"}])",
          R"([{"id":"8086:56a6","name":"a","source":"b","colour":"red"}])",
          R"([{"id":"8086:56a6","name":"a","source":"b"},{"id":"8086:56a5-56a7","name":"c","source":"d"}])"})
        CHECK(refused(table));
}
