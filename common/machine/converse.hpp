// One question to a daemon that listens on a unix socket, and its whole answer.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <string_view>

namespace pvegpu {

// Sends `text` on a connection of its own and reads until the other side closes it; the answer is in `text`.
// Refused with the errno of connect(2) where nobody listens, with EMSGSIZE for an answer of more than
// `bytes`, with ECONNRESET where the connection breaks. Still running (without a child) where it is not
// complete at the timeout, or when `cancel` (a descriptor, or -1) becomes readable. The path is as the kernel
// takes it, root included.
SysResult converse(const std::string& path, std::string_view text, std::size_t bytes, Milliseconds timeout,
                   int cancel);

} // namespace pvegpu
