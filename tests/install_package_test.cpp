// What the package's maintainer scripts call: no guest is left whose hookscript is missing.
#include "base/error.hpp"
#include "catch.hpp"
#include "changes/install_plan.hpp"
#include "changes/removal_survey.hpp"
#include "commands/commands.hpp"
#include "host/programs.hpp"
#include "host/pve_files.hpp"
#include "host/stub.hpp"
#include "install_hosts.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"
#include "printed_console.hpp"
#include "recovery/journal.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

const std::string snippet = "/var/lib/vz/snippets/pve-gpu-hook";
const std::string ours = "hookscript: local:snippets/pve-gpu-hook\n";

// A host with the hook attached to VM 101.
struct Host : FakeSystem {
    Host() : FakeSystem("6.14.8-2-pve")
    {
        add_arc(*this);
        add_host(*this, {.running = "root=/dev/sda1 iommu=pt"});
        add_vm(*this, 101, "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n");
        mirror_to_node(101);
        file(std::string(paths::dpkg_status),
             "Package: pve-manager\nStatus: install ok installed\nVersion: 8.4.1\n\n");
        command(install, {.vms = {101}, .yes = true});
        REQUIRE(read_link(snippet) == "/usr/sbin/pve-gpu-hook");
    }

    int command(int (*run)(Session&), Options options = {.yes = true})
    {
        Printed console;
        Session session{*this, console, std::move(options),
                        [this] { return std::make_unique<ForwardingSystem>(*this); }};
        return run(session);
    }
    int removal() { return command(package_remove); }

    // /etc/pve/qemu-server is a link to this node's part, as on a live host.
    void mirror_to_node(unsigned vmid)
    {
        const auto text = this->text(paths::vm_config(vmid)) + "\n";
        tree().erase("/etc/pve/qemu-server");
        tree().add_directory("/etc/pve/nodes/pve1/qemu-server");
        tree().set_link("/etc/pve/qemu-server", "nodes/pve1/qemu-server");
        file(paths::vm_config(vmid), text);
    }

    // A guest of another node, whose storage has the same name.
    void add_guest_of_pve2(unsigned vmid, const std::string& lines)
    {
        file("/etc/pve/.vmlist", R"({"version": 1, "ids": {
            "101": { "node": "pve1", "type": "qemu", "version": 1 },
            ")" + std::to_string(vmid) +
                                     R"(": { "node": "pve2", "type": "lxc", "version": 1 } }})");
        file(paths::ct_config(vmid, "pve2"), lines);
    }

    void forbid_qm()
    {
        add_program("/usr/sbin/qm", [](const auto&) {
            return SysResult{SysResult::Kind::refused, 255, "cluster not ready - no quorum?\n", 0, ""};
        });
    }
    void unmount_pve()
    {
        tree().erase("/etc/pve");
        tree().add_directory("/etc/pve");
    }
    bool has_stub() const { return is_stub(*this, snippet); }
    bool guest_can_start() const { return has_stub() || hookscript_of(*this, 101).empty(); }
};

} // namespace

TEST_CASE("removing the package detaches the guests and leaves the host as it was", "[package]")
{
    Host host;
    CHECK(host.removal() == exit_done);
    CHECK(hookscript_of(host, 101).empty());
    CHECK_FALSE(host.read_link(snippet));
    CHECK_FALSE(host.exists(snippet));
    CHECK_FALSE(host.exists("/var/lib/vz/snippets"));
    CHECK_FALSE(host.exists(std::string(paths::modprobe)));
    CHECK_FALSE(host.exists(std::string(paths::install_manifest)));
    CHECK_FALSE(host.exists(std::string(paths::install_state)));
}

TEST_CASE("where qm fails, a stub takes the link's place, and the host's files are undone all the same",
          "[package]")
{
    Host host;
    host.forbid_qm();
    CHECK(host.removal() == exit_done);
    CHECK(hookscript_of(host, 101) == "local:snippets/pve-gpu-hook");
    CHECK(host.has_stub());
    CHECK(host.file_facts(snippet)->mode == 0755);
    CHECK(host.said("guest 101 keeps the hook"));
    CHECK(host.said("is now a script that does nothing, because VM 101 (or a snapshot of it) refers to it"));
    CHECK_FALSE(host.exists(std::string(paths::modprobe)));
    CHECK(host.exists(std::string(paths::install_manifest)));
}

TEST_CASE("installed again, the link leads to the hook; and uninstalled then, nothing is left", "[package]")
{
    Host host;
    host.forbid_qm();
    host.removal();
    CHECK(host.command(package_configured) == exit_done);
    CHECK(host.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
    add_host(host, {.running = "root=/dev/sda1 iommu=pt"}); // qm works again
    CHECK(host.command(uninstall) == exit_done);
    CHECK(hookscript_of(host, 101).empty());
    CHECK_FALSE(host.read_link(snippet));
    CHECK_FALSE(host.exists(std::string(paths::install_state)));
}

TEST_CASE("without the cluster file system every link of ours becomes a stub", "[package]")
{
    Host host;
    host.unmount_pve();
    CHECK(host.removal() == exit_done);
    CHECK(host.has_stub());
    CHECK(host.said("the guests cannot be looked at"));
    CHECK_FALSE(host.exists(std::string(paths::modprobe)));
}

TEST_CASE("a cluster file system that hangs does not keep the package on the host", "[package]")
{
    Host host;
    host.hang_read("/etc/pve/storage.cfg");
    host.hang_read("/etc/pve/.vmlist");
    CHECK(host.removal() == exit_done);
    CHECK(host.has_stub());
    CHECK_FALSE(host.exists(std::string(paths::modprobe)));
}

TEST_CASE("a guest of another node keeps a stub here, because it may come to this node", "[package]")
{
    Host host;
    host.add_guest_of_pve2(901, ours);
    CHECK(host.removal() == exit_done);
    CHECK(hookscript_of(host, 101).empty());
    CHECK(host.has_stub());
    CHECK(host.said("container 901 on 'pve2'"));
}

TEST_CASE("a snapshot that refers to the hook keeps a stub, because a rollback brings it back", "[package]")
{
    Host host;
    host.file(paths::vm_config(101), ours + "snapshot: a\n[a]\n" + ours);
    host.add_program("/usr/sbin/qm", [&](const auto&) {
        host.file(paths::vm_config(101), "[a]\n" + ours);
        return SysResult{};
    });
    CHECK(host.removal() == exit_done);
    CHECK(hookscript_of(host, 101).empty());
    CHECK(host.has_stub());
}

TEST_CASE("a guest that was attached by hand, to a link of another name, is detached or gets a stub",
          "[package]")
{
    Host host;
    const std::string other = "/var/lib/vz/snippets/gpu";
    host.tree().set_link(other, "/usr/sbin/pve-gpu-hook");
    host.file(paths::vm_config(101), "hookscript: local:snippets/gpu\n");
    SECTION("detached, the link is the administrator's")
    {
        CHECK(host.removal() == exit_done);
        CHECK(hookscript_of(host, 101).empty());
        CHECK(host.read_link(other) == "/usr/sbin/pve-gpu-hook");
    }
    SECTION("not detached, the link becomes a stub, and purge takes it away once it is not needed")
    {
        host.forbid_qm();
        CHECK(host.removal() == exit_done);
        CHECK(is_stub(host, other));
        host.file(paths::vm_config(101), "");
        CHECK(host.command(package_purge) == exit_done);
        CHECK_FALSE(host.exists(other));
    }
}

TEST_CASE("a guest that was left with the stub is known as attached once the package is back", "[package]")
{
    Host host;
    host.forbid_qm();
    host.removal();
    host.command(package_purge);
    REQUIRE(host.has_stub());
    const auto survey = survey_host(host, {{101}});
    CHECK(survey.find(101)->attached);
    CHECK_NOTHROW(make_install_plan(survey, {{101}})); // the stub is no foreign file
}

TEST_CASE("purge removes a stub that nobody refers to any more, and the directory that was made", "[package]")
{
    Host host;
    host.forbid_qm();
    host.removal();
    SECTION("nobody")
    {
        host.file(paths::vm_config(101), "memory: 512\n");
        CHECK(host.command(package_purge) == exit_done);
        CHECK_FALSE(host.exists(snippet));
        CHECK_FALSE(host.exists("/var/lib/vz/snippets"));
    }
    SECTION("somebody still does")
    {
        CHECK(host.command(package_purge) == exit_done);
        CHECK(host.has_stub());
        CHECK(host.said("remove it once no guest does"));
    }
    SECTION("it cannot be known")
    {
        host.unmount_pve();
        CHECK(host.command(package_purge) == exit_done);
        CHECK(host.has_stub());
    }
}

TEST_CASE("what the administrator put in the link's place is neither replaced nor removed", "[package]")
{
    Host host;
    host.remove_file(snippet);
    host.forbid_qm();
    SECTION("a script")
    {
        host.file(snippet, "#!/bin/sh\n");
        host.removal();
        host.command(package_purge);
        CHECK(host.text(snippet) == "#!/bin/sh");
    }
    SECTION("a link to somewhere else")
    {
        host.make_link(snippet, "/root/hook");
        host.removal();
        host.command(package_configured);
        host.command(package_purge);
        CHECK(host.read_link(snippet) == "/root/hook");
    }
}

TEST_CASE("a storage that takes no stub keeps the package, with its link as it was", "[package]")
{
    Host host;
    host.forbid_qm();
    host.refuse_write(snippet, EROFS, 2);
    CHECK_THROWS_AS(host.removal(), Error);
    CHECK(host.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
}

TEST_CASE("a removal that was cut off between link and stub is finished by the next", "[package]")
{
    Host host;
    host.forbid_qm();
    host.remove_file(snippet);
    CHECK(host.removal() == exit_done);
    CHECK(host.has_stub());
    CHECK(host.removal() == exit_done); // and again
    CHECK(host.has_stub());
}

TEST_CASE("the hookscript that a guest had before is given back, or stays written down", "[package]")
{
    Host host;
    host.command(uninstall);
    host.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    host.file(paths::vm_config(101), "hookscript: local:snippets/old.sh\nhostpci0: 0000:03:00.0\n");
    host.command(install, {.vms = {101}, .yes = true});
    REQUIRE(host.exists(paths::chained_hook(101)));
    SECTION("given back")
    {
        CHECK(host.removal() == exit_done);
        CHECK(hookscript_of(host, 101) == "local:snippets/old.sh");
        CHECK_FALSE(host.exists(std::string(paths::install_state)));
    }
    SECTION("written down")
    {
        host.forbid_qm();
        CHECK(host.removal() == exit_done);
        CHECK(host.exists(paths::chained_hook(101)));
        CHECK(read_manifest(host).attachment(101)->old_volume == "local:snippets/old.sh");
    }
}

TEST_CASE("a removal waits for a recovery, and repairs what a killed one left", "[package]")
{
    Host host;
    host.hold_lock(std::string(paths::lock), Milliseconds(20'000));
    host.file("/sys/bus/pci/drivers_autoprobe", "0\n");
    host.file(paths::journal(101),
              print_journal(101, {{Undo::Kind::setting, std::string(paths::drivers_autoprobe), "1"}}));
    CHECK(host.removal() == exit_done);
    CHECK(host.elapsed() >= Milliseconds(20'000));
    CHECK_FALSE(host.exists(paths::journal(101)));
    CHECK(host.text("/sys/bus/pci/drivers_autoprobe") == "1");
}

TEST_CASE("an upgrade makes a link anew that is gone, and leaves one alone whose storage is away",
          "[package]")
{
    Host host;
    host.remove_file(snippet);
    SECTION("gone")
    {
        CHECK(host.command(package_configured) == exit_done);
        CHECK(host.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
        CHECK(host.said("leads to the hook again"));
        const auto effects = host.effects().size();
        CHECK(host.command(package_configured) == exit_done); // nothing to do
        CHECK(host.effects().size() == effects);
    }
    SECTION("its storage is away")
    {
        host.tree().erase("/var/lib/vz/snippets");
        CHECK(host.command(package_configured) == exit_done);
        CHECK_FALSE(host.exists("/var/lib/vz/snippets"));
    }
    SECTION("it cannot be made")
    {
        host.refuse_write(snippet, EROFS, 2);
        CHECK(host.command(package_configured) == exit_done);
    }
}

TEST_CASE("on a host without Proxmox, and with a damaged manifest, the package can be removed", "[package]")
{
    FakeSystem machine("6.12.0");
    Printed console;
    Session session{machine, console, {}, [&] { return std::make_unique<ForwardingSystem>(machine); }};
    CHECK(package_configured(session) == exit_done);
    CHECK(package_remove(session) == exit_done);
    CHECK(package_purge(session) == exit_done);
    Host host;
    host.file(std::string(paths::install_manifest), "{");
    CHECK(host.removal() == exit_done);
    CHECK(host.said("is damaged"));
    CHECK(host.guest_can_start());
}

TEST_CASE("the link that enables the boot unit is no snippet: an upgrade and a removal leave it what it is",
          "[package]")
{
    Host host;
    const std::string unit(paths::nodes_unit), enabled(paths::nodes_unit_enabled);
    auto manifest = read_manifest(host);
    manifest.entries.push_back({Change::Kind::link, enabled, {}, unit});
    write_manifest(host, manifest, {});
    host.tree().add_directory("/etc/systemd/system/multi-user.target.wants");
    SECTION("an upgrade")
    {
        host.make_link(enabled, unit);
        host.command(package_configured);
        CHECK(host.read_link(enabled) == unit);
        host.command(uninstall);
        CHECK_FALSE(host.read_link(enabled));
    }
    SECTION("an upgrade, after the administrator disabled it")
    {
        host.command(package_configured);
        CHECK_FALSE(host.read_link(enabled));
    }
    SECTION("a removal without the cluster file system")
    {
        host.make_link(enabled, unit);
        host.unmount_pve();
        host.removal();
        CHECK(host.has_stub());
        CHECK_FALSE(host.exists(enabled));
        CHECK_FALSE(host.read_link(enabled));
    }
}

TEST_CASE("nothing below a cluster file system that hangs is looked at without a deadline", "[package]")
{
    Host host;
    host.refuse_read("/etc/pve/.vmlist", ENOENT); // not mounted when it was asked, and hanging a moment later
    host.hang_read("/etc/pve/storage.cfg");
    host.hang_read("/etc/pve/qemu-server");
    host.hang_read("/etc/pve/lxc");
    CHECK(host.removal() == exit_done);
    CHECK(host.has_stub());
    CHECK_FALSE(host.exists(std::string(paths::modprobe)));
}

TEST_CASE("between link and stub there is no moment without a hookscript", "[package]")
{
    Host host;
    host.forbid_qm();
    host.removal();
    REQUIRE(host.has_stub());
    host.command(package_configured);
    REQUIRE(host.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
    const auto& effects = host.effects();
    CHECK(std::find(effects.begin(), effects.end(), "remove file " + snippet) == effects.end());
    CHECK(host.list("/var/lib/vz/snippets") == std::vector<std::string>{"pve-gpu-hook"});
}

TEST_CASE("what a removal could not take back purge tries once more, and keeps what it takes to do so",
          "[package]")
{
    Host host;
    bool full = true; // /boot
    host.add_program(std::string(programs::update_initramfs), [&](const auto&) {
        return SysResult{full ? SysResult::Kind::refused : SysResult::Kind::done, full ? 1 : 0, "", 0, ""};
    });
    CHECK(host.removal() == exit_done);
    REQUIRE(host.exists(std::string(paths::modprobe)));
    SECTION("it works by now")
    {
        full = false;
        CHECK(host.command(package_purge) == exit_done);
        CHECK_FALSE(host.exists(std::string(paths::modprobe)));
        CHECK_FALSE(host.exists(std::string(paths::install_manifest)));
        CHECK(host.text(std::string(paths::initramfs_modules)).find("pve-gpu-hook") == std::string::npos);
    }
    SECTION("it does not")
    {
        CHECK(host.command(package_purge) == exit_failed); // postrm then leaves the notes
        CHECK(host.exists(std::string(paths::install_manifest)));
        CHECK(host.said("'/var/lib/pve-gpu-hook/purge uninstall' tries again"));
    }
}

TEST_CASE("a removal that fails after all leaves the guests attached, for the package stays", "[package]")
{
    Host host;
    add_vm(host, 102, ours);
    host.file(paths::vm_config(102), ours);
    host.answer_run("/usr/sbin/qm set 102 --delete hookscript", 255, "locked\n"); // it needs a stub
    host.refuse_write(snippet, EROFS, 2);
    const auto before = read_manifest(host);
    CHECK_THROWS_AS(host.removal(), Error);
    CHECK(host.said("detached the hook from guest 101"));
    CHECK(hookscript_of(host, 101) == "local:snippets/pve-gpu-hook");
    CHECK(host.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
    CHECK(read_manifest(host) == before);
}

TEST_CASE("the hookscripts of a configuration are those of every section, each once", "[package]")
{
    CHECK(hookscripts_of("").empty());
    CHECK(hookscripts_of("#hookscript: a:snippets/x\n").empty());
    CHECK(hookscripts_of("hookscript: a:snippets/x \nname: y\n[PENDING]\nhookscript: a:snippets/z\n[snap]\n"
                         "hookscript: a:snippets/x\n") == std::vector<HookscriptUse>{{"a:snippets/x", false},
                                                                                     {"a:snippets/z", true},
                                                                                     {"a:snippets/x", true}});
}
