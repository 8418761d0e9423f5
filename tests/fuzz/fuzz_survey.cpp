// All that the installer looks at, what it prints of it, and a capture, which reads the same again.
#include "base/error.hpp"
#include "changes/install_plan.hpp"
#include "changes/show.hpp"
#include "commands/capture.hpp"
#include "commands/command_status.hpp"
#include "fuzz.hpp"
#include "host/survey.hpp"
#include "machine_reader.hpp"

#include <nlohmann/json.hpp>

using namespace pvegpu;

namespace {

void check_install(const SysReader& machine)
{
    const auto plan = make_install_plan(survey_host(machine, {{101}}), {{101}, false, false});
    fuzz::require(install_json(plan).is_object());
    print_changes(plan.changes);
    install_json(plan);
}

void check_status(const SysReader& machine)
{
    const auto status = read_status(machine);
    fuzz::require(status_json(status).is_object());
    print_status(status);
}

void check_capture(const SysReader& machine)
{
    const auto text = capture_machine(machine);
    const auto again = capture_machine(fuzz::MachineReader(text));
    fuzz::require(capture_machine(fuzz::MachineReader(again)) == again);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const fuzz::MachineReader machine(fuzz::text_of(data, size));
    for (auto* const check : {check_install, check_status, check_capture}) {
        try {
            check(machine);
        } catch (const Error& error) {
            fuzz::require_printable(error.what());
        }
    }
    return 0;
}
