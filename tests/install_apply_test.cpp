// What the commands make of a host, what they leave of it when a step fails, and what uninstalling brings
// back.
#include "catch.hpp"
#include "changes/apply.hpp"
#include "changes/manifest.hpp"
#include "commands/commands.hpp"
#include "host/programs.hpp"
#include "install_hosts.hpp"
#include "machine/dry_run_system.hpp"
#include "machine/forwarding_system.hpp"
#include "machine/paths.hpp"

#include <algorithm>
#include <cerrno>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

class FakeConsole : public Console {
public:
    bool terminal = false;
    bool answer = false;
    std::string printed;
    std::vector<std::string> progressed, said_by_programs, questions;

    void print(std::string_view text) override { printed += text; }
    void progress(std::string_view line) override { progressed.emplace_back(line); }
    void program_says(std::string_view line) override { said_by_programs.emplace_back(line); }
    bool can_ask() const override { return terminal; }
    bool ask(std::string_view question) override
    {
        questions.emplace_back(question);
        return answer;
    }
    Screen screen() const override { return {}; }
};

constexpr const char* arc_guest = "hostpci0: 0000:03:00.0,pcie=1\nhostpci1: 0000:04:00.0,pcie=1\n";

struct Host {
    FakeSystem machine{"6.5.11-8-pve"};
    FakeConsole console;

    explicit Host(const std::string& more = "")
    {
        add_arc(machine);
        add_host(machine);
        add_vm(machine, 101, more + arc_guest);
    }

    int run(int (*command)(Session&), Options options)
    {
        Session session{machine, console, std::move(options)};
        const int status = command(session);
        if (session.options.json) console.printed = print(session.document);
        return status;
    }
    int install_it() { return run(install, {.vms = {101}, .yes = true}); }

    // "" if it does not fail.
    std::string failure_of(int (*command)(Session&), const Options& options)
    {
        try {
            run(command, options);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }
};

// Every file, link and directory with what it holds.
std::map<std::string, std::string> contents(const FakeSystem& machine)
{
    std::map<std::string, std::string> result;
    for (const auto& [path, node] : machine.tree().nodes()) {
        const auto rights = machine.file_facts(path);
        result[path] = std::to_string(static_cast<int>(node.kind)) + " " +
                       std::to_string(rights ? rights->mode : 0) + " " + node.text;
    }
    return result;
}

// The program fails the first time and then does what it always does.
void fail_once(FakeSystem& machine, const std::string& program)
{
    auto times = std::make_shared<int>(0);
    machine.add_program(program, [times](const auto&) {
        const bool fails = (*times)++ == 0;
        return SysResult{fails ? SysResult::Kind::refused : SysResult::Kind::done, fails ? 1 : 0,
                         "its output\n", 0, ""};
    });
}

std::size_t count_runs(const FakeSystem& machine, const std::string& program)
{
    const auto& effects = machine.effects();
    return static_cast<std::size_t>(std::count_if(effects.begin(), effects.end(), [&](const auto& effect) {
        return effect.starts_with("run " + program);
    }));
}

const std::string modprobe_file(paths::modprobe);

} // namespace

TEST_CASE("installing makes every change, notes it, and says that a reboot is needed", "[install]")
{
    Host host;
    CHECK(host.install_it() == exit_reboot);
    CHECK(hookscript_of(host.machine, 101) == "local:snippets/pve-gpu-hook");
    CHECK(host.machine.read_link("/var/lib/vz/snippets/pve-gpu-hook") == "/usr/sbin/pve-gpu-hook");
    CHECK(host.machine.read("/etc/default/grub.d/pve-gpu-hook.cfg")->find("intel_iommu=on iommu=pt") !=
          std::string::npos);
    CHECK(host.machine.file_facts(modprobe_file)->mode == 0644);
    CHECK(host.machine.said("a reboot is needed"));
    const auto manifest = read_manifest(host.machine);
    CHECK(manifest.entries.size() == 5);
    CHECK(manifest.attachments == std::vector<Attachment>{{101, "local:snippets/pve-gpu-hook", ""}});
    CHECK(manifest.find(paths::initramfs_modules)->original->starts_with("# List of modules"));
    CHECK(count_runs(host.machine, std::string(programs::update_initramfs)) == 1);
    CHECK(count_runs(host.machine, std::string(programs::update_grub)) == 1);
}

TEST_CASE("the manifest is on the disk before the first change", "[install]")
{
    Host host;
    host.install_it();
    const auto& effects = host.machine.effects();
    const auto place = [&](const std::string& effect) {
        return std::find(effects.begin(), effects.end(), effect) - effects.begin();
    };
    CHECK(place("replace " + std::string(paths::install_manifest)) <
          place("link /var/lib/vz/snippets/pve-gpu-hook -> /usr/sbin/pve-gpu-hook"));
    CHECK(place("replace /var/lib/pve-gpu-hook/backups/etc/initramfs-tools/modules.original") <
          place("install /etc/initramfs-tools/modules"));
}

TEST_CASE("a second run changes nothing and says so", "[install]")
{
    Host host;
    host.install_it();
    const auto before = contents(host.machine);
    const auto effects = host.machine.effects().size();
    host.console.printed.clear();
    CHECK(host.install_it() == exit_reboot);
    CHECK(host.console.printed.starts_with("Nothing to change.\n"));
    CHECK(contents(host.machine) == before);
    CHECK(host.machine.effects().size() == effects + 1); // the lock
    host.console.printed.clear();
    host.run(install, {.vms = {101}, .json = true});
    CHECK(host.console.printed.find("\"changed\": false") != std::string::npos);
}

TEST_CASE("a dry run shows everything and changes nothing", "[install]")
{
    Host host;
    const auto before = contents(host.machine);
    DryRunSystem dry(host.machine);
    Session session{dry, host.console, {.vms = {101}, .dry_run = true}};
    CHECK(install(session) == exit_done);
    CHECK(host.console.printed.find("+softdep i915 pre: vfio-pci") != std::string::npos);
    CHECK(host.console.printed.find("update-initramfs -u -k all") != std::string::npos);
    CHECK(contents(host.machine) == before);
    CHECK(host.machine.effects().empty());
}

TEST_CASE("a system that only lists takes every change and makes none", "[install]")
{
    Host host;
    const auto before = contents(host.machine);
    DryRunSystem dry(host.machine);
    Session session{dry, host.console, {.vms = {101}, .yes = true}};
    session.programs_run = false;
    install(session);
    CHECK(contents(host.machine) == before);
    CHECK(std::count(dry.listed().begin(), dry.listed().end(),
                     "run /usr/sbin/qm set 101 --hookscript local:snippets/pve-gpu-hook") == 1);
}

TEST_CASE("the question is asked on a terminal, and without one '--yes' is needed", "[install]")
{
    Host host;
    const auto before = contents(host.machine);
    CHECK(host.failure_of(install, {.vms = {101}}).find("'--yes'") != std::string::npos);
    host.console.terminal = true;
    CHECK(host.failure_of(install, {.vms = {101}}) == "nothing is changed");
    CHECK(host.console.questions.size() == 1);
    CHECK(contents(host.machine) == before);
    host.console.answer = true;
    CHECK(host.run(install, {.vms = {101}}) == exit_reboot);
}

TEST_CASE("whatever file cannot be written, everything is undone and said", "[install]")
{
    for (const std::string path :
         {"/var/lib/pve-gpu-hook/manifest.json",
          "/var/lib/pve-gpu-hook/backups/etc/initramfs-tools/modules.original",
          "/var/lib/vz/snippets/pve-gpu-hook", "/var/lib/pve-gpu-hook/chained/101.json",
          "/etc/default/grub.d/pve-gpu-hook.cfg", "/etc/modules-load.d/pve-gpu-hook.conf",
          "/etc/modprobe.d/pve-gpu-hook.conf", "/etc/initramfs-tools/modules"}) {
        INFO(path);
        Host host("hookscript: local:snippets/old.sh\n");
        host.machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
        const auto before = contents(host.machine);
        host.machine.refuse_write(path, ENOSPC);
        const auto failure = host.failure_of(install, {.vms = {101}, .yes = true});
        CHECK(failure.find("nothing is changed: what had been done was undone") != std::string::npos);
        CHECK(contents(host.machine) == before);
        CHECK(host.install_it() == exit_reboot);
    }
}

TEST_CASE("whatever program fails, everything is undone, and what it rebuilt is rebuilt", "[install]")
{
    for (const auto program : {programs::update_initramfs, programs::update_grub}) {
        INFO(program);
        Host host;
        fail_once(host.machine, std::string(program));
        const auto before = contents(host.machine);
        const auto failure = host.failure_of(install, {.vms = {101}, .yes = true});
        CHECK(failure.find(program) != std::string::npos);
        CHECK(failure.find("nothing is changed") != std::string::npos);
        CHECK(contains(host.console.said_by_programs, std::string("its output")));
        CHECK(contents(host.machine) == before);
        CHECK(count_runs(host.machine, std::string(program)) == 2);
        CHECK(hookscript_of(host.machine, 101).empty());
    }
}

TEST_CASE("a qm that refuses is named with its answer, and nothing is left of the rest", "[install]")
{
    Host host;
    host.machine.answer_run("/usr/sbin/qm set 101 --hookscript local:snippets/pve-gpu-hook", 255,
                            "unable to open file '/etc/pve/...': Permission denied\n");
    const auto before = contents(host.machine);
    CHECK(host.failure_of(install, {.vms = {101}, .yes = true}).find("pve-cluster") != std::string::npos);
    CHECK(host.machine.said("Permission denied"));
    CHECK(contents(host.machine) == before);
    CHECK(count_runs(host.machine, std::string(programs::update_initramfs)) == 0);
}

TEST_CASE("a boot partition that proxmox-boot-tool left out is told, though it ends well", "[install]")
{
    Host host;
    host.machine.file(std::string(paths::proxmox_boot_uuids), "1234-ABCD\n");
    const std::string left_out = "WARN: /dev/disk/by-uuid/1234-ABCD does not exist - skipping";
    host.machine.answer_run("/usr/sbin/proxmox-boot-tool refresh", 0,
                            "Running hook script\n" + left_out + "\n");
    CHECK(host.install_it() == exit_reboot);
    CHECK(host.machine.said("proxmox-boot-tool says: " + left_out));
}

TEST_CASE("a qm that ends well and did nothing is found out, and the rest is undone", "[install]")
{
    Host host;
    host.machine.answer_run("/usr/sbin/qm set 101 --hookscript local:snippets/pve-gpu-hook", 0, "");
    const auto before = contents(host.machine);
    CHECK(host.failure_of(install, {.vms = {101}, .yes = true}).find("hookscript is none") !=
          std::string::npos);
    CHECK(contents(host.machine) == before);
}

TEST_CASE("a qm that fails after it has changed the guest is undone too", "[install]")
{
    Host host;
    auto times = std::make_shared<int>(0);
    auto& machine = host.machine;
    const auto path = "/etc/pve/qemu-server/101.conf";
    machine.add_program(std::string(paths::qm_program), [&machine, times, path](const auto&) {
        const bool first = (*times)++ == 0;
        const auto text = machine.text(path);
        constexpr std::string_view ours = "hookscript: local:snippets/pve-gpu-hook\n";
        machine.file(path, first ? std::string(ours) + text + "\n" : text.substr(ours.size()) + "\n");
        return SysResult{first ? SysResult::Kind::refused : SysResult::Kind::done, first ? 255 : 0, "", 0,
                         ""};
    });
    CHECK(host.failure_of(install, {.vms = {101}, .yes = true}).find("nothing is changed") !=
          std::string::npos);
    CHECK(hookscript_of(machine, 101).empty());
}

TEST_CASE("what cannot be undone is named, and the manifest stays for another try", "[install]")
{
    Host host;
    host.machine.answer_run("/usr/sbin/update-grub", 1, "");
    host.machine.answer_run("/usr/sbin/qm set 101 --delete hookscript", 1, "");
    const auto failure = host.failure_of(install, {.vms = {101}, .yes = true});
    CHECK(failure.find("not everything could be undone") != std::string::npos);
    CHECK(host.machine.said("not undone: run '/usr/sbin/qm set 101 --delete hookscript'"));
    CHECK(host.machine.exists(std::string(paths::install_manifest)));
}

TEST_CASE("uninstalling brings back the host as it was, the old hookscript included", "[install]")
{
    for (const std::string old : {"", "hookscript: local:snippets/old.sh\n"}) {
        Host host(old);
        host.machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
        const auto before = contents(host.machine);
        host.install_it();
        CHECK(host.machine.exists("/var/lib/pve-gpu-hook/chained/101.json") != old.empty());
        CHECK(host.run(uninstall, {.yes = true}) == exit_done);
        CHECK(contents(host.machine) == before);
        CHECK(host.run(uninstall, {.yes = true}) == exit_done);
        CHECK(host.console.printed.ends_with("Nothing to change.\n"));
    }
}

TEST_CASE("a file that the administrator has changed since is left and named", "[install]")
{
    Host host;
    host.install_it();
    host.machine.file(modprobe_file, "options vfio-pci ids=8086:56a6\n");
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(host.machine.said("'/etc/modprobe.d/pve-gpu-hook.conf' was changed since"));
    CHECK(host.machine.read(modprobe_file) == "options vfio-pci ids=8086:56a6\n");
    CHECK_FALSE(host.machine.exists(std::string(paths::modules_load)));
    CHECK(hookscript_of(host.machine, 101).empty());
    CHECK(read_manifest(host.machine).entries.size() == 1);
    host.machine.tree().erase(modprobe_file);
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK_FALSE(host.machine.exists("/var/lib/pve-gpu-hook"));
}

TEST_CASE("a step of uninstalling that fails leaves everything installed", "[install]")
{
    Host host;
    host.install_it();
    fail_once(host.machine, std::string(programs::update_initramfs));
    const auto before = contents(host.machine);
    CHECK(host.failure_of(uninstall, {.yes = true}).find("was undone") != std::string::npos);
    auto after = contents(host.machine);
    after.erase(std::string(paths::install_log));
    auto expected = before;
    expected.erase(std::string(paths::install_log));
    CHECK(after == expected);
}

TEST_CASE("detaching gives one guest back what it had, and leaves the host prepared", "[install]")
{
    Host host("hookscript: local:snippets/old.sh\n");
    host.machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    host.install_it();
    CHECK(host.run(detach, {.vms = {101}, .yes = true}) == exit_done);
    CHECK(hookscript_of(host.machine, 101) == "local:snippets/old.sh");
    CHECK_FALSE(host.machine.exists("/var/lib/pve-gpu-hook/chained/101.json"));
    CHECK(host.machine.exists(modprobe_file));
    CHECK(read_manifest(host.machine).attachments.empty());
    CHECK(host.failure_of(detach, {.vms = {999}, .yes = true}).find("no guest 999") != std::string::npos);
}

TEST_CASE("a guest that got another hookscript since keeps it", "[install]")
{
    Host host;
    host.install_it();
    host.machine.run({std::string(paths::qm_program), "set", "101", "--hookscript", "local:snippets/new.sh"},
                     Milliseconds(1));
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(host.machine.said("has another hookscript by now"));
    CHECK(hookscript_of(host.machine, 101) == "local:snippets/new.sh");
}

TEST_CASE("a guest that was deleted meanwhile does not keep anything from being undone", "[install]")
{
    for (auto* const command : {&detach, &uninstall}) {
        Host host("hookscript: local:snippets/old.sh\n");
        host.machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
        host.install_it();
        host.machine.tree().erase("/etc/pve/qemu-server/101.conf");
        host.machine.file("/etc/pve/.vmlist", R"({ "version": 2, "ids": {} })");
        CHECK(host.run(command, {.vms = {101}, .yes = true}) == exit_done);
        CHECK_FALSE(host.machine.exists("/var/lib/pve-gpu-hook/chained/101.json"));
        CHECK(read_manifest(host.machine).attachments.empty());
        CHECK(host.run(uninstall, {.yes = true}) == exit_done);
        CHECK_FALSE(host.machine.exists("/var/lib/pve-gpu-hook"));
    }
}

TEST_CASE("without the cluster file system nothing is undone and nothing is planned, and the cause is named",
          "[install]")
{
    Host host("hookscript: local:snippets/old.sh\n");
    host.machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    host.install_it();
    host.machine.tree().erase("/etc/pve"); // pve-cluster is stopped
    host.machine.tree().add_directory("/etc/pve");
    const auto before = contents(host.machine);
    for (auto* const command : {&install, &detach, &uninstall}) {
        const auto failure = host.failure_of(command, {.vms = {101}, .yes = true});
        CHECK(failure.find("is not mounted; see 'systemctl status pve-cluster'") != std::string::npos);
        CHECK(contents(host.machine) == before);
    }
}

TEST_CASE("a guest that moved to another node keeps what it had before written down", "[install]")
{
    Host host("hookscript: local:snippets/old.sh\n");
    auto& machine = host.machine;
    machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    join_cluster(machine);
    host.install_it();
    CHECK(machine.said("its other hookscript 'local:snippets/old.sh' runs on this node only"));
    machine.tree().erase("/etc/pve/qemu-server/101.conf");
    machine.file("/etc/pve/nodes/pve2/qemu-server/101.conf", "hookscript: local:snippets/pve-gpu-hook\n");
    machine.file("/etc/pve/.vmlist", R"({ "ids": { "101": { "node": "pve2", "type": "qemu" } } })");
    CHECK(host.failure_of(detach, {.vms = {101}, .yes = true}) ==
          "VM 101 is on the node 'pve2'; detach it there, or move it here first");
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(machine.said("VM 101 is on the node 'pve2'; what it had before stays written down here"));
    CHECK(machine.exists(paths::chained_hook(101)));
    REQUIRE(read_manifest(machine).attachment(101) != nullptr);
    CHECK(read_manifest(machine).attachment(101)->old_volume == "local:snippets/old.sh");
}

TEST_CASE("what a guest had before that was attached on another node is not known, and that is said",
          "[install]")
{
    Host host("hookscript: local:snippets/pve-gpu-hook\n");
    host.machine.tree().set_link("/var/lib/vz/snippets/pve-gpu-hook", "/usr/sbin/pve-gpu-hook");
    join_cluster(host.machine);
    CHECK(host.run(detach, {.vms = {101}, .yes = true}) == exit_done);
    CHECK(host.machine.said("a hookscript that it had before is not given back"));
    CHECK(host.console.printed.find("no hookscript that the guest had before is known here") !=
          std::string::npos);
}

TEST_CASE("a link that others need stays when everything else is undone, and they are named", "[install]")
{
    Host host;
    auto& machine = host.machine;
    const std::string snippet = "/var/lib/vz/snippets/pve-gpu-hook";
    host.install_it();
    SECTION("a guest of another node, which may come here")
    {
        const std::string ours = "hookscript: local:snippets/pve-gpu-hook\n";
        machine.file("/etc/pve/nodes/pve2/qemu-server/102.conf", ours);
        machine.file("/etc/pve/nodes/pve1/qemu-server/101.conf", ours + arc_guest);
        machine.file("/etc/pve/.vmlist", R"({ "ids": { "101": { "node": "pve1", "type": "qemu" },
                                                       "102": { "node": "pve2", "type": "qemu" } } })");
        CHECK(host.run(uninstall, {.yes = true}) == exit_done);
        CHECK(
            machine.said("'" + snippet + "' stays, because VM 102 on 'pve2' (or a snapshot of it) needs it"));
    }
    SECTION("a snapshot, which a rollback brings back")
    {
        const auto text = machine.text("/etc/pve/qemu-server/101.conf") + "\n\n[before]\n" +
                          "hookscript: local:snippets/pve-gpu-hook\n";
        machine.file("/etc/pve/nodes/pve1/qemu-server/101.conf", text);
        CHECK(host.run(uninstall, {.yes = true}) == exit_done);
        CHECK(machine.said("'" + snippet + "' stays, because VM 101 (or a snapshot of it) needs it"));
    }
    CHECK(hookscript_of(machine, 101).empty());
    CHECK(machine.read_link(snippet) == "/usr/sbin/pve-gpu-hook");
    CHECK_FALSE(machine.exists(modprobe_file));
    REQUIRE(read_manifest(machine).entries.size() == 1); // so that a later run can take it
    CHECK(read_manifest(machine).entries[0].path == snippet);
}

TEST_CASE("a guest without a hookscript is attached without the one that it had long ago", "[install]")
{
    Host host("hookscript: local:snippets/old.sh\n");
    auto& machine = host.machine;
    machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    host.install_it();
    machine.run({std::string(paths::qm_program), "set", "101", "--delete", "hookscript"}, Milliseconds(1));
    const auto before = hookscript_of(machine, 101);
    REQUIRE(before.empty());
    host.install_it();
    CHECK_FALSE(machine.exists(paths::chained_hook(101)));
    CHECK(read_manifest(machine).attachment(101)->old_volume.empty());
    host.run(uninstall, {.yes = true});
    CHECK(hookscript_of(machine, 101).empty());
    CHECK_FALSE(machine.exists("/var/lib/pve-gpu-hook"));
}

TEST_CASE("a guest that has no hookscript any more is not told to have another one", "[install]")
{
    Host host;
    host.install_it();
    host.machine.run({std::string(paths::qm_program), "set", "101", "--delete", "hookscript"},
                     Milliseconds(1));
    CHECK(host.run(detach, {.vms = {101}, .yes = true}) == exit_done);
    CHECK(host.machine.said("VM 101 has no hookscript any more; nothing to detach"));
    CHECK_FALSE(host.machine.said("another hookscript"));
}

TEST_CASE("a hookscript whose file is gone is not given back: Proxmox would refuse it, and nothing be undone",
          "[install]")
{
    Host host("hookscript: local:snippets/old.sh\n");
    auto& machine = host.machine;
    machine.file("/var/lib/vz/snippets/old.sh", "#!/bin/sh\n");
    host.install_it();
    machine.tree().erase("/var/lib/vz/snippets/old.sh");
    machine.answer_run("/usr/sbin/qm set 101 --hookscript local:snippets/old.sh", 255,
                       "script 'local:snippets/old.sh' does not exist\n");
    auto* const command = GENERATE(&detach, &uninstall);
    CHECK(host.run(command, {.vms = {101}, .yes = true}) == exit_done);
    CHECK(hookscript_of(machine, 101).empty());
    CHECK(machine.said("the hookscript 'local:snippets/old.sh', which VM 101 had before, is not given back: "
                       "its file is not there"));
}

TEST_CASE("a second install that is killed before it writes a file: what is there is still ours", "[install]")
{
    Host host;
    auto& machine = host.machine;
    add_slot(machine, {.port = "0000:00:01.0", .bus = 0x06});
    add_vm(machine, 102, "hostpci0: 06:00,pcie=1\n");
    const auto before = contents(machine);
    host.install_it();
    const auto first = machine.read(modprobe_file);
    // Killed: nothing after the first refusal is carried out, so the manifest stays as it was written before.
    struct Killed {};
    class Dying : public ForwardingSystem {
    public:
        using ForwardingSystem::ForwardingSystem;
        void install_file(const std::string&, std::string_view, mode_t) override { throw Killed(); }
    } dying(machine);
    Session session{dying, host.console, {.vms = {102}, .yes = true}};
    CHECK_THROWS_AS(install(session), Killed);
    REQUIRE(machine.read(modprobe_file) == first);
    REQUIRE(read_manifest(machine).find(modprobe_file)->installed != first);
    SECTION("uninstalled at once") {}
    SECTION("installed again")
    {
        host.run(install, {.vms = {102}, .yes = true});
    }
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK_FALSE(machine.said("was changed since"));
    CHECK(contents(machine) == before);
}

TEST_CASE("what the administrator adds behind our block stays without it, however often it was installed",
          "[install]")
{
    Host host;
    auto& machine = host.machine;
    const std::string path(paths::initramfs_modules);
    const auto before = machine.read(path).value();
    host.install_it();
    machine.file(path, machine.read(path).value() + "raid10\n");
    host.install_it();
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(machine.read(path) == before + "raid10\n");
    CHECK_FALSE(machine.exists("/var/lib/pve-gpu-hook"));
}

TEST_CASE("a snippet that was deleted is made again, or the guest could not start", "[install]")
{
    Host host;
    host.install_it();
    host.machine.tree().erase("/var/lib/vz/snippets/pve-gpu-hook");
    host.install_it();
    CHECK(host.machine.read_link("/var/lib/vz/snippets/pve-gpu-hook") == "/usr/sbin/pve-gpu-hook");
}

TEST_CASE("a file of somebody else's with our snippet's name is not ours, whoever has it as hookscript",
          "[install]")
{
    Host host("hookscript: local:snippets/pve-gpu-hook\n");
    host.machine.file("/var/lib/vz/snippets/pve-gpu-hook", "#!/bin/sh\n");
    const auto before = contents(host.machine);
    CHECK(host.failure_of(install, {.vms = {101}, .yes = true}).find("is not ours") != std::string::npos);
    CHECK(contents(host.machine) == before);
    CHECK(host.run(uninstall, {.yes = true}) == exit_done);
    CHECK(contents(host.machine) == before);
}

TEST_CASE("a file that was edited and then installed again keeps what it was at first and what it was made",
          "[install]")
{
    Host host;
    host.install_it();
    const auto first = host.machine.read(std::string(paths::initramfs_modules));
    host.machine.file(std::string(paths::initramfs_modules), "# all new\n");
    host.install_it();
    CHECK(host.machine.read(std::string(paths::initramfs_modules)) != first);
    host.run(uninstall, {.yes = true});
    CHECK(host.machine.read(std::string(paths::initramfs_modules)) == "# all new\n");
}

TEST_CASE("a clone that has our hookscript is detached too, or it could not start", "[install]")
{
    Host host;
    host.install_it();
    add_vm(host.machine, 102, std::string("hookscript: local:snippets/pve-gpu-hook\n") + arc_guest);
    host.run(uninstall, {.yes = true});
    CHECK(hookscript_of(host.machine, 102).empty());
}

TEST_CASE("a second VM adds to what is installed, and uninstalling still brings back the first state",
          "[install]")
{
    Host host;
    add_slot(host.machine, {.port = "0000:00:01.0", .bus = 0x06});
    add_vm(host.machine, 102, "hostpci0: 06:00,pcie=1\n");
    const auto before = contents(host.machine);
    host.install_it();
    CHECK(host.run(install, {.vms = {102}, .yes = true}) == exit_reboot);
    CHECK(host.machine.read(modprobe_file)->find("softdep nouveau") != std::string::npos);
    CHECK(host.machine.read(modprobe_file)->find("softdep i915") != std::string::npos);
    host.run(uninstall, {.yes = true});
    CHECK(contents(host.machine) == before);
}

TEST_CASE("'--host' alone prepares the host for every VM that has a card, and attaches nothing", "[install]")
{
    Host host;
    CHECK(host.run(install, {.host = true, .yes = true}) == exit_reboot);
    CHECK(host.machine.read(modprobe_file)->find("softdep i915") != std::string::npos);
    CHECK(hookscript_of(host.machine, 101).empty());
    CHECK(count_runs(host.machine, std::string(paths::qm_program)) == 0);
}

TEST_CASE("a driver that is kept away already keeps its softdep", "[install]")
{
    Host host;
    host.install_it();
    const auto text = host.machine.read(modprobe_file);
    host.machine.tree().erase(paths::module_aliases("6.5.11-8-pve"));
    host.machine.write("/sys/bus/pci/drivers/i915/unbind", "0000:03:00.0", Milliseconds(1));
    host.machine.write("/sys/bus/pci/drivers/snd_hda_intel/unbind", "0000:04:00.0", Milliseconds(1));
    host.install_it();
    CHECK(host.machine.read(modprobe_file) == text);
}

TEST_CASE("a damaged manifest stops everything before it starts", "[install]")
{
    for (const auto* const text :
         {"{", R"({"changes":[],"guests":[{"vmid":1e37,"volume":"","old_volume":""}],"directories":[]})"}) {
        Host host;
        host.machine.file(std::string(paths::install_manifest), text);
        CHECK(host.failure_of(install, {.vms = {101}, .yes = true}).find("is damaged") != std::string::npos);
        CHECK(host.failure_of(uninstall, {.yes = true}).find("is damaged") != std::string::npos);
        CHECK(hookscript_of(host.machine, 101).empty());
    }
}

TEST_CASE("a reboot is asked for only when it is needed and wanted", "[install]")
{
    Host host;
    CHECK(host.run(install, {.vms = {101}, .yes = true, .reboot = true}) == exit_reboot);
    CHECK(host.machine.effects().back() == "run /usr/bin/systemctl reboot");
}
