#include "usage/reservations.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <limits>

namespace pvegpu {
namespace {

std::string_view take_word(std::string_view& rest)
{
    const auto length = count_front(rest, [](char c) { return !is_space(c); });
    const auto word = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size())); // exactly one blank between two words
    return word;
}

bool parse_validity(std::string_view text, Reservation& reservation)
{
    const auto parts = split_once(text, ':');
    if (!parts || parts->second.empty() || !consists_of(parts->second, is_digit)) return false;
    // A number too large for us lies in the far future for Perl, so it does here.
    constexpr auto never = std::numeric_limits<std::int64_t>::max();
    if (parts->first == "time") reservation.until = parse_number<std::int64_t>(parts->second).value_or(never);
    // No process has a number that does not fit; 0 is nobody's either.
    if (parts->first == "pid") reservation.pid = static_cast<pid_t>(parse_decimal(parts->second).value_or(0));
    return reservation.until || reservation.pid;
}

std::optional<Reservation> parse_line(std::string_view line)
{
    Reservation reservation;
    reservation.id = take_word(line);
    const auto vmid = parse_decimal(take_word(line));
    if (!vmid || !is_host_selector(reservation.id) || !parse_validity(line, reservation)) return std::nullopt;
    reservation.vmid = *vmid;
    return reservation;
}

} // namespace

std::vector<Reservation> parse_reservations(std::string_view text)
{
    std::vector<Reservation> result;
    for (LineReader lines(text); lines.next();) {
        const auto reservation = parse_line(lines.line());
        if (!reservation) continue;
        std::erase_if(result, [&](const auto& earlier) { return earlier.id == reservation->id; });
        result.push_back(*reservation);
    }
    return result;
}

std::vector<Reservation> read_reservations(const SysReader& reader)
{
    return parse_reservations(reader.read(std::string(paths::pve_reservations)).value_or(""));
}

bool reserves(const Reservation& reservation, const PciAddress& function)
{
    const bool has_domain = count_front(reservation.id, is_lower_hex) >= 4;
    const auto id = has_domain ? reservation.id : "0000:" + reservation.id;
    const auto name = to_string(function);
    return name == id || name.starts_with(id + '.');
}

bool reservation_holds(const SysReader& reader, const Reservation& reservation)
{
    if (reservation.until) return *reservation.until > reader.wall_clock();
    if (reservation.pid.value_or(0) <= 0) return false;
    const auto running = parse_decimal(trim(reader.read(paths::pve_pid_file(reservation.vmid)).value_or("")));
    return running == static_cast<unsigned>(*reservation.pid) &&
           reader.exists(paths::process(*reservation.pid));
}

} // namespace pvegpu
