#include "base/error.hpp"

#include "base/text.hpp"

#include <cstring>

namespace pvegpu {

namespace {

// glibc's English text for an errno: the log reads the same whatever the locale.
std::string describe(int error_number)
{
    const char* const text = strerrordesc_np(error_number);
    return text != nullptr ? text : "error " + std::to_string(error_number);
}

// errno stands with the fact that it belongs to.
Advice compose(const Advice& advice, const std::string& where, int error_number)
{
    std::string fact = where.empty() ? advice.fact : where + ": " + advice.fact;
    if (error_number != 0) fact += " (" + describe(error_number) + ")";
    return {printable(fact), printable(advice.remedy)};
}

} // namespace

std::string to_string(Reason reason)
{
    switch (reason) {
    case Reason::in_use:
        return "in-use";
    case Reason::stuck_writer:
        return "stuck-writer";
    case Reason::sriov_parent:
        return "sriov-parent";
    case Reason::not_found:
        return "not-found";
    case Reason::invalid_config:
        return "invalid-config";
    case Reason::needs_power_cycle:
        return "needs-power-cycle";
    case Reason::timed_out:
        return "timed-out";
    case Reason::interrupted:
        return "interrupted";
    case Reason::disturbed:
        return "disturbed";
    case Reason::no_memory:
        return "no-memory";
    case Reason::stuck_write:
        return "stuck-write";
    case Reason::failed:
        break;
    }
    return "failed";
}

Error::Error(Reason reason, const Advice& advice, const std::string& where, int error_number)
    : reason_(reason), error_number_(error_number), advice_(compose(advice, where, error_number)),
      text_(to_string(advice_))
{
}

Reason reason_of(const std::exception& error)
{
    const auto* const known = dynamic_cast<const Error*>(&error);
    return known != nullptr ? known->reason() : Reason::failed;
}

Advice advice_of(const std::exception& error)
{
    const auto* const known = dynamic_cast<const Error*>(&error);
    return known != nullptr ? known->advice() : Advice{error.what()};
}

} // namespace pvegpu
