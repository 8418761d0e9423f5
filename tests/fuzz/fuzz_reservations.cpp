#include "fuzz.hpp"
#include "printers.hpp"
#include "usage/reservations.hpp"

#include <set>

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::set<std::string> ids;
    const auto reservations = parse_reservations(fuzz::text_of(data, size));
    for (const auto& reservation : reservations) {
        fuzz::require(ids.insert(reservation.id).second);
        fuzz::require(reservation.until.has_value() != reservation.pid.has_value());
        const bool whole = reservation.id.find('.') != std::string::npos;
        const auto address = parse_pci_address(reservation.id);
        fuzz::require(!address || (whole && reserves(reservation, *address)));
        fuzz::require(!reserves(reservation, {0xffffffff, 0xff, 0x1f, 7}) ||
                      reservation.id.starts_with("ffffffff:"));
    }
    fuzz::require(parse_reservations(fuzz::print(reservations)) == reservations);
    return 0;
}
