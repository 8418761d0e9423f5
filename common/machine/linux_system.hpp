// The real machine.
#pragma once

#include "machine/bounded_child.hpp"
#include "machine/rooted_path.hpp"
#include "machine/system.hpp"

#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

namespace pvegpu {

class LinuxSystem : public System {
public:
    // `program` comes first in every message. `root` is put before every path; empty for the live host.
    // Throws Error(not_found) if there is no such directory.
    // From here on SIGTERM, SIGINT and SIGHUP end waits with Error(interrupted) instead of the process.
    // `when_stopped` is what its user is then told to do.
    LinuxSystem(std::string program, const std::string& root,
                std::string when_stopped = "start the guest again");
    ~LinuxSystem() override;

    // From here on messages go to syslog too, and name this guest there: "VM 101", "CT 901".
    void log_for_guest(const std::string& name) override { guest_ = name + ": "; }

    // Throws Error for a file of our own in a directory that others than root can write to, as replace_file
    // and lock do.
    std::optional<std::string> read(const std::string& path) const override;
    std::optional<std::string> read_link(const std::string& path) const override;
    std::vector<std::string> list_directories(const std::string& path) const override;
    std::vector<std::string> list(const std::string& path) const override;
    bool exists(const std::string& path) const override;
    std::optional<DeviceNumber> device_number(const std::string& path) const override;
    std::vector<NamedDevice> device_numbers_in(const std::string& directory) const override;
    std::optional<FileFacts> file_facts(const std::string& path) const override;
    SysResult read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const override;
    std::optional<std::string> read_records(const std::string& path, std::size_t bytes,
                                            Milliseconds timeout) const override;
    SysResult list_inside(const std::string& root, const std::string& directory, const std::string& prefix,
                          Milliseconds timeout) const override;
    SysResult try_claim_within(const std::string& path, Milliseconds timeout) const override;
    SysResult ask(const std::string& socket, std::string_view text, std::size_t bytes,
                  Milliseconds timeout) const override;

    SysResult write(const std::string& path, std::string_view text, Milliseconds timeout) override;
    SysResult pulse_secondary_bus_reset(const std::string& config_path, Milliseconds hold,
                                        Milliseconds timeout) override;
    SysResult clear_secondary_bus_reset(const std::string& config_path, Milliseconds timeout) override;
    void guard_write(const std::string& path, std::string_view text) override;
    void forget_guarded_writes() override;
    void replace_file(const std::string& path, std::string_view text) override;
    void remove_file(const std::string& path) override;
    bool create_file(const std::string& path, std::string_view text) override;
    void install_file(const std::string& path, std::string_view text, mode_t mode_if_new) override;
    void make_link(const std::string& path, const std::string& target) override;
    void move_file(const std::string& from, const std::string& to) override;
    void remove_empty_directory(const std::string& path) override;
    SysResult replace_locked(const std::string& path, const std::string& lock, std::string_view before,
                             std::string_view after, Milliseconds timeout) override;
    bool lock(const std::string& path, Milliseconds timeout) override;
    using System::run;
    SysResult run(const std::vector<std::string>& arguments, Milliseconds timeout,
                  const OnLine& on_line) override;
    void run_together(const std::vector<Job>& jobs, unsigned at_once) override;
    bool wait_until(const std::function<bool()>& fact, Milliseconds timeout) override;
    TimePoint now() const override { return std::chrono::steady_clock::now(); }
    std::int64_t wall_clock() const override { return time(nullptr); }
    pid_t parent_pid() const override { return parent_; }
    void say(Severity severity, std::string_view line) override;

private:
    SysResult in_child(Task::Kind kind, const std::string& path, std::string text, std::uint64_t number,
                       Milliseconds timeout) const;
    bool stopped() const; // true once, after SIGTERM has come; for jobs side by side whenever it has come
    void check_signals() const;
    template <typename Wait> auto while_others_go_on(Wait wait) const;

    [[noreturn]] void throw_stopped() const;

    std::string program_, when_stopped_;
    RootDirectory root_;
    std::string guest_;
    int signals_ = -1;
    pid_t parent_ = getppid();
    mutable bool interrupted_ = false; // told once; undoing afterwards must not be interrupted again
    mutable std::vector<std::unique_ptr<BoundedChild>> idle_; // children without a task
    mutable std::mutex turn_;   // of the job that goes on; nobody's while there are no jobs
    bool side_by_side_ = false; // there are jobs
    std::unique_ptr<BoundedChild> guardian_;
    std::vector<int> locks_;
};

} // namespace pvegpu
