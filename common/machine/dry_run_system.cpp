#include "machine/dry_run_system.hpp"

#include "base/text.hpp"

namespace pvegpu {

Outcome DryRunSystem::note(std::string what)
{
    listed_.push_back(std::move(what));
    return {};
}

Outcome DryRunSystem::write(const std::string& path, std::string_view text, Milliseconds /*timeout*/)
{
    return note("write " + quote(text) + " to " + path);
}

Outcome DryRunSystem::pulse_secondary_bus_reset(const std::string& path, Milliseconds /*hold*/,
                                                Milliseconds /*timeout*/)
{
    return note("reset the bus below " + path);
}

Outcome DryRunSystem::clear_secondary_bus_reset(const std::string& path, Milliseconds /*timeout*/)
{
    return note("end the reset of the bus below " + path);
}

void DryRunSystem::guard_write(const std::string& path, std::string_view text)
{
    note("guard " + quote(text) + " in " + path);
}

void DryRunSystem::replace_file(const std::string& path, std::string_view /*text*/)
{
    note("replace " + path);
}

void DryRunSystem::remove_file(const std::string& path)
{
    note("remove " + path);
}

void DryRunSystem::install_file(const std::string& path, std::string_view /*text*/, mode_t /*mode_if_new*/)
{
    note("install " + path);
}

void DryRunSystem::make_link(const std::string& path, const std::string& target)
{
    note("link " + path + " to " + target);
}

void DryRunSystem::move_file(const std::string& from, const std::string& to)
{
    note("move " + from + " to " + to);
}

void DryRunSystem::remove_empty_directory(const std::string& path)
{
    note("remove " + path);
}

Outcome DryRunSystem::replace_locked(const std::string& path, const std::string& /*lock*/,
                                     std::string_view /*before*/, std::string_view /*after*/,
                                     Milliseconds /*timeout*/)
{
    return note("replace " + path);
}

bool DryRunSystem::lock(const std::string& path, Milliseconds /*timeout*/)
{
    return note("lock " + path).done();
}

Outcome DryRunSystem::run(const std::vector<std::string>& arguments, Milliseconds /*timeout*/)
{
    return note("run " + join(arguments, " "));
}

} // namespace pvegpu
