#include "events/read_events.hpp"

#include "base/error.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

// `qm cleanup` waits a minute for the guest's lock (qemu-server's CLI/qm.pm), and QEMU takes its time to give
// back a large guest's memory.
constexpr Milliseconds request_is_taken_within{90'000};
constexpr Milliseconds between_looks_at_the_request{250};

constexpr Milliseconds systemd_takes_it_within{10'000};

class Reader {
public:
    Reader(const OpenSystem& open, unsigned vmid, ServiceManager manager)
        : open_(open), vmid_(vmid), manager_(std::move(manager))
    {
    }

    void run()
    {
        manager_.ready();
        auto qemu = qemu_of(*open_(), vmid_);
        if (!qemu) hear_the_rest();
        for (;;) {
            if (qemu) {
                const auto end = Machine(open_, vmid_, *qemu, manager_, wakers_).read();
                if (end == Machine::End::told_to_end) return;
                if (end == Machine::End::not_ours)
                    return open_()->say(Severity::info,
                                        "its QEMU has no monitor of ours, so there is nothing to do");
            }
            qemu = next_qemu(qemu);
            if (!qemu) return;
        }
    }

private:
    // QEMU has ended while no reader was there; the last one has noted which it was.
    void hear_the_rest()
    {
        const auto note = read_reader_note(*open_(), vmid_);
        if (note) Machine(open_, vmid_, note->qemu, manager_, wakers_).hear_the_rest();
    }

    // Nothing where none is expected any more.
    std::optional<Process> next_qemu(const std::optional<Process>& last)
    {
        const auto deadline = std::chrono::steady_clock::now() + request_is_taken_within;
        for (;;) {
            const auto system = open_();
            const auto now = qemu_of(*system, vmid_);
            if (now && now != last) return now;
            const auto request = read_request(*system, vmid_);
            if (wakers_.told_to_end()) return std::nullopt; // by the note the next reader hears the rest
            if (!request || !request->ours) break;
            if (std::chrono::steady_clock::now() >= deadline) {
                start_it(*system, last);
                break;
            }
            manager_.alive();
            wait_readable({wakers_.signals()}, between_looks_at_the_request);
        }
        open_()->remove_file(paths::reader_note(vmid_));
        return std::nullopt;
    }

    // Proxmox has ended the guest before it could see our request. By systemd, or the new QEMU would have the
    // restrictions of this service.
    void start_it(System& system, const std::optional<Process>& last) const
    {
        take_back_request(system, vmid_);
        const auto number = std::to_string(vmid_);
        if (const auto hindrance = find_hindrance(system, vmid_, last.value_or(Process{})))
            return system.say(Severity::warning,
                              "it has rebooted by itself and stays off: " + hindrance->advice.fact +
                                  "; 'qm start " + number + "' starts it");
        system.say(Severity::warning,
                   "it has rebooted by itself, and Proxmox has not started it anew: it is started now");
        const auto outcome =
            system.run({std::string(paths::systemd_run_program), "--no-block", "--collect", "--quiet",
                        "--property=KillMode=process", std::string(paths::qm_program), "start", number},
                       systemd_takes_it_within);
        if (!outcome.done())
            system.say(Severity::error,
                       "it cannot be started from here: 'qm start " + number + "' starts it");
    }

    const OpenSystem& open_;
    const unsigned vmid_;
    ServiceManager manager_;
    Wakers wakers_;
};

} // namespace

void read_events(const OpenSystem& open, unsigned vmid, ServiceManager manager)
{
    Reader(open, vmid, std::move(manager)).run();
}

} // namespace pvegpu
