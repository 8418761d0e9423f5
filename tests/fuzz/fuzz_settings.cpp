#include "base/error.hpp"
#include "fuzz.hpp"
#include "printers.hpp"
#include "settings/settings.hpp"

using namespace pvegpu;

namespace {

void check(const Settings& settings)
{
    using namespace std::chrono_literals;
    fuzz::require(settings.retries <= 100);
    fuzz::require(settings.parallel >= 1 && settings.parallel <= 64);
    for (const auto timeout : {settings.timeouts.lock, settings.timeouts.reset, settings.timeouts.total})
        fuzz::require(timeout > 0ms && timeout <= 3600s);
    const auto again = SettingsFile::parse(fuzz::print(settings), "again");
    fuzz::require(fuzz::same(again.for_guest(101), settings));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    try {
        const auto file = SettingsFile::parse(fuzz::text_of(data, size), "settings.json");
        check(file.for_device(101, "8086:56a6"));
        check(file.for_guest(101));
    } catch (const Error& error) {
        fuzz::require(error.reason() == ErrorKind::invalid_config);
        fuzz::require_printable(error.what());
        fuzz::require(std::string_view(error.what()).starts_with("settings.json:"));
    }
    return 0;
}
