// /var/lib/pve-gpu-hook/manifest.json: what is read is written again as the same.
#include "base/error.hpp"
#include "changes/manifest.hpp"
#include "fake_system.hpp"
#include "fuzz.hpp"
#include "machine/paths.hpp"

using namespace pvegpu;

namespace {

// Every backup that is asked for is there.
class WithBackups : public testing::FakeSystem {
public:
    std::optional<std::string> read(const std::string& path) const override
    {
        const auto known = FakeSystem::read(path);
        return known || !path.starts_with(paths::install_backups) ? known
                                                                  : std::optional<std::string>("text");
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    WithBackups before;
    before.file(std::string(paths::install_manifest), fuzz::text_of(data, size));
    Manifest manifest;
    try {
        manifest = read_manifest(before);
    } catch (const Error& error) {
        fuzz::require_printable(error.what());
        return 0;
    }
    if (manifest.empty()) return 0;
    WithBackups after;
    try {
        write_manifest(after, Manifest{{}, manifest.attachments, manifest.directories}, {});
        auto again = read_manifest(after);
        manifest.entries.clear(); // their texts are files of their own
        fuzz::require(manifest.empty() || again == manifest);
    } catch (const Error&) {
        fuzz::require(false);
    }
    return 0;
}
