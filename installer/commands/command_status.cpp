#include "commands/commands.hpp"
#include "host/status.hpp"

namespace pvegpu {

int status(Session& session)
{
    const auto found = read_status(session.system);
    session.console.print(session.options.json ? status_json(found)
                                               : print_status(found, session.console.colours()));
    return exit_done;
}

} // namespace pvegpu
