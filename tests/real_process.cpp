#include "real_process.hpp"

#include "base/text.hpp"
#include "catch.hpp"

#include <array>
#include <boost/filesystem.hpp>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <stdexcept>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pvegpu::testing {
namespace fs = boost::filesystem;
namespace {

constexpr Milliseconds longest_wait{20'000}; // a loaded machine is slow
constexpr int pause_milliseconds = 2;

void require(bool good, const std::string& what)
{
    if (!good) throw std::runtime_error("cannot prepare the test: " + what);
}

// The fields after the name, which may hold anything: state, parent, ...
std::string stat_fields(const std::string& pid)
{
    std::ifstream file("/proc/" + pid + "/stat");
    std::string text;
    std::getline(file, text);
    const auto end = text.rfind(") ");
    return end == std::string::npos ? "" : text.substr(end + 2);
}

} // namespace

TempDirectory::TempDirectory()
{
    std::string name = (fs::temp_directory_path() / "pve-gpu-hook-test.XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "a directory");
    path_ = fs::canonical(name).string();
}

TempDirectory::~TempDirectory()
{
    boost::system::error_code ignored;
    fs::remove_all(path_, ignored);
    for (const int reader : readers_) close(reader);
}

void TempDirectory::file(const std::string& path, std::string_view text) const
{
    fs::create_directories(fs::path(path_ + path).parent_path());
    std::ofstream file(path_ + path, std::ios::binary | std::ios::trunc);
    file << text;
    require(file.flush().good(), path);
}

void TempDirectory::link(const std::string& path, const std::string& target) const
{
    fs::create_directories(fs::path(path_ + path).parent_path());
    fs::create_symlink(target, path_ + path);
}

void TempDirectory::fifo(const std::string& path) const
{
    fs::create_directories(fs::path(path_ + path).parent_path());
    require(mkfifo((path_ + path).c_str(), S_IRUSR | S_IWUSR) == 0, path);
}

void TempDirectory::device(const std::string& path, unsigned major, unsigned minor) const
{
    fs::create_directories(fs::path(path_ + path).parent_path());
    require(mknod((path_ + path).c_str(), S_IFCHR | S_IRUSR | S_IWUSR, makedev(major, minor)) == 0, path);
}

void TempDirectory::release_writer(const std::string& path)
{
    readers_.push_back(open((path_ + path).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    require(readers_.back() >= 0, path);
}

std::string TempDirectory::text(const std::string& path) const
{
    std::ifstream file(path_ + path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

TestProcess::TestProcess(const std::function<int()>& body) : pid_(fork())
{
    require(pid_ >= 0, "a process");
    if (pid_ > 0) return;
    int status = 99;
    try {
        status = body();
    } catch (...) { // NOLINT(bugprone-empty-catch): the status says it
    }
    _exit(status);
}

TestProcess::~TestProcess()
{
    if (ended_) return;
    send(SIGKILL);
    wait();
}

int TestProcess::wait()
{
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    ended_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

ErrorKind reason_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.reason();
    }
    throw std::logic_error("nothing was thrown");
}

int errno_of(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.error_number();
    }
    return 0;
}

std::string text_of_error(const std::function<void()>& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

bool eventually(const std::function<bool()>& fact)
{
    const auto deadline = std::chrono::steady_clock::now() + longest_wait;
    while (!fact()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        poll(nullptr, 0, pause_milliseconds);
    }
    return true;
}

void wait_for_the_end()
{
    for (;;) pause();
}

std::vector<pid_t> children_of(pid_t parent)
{
    std::vector<pid_t> children;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        const auto pid = parse_decimal(name);
        if (!pid) continue;
        const auto fields = stat_fields(name);
        if (fields.size() > 2 && fields.front() != 'Z' &&
            fields.substr(2).starts_with(std::to_string(parent) + " "))
            children.push_back(static_cast<pid_t>(*pid));
    }
    return children;
}

char process_state(pid_t pid)
{
    const auto fields = stat_fields(std::to_string(pid));
    return fields.empty() ? '\0' : fields.front();
}

std::vector<std::string> open_files(pid_t pid)
{
    std::vector<std::string> files;
    for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd"))
        files.push_back(fs::read_symlink(entry.path()).string());
    return files;
}

bool path_exists(const std::string& path)
{
    return access(path.c_str(), F_OK) == 0;
}

std::string read_to_end(int descriptor)
{
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t count = 0;
    while ((count = ::read(descriptor, buffer.data(), buffer.size())) > 0)
        text.append(buffer.data(), static_cast<std::size_t>(count));
    return text;
}

bool lacks_root(std::string_view what_needs_it)
{
    if (geteuid() == 0) return false;
    WARN("not run: " << what_needs_it << " needs root");
    return true;
}

} // namespace pvegpu::testing
