#include "usage/reservations.hpp"

#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace pvegpu {
namespace {

// $PCIRE of PCI.pm: qr/(?:[a-f0-9]{4,}:)?[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?/
bool is_pci_id(std::string_view text)
{
    if (const auto digits = count_front(text, is_lower_hex); digits >= 4) {
        if (digits == text.size() || text[digits] != ':') return false;
        text.remove_prefix(digits + 1);
    }
    const auto hex_at = [&](std::size_t at) { return is_lower_hex(text[at]); };
    if (text.size() != 5 && text.size() != 7) return false;
    if (!hex_at(0) || !hex_at(1) || text[2] != ':' || !hex_at(3) || !hex_at(4)) return false;
    return text.size() == 5 || (text[5] == '.' && hex_at(6));
}

std::string_view take_word(std::string_view& rest)
{
    const auto length = count_front(rest, [](char c) { return !is_space(c); });
    const auto word = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size())); // exactly one blank between two words
    return word;
}

// A number too large for us lies in the far future for Perl, so it does here.
std::int64_t seconds(std::string_view digits)
{
    std::int64_t value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return result.ec == std::errc() ? value : std::numeric_limits<std::int64_t>::max();
}

bool parse_validity(std::string_view text, Reservation& reservation)
{
    const auto parts = split_once(text, ':');
    if (!parts || parts->second.empty() || !consists_of(parts->second, is_digit)) return false;
    if (parts->first == "time") reservation.until = seconds(parts->second);
    // No process has a number that does not fit; 0 is nobody's either.
    if (parts->first == "pid") reservation.pid = static_cast<pid_t>(parse_decimal(parts->second).value_or(0));
    return reservation.until || reservation.pid;
}

std::optional<Reservation> parse_line(std::string_view line)
{
    Reservation reservation;
    reservation.id = take_word(line);
    const auto vmid = parse_decimal(take_word(line));
    if (!vmid || !is_pci_id(reservation.id) || !parse_validity(line, reservation)) return std::nullopt;
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
