#include "events/notes.hpp"

#include "base/error.hpp"
#include "base/text.hpp"
#include "machine/paths.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

constexpr std::string_view own_mark = "pve-gpu-hook ";

// Of two words.
std::optional<Process> parse_process(std::string_view pid, std::string_view start)
{
    const auto number = parse_number<pid_t>(pid);
    const auto time = parse_number<std::uint64_t>(start);
    if (!number || !time || *number <= 0) return std::nullopt;
    return Process{*number, *time};
}

std::string print_times(const std::vector<std::int64_t>& times)
{
    std::string text;
    for (const auto time : times) text += std::to_string(time) + "\n";
    return text;
}

} // namespace

std::optional<Process> qemu_of(const SysReader& reader, unsigned vmid)
{
    const auto text = reader.read(paths::pve_pid_file(vmid)).value_or("");
    const auto pid = parse_number<pid_t>(trim(std::string_view(text)));
    return pid && *pid > 0 ? find_process(reader, *pid) : std::nullopt;
}

std::string print_request(const Process& qemu)
{
    return std::string(own_mark) + to_string(qemu) + "\n";
}

bool is_own_request(std::string_view text)
{
    return text.starts_with(own_mark);
}

std::optional<RebootRequest> read_request(const SysReader& reader, unsigned vmid)
{
    auto text = reader.read(paths::pve_reboot_request(vmid));
    if (!text) return std::nullopt;
    return RebootRequest{is_own_request(*text), std::move(*text)};
}

bool ask_for_restart(System& system, unsigned vmid, const Process& qemu)
{
    const auto known = read_request(system, vmid);
    if (known && known->ours && known->text != print_request(qemu)) // of an earlier QEMU: nobody has taken it
        system.remove_file(paths::pve_reboot_request(vmid));
    return system.create_file(paths::pve_reboot_request(vmid), print_request(qemu));
}

bool take_back_request(System& system, unsigned vmid)
{
    const auto request = read_request(system, vmid);
    if (!request || !request->ours) return false;
    system.remove_file(paths::pve_reboot_request(vmid));
    return true;
}

void note_stop_of(System& system, unsigned vmid, const Process& qemu)
{
    system.replace_file(paths::stop_note(vmid), to_string(qemu) + "\n");
}

void note_stop(System& system, unsigned vmid)
{
    if (const auto qemu = qemu_of(system, vmid)) note_stop_of(system, vmid, *qemu);
    take_back_request(system, vmid);
}

bool stop_is_noted(const SysReader& reader, unsigned vmid, const Process& qemu)
{
    return reader.read(paths::stop_note(vmid)) == to_string(qemu) + "\n";
}

std::vector<std::int64_t> parse_restart_times(std::string_view text)
{
    std::vector<std::int64_t> times;
    for (LineReader lines(text); lines.next();)
        if (const auto time = parse_number<std::int64_t>(lines.line())) times.push_back(*time);
    return times;
}

bool count_restart(System& system, unsigned vmid, const GuestReboots& limit)
{
    const auto path = paths::restart_times_of(vmid);
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(system.now().time_since_epoch()).count();
    auto times = parse_restart_times(system.read(path).value_or(""));
    std::erase_if(times, [&](std::int64_t time) { return time > now || time <= now - limit.within.count(); });
    if (times.size() >= limit.most) return false;
    times.push_back(now);
    system.replace_file(path, print_times(times));
    return true;
}

std::string print_reader_note(const ReaderNote& note)
{
    return to_string(note.qemu) + " " + to_string(note.reader) + " " +
           name_of(reader_state_names, note.state) + " " + printable(note.why) + "\n";
}

std::optional<ReaderNote> parse_reader_note(std::string_view text)
{
    constexpr std::size_t words_before = 5;
    const auto words = words_of(text);
    if (words.size() < words_before) return std::nullopt;
    const auto qemu = parse_process(words[0], words[1]);
    const auto reader = parse_process(words[2], words[3]);
    const auto* const state = find_name(reader_state_names, words[4]);
    if (!qemu || !reader || state == reader_state_names.end()) return std::nullopt;
    ReaderNote note{*qemu, *reader, state->value, ""};
    for (auto i = words_before; i < words.size(); ++i)
        note.why += (note.why.empty() ? "" : " ") + std::string(words[i]);
    return note;
}

std::optional<ReaderNote> read_reader_note(const SysReader& reader, unsigned vmid)
{
    const auto text = reader.read(paths::reader_note(vmid));
    return text ? parse_reader_note(*text) : std::nullopt;
}

} // namespace pvegpu
