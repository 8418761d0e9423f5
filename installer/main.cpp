// pve-gpu-install: prepares the host and attaches the hook to guests.

#include "base/error.hpp"
#include "base/parse_options.hpp"
#include "base/problem_json.hpp"
#include "base/text.hpp"
#include "commands/arguments.hpp"
#include "machine/dry_run_system.hpp"
#include "machine/harden_process.hpp"
#include "machine/linux_system.hpp"
#include "version.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace pvegpu;

std::string environment(const char* name)
{
    const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): there is one thread
    return value != nullptr ? value : "";
}

// Until the question is answered nothing is changed, so Ctrl-C may end the process; LinuxSystem has blocked
// it.
class SignalsLetThrough {
public:
    SignalsLetThrough()
    {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, &before_);
    }
    SignalsLetThrough(const SignalsLetThrough&) = delete;
    SignalsLetThrough& operator=(const SignalsLetThrough&) = delete;
    ~SignalsLetThrough() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

// With '--json' one document is printed at the end, and nothing else reaches standard output.
class Terminal : public Console {
public:
    explicit Terminal(bool json) : json_(json) {}

    void print(std::string_view text) override
    {
        if (json_) return;
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout); // who reads it through a pipe sees it when it happens, too
    }
    void progress(std::string_view line) override
    {
        std::fflush(stdout);
        std::fprintf(stderr, "pve-gpu-install: %s\n", printable(line).c_str());
    }
    void program_says(std::string_view line) override
    {
        std::fprintf(stderr, "  %s\n", printable(line).c_str());
    }
    bool can_ask() const override
    {
        return !json_ && isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    }
    bool ask(std::string_view question) override
    {
        std::printf("%s [y/N] ", std::string(question).c_str());
        std::fflush(stdout);
        std::array<char, 64> answer{};
        const SignalsLetThrough ended_by_signals;
        if (std::fgets(answer.data(), answer.size(), stdin) == nullptr) return false;
        const auto word = lower(trim(answer.data()));
        return word == "y" || word == "yes";
    }
    std::string input(std::size_t most) override
    {
        std::string text(most, '\0');
        const SignalsLetThrough ended_by_signals;
        text.resize(std::fread(text.data(), 1, most, stdin));
        return text;
    }
    Screen screen() const override
    {
        Screen screen;
        if (isatty(STDOUT_FILENO) != 1) return screen;
        const auto terminal = environment("TERM");
        screen.colours = environment("NO_COLOR").empty() && !terminal.empty() && terminal != "dumb";
        constexpr std::size_t narrowest = 40, widest = 120; // what is still read with ease
        winsize size{};
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0)
            screen.width = std::clamp<std::size_t>(size.ws_col, narrowest, widest);
        return screen;
    }

private:
    bool json_;
};

// A tree of files runs no programs.
class ListedPrograms : public ForwardingSystem {
public:
    using ForwardingSystem::ForwardingSystem;
    using System::run;
    SysResult run(const std::vector<std::string>& arguments, Milliseconds /*timeout*/,
                  const OnLine& /*on_line*/) override
    {
        say(Severity::info, "not run, because of '--root': " + join(arguments, " "));
        SysResult outcome;
        outcome.only_listed = true;
        return outcome;
    }
};

void print_answer(const std::string& command, const Json& known, const Json& problem = nullptr)
{
    std::fputs(json_answer(command, known, problem).c_str(), stdout);
}

int act(const Arguments& arguments)
{
    constexpr const char *name = "pve-gpu-install", *when_stopped = "run it again";
    const auto& [command, version_only, help, root, given] = arguments;
    LinuxSystem machine(name, root, when_stopped);
    ListedPrograms listed(machine);
    System& door = root.empty() ? static_cast<System&>(machine) : listed;
    DryRunSystem dry(door);
    System& system = given.dry_run ? dry : door;
    Terminal terminal(given.json);
    Session session{system, terminal, given,
                    [name, when_stopped, &arguments] {
                        return std::make_unique<LinuxSystem>(name, arguments.root, when_stopped);
                    },
                    root.empty()};
    try {
        const bool looks = given.explain.empty() && given.explain_file.empty() && !given.list;
        if (looks && root.empty() && geteuid() != 0)
            throw Error(ErrorKind::failed, {"only root can look at all of the host", "run it as root"});
        const int status = command->run(session);
        if (given.json) print_answer(std::string(command->name), session.document);
        return status;
    } catch (const std::exception& error) {
        std::fflush(stdout);
        system.say(Severity::error, error.what());
        if (given.json)
            print_answer(std::string(command->name), session.document, problem_json(problem_of(error)));
        return exit_failed;
    }
}

int answer(int argc, const char* const* argv)
{
    try {
        const auto arguments = parse_arguments(argc, argv);
        if (arguments.command != nullptr) return act(arguments);
        const auto text =
            arguments.version ? "pve-gpu-install " + std::string(version) + "\n" : arguments.help;
        if (arguments.options.json)
            print_answer(arguments.version ? "version" : "help",
                         {{arguments.version ? "version" : "help", arguments.version ? version : text}});
        else
            std::fputs(text.c_str(), stdout);
        return std::fflush(stdout) == 0 ? exit_done : exit_failed;
    } catch (const boost::program_options::error& error) {
        std::fprintf(stderr, "pve-gpu-install: %s; see '--help'\n", printable(error.what()).c_str());
        if (asks_for_json(argc, argv)) print_answer("usage", {}, usage_problem(error.what()));
        return exit_usage;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "pve-gpu-install: %s\n", error.what());
        if (asks_for_json(argc, argv)) print_answer("error", {}, problem_json(problem_of(error)));
        return exit_failed;
    }
}

} // namespace

int main(int argc, char** argv)
{
    harden_process();
    try {
        return answer(argc, argv);
    } catch (const std::exception& error) { // of an answer to an error: no memory is left
        std::fprintf(stderr, "pve-gpu-install: %s\n", error.what());
        return exit_failed;
    }
}
