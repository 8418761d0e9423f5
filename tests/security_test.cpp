// What others may have prepared for a program of root's: directories, links, an environment. docs/security.md
// lists who may write what we read; the checks that are shown elsewhere are named there.
#include "base/text.hpp"
#include "catch.hpp"
#include "machine/harden_process.hpp"
#include "real_process.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr Milliseconds soon{10'000};
constexpr uid_t somebody = 65534;

const std::string our_directory = "/run/pve-gpu-hook";
const std::string journal = "/run/pve-gpu-hook/journal/101.json";
const std::string chained_note = "/var/lib/pve-gpu-hook/chained/101.json";

// What reads, replaces or locks a file in that directory.
std::vector<std::string> refusals(LinuxSystem& system)
{
    return {text_of_error([&] { system.read(journal); }),
            text_of_error([&] { system.replace_file(journal, "ours"); }),
            text_of_error([&] { system.lock(our_directory + "/lock", soon); })};
}

void check_refused(RealSystem& real)
{
    for (const auto& refusal : refusals(real.system)) {
        INFO(refusal);
        CHECK(refusal.starts_with(real.root(our_directory)));
        CHECK(refusal.find("is not a directory that only root can write to") != std::string::npos);
    }
    CHECK(real.root.text(journal) == "planted");
}

std::string status_of(pid_t pid, const std::string& key)
{
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(key + ":")) return std::string(trim(line.substr(key.size() + 1)));
    return "";
}

// Puts a link to `target` in a file's place, again and again, for as long as it lives.
TestProcess link_planter(const std::string& path, const std::string& target)
{
    return TestProcess([path, target] {
        const auto other = path + ".planted";
        for (;;) {
            unlink(other.c_str());
            if (symlink(target.c_str(), other.c_str()) == 0) rename(other.c_str(), path.c_str());
        }
        return 0;
    });
}

} // namespace

TEST_CASE("our directory is not believed if others can write to it", "[security]")
{
    RealSystem real;
    real.root.file(journal, "planted");
    SECTION("everybody")
    {
        REQUIRE(chmod(real.root(our_directory).c_str(), 0777) == 0);
    }
    SECTION("everybody, with the sticky bit")
    {
        REQUIRE(chmod(real.root(our_directory).c_str(), 01777) == 0);
    }
    SECTION("a group")
    {
        REQUIRE(chmod(real.root(our_directory).c_str(), 0770) == 0);
    }
    check_refused(real);
}

TEST_CASE("our directory is not believed if it is another user's, or a link", "[security]")
{
    if (lacks_root("giving a directory to another user")) return;
    RealSystem real;
    real.root.file(journal, "planted");
    SECTION("another user's")
    {
        REQUIRE(chown(real.root(our_directory).c_str(), somebody, somebody) == 0);
    }
    SECTION("a link")
    {
        const auto elsewhere = real.root("/elsewhere");
        REQUIRE(rename(real.root(our_directory).c_str(), elsewhere.c_str()) == 0);
        real.root.link(our_directory, elsewhere);
    }
    check_refused(real);
}

TEST_CASE("a directory in ours that others can write to is not believed either", "[security]")
{
    RealSystem real;
    real.root.file(journal, "planted");
    REQUIRE(chmod(real.root(our_directory + "/journal").c_str(), 0777) == 0);
    CHECK(text_of_error([&] { real.system.read(journal); }).find("only root can write") != std::string::npos);
    real.root.file(chained_note, "planted"); // it names a program that root will run
    REQUIRE(chmod(real.root("/var/lib/pve-gpu-hook/chained").c_str(), 0777) == 0);
    CHECK_FALSE(text_of_error([&] { real.system.read(chained_note); }).empty());
}

TEST_CASE("our directory may be read by others, and those of others are none of our business", "[security]")
{
    RealSystem real;
    real.root.file(journal, "ours");
    REQUIRE(chmod(real.root(our_directory).c_str(), 0755) == 0);
    CHECK(real.system.read(journal) == "ours");
    CHECK(real.system.lock(our_directory + "/lock", soon));
    real.root.file("/run/other/file", "text");
    REQUIRE(chmod(real.root("/run/other").c_str(), 0777) == 0);
    CHECK(real.system.read("/run/other/file") == "text");
}

TEST_CASE("links that were planted in the place of our files lead nobody's file to harm", "[security]")
{
    RealSystem real;
    real.root.file("/other", "other's");
    real.root.file(our_directory + "/x", "");
    const auto temporary = journal + "." + std::to_string(getpid()) + ".tmp";
    for (const auto& path : {journal, our_directory + "/claims/101.json", our_directory + "/state/101.json",
                             our_directory + "/101.json", temporary})
        real.root.link(path, real.root("/other"));
    for (const auto& path : {journal, our_directory + "/claims/101.json", our_directory + "/state/101.json",
                             our_directory + "/101.json"}) {
        real.system.replace_file(path, "ours");
        CHECK(real.root.text(path) == "ours");
        CHECK_FALSE(real.system.read_link(path));
    }
    real.root.link(our_directory + "/lock", real.root("/other"));
    CHECK(errno_of([&] { real.system.lock(our_directory + "/lock", soon); }) == ELOOP);
    CHECK(real.root.text("/other") == "other's");
}

TEST_CASE("whoever wins a race for the name of a file, what a link leads to is not written", "[security]")
{
    RealSystem real;
    real.root.file("/other", "other's");
    REQUIRE(chmod(real.root("/other").c_str(), 0600) == 0);
    const std::string file = "/etc/modprobe.d/pve-gpu-hook.conf";
    real.root.file(file, "");
    const std::string place = GENERATE("", ".tmp");
    const auto suffix = place.empty() ? "" : "." + std::to_string(getpid()) + place;
    const auto attacker = link_planter(real.root(file) + suffix, real.root("/other"));
    unsigned put = 0;
    for (int i = 0; i < 300; ++i) {
        try {
            real.system.install_file(file, "ours", 0644);
            ++put;
        } catch (const Error&) { // NOLINT(bugprone-empty-catch): refused is as good
        }
    }
    INFO(put << " of 300 were put in place");
    CHECK(real.root.text("/other") == "other's");
    struct stat facts {};
    REQUIRE(stat(real.root("/other").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777) == 0600);
}

TEST_CASE("a process that is hardened leaves no core and nothing for others to read", "[security]")
{
    TestProcess process([] {
        harden_process();
        rlimit core{1, 1};
        const bool limited = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0;
        return limited && prctl(PR_GET_DUMPABLE) == 0 && umask(0) == 077 ? 0 : 1;
    });
    CHECK(process.wait() == 0);
}

TEST_CASE("a child that writes for us can gain no privilege and has given up most of its own", "[security]")
{
    RealSystem real;
    real.root.fifo("/stuck");
    const auto outcome = real.system.write("/stuck", "1", Milliseconds(200));
    REQUIRE(outcome.still_running());
    CHECK(status_of(outcome.child, "NoNewPrivs") == "1");
    CHECK(status_of(outcome.child, "CapInh") == "0000000000000000");
    const auto effective = std::stoull(status_of(outcome.child, "CapEff"), nullptr, 16);
    // capabilities(7), by number: CHOWN 0, DAC_OVERRIDE 1, DAC_READ_SEARCH 2, FOWNER 3, IPC_LOCK 14,
    // SYS_RAWIO 17, SYS_PTRACE 19, SYS_ADMIN 21, SYS_NICE 23, SYS_RESOURCE 24
    constexpr unsigned long long kept = 1ULL | 1ULL << 1U | 1ULL << 2U | 1ULL << 3U | 1ULL << 14U |
                                        1ULL << 17U | 1ULL << 19U | 1ULL << 21U | 1ULL << 23U | 1ULL << 24U;
    CHECK((effective & ~kept) == 0);
    real.root.release_writer("/stuck");
}

// Each variable names a pipe that nobody writes to: opening one of them would never end.
TEST_CASE("no variable of the caller's environment but one has an effect", "[security]")
{
    if (STATIC_PROGRAMS == 0) {
        WARN("skipped: the dynamic loader of this build goes by LD_*; the programs that are installed are "
             "static");
        return;
    }
    TempDirectory host;
    host.file("/etc/pve/qemu-server/101.conf", "hostpci0: 03:00\n");
    host.file("/proc/sys/kernel/hostname", "pve\n");
    host.fifo("/trap");
    const auto trap = host("/trap");
    std::vector<std::string> environment{"PATH=" + host(), "IFS=/", "TZ=:" + trap, "LC_ALL=../../" + trap};
    for (const auto* const name : {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LOCPATH", "GCONV_PATH",
                                   "NLSPATH", "LANGUAGE", "TMPDIR", "HOME", "GETCONF_DIR", "RES_OPTIONS",
                                   "HOSTALIASES", "MALLOC_TRACE", "BASH_ENV", "PERL5LIB"})
        environment.push_back(name + ("=" + trap));
    const std::string program = GENERATE(HOOK_PROGRAM, INSTALL_PROGRAM);
    const auto run_with = [&](const std::vector<std::string>& variables) {
        host.file("/out", "");
        TestProcess process([&] {
            const auto root = "--root=" + host();
            std::vector<const char*> arguments{program.c_str(), root.c_str()};
            if (program == HOOK_PROGRAM)
                arguments.insert(arguments.end(), {"--dry-run", "--json", "101", "pre-start"});
            else
                arguments.push_back("status");
            arguments.push_back(nullptr);
            std::vector<const char*> pointers;
            for (const auto& one : variables) pointers.push_back(one.c_str());
            pointers.push_back(nullptr);
            const int out = open(host("/out").c_str(), O_WRONLY);
            if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) return 126;
            constexpr unsigned longest_run = 20; // seconds, then SIGALRM
            alarm(longest_run);
            execve(program.c_str(), const_cast<char**>(arguments.data()), // NOLINT: execve's own way
                   const_cast<char**>(pointers.data()));                  // NOLINT
            return 126;
        });
        const auto status = process.wait();
        return std::to_string(status) + "\n" + host.text("/out");
    };
    const auto without = run_with({});
    CHECK(without.size() > 10);
    CHECK(run_with(environment) == without);
}
