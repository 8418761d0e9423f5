// The steps that recover a card, or give it back to the host.
#pragma once

#include "pci/topology.hpp"
#include "run/step_report.hpp"

#include <string>
#include <variant>

namespace pvegpu {

enum class ResetBy {
    reset_subordinate, // the kernel resets everything below the port, saves and restores it, honours quirks
    bridge_control,    // we set the secondary bus reset bit of the port; nothing may be left below it
    function           // the function's own reset file
};

struct Wake {
    PciAddress function;
};
struct Unbind {
    PciAddress function;
};
struct Reset {
    PciAddress target; // a port, or with ResetBy::function the function
    ResetBy by = ResetBy::reset_subordinate;
};
struct Remove {
    PciAddress function; // or a bridge
};
struct Rescan {
    PciBus bus;
};
struct Bind { // to a driver of vfio's
    PciAddress function;
};
struct GiveBack { // to a driver of the host's
    PciAddress function;
    std::string driver; // empty: whichever takes it
};
struct Verify {
    PciAddress function;
};
using Step = std::variant<Wake, Unbind, Reset, Remove, Rescan, Bind, GiveBack, Verify>;

StepReport report_of(const Step& step);

} // namespace pvegpu
