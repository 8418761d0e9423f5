// What guests answer, and what is made of it: text in, text out.
#include "base/json.hpp"
#include "base/text.hpp"
#include "commands/guest_verification.hpp"

#include <algorithm>

namespace pvegpu {
namespace {

// What qm prints after its warnings, which come in the same stream: "timeout reached, returning pid", a line
// of the configuration that it cannot read.
Json document_in(const std::string& text)
{
    const auto start = text.starts_with('{') ? 0 : text.find("\n{");
    if (start == std::string::npos) return nullptr;
    return Json::parse(text.substr(start), nullptr, false);
}

bool says_not_there(const std::string& text)
{
    return text.find("No such file or directory") != std::string::npos ||
           text.find("not found") != std::string::npos;
}

} // namespace

// lxc-attach ends with 127 where there is no such program, as a shell does.
GuestAnswer parse_attach_answer(const Outcome& outcome)
{
    constexpr int no_such_program = 127;
    if (outcome.still_running()) return {GuestAnswer::Kind::no_answer, outcome.text};
    if (outcome.done()) return {GuestAnswer::Kind::done, outcome.text};
    if (outcome.error_number == no_such_program) return {GuestAnswer::Kind::not_installed, outcome.text};
    return {GuestAnswer::Kind::failed, outcome.text};
}

// {"exitcode": 0, "exited": 1, "out-data": "..."}, the data decoded (qemu_exec_status in qemu-server's
// Agent.pm); without "exited" the program runs on, with "signal" and no "exitcode" it was killed. The agent
// itself tells of a program that is not there (guest-exec in QEMU's qga/commands.c), and qm prints that.
GuestAnswer parse_agent_answer(const Outcome& outcome)
{
    if (outcome.still_running()) return {GuestAnswer::Kind::no_answer, outcome.text};
    const auto json = document_in(outcome.text);
    if (!json.is_object())
        return {says_not_there(outcome.text) ? GuestAnswer::Kind::not_installed
                                             : GuestAnswer::Kind::no_answer,
                outcome.text};
    const auto text = text_in(json, "out-data") + text_in(json, "err-data");
    const auto code = json.find("exitcode");
    if (code == json.end() && json.contains("signal")) return {GuestAnswer::Kind::failed, text};
    if (code == json.end() || !code->is_number_integer()) return {GuestAnswer::Kind::no_answer, text};
    return {*code == 0 ? GuestAnswer::Kind::done : GuestAnswer::Kind::failed, text};
}

std::string verification_json(const std::vector<GuestVerification>& guests)
{
    Json json{{"schema", "pve-gpu-hook/verify/1"}, {"guests", Json::array()}};
    for (const auto& guest : guests) {
        auto checks = Json::array();
        for (const auto& check : guest.checks)
            checks.push_back({{"name", check.name},
                              {"verdict", to_string(check.verdict)},
                              {"evidence", check.evidence},
                              {"remedy", check.remedy.words}});
        json["guests"].push_back(
            {{"vmid", guest.vmid}, {"type", guest.container ? "ct" : "vm"}, {"checks", checks}});
    }
    return print(json);
}

std::string print_verification(const GuestVerification& guest)
{
    std::string text = (guest.container ? "container " : "VM ") + std::to_string(guest.vmid) + "\n";
    for (const auto& check : guest.checks) {
        auto line = "  " + std::string(check.name);
        line.resize(std::max<std::size_t>(line.size() + 1, 18), ' ');
        line += to_string(check.verdict);
        line.resize(std::max<std::size_t>(line.size() + 1, 26), ' ');
        text += line;
        text += printable(check.evidence) + "\n";
        if (const auto& fix = check.remedy.words; !fix.empty())
            text += std::string(26, ' ') + printable(fix) + "\n";
    }
    return text;
}

} // namespace pvegpu
