// Looks at the real machine and changes nothing of it: what would have been done is listed.
#pragma once

#include "machine/forwarding_system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

class DryRunSystem : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;

    const std::vector<std::string>& listed() const { return listed_; } // "run qm set 101 ..."

    Outcome write(const std::string& path, std::string_view text, Milliseconds timeout) override;
    Outcome pulse_secondary_bus_reset(const std::string& path, Milliseconds hold,
                                      Milliseconds timeout) override;
    Outcome clear_secondary_bus_reset(const std::string& path, Milliseconds timeout) override;
    void guard_write(const std::string& path, std::string_view text) override;
    void forget_guarded_writes() override {}
    void replace_file(const std::string& path, std::string_view text) override;
    void remove_file(const std::string& path) override;
    void install_file(const std::string& path, std::string_view text, mode_t mode_if_new) override;
    void make_link(const std::string& path, const std::string& target) override;
    void move_file(const std::string& from, const std::string& to) override;
    void remove_empty_directory(const std::string& path) override;
    Outcome replace_locked(const std::string& path, const std::string& lock, std::string_view before,
                           std::string_view after, Milliseconds timeout) override;
    bool lock(const std::string& path, Milliseconds timeout) override;
    Outcome run(const std::vector<std::string>& arguments, Milliseconds timeout) override;

private:
    Outcome note(std::string what);

    std::vector<std::string> listed_;
};

} // namespace pvegpu
