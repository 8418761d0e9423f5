// What is said of messages that somebody shows us, one or a whole log.
#include "base/error.hpp"
#include "base/text.hpp"
#include "catch.hpp"
#include "check/check.hpp"
#include "check/explain.hpp"
#include "check/known_messages.hpp"
#include "commands/commands.hpp"
#include "fake_system.hpp"
#include "has.hpp"
#include "printed_console.hpp"

#include <fstream>
#include <set>

using namespace pvegpu;
using namespace pvegpu::testing;

namespace {

class Pasted : public Printed {
public:
    explicit Pasted(std::string pasted = "") : pasted_(std::move(pasted)) {}
    std::string input(std::size_t most) override { return pasted_.substr(0, most); }

private:
    std::string pasted_;
};

int explained(Pasted& console, Options options)
{
    FakeSystem machine; // no Proxmox, no PCI: nothing is looked at
    Session session{machine, console, std::move(options)};
    return check(session);
}

std::string text_of(std::string_view text, const std::vector<unsigned>& vms = {},
                    const std::vector<unsigned>& containers = {})
{
    return print_explanations(explain(text, vms, containers));
}

} // namespace

TEST_CASE("each known message is like the lines that logs have of it, and lines of others raise nothing",
          "[check][explain]")
{
    std::set<std::string> seen;
    std::ifstream file(TESTS_DIR "/log_lines.txt");
    for (std::string line; std::getline(file, line);) {
        const auto row = split_once(line, '|');
        if (!row || line.starts_with('#')) continue;
        INFO(std::string(row->second));
        std::string names;
        for (const auto* message : messages_like(row->second)) names += message->name + " ";
        if (row->first == "-") {
            CHECK(names.empty());
            continue;
        }
        CHECK(names == std::string(row->first) + " ");
        seen.insert(std::string(row->first));
    }
    for (const auto& message : known_messages()) {
        INFO(message.name);
        CHECK(seen.count(message.name) == 1);
    }
}

TEST_CASE("a pasted message is explained, whatever its case", "[check][explain]")
{
    const auto text = text_of("[ 12.3] vfio-pci 0000:01:00.0: NOT READY 65535ms after FLR; giving up\n"
                              "write error: Inappropriate ioctl for device\r\n");
    CHECK(has(text, "cause (certain): the card did not come back"));
    CHECK(has(text, "harmless"));
    CHECK_FALSE(has(text, "\r"));
    CHECK(explain("all is well").empty());
    CHECK(has(text_of("vfio 0000:01:00.0: vfio: Unable to power on device, stuck in D3"),
              "/devices/0000:01:00.0/d3cold_allowed"));
    CHECK(has(text_of("No IOMMU detected"), "'VT-d' (Intel) or 'IOMMU' ('AMD-Vi'"));
}

TEST_CASE("a number of a message is a whole number of the line", "[check][explain]")
{
    for (const auto* line :
         {"Code 430", "error code 431", "(Code 4300)", "exit code 43", "Xid (PCI:0): 791,"}) {
        INFO(line);
        CHECK(messages_like(line).empty());
    }
    CHECK(messages_like("  Code 43.").size() == 1);
}

TEST_CASE("a log is explained once for each message and device, with the guest's number", "[check][explain]")
{
    const std::string log = "kernel: snd_hda_intel 0000:03:00.1: CORB reset timeout#2, CORBRP = 65535\n"
                            "kernel: vfio-pci 0000:03:00.0: vfio_ecap_init: hiding ecap 0x19@0x900\n"
                            "kernel: vfio-pci 0000:03:00.1: not ready 65535ms after FLR; giving up\n"
                            "kernel: e1000e 0000:00:1f.6 eno1: NIC Link is Down\n"
                            "kernel: vfio-pci 0000:03:00.1: not ready 65535ms after FLR; giving up\n"
                            "kernel: vfio-pci 0000:07:00.0: not ready 65535ms after FLR; giving up\n";
    const auto text = text_of(log, {101}, {});
    CHECK(has(text, "03:00.1: not ready 65535ms after FLR; giving up\n  2 such lines\n  cause"));
    CHECK(has(text, "07:00.0: not ready 65535ms after FLR; giving up\n  cause"));
    CHECK(has(text, "pve-gpu-install --vm 101"));
    CHECK_FALSE(has(text, "NIC Link"));
    // what the lost card brought about stands behind it, and what is harmless comes last
    CHECK(text.find("CORB reset") > text.find("not ready"));
    CHECK(has(text, "CORBRP = 65535\n  comes of what stands above"));
    CHECK(text.find("hiding ecap") > text.find("CORB reset"));
    CHECK(has(text_of("TASK ERROR: Device /dev/nvidia0 does not exist", {101}, {901}), "--ct 901"));
}

TEST_CASE("a program is told of each message, its device and its place among causes", "[check][explain]")
{
    const auto json =
        explanations_json(explain("kernel: vfio-pci 0000:03:00.1: not ready 65535ms after FLR; giving up\n"
                                  "kernel: vfio-pci 0000:03:00.0: vfio_ecap_init: hiding ecap 0x19@0x900\n"));
    REQUIRE(json["messages"].size() == 2);
    CHECK(json["messages"][0]["device"] == "0000:03:00.1");
    CHECK(json["messages"][0]["place"] == "cause");
    CHECK(json["messages"][1]["place"] == "harmless");
    CHECK(explanations_json({})["messages"].empty());
}

TEST_CASE("messages come from the command line, from standard input or from a file", "[check][explain]")
{
    Pasted known, unknown, file, absent;
    CHECK(explained(known, {.explain = "Code 43"}) == exit_done);
    CHECK(has(known.text, "cause (possible)"));
    CHECK(explained(unknown, {.explain = "hello"}) == exit_failed);
    CHECK(has(unknown.text, "no message is known"));
    Pasted pasted("one\ntwo: (Code 43)\n");
    CHECK(explained(pasted, {.explain = "-"}) == exit_done);
    CHECK(has(pasted.text, "two: (Code 43)\n  cause"));

    FakeSystem machine;
    machine.file("/tmp/log.txt", "nothing\nCode 43\n");
    Session session{machine, file, {.explain_file = "/tmp/log.txt"}};
    CHECK(check(session) == exit_done);
    CHECK(has(file.text, "Code 43\n  cause"));
    Session of_absent{machine, absent, {.explain_file = "/tmp/absent.txt"}};
    CHECK_THROWS_WITH(check(of_absent), "/tmp/absent.txt: cannot be read (No such file or directory); name a "
                                        "file with messages");
}
