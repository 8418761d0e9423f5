// Readers and Systems that hand everything on to another one: the bases of those that do one thing
// differently.
#pragma once

#include "machine/system.hpp"

namespace pvegpu {

// What a SysReader does, for SysReader and System.
template <typename Kind> class ForwardingReader : public Kind {
public:
    explicit ForwardingReader(const SysReader& inner) : reader_(inner) {}

    std::optional<std::string> read(const std::string& path) const override { return reader_.read(path); }
    std::optional<std::string> read_link(const std::string& path) const override
    {
        return reader_.read_link(path);
    }
    std::vector<std::string> list(const std::string& path) const override { return reader_.list(path); }
    std::vector<std::string> list_directories(const std::string& path) const override
    {
        return reader_.list_directories(path);
    }
    bool exists(const std::string& path) const override { return reader_.exists(path); }
    std::optional<DeviceNumber> device_number(const std::string& path) const override
    {
        return reader_.device_number(path);
    }
    std::optional<FileFacts> file_facts(const std::string& path) const override
    {
        return reader_.file_facts(path);
    }
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override
    {
        return reader_.read_within(path, bytes, timeout);
    }
    std::optional<std::string> read_records(const std::string& path, std::size_t bytes,
                                            Milliseconds timeout) const override
    {
        return reader_.read_records(path, bytes, timeout);
    }
    SysResult list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                          Milliseconds timeout) const override
    {
        return reader_.list_inside(root, directory, prefix, timeout);
    }
    SysResult try_claim_within(const std::string& path, Milliseconds timeout) const override
    {
        return reader_.try_claim_within(path, timeout);
    }
    SysResult ask(const std::string& socket, std::string_view text, std::size_t bytes,
                  Milliseconds timeout) const override
    {
        return reader_.ask(socket, text, bytes, timeout);
    }
    std::int64_t wall_clock() const override { return reader_.wall_clock(); }

private:
    const SysReader& reader_;
};

class ForwardingSystem : public ForwardingReader<System> {
public:
    explicit ForwardingSystem(System& inner) : ForwardingReader(inner), inner_(inner) {}

    SysResult write(const std::string& path, std::string_view text, Milliseconds timeout) override
    {
        return inner_.write(path, text, timeout);
    }
    SysResult pulse_secondary_bus_reset(const std::string& path, Milliseconds hold,
                                        Milliseconds timeout) override
    {
        return inner_.pulse_secondary_bus_reset(path, hold, timeout);
    }
    SysResult clear_secondary_bus_reset(const std::string& path, Milliseconds timeout) override
    {
        return inner_.clear_secondary_bus_reset(path, timeout);
    }
    void guard_write(const std::string& path, std::string_view text) override
    {
        inner_.guard_write(path, text);
    }
    void forget_guarded_writes() override { inner_.forget_guarded_writes(); }
    void replace_file(const std::string& path, std::string_view text) override
    {
        inner_.replace_file(path, text);
    }
    void remove_file(const std::string& path) override { inner_.remove_file(path); }
    bool create_file(const std::string& path, std::string_view text) override
    {
        return inner_.create_file(path, text);
    }
    void install_file(const std::string& path, std::string_view text, mode_t mode) override
    {
        inner_.install_file(path, text, mode);
    }
    void make_link(const std::string& path, const std::string& target) override
    {
        inner_.make_link(path, target);
    }
    void move_file(const std::string& from, const std::string& to) override { inner_.move_file(from, to); }
    void remove_empty_directory(const std::string& path) override { inner_.remove_empty_directory(path); }
    SysResult replace_locked(const std::string& path, const std::string& lock, std::string_view before,
                             std::string_view after, Milliseconds timeout) override
    {
        return inner_.replace_locked(path, lock, before, after, timeout);
    }
    bool lock(const std::string& path, Milliseconds timeout) override { return inner_.lock(path, timeout); }
    using System::run;
    SysResult run(const std::vector<std::string>& arguments, Milliseconds timeout,
                  const OnLine& on_line) override
    {
        return inner_.run(arguments, timeout, on_line);
    }
    void run_together(const std::vector<Job>& jobs, unsigned at_once) override
    {
        inner_.run_together(jobs, at_once);
    }
    SysResult tell(const std::string& socket, std::string_view text, std::size_t bytes,
                   Milliseconds timeout) override
    {
        return inner_.tell(socket, text, bytes, timeout);
    }
    bool wait_until(const std::function<bool()>& fact, Milliseconds timeout) override
    {
        return inner_.wait_until(fact, timeout);
    }
    TimePoint now() const override { return inner_.now(); }
    pid_t parent_pid() const override { return inner_.parent_pid(); }
    void say(Severity severity, std::string_view line) override { inner_.say(severity, line); }

private:
    System& inner_;
};

} // namespace pvegpu
