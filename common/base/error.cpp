#include "base/error.hpp"

#include "base/enum_names.hpp"
#include "base/text.hpp"

#include <array>
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
Advice with_errno(const Advice& advice, int error_number)
{
    const auto errno_text = error_number != 0 ? " (" + describe(error_number) + ")" : "";
    return {printable(advice.fact + errno_text), printable(advice.remedy)};
}

} // namespace

std::string to_string(ErrorKind reason)
{
    static constexpr std::array names{EnumName{"in-use", ErrorKind::in_use},
                                      EnumName{"stuck-writer", ErrorKind::stuck_writer},
                                      EnumName{"sriov-parent", ErrorKind::sriov_parent},
                                      EnumName{"not-found", ErrorKind::not_found},
                                      EnumName{"invalid-config", ErrorKind::invalid_config},
                                      EnumName{"needs-power-cycle", ErrorKind::needs_power_cycle},
                                      EnumName{"timed-out", ErrorKind::timed_out},
                                      EnumName{"interrupted", ErrorKind::interrupted},
                                      EnumName{"disturbed", ErrorKind::disturbed},
                                      EnumName{"no-memory", ErrorKind::no_memory},
                                      EnumName{"stuck-write", ErrorKind::stuck_write},
                                      EnumName{"failed", ErrorKind::failed}};
    return name_of(names, reason);
}

Error::Error(ErrorKind reason, const Advice& advice, const std::string& where, int error_number)
    : error_number_(error_number), problem_{reason, with_errno(advice, error_number), printable(where)},
      text_(to_string(this->advice()))
{
}

Advice Error::advice() const
{
    const auto& [reason, advice, where] = problem_;
    return {where.empty() ? advice.fact : where + ": " + advice.fact, advice.remedy};
}

ErrorKind reason_of(const std::exception& error)
{
    const auto* const known = dynamic_cast<const Error*>(&error);
    return known != nullptr ? known->reason() : ErrorKind::failed;
}

Advice advice_of(const std::exception& error)
{
    const auto* const known = dynamic_cast<const Error*>(&error);
    return known != nullptr ? known->advice() : Advice{error.what()};
}

Problem problem_of(const std::exception& error)
{
    const auto* const known = dynamic_cast<const Error*>(&error);
    return known != nullptr ? known->problem() : Problem{ErrorKind::failed, {error.what()}, ""};
}

} // namespace pvegpu
