// Looks at the real machine and changes nothing of it: what would have been done is listed.
#pragma once

#include "base/text.hpp"
#include "machine/forwarding_system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

class DryRunSystem : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;

    const std::vector<std::string>& listed() const { return listed_; } // "run qm set 101 ..."

    SysResult write(const std::string& path, std::string_view text, Milliseconds /*timeout*/) override
    {
        return note("write " + quote(text) + " to " + path);
    }
    SysResult pulse_secondary_bus_reset(const std::string& path, Milliseconds /*hold*/,
                                        Milliseconds /*timeout*/) override
    {
        return note("reset the bus below " + path);
    }
    SysResult clear_secondary_bus_reset(const std::string& path, Milliseconds /*timeout*/) override
    {
        return note("end the reset of the bus below " + path);
    }
    void guard_write(const std::string& path, std::string_view text) override
    {
        note("guard " + quote(text) + " in " + path);
    }
    void forget_guarded_writes() override {}
    void replace_file(const std::string& path, std::string_view /*text*/) override
    {
        note("replace " + path);
    }
    void remove_file(const std::string& path) override { note("remove " + path); }
    bool create_file(const std::string& path, std::string_view /*text*/) override
    {
        return note("create " + path).done();
    }
    void install_file(const std::string& path, std::string_view /*text*/, mode_t /*mode_if_new*/) override
    {
        note("install " + path);
    }
    void make_link(const std::string& path, const std::string& target) override
    {
        note("link " + path + " to " + target);
    }
    void move_file(const std::string& from, const std::string& to) override
    {
        note("move " + from + " to " + to);
    }
    void remove_empty_directory(const std::string& path) override { note("remove " + path); }
    SysResult replace_locked(const std::string& path, const std::string& /*lock*/,
                             std::string_view /*before*/, std::string_view /*after*/,
                             Milliseconds /*timeout*/) override
    {
        return note("replace " + path);
    }
    bool lock(const std::string& path, Milliseconds /*timeout*/) override
    {
        return note("lock " + path).done();
    }
    using System::run;
    SysResult run(const std::vector<std::string>& arguments, Milliseconds /*timeout*/,
                  const OnLine& /*on_line*/) override
    {
        auto outcome = note("run " + join(arguments, " "));
        outcome.only_listed = true;
        return outcome;
    }

    SysResult tell(const std::string& socket, std::string_view text, std::size_t /*bytes*/,
                   Milliseconds /*timeout*/) override
    {
        auto outcome = note("tell " + socket + ": " + std::string(text.substr(0, text.find('\r'))));
        outcome.only_listed = true;
        return outcome;
    }

private:
    SysResult note(std::string what)
    {
        listed_.push_back(std::move(what));
        return {};
    }

    std::vector<std::string> listed_;
};

} // namespace pvegpu
