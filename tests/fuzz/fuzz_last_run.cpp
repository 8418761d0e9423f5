// /run/pve-gpu-hook/VMID.json as `status` reads it, and the versions in /var/lib/dpkg/status.
#include "fuzz.hpp"
#include "host/pve_files.hpp"
#include "host/status.hpp"
#include "proxmox/guest_files.hpp"

using namespace pvegpu;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto text = fuzz::text_of(data, size);
    parse_last_run(std::string(text));
    const auto version = package_version(text, "pve-manager");
    fuzz::require(text.find(version) != std::string_view::npos);
    return 0;
}
