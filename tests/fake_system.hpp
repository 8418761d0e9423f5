// A machine in memory that answers as the kernel does, records what is done to it, can be told to fail, and
// owns time. Build it with the verbs below, run the code, then ask writes(), effects(), said().
#pragma once

#include "base/error.hpp"
#include "fake_kernel.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace pvegpu::testing {

// What a process has open: "fd -> target", as the link shows it. For a device node its number.
struct OpenFile {
    std::string target = "";
    std::optional<DeviceNumber> number = {};
    std::string fdinfo = "";
};

class FakeSystem : public System {
public:
    explicit FakeSystem(const std::string& kernel_release = "6.12.117-1-pve");
    FakeSystem(const FakeSystem&) = delete;
    FakeSystem& operator=(const FakeSystem&) = delete;
    ~FakeSystem() override; // not compiled anew by each test

    // --- the machine ---
    // `parent` is the address of the bridge above, "" on a root bus. The answer says how it comes back.
    FakeReturn& add_bridge(const std::string& parent, const std::string& address,
                           const BridgeFacts& facts = {});
    FakeReturn& add_function(const std::string& parent, const std::string& address,
                             const FunctionFacts& facts = {});
    FakeReturn& function(const std::string& address) { return pci_.returning(address_of(address)); }
    void add_virtual_function(const std::string& physical, const std::string& address,
                              const FunctionFacts& facts = {.reset_methods = {"flr"}});
    void set_group(unsigned group, const std::vector<std::string>& addresses);
    void without_iommu_group(const std::string& address);
    void add_driver(const std::string& name, const std::vector<std::string>& ids); // {"8086:56a6"}
    // Drivers are asked in the order of their registration: pcieport and vfio-pci come before what a test
    // adds.
    void register_first(const std::string& driver) { drivers_.register_first(driver); }
    void learn_drivers() { drivers_.learn(); } // of a tree that was loaded from a machine file
    // A file of the bound driver, gone while it is unbound: add_node("0000:03:00.0", "drm/card1",
    // "/dev/dri/card1", {226, 1}).
    void add_node(const std::string& address, const std::string& below, const std::string& node,
                  DeviceNumber number);
    void with_vfio_cdev() { drivers_.with_vfio_cdev(); }
    void dies(const std::string& address) { pci_.lose_config(address_of(address)); }
    void falls_off_the_bus(const std::string& address) { kernel_.fall_off(address_of(address)); }

    // --- who runs on it ---
    void add_process(pid_t pid, const std::string& comm, const std::map<int, OpenFile>& files = {},
                     pid_t parent = 1, std::uint64_t start_time = 1000);
    void end_process(pid_t pid);
    void set_task_state(pid_t pid, char state, const std::string& wchan, const std::string& stack);
    // The process opens the function as QEMU does: container, group and device. `vmid`: a VM of Proxmox.
    void open_vfio(const std::string& address, pid_t pid, const std::string& comm = "kvm",
                   std::optional<unsigned> vmid = {});
    void open_vfio_cdev(const std::string& address, pid_t pid, const std::string& comm = "kvm");
    void close_vfio(const std::string& address);

    // --- files; a path may lead through links ---
    FakeTree& tree() { return tree_; }
    const FakeTree& tree() const { return tree_; }
    void file(const std::string& path, std::string_view text) { tree_.set_file(path, text); }
    void executable(const std::string& path) { set_rights(path, 0, 0755); }
    void set_rights(const std::string& path, uid_t owner, mode_t mode);          // of one that is there
    std::string text(const std::string& path) const { return tree_.text(path); } // without its line end
    std::string driver_of(const std::string& address) const
    {
        return drivers_.driver_of(address_of(address));
    }
    std::string group_of(const std::string& address) const { return pci_.group(address_of(address)); }
    bool present(const std::string& address) const { return pci_.present(address_of(address)); }
    unsigned resets(const std::string& address) const { return kernel_.resets(address_of(address)); }

    // --- faults ---
    void refuse_write(const std::string& path, int error_number, int times = 1);
    void hang_write(const std::string& path) { hanging_writes_.insert(path); }
    void hang_read(const std::string& path)
    {
        hanging_reads_.insert(path);
    } // plain read() or list() of it is a mistake
    void refuse_read(const std::string& path, int error_number) { refused_reads_[path] = error_number; }
    void ignore_write(const std::string& path) { ignored_.insert(path); } // it succeeds without effect
    void delay_effect(const std::string& path, Milliseconds time) { delays_[path] = time; }
    void slow_write(const std::string& path, Milliseconds time) { slow_[path] = time; } // it returns later
    // What somebody else does, as soon as that was written.
    void after_write(const std::string& path, std::function<void()> event, int times = 1)
    {
        after_[path] = {std::move(event), times};
    }
    void spend_windows() { kernel_.spend_windows(); }
    void loses_bus_numbers(const std::string& bridge) { pci_.lose_numbers(address_of(bridge)); }
    void set_reset_bit(const std::string& bridge)
    {
        pci_.set_config_byte(address_of(bridge), 0x3e, pci_.config_byte(address_of(bridge), 0x3e) | 0x40U);
    }
    bool reset_bit(const std::string& bridge) const
    {
        return (pci_.config_byte(address_of(bridge), 0x3e) & 0x40U) != 0;
    }
    void claimed(const std::string& device) { claimed_.insert(device); } // try_claim_within: EBUSY
    void hold_lock(const std::string& path, Milliseconds time);          // somebody else has it so long
    void answer_run(const std::string& command, int status, const std::string& output);
    // A stand-in for a program: it is asked where no answer was given to the whole command.
    using Program = std::function<SysResult(const std::vector<std::string>& arguments)>;
    void add_program(const std::string& path, Program program = {});
    // A daemon behind a socket: what it answers to a request; nothing: it never answers.
    using FakeDaemon = std::function<std::optional<std::string>(const std::string& request)>;
    void add_daemon(const std::string& socket, FakeDaemon daemon);

    // --- time ---
    void at(Milliseconds from_now, std::function<void()> event);
    void interrupt_at(Milliseconds from_now); // SIGTERM
    void advance(Milliseconds time);
    Milliseconds elapsed() const { return Milliseconds(now_ - start_of_time); }

    // --- what happened ---
    const std::vector<std::string>& writes() const { return writes_; }   // "path = text", also of what failed
    const std::vector<std::string>& effects() const { return effects_; } // and files, guards, programs, locks
    const std::vector<std::string>& guards() const { return guards_; }   // guarded writes that still stand
    const std::vector<std::string>& said() const { return said_; }       // "warning: text"
    bool said(std::string_view part) const;

    // --- System ---
    std::optional<std::string> read(const std::string& path) const override;
    std::optional<std::string> read_link(const std::string& path) const override;
    std::vector<std::string> list_directories(const std::string& path) const override;
    std::vector<std::string> list(const std::string& path) const override;
    bool exists(const std::string& path) const override;
    std::optional<DeviceNumber> device_number(const std::string& path) const override;
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
    bool wait_until(const std::function<bool()>& fact, Milliseconds timeout) override;
    TimePoint now() const override { return TimePoint(now_); }
    std::int64_t wall_clock() const override;
    pid_t own_pid() const { return 4242; }
    pid_t parent_pid() const override { return 4000; }
    void say(Severity severity, std::string_view line) override;

private:
    static constexpr Milliseconds start_of_time{1'000'000};

    SysResult answer_to(const std::vector<std::string>& arguments, Milliseconds timeout);
    void refuse_to_hang(const std::string& path) const;
    void advance_to(Milliseconds time) const;
    void count_vfio_users();
    void finish_blocked() const;
    std::optional<SysResult> injected(const std::string& path, Milliseconds timeout);
    SysResult still_running(Milliseconds waited, const std::string& stack) const;
    SysResult perform(const std::string& path, const Reaction& reaction, Milliseconds timeout);
    void record(const std::string& effect);
    void fail_if_refused(const std::string& path);

    FakeTree tree_;
    FakePci pci_;
    FakeDrivers drivers_;
    FakeKernel kernel_;
    std::map<std::string, std::pair<int, int>> refusals_; // errno, and how often
    std::map<std::string, int> refused_reads_;
    std::set<std::string> hanging_writes_, hanging_reads_, ignored_, claimed_;
    std::map<std::string, Milliseconds> delays_, slow_, locks_;
    std::map<std::string, std::pair<std::function<void()>, int>> after_;
    std::map<std::string, std::pair<int, std::string>> answers_;
    std::vector<std::string> writes_, effects_, guards_, said_;
    std::map<std::string, pid_t> opened_by_;
    std::map<std::string, FileFacts> rights_; // of files that are not root's with mode 0644
    std::map<std::string, Program> programs_;
    std::map<std::string, FakeDaemon> daemons_;

    // Time passes while a const reader waits, so these are mutable.
    mutable Milliseconds now_ = start_of_time;
    mutable std::multimap<Milliseconds, std::function<void()>> events_;
    mutable std::vector<Reaction> blocked_; // writes whose child is still running
    mutable pid_t next_child_ = 9001;
    mutable bool interrupted_ = false;
};

} // namespace pvegpu::testing
