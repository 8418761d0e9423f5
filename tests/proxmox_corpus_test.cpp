// Our reading of hostpci lines against Proxmox's own test corpus: QEMU_SERVER names a checkout of its
// qemu-server.
#include "base/text.hpp"
#include "catch.hpp"
#include "proxmox/guest_config.hpp"
#include "proxmox/passthrough.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace pvegpu;

namespace {

std::string text_of(const std::string& file)
{
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// Every address that stands behind the word in a text, in the order of the text. The corpus has some that no
// PCI bus can have (slot 0x43); they are nobody's business.
std::vector<PciAddress> addresses_behind(const std::string& text, const std::string& word)
{
    std::vector<PciAddress> found;
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
        if (const auto address = parse_pci_address(text.substr(at + word.size(), 12)))
            found.push_back(*address);
    return found;
}

// The functions of the host and the mappings that run_config2command_tests.pl makes up.
std::vector<PciAddress> functions_of_the_corpus(const std::string& test)
{
    auto list = text_of(test + "/run_config2command_tests.pl");
    list = list.substr(list.find("my $pci_devs"));
    auto all = addresses_behind(list.substr(0, list.find("];")), "\"");
    std::sort(all.begin(), all.end());
    return all;
}

constexpr std::string_view mappings = "someGpu\n"
                                      "\tmap id=10de:2231,iommugroup=1,node=localhost,path=0000:01:00.4\n"
                                      "\tmap id=10de:2231,iommugroup=1,node=localhost,path=0000:01:00.5\n"
                                      "\tmdev 1\n\n"
                                      "someNic\n"
                                      "\tmap id=8086:1520,iommugroup=2,node=localhost,path=0000:07:10.0\n"
                                      "\tmap id=8086:1520,iommugroup=2,node=localhost,path=0000:07:10.1\n"
                                      "\tmap id=8086:1520,iommugroup=2,node=localhost,path=0000:07:10.4\n\n";

std::vector<PciAddress> passed_by(const std::string& config, const std::vector<PciAddress>& all)
{
    auto devices =
        resolve_hostpci(parse_guest_config(config), parse_pci_mappings(mappings), "localhost", all);
    choose_alternatives(devices, [](const auto&) { return true; });
    std::vector<PciAddress> passed;
    for (const auto& device : devices)
        if (!device.mdev)
            for (const auto& address : device.taken().functions) passed.push_back(address);
    return passed;
}

} // namespace

TEST_CASE("the functions that Proxmox's corpus passes to QEMU are those that we read from its configs")
{
    const char* const checkout = std::getenv("QEMU_SERVER"); // NOLINT(concurrency-mt-unsafe)
    if (checkout == nullptr) {
        WARN("skipped: QEMU_SERVER names no checkout of Proxmox's qemu-server");
        return;
    }
    const auto test = std::string(checkout) + "/src/test";
    const auto all = functions_of_the_corpus(test);
    REQUIRE(all.size() >= 10);
    unsigned compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test + "/cfg2cmd")) {
        const auto config = entry.path().string();
        const auto command = text_of(config + ".cmd");
        if (!config.ends_with(".conf") || command.empty() ||
            text_of(config).find("\nhostpci") == std::string::npos)
            continue;
        if (text_of(config).find("\ntemplate: 1") != std::string::npos)
            continue; // it is never started with them
        INFO(config);
        const auto expected = addresses_behind(command, "vfio-pci,host=");
        CHECK(passed_by(text_of(config), all) == expected);
        if (!expected.empty()) ++compared;
    }
    CHECK(compared >= 4);
}
