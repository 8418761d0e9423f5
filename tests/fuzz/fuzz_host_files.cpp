// The administrator's files that the installer changes: changed twice they are as changed once.
#include "changes/show.hpp"
#include "fuzz.hpp"
#include "host/host_files.hpp"

#include <string>

using namespace pvegpu;

namespace {

// What is shown to be there before, hunk by hunk, is what a diff without hunks would show.
void check_diff(const std::string& before, const std::string& after)
{
    fuzz::require(unified_diff("/etc/x", before, before).empty());
    fuzz::require(unified_diff("/etc/x", before, after).empty() == (before == after));
    unified_diff("/etc/x", std::nullopt, after);
    unified_diff("/etc/x", before, std::nullopt);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(fuzz::text_of(data, size));
    const auto once = with_initramfs_block(text);
    fuzz::require(once.find("vfio-pci") != std::string::npos);
    if (text.find("# BEGIN pve-gpu-hook") == std::string::npos)
        fuzz::require(once.starts_with(text) && with_initramfs_block(once) == once);
    const auto modprobe = modprobe_text({}, false, text);
    fuzz::require(modprobe_text({}, false, modprobe) == modprobe);
    check_diff(text.substr(0, size / 2), text.substr(size / 2));
    return 0;
}
