// What the installer writes into the files that a boot reads, beside what the administrator has there.
#include "base/error.hpp"
#include "catch.hpp"
#include "commands/commands.hpp"
#include "host/modprobe_config.hpp"
#include "install_hosts.hpp"
#include "machine/paths.hpp"
#include "printed_console.hpp"

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

constexpr const char* arc_guest = "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n";
const std::string modprobe_file(paths::modprobe), udev_file(paths::udev_rules);

// The Arc's native drivers have it, as on a host that was never prepared.
struct Host {
    FakeSystem machine;
    Printed console;

    explicit Host(const std::string& kernel = "6.8.12-4-pve", const HostOptions& options = {})
        : machine(kernel)
    {
        add_arc(machine);
        add_host(machine, options);
        add_vm(machine, 101, arc_guest);
    }

    int run(int (*command)(Session&), Options options)
    {
        options.yes = true;
        console.text.clear();
        Session session{machine, console, std::move(options)};
        const int status = command(session);
        if (session.options.json) console.text = print(session.document);
        return status;
    }
    int install_it() { return run(install, {.vms = {101}}); }

    bool has(const std::string& path, std::string_view part) const
    {
        return machine.read(path).value_or("").find(part) != std::string::npos;
    }
};

// The value that the kernel is given: kmod joins the options in the order of the files, the last one counts.
std::string effective_ids(const SysReader& reader)
{
    std::string ids;
    for (const auto& line : read_modprobe(reader))
        for (const auto& word : line.words)
            if (line.kind == ModprobeLine::Kind::options && word.starts_with("ids=")) ids = word;
    return ids;
}

} // namespace

TEST_CASE("files of modprobe.d are read in the order of their names, and a name hides its later namesakes",
          "[install]")
{
    FakeSystem machine;
    machine.file("/lib/modprobe.d/a.conf", "options vfio-pci ids=1111:1111\n");
    machine.file("/usr/local/lib/modprobe.d/c.conf", "options vfio-pci ids=3333:3333\n");
    machine.file("/run/modprobe.d/b.conf", "options vfio-pci ids=2222:2222\n");
    machine.file("/etc/modprobe.d/c.conf", "options vfio-pci ids=\"4444:4444\"\n");
    machine.file("/etc/modprobe.d/d.conf.bak", "options vfio-pci ids=5555:5555\n");
    std::vector<std::string> files;
    for (const auto& line : read_modprobe(machine)) files.push_back(line.file);
    CHECK(files == std::vector<std::string>{"/lib/modprobe.d/a.conf", "/run/modprobe.d/b.conf",
                                            "/etc/modprobe.d/c.conf"});
    CHECK(vfio_ids(read_modprobe(machine)).back().id == "4444:4444");
}

TEST_CASE("ids of another modprobe.d file stay what the kernel is given, wherever it sorts", "[install]")
{
    for (const auto* file :
         {"/etc/modprobe.d/vfio.conf", "/etc/modprobe.d/kvm.conf", "/usr/lib/modprobe.d/x.conf"}) {
        INFO(file);
        Host host;
        host.machine.file(file, "options vfio-pci ids=10de:2204\n");
        CHECK(host.install_it() == exit_reboot);
        CHECK(effective_ids(host.machine) == "ids=10de:2204");
        CHECK(host.has(udev_file, "0000:03:00.0"));
        CHECK(host.has(udev_file, "0000:04:00.0"));
        host.install_it();
        CHECK(host.console.text.starts_with("Nothing to change.\n"));
        host.run(uninstall, {});
        CHECK_FALSE(host.machine.exists(modprobe_file));
        CHECK_FALSE(host.machine.exists(udev_file));
        CHECK(effective_ids(host.machine) == "ids=10de:2204");
    }
}

TEST_CASE("a modprobe.d file with ids that comes later than the installation is heeded by the next run",
          "[install]")
{
    Host host;
    host.install_it();
    CHECK(effective_ids(host.machine) == "ids=8086:56a6,8086:4f92");
    host.machine.file("/etc/modprobe.d/vfio.conf", "options vfio-pci ids=10de:2204\n");
    host.install_it();
    CHECK(effective_ids(host.machine) == "ids=10de:2204");
    CHECK_FALSE(host.has(modprobe_file, "ids="));
    host.machine.tree().erase("/etc/modprobe.d/vfio.conf");
    host.install_it();
    CHECK(effective_ids(host.machine) == "ids=8086:56a6,8086:4f92");
    CHECK_FALSE(host.machine.exists(udev_file));
}

namespace {

// What a boot leaves of a host whose boot changed nothing else.
void boot(Host& host)
{
    host.machine.tree().erase("/run/pve-gpu-hook");
}

} // namespace

TEST_CASE("a reboot that did not give the card to vfio-pci is not asked for again", "[install]")
{
    Host host;
    CHECK(host.install_it() == exit_reboot);
    CHECK(host.install_it() == exit_reboot); // it is still to come
    boot(host);
    CHECK(host.run(install, {.vms = {101}, .reboot = true}) == exit_done);
    CHECK(host.machine.effects().back() != "run /usr/bin/systemctl reboot");
    CHECK(host.machine.said("'i915' has '0000:03:00.0' (Intel Arc A310, 8086:56a6), and another reboot"));
    host.run(status, {.json = true});
    CHECK(host.console.text.find("\"reboot_needed\": false") != std::string::npos);
    host.machine.tree().erase(modprobe_file);
    CHECK(host.install_it() == exit_reboot);
}

TEST_CASE("a reboot that did not turn on the IOMMU is not asked for again", "[install]")
{
    Host host("6.5.11-8-pve", {.iommu = false});
    CHECK(host.install_it() == exit_reboot);
    boot(host);
    CHECK(host.install_it() == exit_done);
    CHECK(host.machine.said("without 'intel_iommu=on', and another reboot"));
}

TEST_CASE("an installation that failed leaves no reboot to be asked for", "[install]")
{
    Host host;
    host.machine.refuse_write(modprobe_file, 28);
    CHECK_THROWS_AS(host.install_it(), Error);
    CHECK_FALSE(host.machine.exists("/run/pve-gpu-hook/boot-files-changed"));
}

TEST_CASE("what stands below the first line of /etc/kernel/cmdline stays there and counts for nothing",
          "[install]")
{
    Host host("6.5.11-8-pve", {.iommu = false, .proxmox_boot = true, .systemd_boot = true});
    host.machine.file("/sys/firmware/efi/fw_platform_size", "64\n");
    const std::string cmdline(paths::kernel_cmdline_file),
        before = "root=ZFS=rpool/ROOT/pve-1 boot=zfs\n"
                 "# intel_iommu=on: to try\n\nroot=/dev/sda1 old\n";
    host.machine.file(cmdline, before);
    host.install_it();
    CHECK(host.machine.read(cmdline) == "root=ZFS=rpool/ROOT/pve-1 boot=zfs intel_iommu=on iommu=pt\n"
                                        "# intel_iommu=on: to try\n\nroot=/dev/sda1 old\n");
    host.install_it();
    CHECK(host.console.text.starts_with("Nothing to change.\n"));
    host.run(uninstall, {});
    CHECK(host.machine.read(cmdline) == before);
}

TEST_CASE("why to reboot, and before what, stands behind 'Done'", "[install]")
{
    Host host;
    host.install_it();
    const auto& printed = host.console.text;
    const auto done = printed.find("Done: 5 files, ");
    REQUIRE(done != std::string::npos);
    CHECK(printed.find("1. reboot: the host's driver 'i915'", done) != std::string::npos);
    CHECK(printed.find("2. pve-gpu-install try --vm 101\n  3. qm start 101\n", done) != std::string::npos);
    host.run(install, {.vms = {101}, .json = true});
    CHECK(host.console.text.find("Next:") == std::string::npos);
}

TEST_CASE("a driver that was blacklisted on request stays so until the uninstallation", "[install]")
{
    Host host;
    REQUIRE(host.run(install, {.vms = {101}, .blacklist = true}) != exit_failed);
    REQUIRE(host.has(modprobe_file, "blacklist i915\n"));
    host.install_it();
    CHECK(host.has(modprobe_file, "blacklist i915\n"));
}

TEST_CASE("a configuration file that is a link is refused before anything is changed", "[install]")
{
    Host host;
    host.machine.file("/srv/modules", "# the administrator's\n");
    host.machine.tree().set_link(std::string(paths::initramfs_modules), "/srv/modules");
    const auto before = host.machine.effects().size();
    std::string trouble;
    try {
        host.install_it();
    } catch (const Error& error) {
        trouble = error.what();
    }
    CHECK(trouble.find("is a link to '/srv/modules'") != std::string::npos);
    for (auto at = before; at < host.machine.effects().size(); ++at)
        CHECK(host.machine.effects()[at].find("run ") == std::string::npos);
    CHECK_FALSE(host.machine.exists(modprobe_file));
}
