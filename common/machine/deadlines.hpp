// How long we wait for what others answer, where several places ask the same kind of thing. What only one
// place waits for stands there, with its reason.
#pragma once

#include "machine/system.hpp"

namespace pvegpu {

// A file of /sys or /proc that a driver or its device has to answer, or a disk that is opened: instant where
// all is well. A sick one may never answer, and then what it would have said is done without.
inline constexpr Milliseconds driver_answers_within{2'000};

// A file on a storage that the network may carry. Proxmox has just read one from there, so this is only for
// one that stops to answer now.
inline constexpr Milliseconds storage_answers_within{10'000};

// Between two looks at who uses something: each reads all of /proc.
inline constexpr Milliseconds between_looks{200};

} // namespace pvegpu
