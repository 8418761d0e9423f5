// A directory of somebody else's root, on the real kernel: nothing leads out of it, nothing is opened.
#include "machine/list_inside.hpp"

#include "catch.hpp"
#include "machine/linux_system.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace pvegpu;
namespace fs = std::filesystem;

namespace {

struct Root {
    fs::path path;

    Root()
    {
        std::string name = (fs::temp_directory_path() / "pvegpu-inside.XXXXXX").string();
        path = mkdtemp(name.data());
        fs::create_directories(path / "dev/dri");
        fs::create_directories(path / "etc");
        std::ofstream(path / "etc/inside") << "";
    }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    ~Root() { fs::remove_all(path); }

    SysResult list(const std::string& directory, const std::string& prefix = "") const
    {
        const LinuxSystem system("test", "");
        return system.list_inside(path.string(), directory, prefix, Milliseconds(5000));
    }
    std::vector<std::string> names(const std::string& directory, const std::string& prefix = "") const
    {
        std::vector<std::string> names;
        for (const auto& entry : parse_inside(list(directory, prefix).text)) names.push_back(entry.name);
        std::sort(names.begin(), names.end());
        return names;
    }
};

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("a link of a container leads inside of its own root, wherever it points", "[ct]")
{
    const Root root;
    for (const auto* target : {"/etc", "/../../../../etc", "../../../../../../etc"}) {
        fs::remove_all(root.path / "dev/dri");
        fs::create_directory_symlink(target, root.path / "dev/dri");
        CHECK(root.names("/dev/dri") == Names{"inside"});
    }
}

TEST_CASE("a magic link of /proc is not followed out of a container", "[ct]")
{
    const Root root;
    fs::remove_all(root.path / "dev/dri");
    fs::create_directory_symlink("/proc/self/root", root.path / "dev/dri"); // inside there is no /proc
    CHECK(root.list("/dev/dri").error_number == ENOENT);
    const LinuxSystem system("test", "");
    const auto outcome = system.list_inside("/", "/proc/self/root/etc", "", Milliseconds(5000));
    CHECK(outcome.refused());
    CHECK(outcome.error_number == ELOOP);
}

TEST_CASE("FIFOs, links and names with control characters do not hold up or forge a listing", "[ct]")
{
    const Root root;
    REQUIRE(mkfifo((root.path / "dev/nvidia0").c_str(), 0600) == 0);
    fs::create_symlink("/dev/kmsg", root.path / "dev/nvidia1");
    std::ofstream(root.path / "dev/x\nc 195:0 nvidia2") << "";
    const auto entries = parse_inside(root.list("/dev").text);
    CHECK(root.names("/dev") == Names{"dri", "nvidia0", "nvidia1"});
    for (const auto& entry : entries) CHECK((entry.kind == 'd' || entry.kind == 'l' || entry.kind == '-'));
    CHECK(root.names("/dev", "nvidia") == Names{"nvidia0", "nvidia1"});
    CHECK(root.list("/dev/nvidia0").refused()); // not a directory
}

TEST_CASE("the host's own nodes come with their numbers", "[ct]")
{
    const LinuxSystem system("test", "");
    const auto entries = parse_inside(system.list_inside("/", "/dev", "null", Milliseconds(5000)).text);
    REQUIRE(entries.size() == 1);
    CHECK(entries[0] == InsideEntry{'c', {1, 3, false}, "null"});
}
