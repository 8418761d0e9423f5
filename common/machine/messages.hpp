// Messages to readers that are never waited for: a message lost is better than a start that hangs.
#pragma once

#include <string>
#include <string_view>

namespace pvegpu {

// To a pipe, a terminal or a file; given up if nobody takes it.
void tell_reader(int file, std::string_view text);

// To the socket of syslog at that path. `priority` is a facility and a severity, `tag` a name with a pid.
void tell_syslog(const std::string& socket_path, int priority, const std::string& tag,
                 const std::string& line);

} // namespace pvegpu
